"""One row of a label table: which stretch of which recording has which label."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import NamedTuple

from audiofw.errors import DataError

_CLOCK = re.compile(r"(?:(\d+):)?(\d+):(\d+(?:\.\d*)?)")


class Annotation(NamedTuple):
    """A label of a stretch of a recording; every reader gives these, every writer takes them."""

    recording: str  #: as the table names it; empty: the recording that the table lies beside
    start: float | None  #: seconds; None, like ``end``: the whole recording
    end: float | None
    label: str
    low: float | None = None  #: Hz
    high: float | None = None
    source: Path | None = None  #: the table
    line: int | None = None  #: of the table, from 1
    group: str | None = None
    fold: str | None = None

    @property
    def where(self) -> str:
        """Where the row stands, for messages: ``table.txt: line 3``."""
        return f"{self.source}: line {self.line}" if self.line is not None else f"{self.source}"


def read_number(text: str, where: str, column: str) -> float:
    """Read a number that may have a decimal comma, or be a time such as ``1:02:03.5``, in seconds.

    Raises
    ------
    DataError
        If the text is not a finite number; the message names the row and the column.
    """
    plain = text.strip().replace(",", ".") if text.count(",") == 1 and "." not in text else text.strip()
    clock = _CLOCK.fullmatch(plain)
    try:
        value = float(plain) if clock is None else _seconds(clock)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DataError(f"{where}, column {column!r}: {text.strip() or 'an empty cell'!r} is not a number")
    return value


def _seconds(clock: re.Match[str]) -> float:
    hours, minutes, seconds = clock.groups()
    return 3600 * int(hours or 0) + 60 * int(minutes) + float(seconds)
