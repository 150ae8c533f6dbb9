"""The labels of every recording: from all tables, matched with the recordings and checked against their length."""

from __future__ import annotations

import glob
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from audiofw.data.annotations.match import RecordingIndex
from audiofw.data.annotations.read import SUFFIXES, is_label_table, read_annotations
from audiofw.data.annotations.rows import Annotation, Flaw, place
from audiofw.errors import ConfigError, DataError
from audiofw.system.paths import located

log = logging.getLogger(__name__)

BEYOND = "starts at"  # the end of its recording, or later
MOST_SHOWN = 10  # rows that are named one by one
SLACK = 0.05  # seconds by which programs round an end beyond that of the recording


class Labelled(NamedTuple):
    """What label tables say of some recordings."""

    rows: dict[str, list[Annotation]]  #: of each recording with a table or a row, sorted by time; may be empty.
    #: A row with an empty label says that something unknown is there; it is also a flaw.
    seconds: dict[str, float]  #: the length of each of them
    flaws: list[Flaw]  #: rows and tables that cannot be used
    notes: list[str]  #: rows that are used, but look wrong


def find_tables(spec: str, root: Path, chosen: Mapping[str, str]) -> list[Path]:
    """List the label tables that ``data.annotations`` names: a file, all tables below a folder, or a glob pattern.

    Other texts in a folder, such as a README, are ignored with a warning.

    Raises
    ------
    ConfigError
        If there is none.
    """
    text, below = str(located(spec)), root / os.path.expanduser(spec)  # noqa: PTH111  # leaves an unknown "~nobody"
    for named in (Path(text), below):
        if named.is_file():
            return [named.absolute()]
        if named.is_dir():
            return _some(_tables_below(named, chosen), spec, root)
    matches = glob.glob(text, recursive=True) or glob.glob(str(below), recursive=True)  # noqa: PTH207
    return _some([Path(each).absolute() for each in sorted(matches) if Path(each).is_file()], spec, root)


def _tables_below(folder: Path, chosen: Mapping[str, str]) -> list[Path]:
    texts = [path for path in sorted(folder.rglob("*")) if path.suffix.lower() in SUFFIXES and path.is_file()]
    texts = [path for path in texts if not _is_hidden(path.relative_to(folder))]
    tables = [path for path in texts if is_label_table(path, chosen)]
    if others := [path for path in texts if path not in set(tables)]:
        log.warning("%s: no columns for start and end; ignored%s", others[0], _and_more(len(others) - 1))
    return tables


def _and_more(count: int) -> str:
    return f", and {count} more files" if count else ""


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in path.parts)


def _some(found: list[Path], spec: str, root: Path) -> list[Path]:
    if not found:
        raise ConfigError(
            f"data.annotations={spec}: no label table found there, or below {root}; it may be a file, a folder with "
            "tables (.txt, .csv, .tsv, .TextGrid, .eaf) or a pattern such as 'labels/*.txt'"
        )
    return [path.absolute() for path in found]


def collect(tables: Iterable[Path], files: Mapping[str, Path], root: Path, chosen: Mapping[str, str]) -> Labelled:
    """Read label tables, and give each recording its rows.

    Parameters
    ----------
    tables : iterable of Path
    files : mapping of str to Path
        The recordings by their names.
    root : Path
        The folder that the names are relative to.
    chosen : mapping of str to str
        Columns, as in `audiofw.data.annotations.read.read_annotations`.

    Raises
    ------
    DataError, ConfigError
        If a table cannot be read, or lacks a column.
    """
    recordings, chosen = RecordingIndex(files, root), {key: name for key, name in chosen.items() if key != "root"}
    rows: dict[str, list[Annotation]] = {}
    flaws: list[Flaw] = []
    for table in tables:
        _sort_out(table, recordings, chosen, rows, flaws)
    labelled = Labelled({}, {}, flaws, [])
    for name in sorted(rows):
        _check(name, files[name], rows[name], labelled)
    _say_channels(row for each in labelled.rows.values() for row in each)
    return labelled


def _say_channels(rows: Iterable[Annotation]) -> None:
    """Warn where rows are of a channel other than the first: all are read alike."""
    others = [row for row in rows if row.channel]
    if others:
        log.warning(
            "%d rows of label tables are of a channel other than the first, e.g. %s: channel %s; the channel of a row "
            "is not used: audio.channel chooses for all recordings", len(others), others[0].where, others[0].channel,
        )  # fmt: skip


