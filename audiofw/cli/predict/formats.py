"""Writers for each output format, and what ``--resume`` reads from an earlier, incomplete output."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from audiofw.errors import ConfigError
from audiofw.system.spreadsheet import read_rows, row_writer

Record = Mapping[str, Any]
Flatten = Callable[[Record], Sequence[Any]]

SUFFIXES = {".csv": "csv", ".json": "json", ".jsonl": "jsonl", ".txt": "table"}
RESUMED = ("csv", "jsonl")  # formats in which each line is complete by itself


@contextmanager
def writing(format: str, stream: TextIO, columns: Sequence[str], flatten: Flatten, begun: bool) -> Iterator[Any]:
    """Return a function that writes one record and flushes it.

    Parameters
    ----------
    format : {"csv", "json", "jsonl", "table", "audacity"}
    stream : TextIO
    columns : sequence of str
        Of CSV and tables.
    flatten : callable
        Gives a record's values for these columns.
    begun : bool
        Whether the header has been written already.
    """
    write, end = {
        "csv": _csv,
        "table": _table,
        "json": _json,
        "jsonl": _jsonl,
        "audacity": _audacity,
    }[format](stream, columns, flatten, begun)

    def write_and_flush(record: Record) -> None:
        write(record)
        stream.flush()

    try:
        yield write_and_flush
    finally:
        if end:
            stream.write(end)
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


class Done(NamedTuple):
    """What an output already contains."""

    names: set[str]
    failed: int  #: how many of them have an error
    begun: bool  #: whether it has a header


def take_up(file: Path, format: str, columns: Sequence[str], *, last_is_whole: bool) -> Done:
    """Read what an earlier, perhaps killed, command has written, and truncate what is incomplete.

    Parameters
    ----------
    file : Path
    format : {"csv", "jsonl"}
    columns : sequence of str
        That the CSV file must have.
    last_is_whole : bool
        Whether a recording is one line; otherwise the last one may lack lines, and all of its lines are removed.

    Raises
    ------
    ConfigError
        For a format that cannot be resumed, and a file with other columns.
    """
    if format not in RESUMED:
        raise ConfigError(f"--resume works with {' and '.join(RESUMED)}, not with {format}")
    if not file.exists() or not file.stat().st_size:
        return Done(set(), 0, False)
    with file.open("r+b") as stream:
        failed, begun, keep = _read_lines(stream, file, format, columns, last_is_whole)
        stream.truncate(keep)
    return Done(set(failed), sum(failed.values()), begun)


def _read_lines(
    stream: io.BufferedRandom, file: Path, format: str, columns: Sequence[str], last_is_whole: bool
) -> tuple[dict[str, bool], bool, int]:
    """Return which names failed, whether there is a header, and how many bytes to keep."""
    failed: dict[str, bool] = {}
    begun, keep, last, last_from = format == "jsonl", 0, None, 0
    for line in stream:
        if not line.endswith(b"\n"):
            break
        if begun:
            name, wrong = _read_line(line, file, format)
            if name != last:
                last, last_from = name, keep
            failed[name] = failed.get(name, False) or wrong
        elif next(read_rows([line.decode()]), []) != list(columns):
            raise ConfigError(
                f"{file}: its columns do not match these options; choose another file, or leave out --resume"
            )
        begun, keep = True, keep + len(line)
    if last is not None and not last_is_whole and not failed[last]:
        del failed[last]
        keep = last_from
    return failed, begun, keep


def _read_line(line: bytes, file: Path, format: str) -> tuple[str, bool]:
    try:
        if format == "csv":
            values = next(read_rows([line.decode()]))
            return values[0], bool(values[-1])
        record = json.loads(line)
        return record["path"], "error" in record
    except (ValueError, LookupError, TypeError, StopIteration) as error:
        raise ConfigError(f"{file}: cannot be resumed, this line is not a result: {line[:60]!r}") from error
