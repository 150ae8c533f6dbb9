"""The files of a bundle, in a folder or a zip: read by plain names alone, and only as their digests say they were."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile, ZipInfo, is_zipfile

from audiofw.errors import DataError
from audiofw.system.hashing import digest_bytes, digest_json

FACTS = "bundle.json"
FOLDER = "model"  # in a run's folder
PLAIN_NAME = re.compile(r"(?:golden/)?[A-Za-z0-9_][A-Za-z0-9_.-]*")
MOST_FILES = 1000
LARGEST = 4 * 2**30  # bytes of one file
TIGHTEST = 200  # a zip packed tighter than this is a bomb


def read_bundle(where: Path) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Read a bundle's facts and its other files.

    Parameters
    ----------
    where : Path
        A run's folder, the ``model`` in it, or a zip of either.

    Returns
    -------
    facts : dict
        What ``bundle.json`` says.
    files : dict of str to bytes
        All others, by their names.

    Raises
    ------
    DataError
        For what is no bundle, a name that leads elsewhere, a link, a file that is changed, missing or not listed.
    """
    place = _located(where)
    files = _from_folder(place) if place.is_dir() else _from_zip(place)
    facts = _read_facts(files.pop(FACTS, None), place)
    _check_digests(files, facts["files"], place)
    return facts, files


def _located(where: Path) -> Path:
    """Find the bundle that a path means."""
    for place in (where, where / FOLDER):
        if (place / FACTS).is_file():
            return place
    if where.is_file() and is_zipfile(where):
        return where
    raise DataError(_no_bundle(where))


def _no_bundle(where: Path) -> str:
    if not where.exists():
        return f"{where}: no such file or folder; give a run's folder or its {FOLDER}/, or a zip of that"
    if where.is_file():
        return f"{where}: no bundle; give a run's folder or its {FOLDER}/, or a zip of that"
    if (where / "leaderboard.csv").is_file() or any(where.glob("*/result.json")):
        return f"{where}: a sweep; give the folder of one of its runs"
    if (where / "result.json").is_file():
        return f"{where}: this run has left no {FOLDER}/: run it again, with bundle=true"
    return f"{where}: no bundle in it; give a run's folder or its {FOLDER}/, or a zip of that"


def _from_folder(folder: Path) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    for base, folders, names in os.walk(folder):
        for name in (*folders, *names):
            path = Path(base) / name
            short = path.relative_to(folder).as_posix()
            if path.is_symlink():
                raise DataError(f"{folder}: {short} is a link, refused: a bundle holds plain files")
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
        raise DataError(f"{place}: damaged, or no zip of a bundle: {error}") from error


def _prefix(names: Sequence[str], place: Path) -> str:
    """Find the folder in a zip that is the bundle: people pack a run, its model, or the files alone."""
    found = [name.removesuffix(FACTS) for name in names if name.rpartition("/")[2] == FACTS]
    if len(found) > 1:
        raise DataError(f"{place}: it holds {len(found)} bundles; pack one")
    return found[0] if found else ""


def _check_entry(info: ZipInfo, place: Path) -> None:
    name = info.filename
    if name.startswith(("/", "\\")) or ".." in re.split(r"[/\\]", name) or ":" in name or "\\" in name:
        raise DataError(f"{place}: the name {name!r} leads out of the bundle, refused")
    if stat.S_ISLNK(info.external_attr >> 16):
        raise DataError(f"{place}: {name} is a link, refused: a bundle holds plain files")
    if info.file_size > LARGEST or info.file_size > 2**20 + TIGHTEST * info.compress_size:
        raise DataError(f"{place}: {name} unpacks to {info.file_size} bytes, a zip bomb, refused")


def _check_name(name: str, place: Path) -> None:
    if not PLAIN_NAME.fullmatch(name):
        raise DataError(f"{place}: {name!r} is no name of a bundle's file, refused")


def _check_count(files: Any, place: Path) -> None:
    if len(files) > MOST_FILES:
        raise DataError(f"{place}: more than {MOST_FILES} files, refused")


def _read_facts(data: bytes | None, place: Path) -> dict[str, Any]:
    if data is None:
        raise DataError(f"{place}: no {FACTS} in it; give a run's folder or its {FOLDER}/, or a zip of that")
    try:
        facts = json.loads(data)
        said, known = facts.pop("digest"), digest_json(facts)
        listed = facts["files"]
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(f"{place}: {FACTS} cannot be read: damaged, or not audiofw's") from error
    if said != known:
        raise DataError(f"{place}: {FACTS} was changed after the bundle was made, refused")
    if not isinstance(listed, dict):
        raise DataError(f"{place}: {FACTS} lists no files: damaged, or not audiofw's")
    return dict(facts)


def _check_digests(files: Mapping[str, bytes], listed: Mapping[str, str], place: Path) -> None:
    for name in sorted(files.keys() - listed.keys()):
        raise DataError(f"{place}: {name} is not a file of this bundle, refused{_pickled(name, files[name])}")
    for name, digest in listed.items():
        if name not in files:
            raise DataError(f"{place}: {name} is missing")
        if digest_bytes(files[name]) != digest:
            raise DataError(f"{place}: {name} was changed after the bundle was made, refused")


def _pickled(name: str, data: bytes) -> str:
    pickles = name.endswith((".pkl", ".pickle", ".joblib")) or (data[:1] == b"\x80" and data[-1:] == b".")
    return ": a pickle runs code when it is loaded" if pickles else ""
