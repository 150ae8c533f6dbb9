"""Content hashes of files, remembered so that unchanged files are not read again.

The index maps a path with its size, times and inode to the hash of the file's bytes. Like git's index, it remembers a
hash only if any later change would be visible in these: a file modified less than two seconds before it was hashed
could change again within the same time stamp, and on file systems with coarse time stamps (memory cards), recordings of
two cards may have the same ones. Such files are hashed each time.
"""

from __future__ import annotations

import logging
import os
import struct
import time
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from audiofw.cache.folder import write_file
from audiofw.system.hashing import SIZE, checksum, digest_stream

log = logging.getLogger(__name__)

QUIET_NS = 2 * 10**9  # the coarsest resolution of time stamps, that of FAT
TICK_NS = 10**7  # time stamps in whole hundredths of a second come from a coarse clock
LIMIT = 4_000_000  # files; 160 MB, on disk and in memory

_MAGIC = b"audiofw files 1\n"
_ROW = np.dtype([("token", ">u8", 2), ("digest", "V20"), ("day", "<u4")])
"""Token (hash of path and identity), digest of the content, day of last use."""
_NEW = struct.Struct("<16s20sI")  # the same

Rows = np.ndarray
"""Sorted by the first half of the token."""


class Identity(NamedTuple):
    """File attributes that change with the content; times in nanoseconds. ``ctime_ns`` cannot be set by users."""

    size: int
    mtime_ns: int
    inode: int
    ctime_ns: int


class Content(NamedTuple):
    """The content of a file at one moment; ``settled`` if any later change would be visible in its identity."""

    digest: bytes
    identity: Identity
    settled: bool


def hash_file(path: Path) -> Content | None:
    """Hash the content of a file; None if it changed while being read.

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    started = time.time_ns()
    with path.open("rb", buffering=0) as stream:
        before = _identity(os.fstat(stream.fileno()))
        digest = digest_stream(stream)
        after = _identity(os.fstat(stream.fileno()))
    return Content(digest, before, _settled(before, started)) if before == after else None


class FileIndex:
    """Content hashes of files, remembered between runs; thread-safe.

    Parameters
    ----------
    file : Path
        Where the index is stored; a missing or damaged file is treated as an empty index.
    verify : {"stat", "content"}
        ``content`` hashes every file again each time.
    """

    def __init__(self, file: Path, *, verify: Literal["stat", "content"] = "stat") -> None:
        self._file = file
        self._trusting = verify == "stat"
        self._stored = _load(file)
        self._keys = np.ascontiguousarray(self._stored["token"][:, 0], np.uint64)
        self._new: dict[bytes, tuple[bytes, int]] = {}
        self._changed = False

    def content(self, path: Path) -> Content | None:
        """Return the current content of a file; None if it cannot be read or is being written."""
        try:
            identity = _identity(path.stat())
            known = self._remembered(path, identity) if self._trusting else None
            return known or self._hashed(path)
        except OSError as error:
            log.debug("%s: cannot be hashed: %s", path, error)
            return None

    def is_known(self, path: Path, content: Content) -> bool:
        """Whether a file has the identity that it had with the given content."""
        try:
            return _identity(path.stat()) == content.identity
        except OSError:
            return False

    def still(self, path: Path, content: Content) -> bool:
        """Whether a file still has the given content."""
        try:
            if _identity(path.stat()) != content.identity:
                return False
            if content.settled:
                return True
            again = hash_file(path)
        except OSError:
            return False
        return again is not None and again.digest == content.digest

    def save(self) -> None:
        """Write the index, merged with what other runs have written in the meantime.

        If two runs save at the same moment, the rows of one are lost, and those files are hashed again.

        Raises
        ------
        OSError
            If the index cannot be written.
        """
        if self._changed:
            self._changed = False
            new = b"".join(_NEW.pack(token, *row) for token, row in self._new.copy().items())
            _dump(self._file, _bounded(_merged([_load(self._file), self._stored, np.frombuffer(new, _ROW)])))

    def _remembered(self, path: Path, identity: Identity) -> Content | None:
        token, today = _token(path, identity), _today()
        if (known := self._new.get(token)) is not None:
            return Content(known[0], identity, settled=True)
        if (place := self._place(token)) is None:
            return None
        if self._stored["day"][place] != today:
            self._stored["day"][place] = today
            self._changed = True
        return Content(self._stored["digest"][place].tobytes(), identity, settled=True)

    def _place(self, token: bytes) -> int | None:
        """Find the stored row of a token."""
        first, second = struct.unpack(">QQ", token)
        place = int(np.searchsorted(self._keys, np.uint64(first)))
        while place < len(self._keys) and self._keys[place] == first:
            if self._stored["token"][place, 1] == second:
                return place
            place += 1
        return None

    def _hashed(self, path: Path) -> Content | None:
        content = hash_file(path)
        if content is not None and content.settled:
            self._new[_token(path, content.identity)] = content.digest, _today()
            self._changed = True
        return content


def _today() -> int:
    return int(time.time()) // 86400


def _identity(status: os.stat_result) -> Identity:
    return Identity(status.st_size, status.st_mtime_ns, status.st_ino, status.st_ctime_ns)


def _settled(identity: Identity, now: int) -> bool:
    quiet = max(identity.mtime_ns, identity.ctime_ns) <= now - QUIET_NS
    return quiet and identity.ctime_ns % TICK_NS != 0


def _token(path: Path, identity: Identity) -> bytes:
    # includes the path, since some network file systems assign new inode numbers at every mount
    words = f"{path.absolute()}\0{identity.size} {identity.mtime_ns} {identity.inode} {identity.ctime_ns}"
    return checksum(words.encode("utf-8", "surrogateescape"))


def _load(file: Path) -> Rows:
    try:
        raw = file.read_bytes()
    except OSError:  # missing or not readable: files are hashed
        return np.empty(0, _ROW)
    body = memoryview(raw)[len(_MAGIC) : -SIZE]
    if not raw.startswith(_MAGIC) or len(body) % _ROW.itemsize or checksum(raw[:-SIZE]) != raw[-SIZE:]:
        log.debug("%s: damaged or of another version; starting with an empty index", file)
        return np.empty(0, _ROW)
    return _merged([np.frombuffer(body, _ROW)])


def _dump(file: Path, rows: Rows) -> None:
    body = _MAGIC + rows.tobytes()
    write_file(file, body + checksum(body))


def _merged(parts: list[np.ndarray]) -> Rows:
    """Sort rows by token; of several with one token, keep the last."""
    rows = np.concatenate(parts, dtype=_ROW)  # otherwise, numpy would change the order of bytes
    first, second = (rows["token"][:, i].astype(np.uint64) for i in range(2))
    order = np.lexsort((second, first))  # stable: later rows come last
    first, second = first[order], second[order]
    last = np.append((first[1:] != first[:-1]) | (second[1:] != second[:-1]), True)
    return rows[order[last[: len(order)]]]


def _bounded(rows: Rows) -> Rows:
    """Keep the rows that were used last."""
    if len(rows) <= LIMIT:
        return rows
    return rows[np.sort(np.argsort(rows["day"], kind="stable")[-LIMIT:])]
