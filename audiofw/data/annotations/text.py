"""The text of label tables, in any encoding, with any line endings and delimiters."""

from __future__ import annotations

import codecs
import csv
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from audiofw.errors import DataError
from audiofw.system.spreadsheet import ESCAPE, SPECIAL

log = logging.getLogger(__name__)

Line = tuple[int, list[str]]  # number from 1, and cells


class LabelTable(NamedTuple):
    """A table with a header."""

    header: list[str]
    lines: list[Line]  #: without empty ones


def read_text(path: Path) -> str:
    """Read a text file in UTF-8, UTF-16 or Windows-1252; the latter is decided for each line by itself.

    Raises
    ------
    DataError
        If it cannot be read.
    """
    try:
        data = path.read_bytes()
        return _decoded(data, path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: cannot be read as {error.encoding}; save it in UTF-8") from error


def _decoded(data: bytes, path: Path) -> str:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16")
    if b"\0" in data[:200]:  # UTF-16 without its mark: every other byte of plain letters is zero
        return data.decode("utf-16-be" if data[:1] == b"\0" else "utf-16-le")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        lines = data.removeprefix(codecs.BOM_UTF8).split(b"\n")
    foreign = [number for number, line in enumerate(lines, 1) if not _is_utf8(line)]
    log.warning(
        "%s: %d of its %d lines are not UTF-8, e.g. line %d; read as Windows-1252", path, len(foreign), len(lines),
        foreign[0],
    )  # fmt: skip
    return "\n".join(line.decode("utf-8") if _is_utf8(line) else line.decode("cp1252", "replace") for line in lines)


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def read_table(path: Path, text: str) -> LabelTable:
    """Read a table with a header, delimited by tabs, semicolons or commas; only tabs need no quotes.

    Raises
    ------
    DataError
        If it has no header, or cannot be read.
    """
    lines = list(_lines(path, text))
    if not lines:
        raise DataError(f"{path}: empty; it needs a header row with column names")
    return LabelTable(lines[0][1], lines[1:])


def _lines(path: Path, text: str) -> Iterator[Line]:
    rows = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    first = next((row for row in rows if row.strip()), "")
    delimiter = "\t" if "\t" in first else max(",;", key=first.count)
    quoted = delimiter != "\t" or first.startswith('"')
    reader = csv.reader(
        (f"{row}\n" for row in rows), delimiter=delimiter, quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
    )
    try:
        for cells in reader:
            cells = [plain_cell(cell) for cell in cells]
            if any(cells):
                yield reader.line_num, cells
    except csv.Error as error:
        raise DataError(f"{path}: line {reader.line_num}: cannot be read as a table ({error})") from error


def plain_cell(cell: str) -> str:
    """Strip a cell, also of the apostrophe that protects a spreadsheet from it."""
    text = cell.strip()
    return text[1:] if text.startswith(ESCAPE) and text[1:].startswith(SPECIAL) else text
