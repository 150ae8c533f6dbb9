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
    line: int | str | None = None  #: of the table, from 1; or how the format counts: ``tier words, interval 3``
    group: str | None = None
    fold: str | None = None
    score: float | None = None  #: how sure a detector was
    channel: str | None = None  #: of a selection of Raven, if it is not the first

    @property
    def where(self) -> str:
        """Where the row stands, for messages: ``table.txt: line 3``."""
        return place(self.source, self.line)


class Flaw(NamedTuple):
    """A row that cannot be used, with the reason; readers give these in place of annotations."""

    source: Path
    line: int | str | None
    reason: str  #: names the column
    unlabelled: Annotation | None = None  #: the stretch of a row that lacks only its label: something is there

    @property
    def where(self) -> str:
        """Where the row stands, as for an `Annotation`."""
        return place(self.source, self.line)


def one_cell(text: str) -> str:
    """Put a text on one line, without tabs."""
    return " ".join(text.split())


def place(source: Path | None, line: int | str | None) -> str:
    """Say where a row stands: ``table.txt: line 3``."""
    parts = [f"{source}"] if source else []
    parts += [f"line {line}" if isinstance(line, int) else line] if line is not None else []
    return ": ".join(parts)


def read_number(text: str, column: str) -> float:
    """Read a number that may have a decimal comma, or be a time such as ``1:02:03.5``, in seconds.

    Raises
    ------
    DataError
        If the text is not a finite number; the message names the column.
    """
    plain = text.strip().replace(",", ".") if text.count(",") == 1 and "." not in text else text.strip()
    clock = _CLOCK.fullmatch(plain)
    try:
        value = float(plain) if clock is None else _seconds(clock)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DataError(f"column {column!r}: {repr(plain) if plain else 'an empty cell'} is not a number")
    return value


def _seconds(clock: re.Match[str]) -> float:
    hours, minutes, seconds = clock.groups()
    return 3600 * int(hours or 0) + 60 * int(minutes) + float(seconds)
