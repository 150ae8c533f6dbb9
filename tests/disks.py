"""Disks that fail: a layer between this process and its files that traces what is written, and refuses it at will.

Everything that Python does to a file or folder raises an audit event, in whatever library: the layer's hook refuses
opening, making, renaming and removing. For writing there is no event, so files opened for writing are wrapped.
"""

# ruff: noqa: PTH100, PTH110, PTH113, PTH115, PTH117, PTH118
# pathlib would call what is patched here

from __future__ import annotations

import builtins
import errno
import io
import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from unittest.mock import patch

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
EVENTS = {"open": "open", "os.mkdir": "make", "os.rename": "rename", "os.remove": "remove", "os.rmdir": "remove"}
_PARTS = {"os.mkdir": (0, 2), "os.remove": (0, 1), "os.rmdir": (0, 1)}  # position of the path, and of its dir_fd
POSSIBLE = {  # what the system can answer to each action
    "open": (errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EIO),
    "make": (errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EIO),
    "rename": (errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EIO),
    "remove": (errno.EROFS, errno.EACCES, errno.EIO),
    "write": (errno.ENOSPC, errno.EIO),
}


class Place(NamedTuple):
    """A kind of action on a kind of path, relative to the layer's root: chance and time are taken out of its name."""

    action: str
    path: str


@dataclass
class Disk:
    """All that is done to the files below a folder.

    Parameters
    ----------
    root : str
        A real path, without links.
    """

    root: str
    trace: list[Place] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)  #: actions and paths
    code: int = 0
    at: Place | None = None
    lasts: bool = False
    broken: bool = False

    def touch(self, action: str, path: str, given: Any = None) -> None:
        """Note an action, or refuse it; an error names the path as it was given."""
        if not path.startswith(self.root + os.sep):
            return
        place = Place(action, general(os.path.relpath(path, self.root)))
        self.trace.append(place)
        self.broken = self.broken or (self.lasts and place == self.at)
        if place == self.at or (self.broken and self.code in POSSIBLE[action]):
            self.refused.append((action, path))
            raise OSError(self.code, os.strerror(self.code), *([os.fsdecode(given)] if given else []))

    def places(self) -> list[Place]:
        """List the distinct places of the trace, in order."""
        return list(dict.fromkeys(self.trace))


_watching: list[Disk] = []
_descriptors: dict[int, str] = {}


def general(path: str) -> str:
    path = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "#", path)
    path = re.sub(r"\.[0-9a-f]{8}-\d+-[0-9a-f]{8}\.tmp$", ".#.tmp", path)
    path = re.sub(
        r"(?<=/)tmp[a-z0-9_]{8}(?=/|$)|(?<![a-z])[0-9a-f]*[0-9][0-9a-f]*(?![a-z])|(?<=/)[0-9a-f]{2}(?=/|$)", "#", path
    )
    return re.sub(r"#(-#)*", "#", path)


def _hook(event: str, args: tuple[Any, ...]) -> None:
    if not _watching or event not in EVENTS:
        return
    (disk,) = _watching
    if event == "open":
        path, _, flags = args
        if isinstance(path, int) or not flags & WRITES:
            return
        given, where = path, _absolute(path)
    elif event == "os.rename":
        given, where = args[1], _absolute(args[1])
    else:
        at, folder = _PARTS[event]
        given, where = args[at], _absolute(args[at], args[folder])
    disk.touch(EVENTS[event], where, given)


def _absolute(path: Any, folder: int = -1) -> str:
    path = os.fsdecode(path)
    if folder not in (-1, None) and not os.path.isabs(path):
        path = os.path.join(os.readlink(f"/proc/self/fd/{folder}"), path)
    return os.path.abspath(path)


_hooked: list[bool] = []


class _File(io.FileIO):
    """A file whose writes pass the layer."""

    where: str

    def write(self, data: Any) -> int:
        for disk in _watching:
            disk.touch("write", self.where)
        return super().write(data)


_real = {"open": io.open, "os.open": os.open, "os.write": os.write}


def _open(file: Any, mode: str = "r", buffering: int = -1, encoding: Any = None, errors: Any = None,
          newline: Any = None, closefd: bool = True, opener: Any = None) -> Any:  # fmt: skip
    given = (file, mode, buffering, encoding, errors, newline, closefd, opener)
    if not _watching or isinstance(file, int) or opener or not set(mode) & set("wax+"):
        return _real["open"](*given)
    if not _absolute(file).startswith(_watching[0].root + os.sep) or not (
        os.path.isfile(file) or not os.path.exists(file)
    ):
        return _real["open"](*given)
    raw = _File(file, mode.replace("b", "").replace("t", ""))
    raw.where = _absolute(file)
    if buffering == 0:
        return raw
    stream = (io.BufferedRandom if "+" in mode else io.BufferedWriter)(raw)
    return stream if "b" in mode else io.TextIOWrapper(stream, encoding, errors, newline, line_buffering=buffering == 1)


def _os_open(path: Any, flags: int, *args: Any, **options: Any) -> int:
    descriptor = _real["os.open"](path, flags, *args, **options)
    _descriptors.pop(descriptor, None)
    if flags & WRITES and not options.get("dir_fd"):
        _descriptors[descriptor] = _absolute(path)
    return descriptor


def _os_write(descriptor: int, data: Any) -> int:
    if descriptor in _descriptors:
        for disk in _watching:
            disk.touch("write", _descriptors[descriptor])
    return _real["os.write"](descriptor, data)


@contextmanager
def watched(disk: Disk) -> Iterator[Disk]:
    """Let a disk see what this process does, in all its threads."""
    if not _hooked:
        sys.addaudithook(_hook)  # for good; it does nothing while no disk is watched
        _hooked.append(True)
    _descriptors.clear()
    with (
        patch.object(builtins, "open", _open),
        patch.object(io, "open", _open),
        patch.object(os, "open", _os_open),
        patch.object(os, "write", _os_write),
    ):
        _watching.append(disk)
        try:
            yield disk
        finally:
            _watching.clear()


def faults(places: Sequence[Place], code: int) -> list[Place]:
    """List the places at which the system can give an answer."""
    return [place for place in places if code in POSSIBLE[place.action]]
