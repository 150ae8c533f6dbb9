"""Where the recordings are: from ``data.source`` to files, and to the tables that say something of them."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from audiofw.audio.discover import AUDIO, find_sound
from audiofw.data.annotations.collect import find_tables
from audiofw.data.archive import ACCEPTED, is_archive
from audiofw.data.labels import Facts
from audiofw.data.limits import Limits
from audiofw.data.manifest import apply_metadata, read_manifest
from audiofw.data.timed import is_in_time, listed_recordings, manifests_in_time
from audiofw.data.unpack import unpack_archive
from audiofw.errors import ConfigError, DataError, nearest
from audiofw.system.paths import cache_root, located


class Listed(NamedTuple):
    """The files of a data source, and what tables say of them."""

    root: Path
    files: dict[str, Path]  #: by name
    rows: dict[str, Facts]  #: by manifests
    passed: Counter[str]  #: ignored files by reason
    tables: list[Path] | None  #: of labels in time; None if there are none


def list_files(
    path: Path,
    columns: dict[str, str],
    limits: Limits,
    cache_dir: Path | None,
    annotations: str | None,
    joint: str | None,
) -> Listed:
    """List the files of a source that `find_source` found.

    Parameters
    ----------
    path : Path
    columns : dict of str to str
        Columns by ``data.columns``, see `audiofw.data.manifest.choose_columns`.
    limits : Limits
        For archives.
    cache_dir : Path, optional
        Where archives are unpacked.
    annotations : str, optional
        ``data.annotations``.
    joint : str, optional
        What joins the labels of several rows of one clip.

    Raises
    ------
    DataError, ConfigError
        If the files or tables cannot be used.
    """
    of_rows = {} if annotations else columns  # data.columns is about the label tables
    if path.suffix.lower() in (".csv", ".tsv") and not path.is_dir():
        if annotations is None and is_in_time(path, columns):
            root, files = listed_recordings(path, columns)
            return Listed(root, files, {}, Counter(), [path])
        listed = read_manifest(path, of_rows, joint)
        return Listed(*listed, find_tables(annotations, path.parent, columns) if annotations else None)
    root = path if path.is_dir() else _unpacked(path, limits, cache_dir)
    found, passed = find_sound(root, path)
    tables = find_tables(annotations, root, columns) if annotations else manifests_in_time(root, found, columns)
    if tables:  # a manifest that is one of them does not list clips
        found = {name: file for name, file in found.items() if file not in tables}
        of_rows = {}
    files, rows = apply_metadata(root, found, of_rows, passed, path, joint)
    return Listed(root, files, rows, passed, tables or None)


def find_source(source: str | os.PathLike[str], cache_dir: Path | None) -> Path:
    """Find the file or folder that ``data.source`` names; the demo's archive is made if it is missing.

    Raises
    ------
    DataError, ConfigError
        If it does not exist, or is empty.
    """
    text = os.fspath(source)
    if text == "demo":
        from audiofw.data.demo import demo_archive

        return demo_archive(cache_dir or cache_root())
    if not text.strip():
        raise ConfigError(f"data.source is empty; set it to {ACCEPTED}, a folder, a CSV manifest or 'demo'")
    path = located(text).absolute()
    if not path.exists():
        raise DataError(_no_such_source(text, path))
    return path


def _no_such_source(text: str, path: Path) -> str:
    if "," in text:
        several = ",".join(part.strip() for part in text.split(","))
        return f"data.source: no such file or folder: {text}; to sweep, write data.source=choice({several})"
    if "://" in text:
        return f"data.source: {text} is a web address; download it first and use the file"
    beside = path.parent
    names = [entry.name for entry in beside.iterdir()] if beside.is_dir() else []
    where = "" if beside.is_dir() else f"; the folder {beside} does not exist"
    return f"data.source: no such file or folder: {text}{nearest(path.name, names) or where}"


def _unpacked(path: Path, limits: Limits, cache_dir: Path | None) -> Path:
    if not path.is_file():
        raise DataError(f"{path}: neither a file nor a folder; use {ACCEPTED}, a folder or a CSV manifest")
    if path.suffix.lower() in AUDIO:
        raise DataError(f"{path}: a single recording; use the folder or archive that contains all of them")
    if not is_archive(path):
        raise DataError(f"{path}: not an archive, or damaged; use {ACCEPTED}, a folder, a CSV manifest or 'demo'")
    return unpack_archive(path, **limits._asdict(), cache_dir=cache_dir)
