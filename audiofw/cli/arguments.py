"""Common parts of the subcommands' parsers: errors on one line, and numbers within ranges."""

from __future__ import annotations

import argparse
import math
import os
import re
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from audiofw.errors import AudiofwError, ConfigError, DataError
from audiofw.system.faults import FAULTS, reason, remedy

RUN = "a run's folder, its model/ folder, or a zip of either"  # what the argument of that name is


class OneLineParser(argparse.ArgumentParser):
    """A parser whose errors are one line, like all of audiofw's.

    An existing file whose name begins with a dash is a file, as in ``audiofw predict RUN *.wav``, unless a flag is so
    called.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        self._flags: set[str] = set()
        super().__init__(*args, **options)

    def add_argument(self, *names: Any, **options: Any) -> argparse.Action:
        """Add an argument; see `argparse.ArgumentParser.add_argument`."""
        self._flags.update(names)
        return super().add_argument(*names, **options)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse; see `argparse.ArgumentParser.parse_known_args`."""
        return super().parse_known_args(self._with_files(sys.argv[1:] if args is None else args), namespace)

    def _with_files(self, words: Sequence[str]) -> list[str]:
        end = words.index("--") if "--" in words else len(words)
        return [
            f"./{word}"
            if i < end and word.startswith("-") and word not in {"-", *self._flags} and _exists(word)
            else word
            for i, word in enumerate(words)
        ]

    def error(self, message: str) -> NoReturn:
        if re.search(r"arguments?: -|expected one argument", message):
            message += "; a name that begins with a dash is written ./-name"
        raise ConfigError(f"{self.prog}: {message}; see {self.prog} --help")

    def print_help(self, file: Any = None) -> None:
        """Print the help; argparse would ignore that it cannot be written."""
        (file or sys.stdout).write(self.format_help())


def _exists(word: str) -> bool:
    with suppress(OSError, ValueError):
        return os.path.lexists(word)
    return False


def add_bundle(parser: argparse.ArgumentParser, tolerance: float) -> None:
    """Add arguments for a model, and for the tolerance of its probabilities."""
    parser.add_argument("bundle", metavar="RUN", help=RUN)
    parser.add_argument(
        "--tolerance",
        type=share,
        default=tolerance,
        help=f"largest difference in a probability that is accepted; default: {tolerance:g}",
    )


def output_error(flag: str, file: Path, error: OSError) -> AudiofwError:
    """Build the error for a file that cannot be written: the machine's fault, or a wrong name."""
    said = f"{flag} {file}: cannot write: {reason(error)}"
    if error.errno in FAULTS:
        return DataError(f"{said}; {remedy(error, file, flag)}")
    if isinstance(error, FileNotFoundError):
        return ConfigError(f"{said}; create the folder {file.parent} first")
    return ConfigError(f"{said}; name a file, e.g. {flag} {file / 'results.csv'}" if file.is_dir() else said)


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
