"""Tables that list clips: which columns say what, and which files the rows mean."""

from __future__ import annotations

import csv
import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from os.path import normpath
from pathlib import Path, PurePosixPath

from audiofw.audio.discover import MANIFEST, clip_name
from audiofw.data.labels import FIELDS, SPLITS, Facts, listing, wrapping_folders
from audiofw.errors import ConfigError, DataError, nearest

log = logging.getLogger(__name__)

COLUMNS = {  # the names by which a manifest's columns are guessed, the first that exists
    "path": ("file_name", "path", "filename", "file", "file_path", "filepath"),
    "label": ("label", "category", "class", "class_name", "target"),
    "group": ("group", "speaker", "speaker_id", "source", "src_file", "recording"),
    "fold": ("fold", "split"),
}

Rows = dict[str, tuple[Path, Facts]]  # file and facts of each clip that is listed, by the clip's name


def choose_columns(columns: Mapping[str, str | None] | None) -> dict[str, str]:
    """``data.columns`` without what is left to be guessed; ConfigError for a key that there is not."""
    for key in columns or ():
        if key not in COLUMNS:
            raise ConfigError(f"data.columns: no such key {key!r}{nearest(key, COLUMNS)}; it has {listing(COLUMNS)}")
    return {key: column for key, column in (columns or {}).items() if column is not None}


def read_manifest(path: Path, chosen: dict[str, str]) -> tuple[dict[str, Path], dict[str, Facts], Counter[str]]:
    """The files that a user's own manifest lists, wherever they are, and what it says of them.

    Raises
    ------
    DataError, ConfigError
        For a table that cannot be used, or a column that there is not.
    """
    passed: Counter[str] = Counter()
    header, table = _table(path)
    rows = _rows(path, table, _used_columns(path, header, chosen, must=("path",)), path.parent, passed)
    return _files(rows), _known(rows), passed


def apply_metadata(
    root: Path, files: dict[str, Path], chosen: dict[str, str], passed: Counter[str], source: Path
) -> tuple[dict[str, Path], dict[str, Facts]]:
    """The sound among a folder's files, and what its manifests say of it.

    A manifest with labels decides which files count; one without only adds to what the folders say.

    Raises
    ------
    DataError, ConfigError
        As `read_manifest`; and for files outside of the folder.
    """
    sound = {name: path for name, path in files.items() if path.name != MANIFEST}
    tables = {path: _table(path) for path in _manifests(root, files, sound)}
    if chosen and not tables:
        raise ConfigError(
            f"data.columns: names columns, but {source} has no {MANIFEST}; give the manifest as data.source"
        )
    passed["not audio (.csv)"] += len(files) - len(sound) - len(tables)
    known: dict[str, Facts] = {}
    labelled = False
    for path, (header, table) in tables.items():
        used = _used_columns(path, header, chosen, must=("path",) if chosen else ())
        if "path" not in used:
            log.warning("%s: not used, for it has no column for the path: %s", path, listing(header))
            continue
        rows = _rows(path, table, used, root, passed, within=root)
        known |= _known(rows)
        if "label" in used:
            labelled = True
            sound |= _files(rows)
    if labelled:
        passed["not in the manifest"] += len(sound) - len(known)
        sound = {name: sound[name] for name in known if name in sound}
    passed += Counter()  # forget zeros
    return sound, known


def _manifests(root: Path, files: dict[str, Path], sound: Iterable[str]) -> list[Path]:
    """The manifest at the top, i.e. beside or above all sound, or else those in its split folders."""
    top = PurePosixPath(*wrapping_folders(sound))
    for folder in (top, *top.parents):
        if (found := files.get((folder / MANIFEST).as_posix())) is not None:
            return [found]
    inside = [name for name in files if name.endswith(f"/{MANIFEST}")]
    return [
        files[name]
        for name in inside
        if PurePosixPath(name).parent.parent == top and PurePosixPath(name).parts[-2].lower() in SPLITS
    ]


def _table(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    """Column names and rows of a CSV file delimited by commas, semicolons or tabs."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            file.seek(0)
            delimiter = max(",;\t", key=first.count)
            lines = [[cell.strip() for cell in line] for line in csv.reader(file, delimiter=delimiter) if line]
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8; save it again as CSV in UTF-8") from error
    except (csv.Error, OSError) as error:
        raise DataError(f"{path}: cannot be read as CSV ({error})") from error
    if len(lines) < 2:
        raise DataError(f"{path}: lists no clips; it needs a line of column names, and one line for each clip")
    return lines[0], [dict(zip(lines[0], line, strict=False)) for line in lines[1:]]


def _used_columns(path: Path, header: list[str], chosen: dict[str, str], must: Sequence[str] = ()) -> dict[str, str]:
    """Which column holds the path, the label, the group and the fold: as chosen, or by a usual name."""
    folded = {column.lower(): column for column in reversed(header)}
    used: dict[str, str] = {}
    for key, guesses in COLUMNS.items():
        if key in chosen and chosen[key] not in header:
            raise ConfigError(
                f"{path}: no column {chosen[key]!r}{nearest(chosen[key], header)} for data.columns.{key}; "
                f"it has {listing(header)}"
            )
        column = chosen.get(key) or next((folded[guess] for guess in guesses if guess in folded), None)
        if column is not None:
            used[key] = column
        elif key in must:
            raise ConfigError(f"{path}: which column is the {key}? Set data.columns.{key} to one of {listing(header)}")
    return used


def _rows(
    path: Path,
    table: list[dict[str, str]],
    used: dict[str, str],
    root: Path,
    passed: Counter[str],
    within: Path | None = None,
) -> Rows:
    """What a manifest lists; rows without a file are counted."""
    rows: Rows = {}
    missing = []
    for row in table:
        said = row.get(used["path"], "")
        file = _listed_file(path.parent, said)
        if within and not file.is_relative_to(within):
            raise DataError(f"{path}: the path {said!r} leads out of the dataset; list only files inside it")
        if said and file.is_file():
            facts = {field: value for field in FIELDS if field in used and (value := row.get(used[field], ""))}
            before = rows.setdefault(clip_name(file, root), (file, facts))[1]
            _check_agreement(f"{path}: lists {said!r} twice", before, facts)
        else:
            missing.append(said)
    _pass_missing(path, missing, bool(rows), passed)
    return rows


def _check_agreement(twice: str, *both: Facts) -> None:
    if both[0] != both[1]:
        said = " and as ".join(listing(facts.values()) or "nothing" for facts in both)
        raise DataError(f"{twice}, as {said}; keep one line for each clip")


def _files(rows: Rows) -> dict[str, Path]:
    return {name: file for name, (file, _) in rows.items()}


def _known(rows: Rows) -> dict[str, Facts]:
    return {name: facts for name, (_, facts) in rows.items()}


def _listed_file(folder: Path, listed: str) -> Path:
    file = Path(normpath(folder / listed))
    # a manifest written on Windows
    return file if file.exists() or "\\" not in listed else Path(normpath(folder / listed.replace("\\", "/")))


def _pass_missing(path: Path, missing: list[str], some: bool, passed: Counter[str]) -> None:
    if not missing:
        return
    say = f"{path}: {len(missing)} of its files are not there, e.g. {missing[0]!r}"
    if not some:
        raise DataError(f"{say}; paths are relative to the manifest")
    log.warning(say)
    passed["in the manifest, but no such file"] += len(missing)
