"""Limit the warnings on the terminal to a few of each kind, so that similar ones do not bury the others."""

from __future__ import annotations

import copy
import logging
import os
import re
import sys
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

from audiofw.errors import LAYOUT, printable
from audiofw.system.faults import explain

log = logging.getLogger(__name__)

SHOWN = 5
VERBOSITY = "AUDIOFW_VERBOSITY"  # quiet or verbose; an environment variable, so that other processes know it, too
LEVELS = {"quiet": logging.ERROR, "verbose": logging.DEBUG}
SHOWN_BEFORE = "shown_before"  # attribute of a record of what has been printed: it is for the log file only


class LogFile(logging.FileHandler):
    """Write a log into a file; if that is not possible, e.g. on a full disk, go on without it.

    Attributes
    ----------
    fault : OSError or None
        Why the log ends.
    """

    fault: OSError | None = None

    def _open(self) -> Any:
        try:
            return super()._open()
        except OSError as error:
            self.fault = error
            return Path(os.devnull).open("w")  # closed by the handler

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, unless an earlier one could not be written."""
        if not self.fault:
            super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  # logging's name
        """Give up if the system refuses to write; other errors are bugs."""
        error = sys.exc_info()[1]
        if isinstance(error, OSError):
            self.fault = error
        else:
            super().handleError(record)

    def close(self) -> None:
        """Close the file; what a full disk has not taken is dropped."""
        with suppress(OSError):
            super().close()


def warn_of_logs(job: str = "") -> None:
    """Warn of logs that could not be written to their end."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, LogFile) and handler.fault:
            log.warning("%s%s (the log)", job, explain(handler.fault, handler.baseFilename))


class Terminal(logging.StreamHandler[Any]):
    """Write only the first of similar warnings about files, then one line that there are more.

    A record with the attribute ``once`` is written only if its text is new.

    Other handlers, such as that of the log file, receive all of them.
    """

    def __init__(self, stream: Any = None) -> None:
        super().__init__(stream)
        self._seen: Counter[str] = Counter()
        self._once: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, unless its first argument is a file and enough similar records have been written."""
        if record.levelno < LEVELS.get(os.environ.get(VERBOSITY, ""), logging.INFO) or hasattr(record, SHOWN_BEFORE):
            return
        if getattr(record, "once", False) and self._said(record.getMessage()):
            return
        args = record.args
        if not isinstance(args, tuple) or not args or not isinstance(args[0], Path):
            super().emit(record)
            return
        kind = re.sub(r"\d+(\.\d+)?", "#", f"{record.msg} {args[1:]}")  # ignore numbers
        self._seen[kind] += 1
        if self._seen[kind] <= SHOWN:
            super().emit(record)
        elif self._seen[kind] == SHOWN + 1:
            more = copy.copy(record)
            more.msg, more.args = "further files with this warning are not shown here", ()
            super().emit(more)

    def format(self, record: logging.LogRecord) -> str:
        """Escape control characters in the names of files, which could rewrite the terminal."""
        return printable(super().format(record), keep=LAYOUT)

    def _said(self, message: str) -> bool:
        """Whether a message has been written before; from now on it has."""
        before = message in self._once
        self._once.add(message)
        return before


def is_quiet() -> bool:
    """Whether the user wants errors and results only (``-q``)."""
    return os.environ.get(VERBOSITY) == "quiet"


def note_printed(log: logging.Logger, text: str) -> None:
    """Write into the log file what has been printed."""
    log.info("%s", text, extra={SHOWN_BEFORE: True})
