"""Write files atomically, and recognise temporary files left by killed writers.

Thousands of small files pass through here from several threads, and each system call releases the GIL. The plain
`os.open` and `os.read` make fewer calls, which is twice as fast as file objects.
"""

from __future__ import annotations

import functools
import os
import platform
import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from audiofw.system.hashing import digest_bytes

STALE_AFTER = 3600  # seconds; writing takes milliseconds, so an older temporary file is abandoned
_BINARY = getattr(os, "O_BINARY", 0)  # otherwise Windows would translate line endings
_PLAIN = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)  # no link, and no waiting for a pipe's writer
_TEMPORARY = re.compile(r"\..+\.(?P<host>[0-9a-f]{8})-(?P<pid>\d+)-[0-9a-f]{8}\.tmp")


def write_whole(file: str | Path, data: bytes | Iterable[bytes]) -> None:
    """Replace the content of a file atomically, also by parts: readers see either the old or the new content.

    The data is not synced to disk. After a power failure the file may be damaged, which its readers must detect.

    Raises
    ------
    OSError
        If the folder is missing or cannot be written, or the disk is full; the old file is then unchanged.
    """
    folder, name = os.path.split(file)
    temporary = os.path.join(folder, f".{name}.{_host()}-{os.getpid()}-{os.urandom(4).hex()}.tmp")  # noqa: PTH118
    try:
        _write_new(temporary, data)
        os.replace(temporary, file)  # noqa: PTH105
    except BaseException as error:
        with suppress(OSError):
            Path(temporary).unlink()
        if isinstance(error, OSError):
            error.filename, error.filename2 = os.fsdecode(file), None  # the temporary name means nothing to users
        raise


def read_whole(file: str | Path) -> tuple[bytes, float]:
    """Read a file; returns its content and its modification time (seconds since 1970).

    Raises
    ------
    OSError
        If the file cannot be read, or is a link.
    """
    handle = os.open(file, os.O_RDONLY | _BINARY | _PLAIN)
    try:
        status = os.fstat(handle)
        return os.read(handle, status.st_size), status.st_mtime
    finally:
        os.close(handle)


def is_temporary(name: str) -> bool:
    """Whether a file name is that of a temporary file of `write_whole`."""
    return _TEMPORARY.fullmatch(name) is not None


def is_abandoned(name: str, age: float) -> bool:
    """Whether a temporary file has no writer: its process has ended, or the file is too old.

    Parameters
    ----------
    name : str
        File name without folders.
    age : float
        Seconds since the last modification.
    """
    made = _TEMPORARY.fullmatch(name)
    if made is None:
        return False
    return age > STALE_AFTER or (made["host"] == _host() and not is_alive(int(made["pid"])))


def _write_new(file: str, data: bytes | Iterable[bytes]) -> None:
    handle = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY | _BINARY, 0o666)
    try:
        for part in [data] if isinstance(data, bytes) else data:
            written = os.write(handle, part)
            while written < len(part):  # writing the rest raises the reason, usually a full disk
                written += os.write(handle, part[written:])
    finally:
        os.close(handle)


@functools.cache
def _host() -> str:
    # a process id is meaningless on another machine that shares the folder
    return digest_bytes(platform.node().encode())[:8]


def is_alive(pid: int) -> bool:
    """Whether a process with this id exists on this machine; always True on Windows."""
    if os.name == "nt":  # os.kill(pid, 0) would terminate the process there
        return True
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # it exists, but belongs to another user
        return True
    return True
