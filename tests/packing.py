"""Archives for tests."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

SOUND = b"RIFF" + bytes(range(256)) * 8


def make_zip(path: Path, files: dict[str, bytes], packing: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content, compress_type=packing)
    return path


def make_tar(path: Path, files: dict[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def make_archive(path: Path, files: dict[str, bytes], kind: str, packing: int = zipfile.ZIP_STORED) -> Path:
    """Make a zip, or a tar of a mode as ``w:gz``."""
    return make_zip(path, files, packing) if kind == "zip" else make_tar(path, files, kind)


def make_odd_tar(path: Path, kind: bytes, linkname: str = "") -> Path:
    with tarfile.open(path, "w") as archive:
        info = tarfile.TarInfo("dog/odd.wav")
        info.type, info.linkname = kind, linkname
        archive.addfile(info)
    return path


def names_in(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
