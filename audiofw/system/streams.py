"""The standard streams: missing ones are opened, and errors in writing name them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from audiofw.system.faults import STDOUT, writing_to


class NamedStream:
    """A stream whose errors name it, as those of files name the file."""

    def __init__(self, stream: Any, name: str) -> None:
        self._stream, self._name = stream, name

    def write(self, text: str) -> int:
        """Write text; an OSError has the stream's name as its file name."""
        return int(self._named(self._stream.write, text))

    def flush(self) -> None:
        """Flush; see `write`."""
        self._named(self._stream.flush)

    def _named(self, do: Callable[..., Any], *given: Any) -> Any:
        with writing_to(self._name):
            return do(*given)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def named_stdout() -> Iterator[None]:
    """Let errors in writing to stdout name it, including those of the last flush; a closed stream is opened."""
    open_closed()
    before = sys.stdout
    sys.stdout = NamedStream(before, STDOUT)
    try:
        try:
            yield
        except SystemExit:  # argparse's, after --help
            sys.stdout.flush()
            raise
        sys.stdout.flush()
    finally:
        sys.stdout = before


def open_closed() -> None:
    """Open the standard streams that were closed (``>&-``): a file would get their number, and others write into it."""
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is None:
            with suppress(OSError):
                while os.open(os.devnull, os.O_RDWR) < number:
                    pass
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115, PTH123  # for as long as the process runs


def silence_stdout() -> None:
    """Discard what could not be written to stdout; otherwise Python tries again at its end, and complains."""
    with suppress(OSError, ValueError, AttributeError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)
