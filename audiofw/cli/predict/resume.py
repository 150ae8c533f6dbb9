"""The journal behind ``--resume``: a file beside the output that records the model, the options and what is done.

The journal of ``predictions.csv`` is ``predictions.csv.resume.jsonl``, that of a folder is named after it. Its first
line names the model and the options; one line per recording follows, once all rows of that recording are written. Rows
of recordings that it does not list, or that have changed since, are removed from the output when it is resumed, and
predicted again.
"""

from __future__ import annotations

import argparse
import io
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TextIO

from audiofw.cli.predict.formats import RESUMED, Record
from audiofw.data.inputs import STDIN, InputRecording
from audiofw.errors import ConfigError
from audiofw.system.atomic import write_whole
from audiofw.system.faults import writing_to
from audiofw.system.spreadsheet import read_rows

FORMAT = 1
OPTIONS = (
    *("format", "top", "min_confidence", "unknown", "coverage", "window", "hop", "threshold", "background", "whole"),
    "scores",
)
ANEW = "leave out --resume to start over"

Stamp = tuple[int, int]  # size and time of the last change


class Answered(NamedTuple):
    """A recording whose rows have all been written."""

    name: str
    path: str
    stamp: Stamp | None  #: None: there was no such file
    rows: int


class Done(NamedTuple):
    """The results that an output already contains."""

    names: frozenset[str]
    failed: int  #: how many of them have an error
    begun: bool  #: whether it has a header


NOTHING = Done(frozenset(), 0, False)


@dataclass
class Journal:
    """Records each recording whose rows have been written; does nothing without a stream."""

    stream: TextIO | None = None
    _found: dict[str, InputRecording] = field(default_factory=dict)
    _stamps: dict[str, Stamp | None] = field(default_factory=dict)
    _last: str | None = None
    _rows: int = 0

    def watch(self, sounds: Iterable[InputRecording]) -> Iterator[InputRecording]:
        """Pass recordings on, recording their state before they are read."""
        for sound in sounds:
            if self.stream and sound.path and sound.name != STDIN:
                self._found[sound.name], self._stamps[sound.name] = sound, stamp_of(sound.path)
            yield sound

    def wrote(self, record: Record) -> None:
        """Record a row; the previous recording is then complete."""
        if record["path"] != self._last:
            self.complete()
            self._last, self._rows = record["path"], 0
        self._rows += 1

    def complete(self) -> None:
        """Record that the last recording is complete."""
        name = self._last
        if self.stream and name is not None and (sound := self._found.pop(name, None)):
            entry = Answered(name, str(sound.path), self._stamps.pop(name), self._rows)
            self.stream.write(json.dumps(entry) + "\n")
            self.stream.flush()
        self._last = None


def journal_of(output: Path) -> Path:
    """Return the path of an output's journal, which is beside it."""
    whole = output.resolve() if output.is_dir() else output  # "." has no name
    return whole.parent / f"{whole.name}.resume.jsonl"


def stamp_of(path: Path) -> Stamp | None:
    """Return what shows that a file has changed; None if there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns


def begin(output: Path, options: argparse.Namespace, model: str) -> None:
    """Write the journal of a new output, or remove that of an old one if the format cannot be resumed.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    if options.format in RESUMED:
        try:
            _write_journal(output, _header(options, model), [])
            output.open("a").close()
        except OSError:
            if not output.exists():
                journal_of(output).unlink(missing_ok=True)
            raise
    else:
        journal_of(output).unlink(missing_ok=True)


def resume_output(output: Path, options: argparse.Namespace, model: str, columns: Sequence[str]) -> Done:
    """Read what an earlier, perhaps killed, command has written, and remove what cannot be kept.

    Parameters
    ----------
    output : Path
    options : argparse.Namespace
    model : str
        Digest of the bundle.
    columns : sequence of str
        That a CSV file must have.

    Raises
    ------
    ConfigError
        For a format that cannot be resumed, a missing journal, and an output of another model or other options.
    """
    if options.format not in RESUMED:
        raise ConfigError(f"--resume works with {' and '.join(RESUMED)}, not with {options.format}")
    header = _header(options, model)
    if not output.exists() or not output.stat().st_size:
        _write_journal(output, header, [])
        return NOTHING
    entries = _read_journal(output, header)
    rows, failed, begun = _count_rows(output, options.format, columns)
    kept = [entry for entry in entries.values() if rows[entry.name] == entry.rows and _is_same(entry)]
    names = frozenset(entry.name for entry in kept)
    _filter(output, options.format, names)
    _write_journal(output, header, kept)
    return Done(names, len(failed & names), begun)


class Tables(NamedTuple):
    """The recordings of which a folder has the tables."""

    done: frozenset[str]
    stream: TextIO

    def complete(self, sound: InputRecording, stamp: Stamp | None, rows: int) -> None:
        """Record that a recording's table is written."""
        self.stream.write(json.dumps(Answered(sound.name, str(sound.path), stamp, rows)) + "\n")
        self.stream.flush()


@contextmanager
def journal_of_tables(options: argparse.Namespace, model: str) -> Iterator[Tables]:
    """Open the journal of an output folder, and find out which tables it has if the command is to be resumed.

    Raises
    ------
    ConfigError
        For tables of another model or other options, or of which nothing is recorded.
    OSError
        If the folder cannot be made.
    """
    output, header = options.output, _header(options, model)
    output.mkdir(parents=True, exist_ok=True)
    resumes = options.resume and any(output.iterdir())
    kept = [entry for entry in _read_journal(output, header).values() if _is_same(entry)] if resumes else []
    with ExitStack() as opened:
        stream: TextIO = io.StringIO()  # if only the folder itself can be written, the tables cannot be gone on with
        with suppress(OSError):
            _write_journal(output, header, kept)
            stream = opened.enter_context(journal_of(output).open("a", encoding="utf-8"))
        yield Tables(frozenset(entry.name for entry in kept), stream)


