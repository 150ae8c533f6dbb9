"""Safety checks on an archive before anything is written."""

from __future__ import annotations

import os
import re
import shutil
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from audiofw.data.archive import ArchiveMember, too_many
from audiofw.errors import DataError, one_line
from audiofw.system.tables import show_size

GB = 10**9
LONGEST_NAME, LONGEST_PATH, DEEPEST = 255, 2048, 100  # bytes, bytes and folders: what file systems can hold
RATIO_FLOOR = 100 * 10**6  # silence compresses a thousandfold, and below 100 MB a high ratio is harmless


class Limits(NamedTuple):
    """Limits for unpacking an archive: total GB, ratio to its own size, and number of files and folders."""

    max_unpacked_gb: float = 100
    max_ratio: float = 200
    max_entries: int = 200_000


def check_members(members: Iterable[ArchiveMember], archive: Path, limits: Limits) -> dict[str, ArchiveMember]:
    """Return the files of an archive by their normalised names.

    Raises
    ------
    DataError
        For a path outside the archive, a link or device, a duplicate name, a name that file systems cannot hold, an
        exceeded limit, or an empty archive.
    """
    files: dict[str, ArchiveMember] = {}
    total = 0
    for number, member in enumerate(members, 1):
        if number > limits.max_entries:
            raise too_many(archive, limits.max_entries)
        total += member.header
        _check_growth(total, archive, limits)
        name = _clean_name(member, archive)
        if member.kind not in ("file", "folder"):
            raise DataError(f"{archive}: {member.name!r} is {member.kind}; pack plain files and folders only")
        if member.kind == "folder":
            continue
        _check_length(name, archive)
        if name in files:
            raise DataError(f"{archive}: contains {member.name!r} twice; pack each file once")
        if member.size < 0:  # tarfile would seek back and list the same members forever
            raise tarfile.ReadError("a negative size")
        total += member.size
        _check_growth(total, archive, limits)
        files[name] = member
    if not files:
        raise DataError(f"{archive}: an empty archive; pack the recordings again")
    _check_folders(files, archive)
    return files


def _check_length(name: str, archive: Path) -> None:
    parts = [len(os.fsencode(part)) for part in name.split("/")]
    if len(parts) > DEEPEST or sum(parts) + len(parts) > LONGEST_PATH:
        raise DataError(f"{archive}: {_cut(name)} is in too many folders, one in another; pack it with fewer")
    if max(parts) > LONGEST_NAME:
        raise DataError(
            f"{archive}: {_cut(name)} has a name of {max(parts)} bytes; shorten it to {LONGEST_NAME} and pack again"
        )


def _check_folders(files: Iterable[str], archive: Path) -> None:
    """Refuse a file that has the name of a folder with files in it."""
    folders = {parent for name in files for parent in _folders_of(name)}
    if both := next((name for name in files if name in folders), None):
        raise DataError(f"{archive}: {both!r} is both a file and a folder; rename one and pack again")


def _folders_of(name: str) -> Iterator[str]:
    while "/" in name:
        name = name.rpartition("/")[0]
        yield name


def _cut(name: str) -> str:
    return repr(one_line(name, 100))


def _clean_name(member: ArchiveMember, archive: Path) -> str:
    """Normalise a member's path relative to the target folder: no `.`, doubled slashes or backslashes."""
    path = member.name.replace("\\", "/")
    parts = [part for part in path.split("/") if part not in ("", ".")]
    leads_out = path.startswith("/") or ".." in parts or any(re.match(r"[A-Za-z]:", part) for part in parts)
    if leads_out or "\0" in path or (member.kind == "file" and not parts):
        raise DataError(
            f"{archive}: the path {member.name!r} points outside the archive; pack it with plain relative paths"
        )
    return "/".join(parts)


def _check_growth(total: int, archive: Path, limits: Limits) -> None:
    if total > limits.max_unpacked_gb * GB:
        raise DataError(
            f"{archive}: unpacks to more than {limits.max_unpacked_gb:g} GB; "
            "if you trust it, raise data.max_unpacked_gb"
        )
    if total > RATIO_FLOOR and total > limits.max_ratio * archive.stat().st_size:
        raise DataError(
            f"{archive}: unpacks to more than {limits.max_ratio:g} times its size, as a zip bomb does; "
            "if you trust it, raise data.max_ratio"
        )


def check_room(files: Iterable[ArchiveMember], archive: Path, store: Path) -> None:
    """Raise DataError if there is not enough free disk space for the files."""
    block = 4096  # even a small file occupies a block
    need = sum(-(-member.size // block) * block for member in files)
    free = shutil.disk_usage(store).free
    if need > free:
        raise DataError(
            f"{archive}: needs {show_size(need)} in {store}, which has {show_size(free)} free; "
            "free some space, or set AUDIOFW_CACHE to a folder on a larger disk"
        )
