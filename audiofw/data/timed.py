"""Manifests with start and end times: find them, and the recordings that they list."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from audiofw.audio.discover import clip_name
from audiofw.data.annotations.columns import find_label_columns, has_times
from audiofw.data.annotations.read import read_annotations
from audiofw.data.annotations.rows import Annotation
from audiofw.data.annotations.text import read_table, read_text
from audiofw.data.labels import listing
from audiofw.data.manifest import find_manifests, locate
from audiofw.errors import ConfigError, DataError


def is_in_time(path: Path, chosen: Mapping[str, str]) -> bool:
    """Whether a manifest has columns for start and end."""
    try:
        header = read_table(path, read_text(path)).header
    except DataError:  # reported when it is read
        return False
    return has_times(header, chosen)


def manifests_in_time(root: Path, files: Mapping[str, Path], chosen: Mapping[str, str]) -> list[Path]:
    """List the manifests of a folder that have columns for start and end."""
    return [path for path in find_manifests(root, files) if is_in_time(path, chosen)]


def listed_recordings(path: Path, chosen: Mapping[str, str]) -> tuple[Path, dict[str, Path]]:
    """Find the recordings that a manifest lists.

    Returns
    -------
    root : Path
        The folder that their names are relative to.
    files : dict of str to Path
        By name.

    Raises
    ------
    DataError
        If none of them exists.
    ConfigError
        If the manifest has no column for the path.
    """
    header = read_table(path, read_text(path)).header
    if "path" not in find_label_columns(path, header, _of_table(chosen)):
        raise ConfigError(f"{path}: no column found for the path; set data.columns.path to one of {listing(header)}")
    said = _recordings(path, chosen)
    root, found = locate(path, said, chosen.get("root"))
    if said and not found:
        raise DataError(
            f"{path}: {len(said)} of its files do not exist, e.g. {said[0]!r}; paths are relative to the manifest, or "
            "to data.columns.root"
        )
    return root, {clip_name(file, root): file for file in found.values()}


def _recordings(path: Path, chosen: Mapping[str, str]) -> list[str]:
    rows: Iterable[object] = read_annotations(path, _of_table(chosen))
    return list(dict.fromkeys(row.recording for row in rows if isinstance(row, Annotation)))


def _of_table(chosen: Mapping[str, str]) -> dict[str, str]:
    return {key: name for key, name in chosen.items() if key != "root"}
