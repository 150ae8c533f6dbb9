"""Limit the warnings on the terminal to a few of each kind, so that similar ones do not bury the others."""

from __future__ import annotations

import copy
import logging
import os
import re
from collections import Counter
from pathlib import Path
from typing import Any

SHOWN = 5
VERBOSITY = "AUDIOFW_VERBOSITY"  # quiet or verbose; an environment variable, so that other processes know it, too
LEVELS = {"quiet": logging.ERROR, "verbose": logging.DEBUG}
SHOWN_BEFORE = "shown_before"  # attribute of a record of what has been printed: it is for the log file only


class Terminal(logging.StreamHandler[Any]):
    """Write only the first of similar warnings about files, then one line that there are more.

    Other handlers, such as that of the log file, receive all of them.
    """

    def __init__(self, stream: Any = None) -> None:
        super().__init__(stream)
        self._seen: Counter[str] = Counter()

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, unless its first argument is a file and enough similar records have been written."""
        if record.levelno < LEVELS.get(os.environ.get(VERBOSITY, ""), logging.INFO) or hasattr(record, SHOWN_BEFORE):
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


def is_quiet() -> bool:
    """Whether the user wants errors and results only (``-q``)."""
    return os.environ.get(VERBOSITY) == "quiet"


def note_printed(log: logging.Logger, text: str) -> None:
    """Write into the log file what has been printed."""
    log.info("%s", text, extra={SHOWN_BEFORE: True})
