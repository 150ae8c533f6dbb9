"""Read a bundle from a folder or a zip: only plain file names, and only content with the digests it was saved with."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile, ZipInfo, is_zipfile

from audiofw.data.archive import lists_more_than
from audiofw.errors import DataError
from audiofw.system.hashing import digest_bytes, digest_json

FACTS = "bundle.json"
CARD = "model_card.md"
FOLDER = "model"  # in a run's folder
GIVE = f"give a run's folder, its {FOLDER}/ folder, or a zip of either"
PLAIN_NAME = re.compile(r"(?:golden/)?[A-Za-z0-9_][A-Za-z0-9_.-]*")
MOST_FILES = 1000
MOST_ENTRIES = 10 * MOST_FILES  # of a zip, which may be of a whole run
LARGEST = 4 * 2**30  # bytes of one file
TIGHTEST = 200  # a zip with a higher compression ratio is considered a zip bomb


def read_bundle(where: Path) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Read a bundle's facts and its other files.

    Parameters
    ----------
    where : Path
        A run's folder, its ``model`` folder, or a zip of either.

    Returns
    -------
    facts : dict
        The content of ``bundle.json``.
    files : dict of str to bytes
        All other files by name.

    Raises
    ------
    DataError
        If it is not a bundle, and for a file name that points elsewhere, a link, or a file that was changed, is missing
        or is not listed.
    """
    place = _located(where)
    files = _from_folder(place) if place.is_dir() else _from_zip(place)
    files.pop(CARD, None)  # people may edit it
    facts = _read_facts(files.pop(FACTS, None), place)
    _check_digests(files, facts["files"], place)
    return facts, files


def _located(where: Path) -> Path:
    """Find the bundle that a path refers to."""
    for place in (where, where / FOLDER):
        if (place / FACTS).is_file():
            return place
    if where.is_file() and is_zipfile(where):
        return where
    raise DataError(_no_bundle(where))


def _no_bundle(where: Path) -> str:
    if not where.exists():
        return f"{where}: no such file or folder; {GIVE}"
    if where.is_file():
        return f"{where}: not a model; {GIVE}"
    if (where / "leaderboard.csv").is_file() or any(where.glob("*/result.json")):
        return f"{where}: this is a sweep; give the folder of one of its runs"
    if (where / "result.json").is_file():
        return f"{where}: this run has saved no model; repeat it with bundle=true"
    return f"{where}: no model found; {GIVE}"


def _from_folder(folder: Path) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    for base, folders, names in os.walk(folder):
        for name in (*folders, *names):
            path = Path(base) / name
            short = path.relative_to(folder).as_posix()
            if path.is_symlink():
                raise DataError(f"{folder}: {short} is a link, refused: a bundle contains plain files only")
            if not path.is_dir() and not name.startswith("."):  # .DS_Store
                _check_name(short, folder)
                files[short] = _read(path, short, folder)
                _check_count(files, folder)
    return files


def _read(path: Path, short: str, folder: Path) -> bytes:
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise DataError(f"{folder}: {short} is not a plain file, refused")
    if status.st_size > LARGEST:
        raise DataError(f"{folder}: {short} is larger than {LARGEST // 2**30} GB, refused")
    return path.read_bytes()


def _from_zip(place: Path) -> dict[str, bytes]:
    try:
        _check_directory(place)
        with ZipFile(place) as file:
            infos = [info for info in file.infolist() if not info.is_dir()]
            for info in infos:
                _check_entry(info, place)
            prefix = _prefix([info.filename for info in infos], place)
            mine = [info for info in infos if info.filename.startswith(prefix)]
            _check_count(mine, place)
            for info in mine:
                _check_name(info.filename.removeprefix(prefix), place)
            return {info.filename.removeprefix(prefix): file.read(info) for info in mine}
    except (BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError) as error:
        raise DataError(f"{place}: damaged, or not the zip of a model: {error}") from error


def _check_directory(place: Path) -> None:
    with place.open("rb") as file:
        if lists_more_than(MOST_ENTRIES, file):
            raise DataError(f"{place}: more than {MOST_ENTRIES} files, refused")


def _prefix(names: Sequence[str], place: Path) -> str:
    """Find the bundle's folder in a zip, which may be of a run, its model folder, or the files alone."""
    found = [name.removesuffix(FACTS) for name in names if name.rpartition("/")[2] == FACTS]
    if len(found) > 1:
        raise DataError(f"{place}: contains {len(found)} models; pack only one")
    return found[0] if found else ""


def _check_entry(info: ZipInfo, place: Path) -> None:
    name = info.filename
    if name.startswith(("/", "\\")) or ".." in re.split(r"[/\\]", name) or ":" in name or "\\" in name:
        raise DataError(f"{place}: the name {name!r} points outside the bundle, refused")
    if stat.S_ISLNK(info.external_attr >> 16):
        raise DataError(f"{place}: {name} is a link, refused: a bundle contains plain files only")
    if info.file_size > LARGEST or info.file_size > 2**20 + TIGHTEST * info.compress_size:
        raise DataError(f"{place}: {name} unpacks to {info.file_size} bytes (zip bomb), refused")


def _check_name(name: str, place: Path) -> None:
    if not PLAIN_NAME.fullmatch(name):
        raise DataError(f"{place}: {name!r} is not a valid file name in a bundle, refused")


def _check_count(files: Any, place: Path) -> None:
    if len(files) > MOST_FILES:
        raise DataError(f"{place}: more than {MOST_FILES} files, refused")


def _read_facts(data: bytes | None, place: Path) -> dict[str, Any]:
    if data is None:
        raise DataError(f"{place}: contains no {FACTS}; {GIVE}")
    try:
        facts = json.loads(data)
        said, known = facts.pop("digest"), digest_json(facts)
        listed = facts["files"]
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(f"{place}: {FACTS} cannot be read: damaged, or not written by audiofw") from error
    if said != known:
        raise DataError(f"{place}: {FACTS} was changed after the bundle was saved, refused")
    if not isinstance(listed, dict):
        raise DataError(f"{place}: {FACTS} lists no files: damaged, or not written by audiofw")
    return dict(facts)


def _check_digests(files: Mapping[str, bytes], listed: Mapping[str, str], place: Path) -> None:
    for name in sorted(files.keys() - listed.keys()):
        raise DataError(f"{place}: {name} does not belong to this bundle, refused{_pickled(name, files[name])}")
    for name, digest in listed.items():
        if name not in files:
            raise DataError(f"{place}: {name} is missing")
        if digest_bytes(files[name]) != digest:
            raise DataError(f"{place}: {name} was changed after the bundle was saved, refused")


def _pickled(name: str, data: bytes) -> str:
    pickles = name.endswith((".pkl", ".pickle", ".joblib")) or (data[:1] == b"\x80" and data[-1:] == b".")
    return ": a pickle runs code when it is loaded" if pickles else ""
