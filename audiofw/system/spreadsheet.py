"""Read and write CSV files that are safe to open in a spreadsheet.

Spreadsheets execute cells that start with ``=``, ``+``, ``-`` or ``@`` as formulas. Text cells that start with one of
these, or with an apostrophe, are therefore prefixed with an apostrophe, which is removed on reading. Numbers are
written as they are.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TextIO

ESCAPE = "'"
SPECIAL = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠", ESCAPE)  # full width


def escape(cell: Any) -> Any:
    """Prefix text that a spreadsheet would execute as a formula; other values are returned unchanged.

    Examples
    --------
    >>> escape("=1+1"), escape("'quoted'"), escape("dog"), escape(-1.5)
    ("'=1+1", "''quoted'", 'dog', -1.5)
    """
    return f"{ESCAPE}{cell}" if isinstance(cell, str) and cell.startswith(SPECIAL) else cell


def unescape(text: str) -> str:
    """Invert `escape`.

    Examples
    --------
    >>> unescape("'=1+1"), unescape("''quoted'"), unescape("dog")
    ('=1+1', "'quoted'", 'dog')
    """
    return text.removeprefix(ESCAPE)


def csv_line(cells: Iterable[Any]) -> str:
    """Format one row, including the line ending."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow([escape(cell) for cell in cells])  # so that \r in a cell is quoted
    return text.getvalue().removesuffix("\r\n") + "\n"


def row_writer(stream: TextIO) -> Callable[[Iterable[Any]], Any]:
    """Return a function that writes a row to a stream."""
    return lambda cells: stream.write(csv_line(cells))


def csv_text(rows: Iterable[Iterable[Any]]) -> str:
    """Format rows, including the header, as one text."""
    return "".join(map(csv_line, rows))


def records_text(records: Sequence[Mapping[str, Any]]) -> str:
    """Format records under a header of all their keys; missing values are empty."""
    columns = list(dict.fromkeys(key for record in records for key in record))
    return csv_text([columns, *([record.get(column) for column in columns] for record in records)])


def read_rows(lines: Iterable[str]) -> Iterator[list[str]]:
    """Read the rows of a file written by audiofw, opened with ``newline=""``."""
    return ([unescape(cell) for cell in row] for row in csv.reader(lines))


def read_records(lines: Iterable[str]) -> list[dict[str, str]]:
    """Read the rows below the header as dicts, with the columns for which the row has cells."""
    rows = read_rows(lines)
    header = next(rows, [])
    return [dict(zip(header, row, strict=False)) for row in rows if row]
