"""Timelines as one table for each recording, which audiofw, Raven, Audacity and Praat read again."""

from __future__ import annotations

import argparse
import io
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from audiofw.cli.predict.formats import Record
from audiofw.cli.predict.records import Timeline
from audiofw.cli.predict.resume import Tables, journal_of_tables, stamp_of
from audiofw.data.annotations.audacity import label_track
from audiofw.data.annotations.raven import raven_table
from audiofw.data.annotations.rows import Annotation
from audiofw.data.annotations.textgrid import textgrid_text
from audiofw.data.inputs import STDIN, InputRecording, find_sounds
from audiofw.errors import DataError, printable
from audiofw.system.atomic import write_whole
from audiofw.system.spreadsheet import row_writer

SUFFIXES = {
    "raven": ".Table.1.selections.txt",
    "audacity": ".txt",
    "textgrid": ".TextGrid",
    "csv": ".csv",
    "json": ".json",
}
COLUMNS = ("path", "start", "end", "label", "confidence")


def write_tables(options: argparse.Namespace, results: Timeline, model: str) -> int:
    """Write one table for each recording into a folder; the exit code is 1 if one could not be used.

    Parameters
    ----------
    options : argparse.Namespace
    results : Timeline
    model : str
        Digest of the bundle, for ``--resume``.

    Raises
    ------
    DataError
        If a table cannot be written.
    AudiofwError
        If a plugin fails on every recording.
    """
    try:
        with journal_of_tables(options, model) as journal:
            return _write_each(options, results, journal)
    except BrokenPipeError:
        raise
    except OSError as error:
        if not str(error.filename or "").startswith(str(options.output)):
            raise
        raise DataError(f"{error.filename}: cannot be written: {error.strerror or error}") from error


def _write_each(options: argparse.Namespace, results: Timeline, journal: Tables) -> int:
    """Write the tables that are not yet there; those of recordings with errors are made again when resumed."""
    failed = False

    def each(sounds: Iterable[InputRecording]) -> Iterable[tuple[Record, Any]]:
        nonlocal failed
        for sound in sounds:
            if sound.name in journal.done and all(file.exists() for file in _files(options, sound)):
                continue
            stamp = stamp_of(sound.path) if sound.path else None
            records, whole = list[Record](), True
            for record, error in results.said(sound):
                failed = failed or error is not None
                if error is None:
                    records.append(record)
                else:
                    whole = False
                    _say(record)
                yield record, error
            if results.length:  # an empty table would say that nothing was heard
                _write(options, sound, records, results)
                if whole and sound.name != STDIN:
                    journal.complete(sound, stamp, len(records))

    for _ in results.hopeful(each(find_sounds(options.sounds))):
        pass
    return int(failed)


def _say(record: Record) -> None:
    when = f" from {record['start']:g} s" if "start" in record else ""
    sys.stderr.write(f"audiofw: {record['path']}{when}: {printable(record['error'])}\n")


def _files(options: argparse.Namespace, sound: InputRecording) -> list[Path]:
    """Name the files of a recording: its table and, if wanted, its scores."""
    place = options.output / _relative(sound, options.sounds)
    suffixes = [SUFFIXES[options.format], *([".scores.csv"] if options.scores else [])]
    return [place.with_name(place.name + suffix) for suffix in suffixes]


def _write(options: argparse.Namespace, sound: InputRecording, records: Sequence[Record], results: Timeline) -> None:
    contents = [table_text(options.format, records, results.length, results.highest)]
    contents += [_scores(results)] if options.scores else []
    for file, content in zip(_files(options, sound), contents, strict=True):
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            write_whole(file, content.encode("utf-8", "replace"))
        except OSError as error:
            raise DataError(f"{file}: cannot be written: {error.strerror or error}") from error


def _relative(sound: InputRecording, words: Sequence[str]) -> PurePath:
    """Name a recording's table, without the suffix: as below the folder or archive that it is in, else as its file."""
    if sound.name == STDIN or sound.path is None:
        return PurePath("stdin")
    if sound.below and ".." not in PurePath(sound.below).parts:
        return PurePath(sound.below).with_suffix("")
    for word in words:
        if word != STDIN and Path(word).is_dir() and sound.path.is_relative_to(word):
            return sound.path.relative_to(word).with_suffix("")
    return PurePath(sound.path.stem)


def table_text(format: str, records: Sequence[Record], seconds: float, highest: float) -> str:
    """Write the events of one recording as a table.

    Parameters
    ----------
    format : {"raven", "audacity", "textgrid", "csv", "json"}
    records : sequence of mapping
        With path, start, end, label and confidence, and the time if it is known.
    seconds : float
        Length of the recording.
    highest : float
        Highest frequency that the model can hear, in Hz.
    """
    rows = [
        Annotation(PurePath(one["path"]).name, one["start"], one["end"], one["label"], score=one["confidence"])
        for one in records
    ]
    if format == "raven":
        return raven_table(rows, highest)
    if format == "audacity":
        return label_track(rows)
    if format == "textgrid":
        return textgrid_text(rows, seconds)
    if format == "json":
        return json.dumps(list(records), ensure_ascii=False, indent=1) + "\n"
    columns = [*COLUMNS, *(["time"] if any("time" in one for one in records) else [])]
    return _csv([columns, *([one[name] for name in columns] for one in records)])


def _scores(results: Timeline) -> str:
    """List the class probabilities of each window; empty cells for one that could not be used."""
    names = [f"p({name})" for name in results.classes]
    rows = [
        [round(start, 6), round(end, 6), *("" if np.isnan(share) else round(float(share), 6) for share in shares)]
        for start, end, shares in results.window_scores()
    ]
    return _csv([["start", "end", *names], *rows])


def _csv(rows: Iterable[Sequence[Any]]) -> str:
    stream = io.StringIO(newline="")
    write = row_writer(stream)
    for row in rows:
        write(row)
    return stream.getvalue()