# --- the journal -------------------------------------------------------------------------------------------------


def _header(options: argparse.Namespace, model: str) -> dict[str, Any]:
    chosen = {name: getattr(options, name) for name in OPTIONS}
    return {"format": FORMAT, "model": model, "options": {**chosen, "hop": options.hop or options.window}}


def _write_journal(output: Path, header: Mapping[str, Any], entries: Iterable[Answered]) -> None:
    write_whole(journal_of(output), "".join(f"{json.dumps(line)}\n" for line in (header, *entries)).encode())


def _read_journal(output: Path, wanted: Mapping[str, Any]) -> dict[str, Answered]:
    file = journal_of(output)
    try:
        first, *lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
        header = json.loads(first)
        _check_header(output, header, wanted)
        entries: dict[str, Answered] = {}
        for line in lines:
            if line.endswith("\n"):  # else it was cut off
                name, path, stamp, rows = json.loads(line)
                before = entries[name].rows if name in entries else 0  # named twice on the command line
                entries[name] = Answered(name, path, stamp and tuple(stamp), before + rows)
        return entries
    except FileNotFoundError:
        why = f"{file.name} is missing, which describes how it was made"
    except (ValueError, LookupError, TypeError, AttributeError, OSError):
        why = f"{file.name}, which describes how it was made, cannot be read"
    raise ConfigError(f"{output}: cannot be resumed: {why}; {ANEW}")


def _check_header(output: Path, header: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    if header["format"] != FORMAT:
        raise ConfigError(f"{output}: cannot be resumed: started by another version of audiofw; {ANEW}")
    if header["model"] != wanted["model"]:
        raise ConfigError(f"{output}: cannot be resumed: started with another model; {ANEW}")
    theirs, ours = header["options"], wanted["options"]
    if other := [name for name in OPTIONS if (theirs.get(name) or None) != (ours[name] or None)]:
        said = ", ".join(f"--{name.replace('_', '-')}" for name in other)
        raise ConfigError(f"{output}: cannot be resumed: started with another {said}; {ANEW}")


def _is_same(entry: Answered) -> bool:
    """Check whether a recording is unchanged; one that was deleted keeps its rows."""
    now = stamp_of(Path(entry.path))
    return now is None or now == entry.stamp


# --- the output --------------------------------------------------------------------------------------------------


def _lines(stream: BinaryIO, format: str) -> Iterator[bytes]:
    """Iterate over the complete rows of an output; a CSV cell may contain line breaks."""
    row = b""
    for line in stream:
        row += line
        if line.endswith(b"\n") and (format != "csv" or row.count(b'"') % 2 == 0):
            yield row
            row = b""


def _count_rows(output: Path, format: str, columns: Sequence[str]) -> tuple[Counter[str], set[str], bool]:
    """Return the number of rows of each recording, which have an error, and whether there is a header."""
    rows: Counter[str] = Counter()
    failed, begun = set(), format == "jsonl"
    with output.open("rb") as stream:
        for line in _lines(stream, format):
            if not begun:
                _check_columns(line, output, columns)
                begun = True
                continue
            name, wrong = _read_line(line, output, format)
            rows[name] += 1
            if wrong:
                failed.add(name)
    return rows, failed, begun


def _check_columns(line: bytes, output: Path, columns: Sequence[str]) -> None:
    if next(read_rows([line.decode(errors="replace")]), []) != list(columns):
        raise ConfigError(f"{output}: its columns do not match these options; choose another file, or {ANEW}")


def _read_line(line: bytes, output: Path, format: str) -> tuple[str, bool]:
    try:
        if format == "csv":
            values = next(read_rows(line.decode().splitlines(keepends=True)))
            return values[0], bool(values[-1])
        record = json.loads(line)
        return record["path"], "error" in record
    except (ValueError, LookupError, TypeError, StopIteration) as error:
        raise ConfigError(f"{output}: cannot be resumed, this line is not a result: {line[:60]!r}") from error


def _filter(output: Path, format: str, names: frozenset[str]) -> None:
    """Keep the header and the rows of some recordings; the file is replaced atomically."""
    real = output.resolve()  # a link stays a link
    part = real.with_name(f".{real.name}.part")
    try:
        with writing_to(output), real.open("rb") as stream, part.open("wb") as kept:
            for i, line in enumerate(_lines(stream, format)):
                if (format == "csv" and i == 0) or _read_line(line, output, format)[0] in names:
                    kept.write(line)
        os.replace(part, real)  # noqa: PTH105
    except OSError as error:
        with suppress(OSError):
            part.unlink()
        error.filename, error.filename2 = str(output), None
        raise


def keep_whole(output: Path, format: str) -> bool:
    """Leave nothing half-written of an output that could not be written to its end.

    The whole rows of a format that can be resumed are kept; otherwise the file is removed, unless it is a device.

    Returns
    -------
    bool
        Whether anything was kept.
    """
    real, end, rows = output.resolve(), 0, 0
    with suppress(OSError):
        if not real.is_file():
            return False
        if format in RESUMED:
            with real.open("rb") as stream:
                for line in _lines(stream, format):
                    end, rows = end + len(line), rows + 1
        if rows > (format == "csv"):  # besides the header
            os.truncate(real, end)
            return True
        real.unlink()
        journal_of(output).unlink(missing_ok=True)
    return False
