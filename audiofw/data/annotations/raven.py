"""Selection tables of Raven."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from audiofw.data.annotations.columns import check_columns, find_label_columns, read_row
from audiofw.data.annotations.rows import Annotation, Flaw, one_cell, read_number
from audiofw.data.annotations.text import LabelTable, Line
from audiofw.errors import DataError

BEGIN, END, FILE_OFFSET, CHANNEL = "Begin Time (s)", "End Time (s)", "File Offset (s)", "Channel"
HEADER = (
    *("Selection", "View", "Channel", BEGIN, END, "Low Freq (Hz)", "High Freq (Hz)"),
    *("Begin File", "Annotation", "Score"),
)
SAME = ("Selection", "Begin File", BEGIN, END)
"""Rows that agree in these are views of one selection, such as its spectrogram and its waveform."""


def is_selection_table(header: Sequence[str]) -> bool:
    """Whether a header is that of a Raven selection table."""
    return BEGIN in header and END in header


def read_raven(path: Path, table: LabelTable, chosen: Mapping[str, str]) -> Iterator[Annotation | Flaw]:
    """Read a selection table: every selection once, however many views of it are listed.

    Where several files were opened as one, times count from the first; ``File Offset (s)`` says where the selection
    starts in its own.

    Raises
    ------
    ConfigError
        If it has no column for the label.
    """
    used = find_label_columns(path, table.header, chosen)
    check_columns(path, table.header, used)
    offset = table.header.index(FILE_OFFSET) if FILE_OFFSET in table.header and not chosen.get("start") else None
    channel = table.header.index(CHANNEL) if CHANNEL in table.header else None
    for line, cells in _selections(table, used["label"].number):
        row = read_row(path, line, cells, used)
        if (
            isinstance(row, Annotation)
            and channel is not None
            and cells[channel : channel + 1] not in ([], [""], ["1"])
        ):
            row = row._replace(channel=cells[channel])
        yield row if offset is None else _in_own_file(row, cells[offset] if offset < len(cells) else "")


def _in_own_file(row: Annotation | Flaw, offset: str) -> Annotation | Flaw:
    if isinstance(row, Flaw) or row.start is None or row.end is None or not offset:
        return row
    try:
        start = read_number(offset, FILE_OFFSET)
    except DataError as error:
        return Flaw(Path(row.source or ""), row.line, str(error))
    return row._replace(start=start, end=start + row.end - row.start)


def _selections(table: LabelTable, label: int) -> list[Line]:
    """Merge the views of each selection; cells that one lacks are taken from the other."""
    places = [table.header.index(name) for name in SAME if name in table.header]
    if "Selection" not in table.header:
        return table.lines
    found: dict[tuple[str, ...], Line] = {}
    for line, cells in table.lines:
        cells = cells + [""] * (len(table.header) - len(cells))
        key = tuple(cells[place] for place in places)
        before = found.get(key)
        if before is None:
            found[key] = line, cells
        elif before[1][label] in ("", cells[label]) or not cells[label]:
            found[key] = before[0], [a or b for a, b in zip(before[1], cells, strict=False)]
        else:
            found[(*key, cells[label])] = line, cells
    return list(found.values())


def raven_table(rows: Iterable[Annotation], highest: float) -> str:
    """Write a selection table, with a score for each row that has one.

    Parameters
    ----------
    rows : iterable of Annotation
    highest : float
        Upper frequency of selections without one, in Hz: Raven draws boxes.
    """
    lines = ["\t".join(HEADER)]
    for number, row in enumerate(rows, 1):
        box = (f"{row.low or 0.0:.1f}", f"{highest if row.high is None else row.high:.1f}")
        times = (f"{row.start or 0.0:.6f}", f"{row.end or 0.0:.6f}")
        score = "" if row.score is None else f"{row.score:.4f}"
        cells = (str(number), "Spectrogram 1", "1", *times, *box, one_cell(row.recording), one_cell(row.label), score)
        lines.append("\t".join(cells))
    return "".join(f"{line}\n" for line in lines)
