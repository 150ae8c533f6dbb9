"""Read a label table of any format: Raven, Audacity, Praat, ELAN, Kaleidoscope, BirdNET, CSV."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from audiofw.data.annotations import elan, records, textgrid
from audiofw.data.annotations.audacity import is_label_track, read_audacity
from audiofw.data.annotations.columns import check_columns, find_label_columns, has_times, read_row
from audiofw.data.annotations.raven import is_selection_table, read_raven
from audiofw.data.annotations.rows import Annotation, Flaw
from audiofw.data.annotations.text import LabelTable, read_table, read_text

SUFFIXES = frozenset({".txt", ".csv", ".tsv", textgrid.SUFFIX, elan.SUFFIX})
"""Of label tables, in lower case. A JSON file must be named: there are many others."""


def read_annotations(path: Path, chosen: Mapping[str, str] | None = None) -> Iterator[Annotation | Flaw]:
    """Read a label table; its format is recognised by its suffix and its first line.

    Parameters
    ----------
    path : Path
    chosen : mapping of str to str, optional
        Columns by ``data.columns``: path, label, start, end, low, high, group, fold. For Praat and ELAN, the label's is
        the name of the tier.

    Yields
    ------
    Annotation or Flaw
        In the order of the table; a row that cannot be used is a `Flaw`.

    Raises
    ------
    DataError
        If the table cannot be read.
    ConfigError
        If a column is missing.
    """
    chosen = chosen or {}
    if path.suffix.lower() == textgrid.SUFFIX:
        return textgrid.read_textgrid(path, chosen)
    if path.suffix.lower() == elan.SUFFIX:
        return elan.read_elan(path, chosen)
    text = read_text(path)
    if path.suffix.lower() == records.SUFFIX:
        return records.read_events(path, text, chosen)
    if is_label_track(text):
        return read_audacity(path, text)
    table = read_table(path, text)
    return read_raven(path, table, chosen) if is_selection_table(table.header) else read_csv(path, table, chosen)


def is_label_table(path: Path, chosen: Mapping[str, str]) -> bool:
    """Whether a file is a label table: of Praat or ELAN, a label track, or a table with start and end."""
    if path.suffix.lower() in (textgrid.SUFFIX, elan.SUFFIX):
        return True
    text = read_text(path)
    return is_label_track(text) or has_times(read_table(path, text).header, chosen)


def read_csv(path: Path, table: LabelTable, chosen: Mapping[str, str]) -> Iterator[Annotation | Flaw]:
    """Read a table with a header: CSV, Kaleidoscope's, BirdNET's.

    Raises
    ------
    ConfigError
        If it has no column for start, end or label.
    """
    used = find_label_columns(path, table.header, chosen)
    check_columns(path, table.header, used)
    return (read_row(path, line, cells, used) for line, cells in table.lines)
