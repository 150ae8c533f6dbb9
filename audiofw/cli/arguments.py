"""Common parts of the subcommands' parsers: errors on one line, and numbers within ranges."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from typing import NoReturn

from audiofw.errors import ConfigError


class OneLineParser(argparse.ArgumentParser):
    """A parser whose errors are one line, like all of audiofw's."""

    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"{self.prog}: {message}; see {self.prog} --help")


def add_bundle(parser: argparse.ArgumentParser, tolerance: float) -> None:
    """Add arguments for a model, and for the tolerance of its probabilities."""
    parser.add_argument("bundle", metavar="RUN", help="a run's folder, its model/ folder, or a zip of either")
    parser.add_argument(
        "--tolerance",
        type=share,
        default=tolerance,
        help=f"largest difference in a probability that is accepted; default: {tolerance:g}",
    )


def whole_number(text: str) -> int:
    """Read an integer of at least 1."""
    return int(_number(text, lambda n: 1 <= n <= 1e9 and n == int(n), "an integer of at least 1, and at most 1e9"))


def workers(text: str) -> int:
    """Read a number of workers, as `audiofw.parallel.workers.count_workers` takes it."""
    return int(_number(text, lambda n: 1 <= abs(n) <= 1024 and n == int(n), "an integer from 1 to 1024, or -1"))


def port(text: str) -> int:
    """Read a port's number; 0 is any free one."""
    return int(_number(text, lambda n: 0 <= n <= 65535 and n == int(n), "an integer from 0 to 65535"))


def share(text: str) -> float:
    """Read a number between 0 and 1."""
    return _number(text, lambda n: 0 <= n <= 1, "a number between 0 and 1")


def amount(text: str) -> float:
    """Read a number of at least 0."""
    return _number(text, lambda n: 0 <= n < math.inf, "a number of at least 0")


def above_zero(text: str) -> float:
    """Read a positive number of at most a million."""
    return _number(text, lambda n: 0 < n <= 1e6, "a positive number of at most a million")


def seconds(text: str) -> float:
    """Read a number of seconds from a thousandth to a day."""
    return _number(text, lambda n: 0.001 <= n <= 86_400, "a positive number of seconds, from 0.001 to 86400")


def _number(text: str, fits: Callable[[float], bool], wanted: str) -> float:
    try:
        if fits(value := float(text)):
            return value
    except (ValueError, OverflowError):
        pass
    raise argparse.ArgumentTypeError(f"'{text}' is not {wanted}")
