"""What subcommands share in reading their words: errors of one line, and numbers within ranges."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from typing import NoReturn

from audiofw.errors import ConfigError


class OneLineParser(argparse.ArgumentParser):
    """Says what is wrong on one line, as every error of audiofw."""

    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"{self.prog}: {message}; --help lists what there is")


def whole(text: str) -> int:
    """Read a whole number from 1 up."""
    return int(_number(text, lambda n: n >= 1 and n == int(n), "a whole number from 1 up"))


def share(text: str) -> float:
    """Read a number from 0 to 1."""
    return _number(text, lambda n: 0 <= n <= 1, "a number from 0 to 1")


def amount(text: str) -> float:
    """Read a number from 0 up."""
    return _number(text, lambda n: 0 <= n < math.inf, "a number from 0 up")


def above_zero(text: str) -> float:
    """Read a number above 0."""
    return _number(text, lambda n: 0 < n < math.inf, "a number above 0")


def seconds(text: str) -> float:
    """Read a number of seconds above 0."""
    return _number(text, lambda n: 0 < n < 1e6, "a number of seconds above 0")


def _number(text: str, fits: Callable[[float], bool], wanted: str) -> float:
    try:
        if fits(value := float(text)):
            return value
    except (ValueError, OverflowError):
        pass
    raise argparse.ArgumentTypeError(f"'{text}' is not {wanted}")
