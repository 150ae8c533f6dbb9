"""CSV manifests: find their columns, and resolve their rows to files with label, group and fold."""

from __future__ import annotations

import csv
import logging
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache, partial
from itertools import islice
from os.path import normpath
from pathlib import Path, PurePosixPath

from audiofw.audio.discover import MANIFEST, clip_name, sound_below
from audiofw.data.annotations.match import RecordingIndex
from audiofw.data.labels import FIELDS, SPLITS, Facts, composed, listing, wrapping_folders
from audiofw.errors import ConfigError, DataError, nearest

log = logging.getLogger(__name__)

COLUMNS = {  # common names of a manifest's columns; the first one that exists is used
    "path": ("file_name", "path", "filename", "file", "file_path", "filepath", "fname", "slice_file_name"),
    "label": ("label", "category", "class", "class_name", "target"),
    "group": ("group", "speaker", "speaker_id", "source", "src_file", "recording", "fsid"),
    "fold": ("fold", "split"),
}

OF_TIME = ("root", "start", "end", "low", "high")  # further keys of data.columns
_OF_TABLES = re.compile("meta|label|annotation", re.IGNORECASE)  # in the name of a folder beside the recordings
MOST_SEARCHED = 200_000  # recordings, when files are not where a table says

Rows = dict[str, tuple[Path, Facts]]  # clip name -> file and facts


def choose_columns(columns: Mapping[str, str | None] | None) -> dict[str, str]:
    """Return ``data.columns`` without the keys left to be guessed; ConfigError for an unknown key."""
    keys = (*COLUMNS, *OF_TIME)
    for key in columns or ():
        if key not in keys:
            raise ConfigError(f"data.columns: unknown key {key!r}{nearest(key, keys)}; keys: {listing(keys)}")
    return {key: column for key, column in (columns or {}).items() if column is not None}


def read_manifest(
    path: Path, chosen: dict[str, str], joint: str | None = None
) -> tuple[Path, dict[str, Path], dict[str, Facts], Counter[str]]:
    """Read a manifest given as ``data.source``: the root of the names, its files, wherever they are, and their facts.

    With ``joint``, which separates several labels, the labels of a clip that is listed several times are joined.

    Raises
    ------
    DataError, ConfigError
        For a table that cannot be used, or a missing column.
    """
    passed: Counter[str] = Counter()
    header, table = _table(path)
    used = _used_columns(path, header, chosen, must=("path",))
    root, located = locate(path, [row.get(used["path"], "") for row in table], chosen.get("root"))
    rows = _rows(path, table, used, root, passed, lambda said: located.get(said, root / said), joint=joint)
    return root, _files(rows), _known(rows), passed


def listed_files(path: Path) -> tuple[Path, list[tuple[str, Path | None]]]:
    """List the recordings of a table, each once, whatever else it says of them; None for one that is missing.

    Returns
    -------
    root : Path
        Where they were found.
    files : list of (str, Path or None)
        What the table calls each, and its file.

    Raises
    ------
    DataError
        For a table that cannot be used, or has no column for the path.
    """
    header, table = _table(path)
    folded = {column.lower(): column for column in reversed(header)}
    column = next((folded[guess] for guess in COLUMNS["path"] if guess in folded), None)
    if column is None:
        raise DataError(f"{path}: no column found for the path; name it path or file_name; columns: {listing(header)}")
    said = [one for one in dict.fromkeys(row.get(column, "") for row in table) if one]
    root, found = locate(path, said)
    return root, [(one, found.get(one)) for one in said]


def locate(path: Path, listed: Iterable[str], root: str | None = None) -> tuple[Path, dict[str, Path]]:
    """Find the files that a table lists.

    They are looked for relative to ``root`` (by default the table's folder), and, by name, below it. If none is there,
    no root was given, and the table's folder is one for tables (``meta``, ``metadata``, ``labels``, …), they are looked
    for below the folder above it.

    Returns
    -------
    root : Path
        Where they were found.
    found : dict of str to Path
        By what the table calls them; without those that do not exist.

    Raises
    ------
    ConfigError
        If the root does not exist.
    """
    base = path.parent if root is None else Path(normpath(path.parent / os.path.expanduser(root)))  # noqa: PTH111
    if not base.is_dir():
        raise ConfigError(f"data.columns.root={root}: no such folder; it is taken from {path.parent}")
    wanted = [said for said in dict.fromkeys(listed) if said]
    found = {said: file for said in wanted if (file := _listed_file(base, said)).is_file()}
    if len(found) < len(wanted):
        found |= _below(base, [said for said in wanted if said not in found])
    aside = root is None and _OF_TABLES.search(base.name)
    if wanted and not found and aside and (above := _below(base.parent, wanted)):
        log.warning("%s: %d of its %d files are below %s", path, len(above), len(wanted), base.parent)
        return base.parent, above
    return base, found


