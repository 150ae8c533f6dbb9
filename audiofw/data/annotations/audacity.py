"""Label tracks of Audacity: start, end and label between tabs, and below a line that has them, the frequencies."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from audiofw.data.annotations.columns import check_times
from audiofw.data.annotations.rows import Annotation, Flaw, one_cell, read_number
from audiofw.errors import DataError

FREQUENCIES = "\\"
_TRACK = re.compile(r"\s*-?\d+(?:[.,]\d+)?\t-?\d+(?:[.,]\d+)?(?:\t|\r?$)")


def is_label_track(text: str) -> bool:
    """Whether a text begins like a label track; an empty one is a track without labels."""
    first = next((line for line in text.splitlines() if line.strip()), None)
    return first is None or _TRACK.match(first) is not None


def read_audacity(path: Path, text: str) -> Iterator[Annotation | Flaw]:
    """Read a label track; a line that cannot be used is a flaw."""
    found: list[Annotation | Flaw] = []
    for number, line in enumerate(text.splitlines(), 1):
        cells = line.split("\t")
        if not line.strip():
            continue
        try:
            if cells[0].strip() == FREQUENCIES:
                found[-1:] = [_with_frequencies(found[-1], cells)] if found else []
            else:
                found.append(_label(path, number, cells))
        except DataError as error:
            found.append(Flaw(path, number, str(error)))
    return iter(found)


def _label(path: Path, number: int, cells: list[str]) -> Annotation | Flaw:
    start, end = (_cell(cells, i, name) for i, name in enumerate(("start", "end")))
    check_times(start, end)
    row = Annotation("", start, end, "\t".join(cells[2:]).strip(), source=path, line=number)
    return row if row.label else Flaw(path, number, "the label is empty", row)


def _with_frequencies(row: Annotation | Flaw, cells: list[str]) -> Annotation | Flaw:
    """Add the frequencies of the line after a label; a negative one means that there is no limit."""
    if isinstance(row, Flaw):
        return row
    low, high = (_cell(cells, i, f"{name} frequency") for i, name in enumerate(("low", "high"), 1))
    return row._replace(low=low if low >= 0 else None, high=high if high >= 0 else None)


def _cell(cells: list[str], place: int, name: str) -> float:
    return read_number(cells[place] if place < len(cells) else "", name)


def label_track(rows: Iterable[Annotation]) -> str:
    """Write a label track, with the frequencies of rows that have them."""
    lines = []
    for row in rows:
        lines.append(f"{row.start or 0.0:.6f}\t{row.end or 0.0:.6f}\t{one_cell(row.label)}\n")
        if row.low is not None or row.high is not None:
            low, high = (-1.0 if at is None else at for at in (row.low, row.high))
            lines.append(f"{FREQUENCIES}\t{low:.6f}\t{high:.6f}\n")
    return "".join(lines)
