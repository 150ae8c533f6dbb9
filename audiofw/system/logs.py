"""What the terminal shows of a log: a few warnings of each kind, so that a thousand alike do not bury the others."""

from __future__ import annotations

import copy
import logging
import re
from collections import Counter
from pathlib import Path
from typing import Any

SHOWN = 5


class Terminal(logging.StreamHandler[Any]):
    """Write the first warnings about files that say the same, then one line that there are more.

    Other handlers, such as that of a log file, are given them all.
    """

    def __init__(self, stream: Any = None) -> None:
        super().__init__(stream)
        self._seen: Counter[str] = Counter()

    def emit(self, record: logging.LogRecord) -> None:
        """Count a record that names a file first, and write it if it is among the first of its kind."""
        args = record.args
        if not isinstance(args, tuple) or not args or not isinstance(args[0], Path):
            super().emit(record)
            return
        kind = re.sub(r"\d+(\.\d+)?", "#", f"{record.msg} {args[1:]}")  # numbers do not tell two of them apart
        self._seen[kind] += 1
        if self._seen[kind] <= SHOWN:
            super().emit(record)
        elif self._seen[kind] == SHOWN + 1:
            more = copy.copy(record)
            more.msg, more.args = "further files with this warning are not shown here", ()
            super().emit(more)