def _below(folder: Path, wanted: Iterable[str]) -> dict[str, Path]:
    """Find files below a folder by their names, with or without a suffix; only where one file fits."""
    files = list(islice(sound_below(folder), MOST_SEARCHED))
    recordings = RecordingIndex((clip_name(file, folder) for file in files), folder)
    fits = {said: recordings.fits(said) for said in wanted}
    return {said: folder / names[0] for said, names in fits.items() if len(names) == 1}


def apply_metadata(
    root: Path,
    files: dict[str, Path],
    chosen: dict[str, str],
    passed: Counter[str],
    source: Path,
    joint: str | None = None,
) -> tuple[dict[str, Path], dict[str, Facts]]:
    """Return a folder's audio files, and their facts from the manifests in it; see `read_manifest` for ``joint``.

    A manifest with labels decides which files are clips; one without labels only adds to what the folders say.

    Raises
    ------
    DataError, ConfigError
        As for `read_manifest`, and for files outside the folder.
    """
    sound = {name: path for name, path in files.items() if path.name != MANIFEST}
    tables = {path: _table(path) for path in find_manifests(root, files, sound)}
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
        rows = _rows(path, table, used, root, passed, partial(_listed_file, path.parent), within=root, joint=joint)
        known |= _known(rows)
        if "label" in used:
            labelled = True
            sound |= _files(rows)
    if labelled:
        passed["not in the manifest"] += len(sound) - len(known)
        sound = {name: sound[name] for name in known if name in sound}
    passed += Counter()  # drops zero counts
    return sound, known


def find_manifests(root: Path, files: Mapping[str, Path], sound: Iterable[str] | None = None) -> list[Path]:
    """Find the manifest at the top, beside or above all audio files, or else those in the train/test folders."""
    sound = [name for name, path in files.items() if path.name != MANIFEST] if sound is None else sound
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
    if "path" in used and (again := next((name for name in header if name and header.count(name) > 1), None)):
        raise DataError(f"{path}: two columns named {again!r}; rename or remove one")
    return used


def _rows(
    path: Path,
    table: list[dict[str, str]],
    used: dict[str, str],
    root: Path,
    passed: Counter[str],
    found: Callable[[str], Path],
    *,
    within: Path | None = None,
    joint: str | None = None,
) -> Rows:
    """Resolve the rows of a manifest; rows whose file does not exist are counted in ``passed``."""
    rows: Rows = {}
    missing = []
    for row in table:
        said = row.get(used["path"], "")
        file = found(said)
        if within and not file.is_relative_to(within):
            raise DataError(f"{path}: the path {said!r} is outside the dataset; list only files inside it")
        if said and file.is_file():
            facts = {field: value for field in FIELDS if field in used and (value := row.get(used[field], ""))}
            before = rows.setdefault(clip_name(file, root), (file, facts))[1]
            if joint is not None and "label" in used:
                facts = _joined(before, facts, joint)
                before.update(label=facts.get("label", ""))
            _check_agreement(f"{path}: {said!r} is listed twice", before, facts)
        else:
            missing.append(said)
    _pass_missing(path, missing, bool(rows), passed)
    return rows


def _joined(before: Facts, facts: Facts, joint: str) -> Facts:
    """Add the labels of an earlier row of the same clip."""
    labels = dict.fromkeys(filter(None, [before.get("label"), facts.get("label")]))
    return {**facts, "label": joint.join(labels)}


def _check_agreement(twice: str, *both: Facts) -> None:
    if both[0] != both[1]:
        said = " and as ".join(listing(facts.values()) or "nothing" for facts in both)
        several = both[0].get("label") != both[1].get("label")
        or_more = ", or set task=multilabel if a clip may have several labels" if several else ""
        raise DataError(f"{twice}, as {said}; keep one row per clip{or_more}")


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
