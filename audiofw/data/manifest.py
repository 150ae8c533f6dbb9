"""CSV manifests: find their columns, and resolve their rows to files with label, group and fold."""

from __future__ import annotations

import csv
import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from os.path import normpath
from pathlib import Path, PurePosixPath

from audiofw.audio.discover import MANIFEST, clip_name
from audiofw.data.labels import FIELDS, SPLITS, Facts, composed, listing, wrapping_folders
from audiofw.errors import ConfigError, DataError, nearest

log = logging.getLogger(__name__)

COLUMNS = {  # common names of a manifest's columns; the first one that exists is used
    "path": ("file_name", "path", "filename", "file", "file_path", "filepath"),
    "label": ("label", "category", "class", "class_name", "target"),
    "group": ("group", "speaker", "speaker_id", "source", "src_file", "recording"),
    "fold": ("fold", "split"),
}

Rows = dict[str, tuple[Path, Facts]]  # clip name -> file and facts


def choose_columns(columns: Mapping[str, str | None] | None) -> dict[str, str]:
    """Return ``data.columns`` without the keys left to be guessed; ConfigError for an unknown key."""
    for key in columns or ():
        if key not in COLUMNS:
            raise ConfigError(f"data.columns: unknown key {key!r}{nearest(key, COLUMNS)}; keys: {listing(COLUMNS)}")
    return {key: column for key, column in (columns or {}).items() if column is not None}


def read_manifest(path: Path, chosen: dict[str, str]) -> tuple[dict[str, Path], dict[str, Facts], Counter[str]]:
    """Read a manifest given as ``data.source``: its files, wherever they are, and their facts.

    Raises
    ------
    DataError, ConfigError
        For a table that cannot be used, or a missing column.
    """
    passed: Counter[str] = Counter()
    header, table = _table(path)
    rows = _rows(path, table, _used_columns(path, header, chosen, must=("path",)), path.parent, passed)
    return _files(rows), _known(rows), passed


def apply_metadata(
    root: Path, files: dict[str, Path], chosen: dict[str, str], passed: Counter[str], source: Path
) -> tuple[dict[str, Path], dict[str, Facts]]:
    """Return a folder's audio files, and their facts from the manifests in it.

    A manifest with labels decides which files are clips; one without labels only adds to what the folders say.

    Raises
    ------
    DataError, ConfigError
        As for `read_manifest`, and for files outside the folder.
    """
    sound = {name: path for name, path in files.items() if path.name != MANIFEST}
    tables = {path: _table(path) for path in _manifests(root, files, sound)}
    if chosen and not tables:
        raise ConfigError(
            f"data.columns is set, but {source} has no {MANIFEST}; use the manifest itself as data.source"
        )
    passed["not audio (.csv)"] += len(files) - len(sound) - len(tables)
    known: dict[str, Facts] = {}
    labelled = False
    for path, (header, table) in tables.items():
        used = _used_columns(path, header, chosen, must=("path",) if chosen else ())
        if "path" not in used:
            log.warning("%s: ignored, since it has no column for the path; columns: %s", path, listing(header))
            continue
        rows = _rows(path, table, used, root, passed, within=root)
        known |= _known(rows)
        if "label" in used:
            labelled = True
            sound |= _files(rows)
    if labelled:
        passed["not in the manifest"] += len(sound) - len(known)
        sound = {name: sound[name] for name in known if name in sound}
    passed += Counter()  # drops zero counts
    return sound, known


