"""Folders and manifests of empty files, for tests that depend only on file names."""

from __future__ import annotations

import zipfile
from pathlib import Path

from audiofw.data.dataset import Dataset


def fill(folder: Path, *names: str) -> Path:
    """Create files with arbitrary content."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"RIFF")
    return folder


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding=encoding)
    return path


def zipped(path: Path, *names: str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, b"RIFF")
    return path


def names(found: Dataset) -> list[str]:
    return [clip.name for clip in found.clips]


def labels(found: Dataset) -> dict[str, str]:
    return {clip.name: clip.label for clip in found.clips}


def folds(found: Dataset) -> dict[str, str | None]:
    return {clip.name: clip.fold for clip in found.clips}


def groups(found: Dataset) -> dict[str, str | None]:
    return {clip.name: clip.group for clip in found.clips}
