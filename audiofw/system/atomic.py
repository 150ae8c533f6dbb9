"""Write a file whole or not at all, and know what a killed writer has left.

Thousands of small files pass through here from several threads, and each system call hands Python's lock to another
thread: so these are the bare calls, twice as quick as the file objects of `open`.
"""

from __future__ import annotations

import functools
import hashlib
import os
import platform
import re
from contextlib import suppress
from pathlib import Path

STALE_AFTER = 3600  # seconds; writing takes milliseconds, so an older temporary has no writer any more
_BINARY = getattr(os, "O_BINARY", 0)  # Windows would translate line ends
_TEMPORARY = re.compile(r"\..+\.(?P<host>[0-9a-f]{8})-(?P<pid>\d+)-[0-9a-f]{8}\.tmp")


def write_whole(file: str | Path, data: bytes) -> None:
    """Replace a file by new content in one step; readers see the old or the new, never a part.

    It is not forced to the disk: after a power cut the file may be damaged, which its readers must notice.

    Raises
    ------
    OSError
        If the folder is missing or cannot be written, or the disk is full; the old file is then untouched.
    """
    folder, name = os.path.split(file)
    temporary = os.path.join(folder, f".{name}.{_host()}-{os.getpid()}-{os.urandom(4).hex()}.tmp")  # noqa: PTH118
    try:
        _write_new(temporary, data)
        os.replace(temporary, file)  # noqa: PTH105
    except BaseException:
        with suppress(OSError):
            Path(temporary).unlink()
        raise


def read_whole(file: str | Path) -> tuple[bytes, float]:
    """Content of a file, and when it was last modified (seconds since 1970).

    Raises
    ------
    OSError
        If it cannot be read.
    """
    handle = os.open(file, os.O_RDONLY | _BINARY)
    try:
        status = os.fstat(handle)
        return os.read(handle, status.st_size), status.st_mtime
    finally:
        os.close(handle)


def is_temporary(name: str) -> bool:
    """Whether a file name is one that `write_whole` makes."""
    return _TEMPORARY.fullmatch(name) is not None


def is_abandoned(name: str, age: float) -> bool:
    """Whether a temporary has no writer any more: its process is gone, or it is older than any writing takes.

    Parameters
    ----------
    name : str
        File name without folders.
    age : float
        Seconds since the file was last written.
    """
    made = _TEMPORARY.fullmatch(name)
    if made is None:
        return False
    return age > STALE_AFTER or (made["host"] == _host() and not is_alive(int(made["pid"])))


def _write_new(file: str, data: bytes) -> None:
    handle = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY | _BINARY, 0o666)
    try:
        written = os.write(handle, data)
        while written < len(data):  # the rest tells why: mostly that the disk is full
            written += os.write(handle, data[written:])
    finally:
        os.close(handle)


@functools.cache
def _host() -> str:
    # a process number says nothing on another machine that shares the folder
    return hashlib.blake2b(platform.node().encode(), digest_size=4).hexdigest()


def is_alive(pid: int) -> bool:
    """Whether a process of this machine exists; on Windows, where asking would end it, always true."""
    if os.name == "nt":  # there, os.kill(pid, 0) would end the process
        return True
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # it lives, under another user
        return True
    return True