def _sort_out(
    table: Path,
    recordings: RecordingIndex,
    chosen: Mapping[str, str],
    rows: dict[str, list[Annotation]],
    flaws: list[Flaw],
) -> None:
    """Read one table into ``rows``; a table without names of recordings is of the one that it is named after."""
    found = list(read_annotations(table, chosen))
    flaws += [row for row in found if isinstance(row, Flaw)]
    usable = [each for row in found if (each := row.unlabelled if isinstance(row, Flaw) else row)]
    own = [row for row in usable if not row.recording]
    if own or not found:
        try:
            rows.setdefault(recordings.beside(table), []).extend(own)
        except DataError as error:
            flaws.append(Flaw(table, None, f"{error}; its {len(own)} labels are not used"))
    find = _remembered(recordings.find)
    for row in usable:
        if row.recording:
            name = find(row.recording)
            if isinstance(name, DataError):
                flaws.append(Flaw(table, row.line, str(name)))
            else:
                rows.setdefault(name, []).append(row)


def _remembered(find: Callable[[str], str]) -> Callable[[str], str | DataError]:
    """Look each name up once; what is not found is returned as the error."""
    known: dict[str, str | DataError] = {}

    def look_up(said: str) -> str | DataError:
        if said not in known:
            try:
                known[said] = find(said)
            except DataError as error:
                known[said] = error
        return known[said]

    return look_up


def _check(name: str, path: Path, rows: list[Annotation], labelled: Labelled) -> None:
    """Check one recording's rows against its length; a recording that cannot be read is a flaw."""
    from audiofw.audio.load import seconds_of  # numpy only where labels have times

    try:
        seconds = seconds_of(path)
    except DataError as error:
        labelled.flaws.append(Flaw(path, None, f"{error}; its {len(rows)} labels are not used"))
        return
    labelled.seconds[name] = seconds
    kept = [row for row in (_within(row, seconds, name, labelled) for row in rows) if row]
    labelled.rows[name] = sorted(kept, key=lambda row: (row.start or 0.0, row.end or seconds, row.label))
    labelled.notes.extend(_overlaps(labelled.rows[name]))


def _within(row: Annotation, seconds: float, name: str, labelled: Labelled) -> Annotation | None:
    """Cut a row off at the end of its recording; one that starts there is a flaw."""
    if row.start is None or row.end is None or row.end <= seconds:
        return row
    assert row.source is not None
    if row.start >= seconds:
        reason = f"{BEYOND} {row.start:g} s, but {name} ends at {seconds:g} s"
        labelled.flaws.append(Flaw(row.source, row.line, reason))
        return None
    if row.end > seconds + SLACK:
        labelled.notes.append(f"{row.where}: ends at {row.end:g} s, but {name} at {seconds:g} s; used up to there")
    return row._replace(end=seconds)


def _overlaps(rows: Iterable[Annotation]) -> Iterator[str]:
    """Note the rows that begin before an earlier one of the same label has ended."""
    last: dict[str, Annotation] = {}
    for row in (row for row in rows if row.label):
        before = last.get(row.label)
        if before and before.end is not None and row.start is not None and row.start < before.end:
            yield f"{row.where}: overlaps another {row.label!r}, {_seen_from(row, before)}; both are used"
        if before is None or (row.end or 0.0) >= (before.end or 0.0):
            last[row.label] = row


def _seen_from(row: Annotation, other: Annotation) -> str:
    return place(None if other.source == row.source else other.source, other.line)


def report_flaws(labelled: Labelled, on_error: str) -> None:
    """Name the rows that cannot be used, or look wrong, the first ones each on its line.

    Raises
    ------
    DataError
        For the first one that cannot be used, if ``on_error="raise"``.
    """
    flaws, notes = labelled.flaws, labelled.notes
    if flaws and on_error == "raise":
        raise DataError(f"{flaws[0].where}: {flaws[0].reason}")
    for said in [f"{flaw.where}: {flaw.reason}" for flaw in flaws[:MOST_SHOWN]] + notes[:MOST_SHOWN]:
        log.warning(said)
    if len(flaws) > MOST_SHOWN:
        log.warning("%d more rows of label tables cannot be used; all are in failures.csv", len(flaws) - MOST_SHOWN)
    if len(notes) > MOST_SHOWN:
        log.warning("%d more rows of label tables overlap, or end after their recordings", len(notes) - MOST_SHOWN)
