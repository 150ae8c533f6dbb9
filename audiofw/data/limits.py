"""What is refused of an archive before a byte of it is written."""

from __future__ import annotations

import re
import shutil
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from audiofw.data.archive import Member
from audiofw.errors import DataError

GB = 10**9
RATIO_FLOOR = 100 * 10**6  # silence packs a thousandfold: below 100 MB a high ratio harms nobody


class Limits(NamedTuple):
    """How much an archive may grow: in all (GB), and for each of its own bytes."""

    max_unpacked_gb: float = 100
    max_ratio: float = 200


def check_members(members: Iterable[Member], archive: Path, limits: Limits) -> dict[str, Member]:
    """The files of an archive by their clean names.

    Raises
    ------
    DataError
        For a path that leads out, a link or device, a name held twice, more than the limits, or nothing at all.
    """
    files: dict[str, Member] = {}
    total = 0
    for member in members:
        name = _clean_name(member, archive)
        if member.kind not in ("file", "folder"):
            raise DataError(f"{archive}: {member.name!r} is {member.kind}; pack plain files and folders only")
        if member.kind == "folder":
            continue
        if name in files:
            raise DataError(f"{archive}: holds {member.name!r} twice; pack each file once")
        if member.size < 0:  # tarfile would go back and list the same members for ever
            raise tarfile.ReadError("a negative size")
        total += member.size
        _check_growth(total, archive, limits)
        files[name] = member
    if not files:
        raise DataError(f"{archive}: an empty archive; pack the recordings again")
    return files


def _clean_name(member: Member, archive: Path) -> str:
    """A member's path below the folder it is unpacked to: without `.`, doubled slashes and backslashes."""
    path = member.name.replace("\\", "/")
    parts = [part for part in path.split("/") if part not in ("", ".")]
    leads_out = path.startswith("/") or ".." in parts or any(re.match(r"[A-Za-z]:", part) for part in parts)
    if leads_out or "\0" in path or (member.kind == "file" and not parts):
        raise DataError(
            f"{archive}: the path {member.name!r} leads out of the archive; pack it with plain relative paths"
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


def check_room(files: Iterable[Member], archive: Path, store: Path) -> None:
    """Raise DataError if the disk cannot hold the files."""
    block = 4096  # a small file still takes a block
    need = sum(-(-member.size // block) * block for member in files)
    free = shutil.disk_usage(store).free
    if need > free:
        raise DataError(
            f"{archive}: needs {need / GB:.1f} GB in {store}, which has {free / GB:.1f} GB free; "
            "make room, or set AUDIOFW_CACHE to a folder on a larger disk"
        )
