"""Writers for each output format."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TextIO

from audiofw.system.spreadsheet import row_writer

Record = Mapping[str, Any]
Flatten = Callable[[Record], Sequence[Any]]

FORMATS = ("csv", "json", "jsonl", "table", "audacity", "raven", "textgrid")
OF_ONE = ("audacity", "raven", "textgrid")  # formats whose tables do not name the recording, or count from one
SUFFIXES = {".csv": "csv", ".json": "json", ".jsonl": "jsonl", ".txt": "table"}
RESUMED = ("csv", "jsonl")  # formats in which each line is complete by itself


@contextmanager
def writing(
    format: str,
    stream: TextIO,
    columns: Sequence[str],
    flatten: Flatten,
    begun: bool,
    whole: Callable[[Sequence[Record]], str] | None = None,
) -> Iterator[Any]:
    """Return a function that writes one record and flushes it.

    Parameters
    ----------
    format : {"csv", "json", "jsonl", "table", "audacity", "raven", "textgrid"}
    stream : TextIO
    columns : sequence of str
        Of CSV and tables.
    flatten : callable
        Gives a record's values for these columns.
    begun : bool
        Whether the header has been written already.
    whole : callable, optional
        Gives the text of all records together, for ``raven`` and ``textgrid``.
    """
    held: list[Record] = []
    write, end = (
        (held.append, "")
        if whole
        else {
            "csv": _csv,
            "table": _table,
            "json": _json,
            "jsonl": _jsonl,
            "audacity": _audacity,
        }[format](stream, columns, flatten, begun)
    )

    def write_and_flush(record: Record) -> None:
        write(record)
        stream.flush()

    try:
        yield write_and_flush
    finally:
        stream.write(whole(held) if whole else end)
        stream.flush()


def _csv(stream: TextIO, columns: Sequence[str], flatten: Flatten, begun: bool) -> tuple[Any, str]:
    write = row_writer(stream)
    if not begun:
        write(columns)
    return lambda record: write(flatten(record)), ""


def _table(stream: TextIO, columns: Sequence[str], flatten: Flatten, begun: bool) -> tuple[Any, str]:
    """Columns that widen as results arrive, since later ones are not known yet."""
    widths = [len(column) for column in columns]

    def line(values: Sequence[Any]) -> None:
        texts = [_short(value) for value in values]
        widths[:] = [max(width, min(len(text), 60)) for width, text in zip(widths, texts, strict=True)]
        stream.write("  ".join(text.ljust(width) for text, width in zip(texts, widths, strict=True)).rstrip() + "\n")

    line(columns)
    return lambda record: line(flatten(record)), ""


def _short(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _json(stream: TextIO, columns: Sequence[str], flatten: Flatten, begun: bool) -> tuple[Any, str]:
    stream.write("[")
    between = iter(["\n"])

    def write(record: Record) -> None:
        stream.write(next(between, ",\n") + json.dumps(record, ensure_ascii=False))

    return write, "\n]\n"


def _jsonl(stream: TextIO, columns: Sequence[str], flatten: Flatten, begun: bool) -> tuple[Any, str]:
    return lambda record: stream.write(json.dumps(record, ensure_ascii=False) + "\n"), ""


def _audacity(stream: TextIO, columns: Sequence[str], flatten: Flatten, begun: bool) -> tuple[Any, str]:
    """Audacity's label track: start, end and label, separated by tabs."""

    def write(record: Record) -> None:
        if "label" in record:
            label = " ".join(record["label"].split())
            stream.write(f"{record['start']:.6f}\t{record['end']:.6f}\t{label}\n")

    return write, ""