def _manifests(root: Path, files: dict[str, Path], sound: Iterable[str]) -> list[Path]:
    """Find the manifest at the top, beside or above all audio files, or else those in the train/test folders."""
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
    """Read the column names and rows of a CSV file delimited by commas, semicolons or tabs."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            file.seek(0)
            delimiter = max(",;\t", key=first.count)
            lines = [[cell.strip() for cell in line] for line in csv.reader(file, delimiter=delimiter) if line]
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8; save it as CSV in UTF-8") from error
    except (csv.Error, OSError) as error:
        raise DataError(f"{path}: cannot be read as CSV ({error})") from error
    if len(lines) < 2:
        raise DataError(f"{path}: lists no clips; it needs a header row with column names, and one row per clip")
    return lines[0], [dict(zip(lines[0], line, strict=False)) for line in lines[1:]]


def _used_columns(path: Path, header: list[str], chosen: dict[str, str], must: Sequence[str] = ()) -> dict[str, str]:
    """Map path, label, group and fold to columns, as chosen by the user or by their common names."""
    folded = {column.lower(): column for column in reversed(header)}
    counts = Counter(column.lower() for column in header)
    used: dict[str, str] = {}
    for key, guesses in COLUMNS.items():
        if key in chosen and chosen[key] not in header:
            raise ConfigError(
                f"{path}: no column {chosen[key]!r}{nearest(chosen[key], header)} for data.columns.{key}; "
                f"columns: {listing(header)}"
            )
        column = chosen.get(key) or next((folded[guess] for guess in guesses if guess in folded), None)
        if column is not None:
            if header.count(column) > 1 or (key not in chosen and counts[column.lower()] > 1):
                twice = listing(repr(name) for name in header if name.lower() == column.lower())
                raise DataError(f"{path}: two columns for the {key}: {twice}; rename one, or set data.columns.{key}")
            used[key] = column
        elif key in must:
            raise ConfigError(
                f"{path}: no column found for the {key}; set data.columns.{key} to one of {listing(header)}"
            )
    return used


def _rows(
    path: Path,
    table: list[dict[str, str]],
    used: dict[str, str],
    root: Path,
    passed: Counter[str],
    within: Path | None = None,
) -> Rows:
    """Resolve the rows of a manifest; rows whose file does not exist are counted in ``passed``."""
    rows: Rows = {}
    missing = []
    for row in table:
        said = row.get(used["path"], "")
        file = _listed_file(path.parent, said)
        if within and not file.is_relative_to(within):
            raise DataError(f"{path}: the path {said!r} is outside the dataset; list only files inside it")
        if said and file.is_file():
            facts = {field: value for field in FIELDS if field in used and (value := row.get(used[field], ""))}
            before = rows.setdefault(clip_name(file, root), (file, facts))[1]
            _check_agreement(f"{path}: {said!r} is listed twice", before, facts)
        else:
            missing.append(said)
    _pass_missing(path, missing, bool(rows), passed)
    return rows


def _check_agreement(twice: str, *both: Facts) -> None:
    if both[0] != both[1]:
        said = " and as ".join(listing(facts.values()) or "nothing" for facts in both)
        raise DataError(f"{twice}, as {said}; keep one row per clip")


def _files(rows: Rows) -> dict[str, Path]:
    return {name: file for name, (file, _) in rows.items()}


def _known(rows: Rows) -> dict[str, Facts]:
    return {name: facts for name, (_, facts) in rows.items()}


def _listed_file(folder: Path, listed: str) -> Path:
    file = Path(normpath(folder / listed))
    if not file.exists() and "\\" in listed:  # a manifest written on Windows
        file = Path(normpath(folder / listed.replace("\\", "/")))
    if file.exists() or listed.isascii():
        return file
    return _as_spelt(file) or file


def _as_spelt(file: Path) -> Path | None:
    """Find a file whose accents are composed in the manifest but decomposed on disk, or vice versa."""
    here = Path(file.anchor)
    for part in file.parts[1:]:
        if not (here / part).exists():
            part = _spellings(here).get(composed(part), part)
        here /= part
    return here if here.exists() else None


@lru_cache(maxsize=64)
def _spellings(folder: Path) -> dict[str, str]:
    return {composed(entry.name): entry.name for entry in folder.iterdir()} if folder.is_dir() else {}


def _pass_missing(path: Path, missing: list[str], some: bool, passed: Counter[str]) -> None:
    if not missing:
        return
    say = f"{path}: {len(missing)} of its files do not exist, e.g. {missing[0]!r}"
    if not some:
        raise DataError(f"{say}; paths are relative to the manifest")
    log.warning(say)
    passed["listed in the manifest, but missing"] += len(missing)
