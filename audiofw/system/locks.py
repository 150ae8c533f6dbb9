"""File locks between processes, which the kernel releases when the holder dies."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from audiofw.errors import DataError

log = logging.getLogger(__name__)

NO_LOCKS = (OSError, NotImplementedError)  # a read-only folder, or a file system without locks
POLL = 0.1  # seconds


@contextmanager
def alone(lock: Path, doing: str) -> Iterator[bool]:
    """Hold a lock; waits for another process that holds it, and logs that once.

    If the file system does not support locks, continues without one. The guarded code must therefore also be correct,
    if slower, without the lock.

    Parameters
    ----------
    lock : Path
        The lock file; it is created and not removed.
    doing : str
        What the other process is doing, for the message.

    Yields
    ------
    bool
        Whether the lock is held.
    """
    from filelock import FileLock, Timeout

    file = FileLock(lock)
    with ExitStack() as held:
        with suppress(*NO_LOCKS):
            lock.parent.mkdir(parents=True, exist_ok=True)
            try:
                held.enter_context(file.acquire(timeout=0))
            except Timeout:
                log.info("%s: waiting for another process", doing)
                held.enter_context(file.acquire(poll_interval=POLL))
        yield file.is_locked


@contextmanager
def sole(lock: Path, refusal: str) -> Iterator[None]:
    """Hold a lock, which is removed at the end; raise at once if another process holds it.

    If the file system does not support locks, or the folder cannot be written, continues without one.

    Parameters
    ----------
    lock : Path
        The lock file, in a folder that exists.
    refusal : str
        Error message if it is held.

    Raises
    ------
    DataError
        If another process holds the lock.
    """
    from filelock import FileLock, Timeout

    file = FileLock(lock)
    with ExitStack() as held:
        with suppress(*NO_LOCKS):
            try:
                held.enter_context(file.acquire(timeout=0))
                held.callback(_remove, lock)  # before it is released: nobody else holds it
            except Timeout:
                raise DataError(refusal) from None
        yield


def _remove(lock: Path) -> None:
    with suppress(OSError):
        lock.unlink()


def is_free(lock: Path) -> bool:
    """Whether the lock is supported and not held by any process."""
    from filelock import FileLock

    with suppress(*NO_LOCKS), FileLock(lock, timeout=0):  # Timeout is an OSError
        return True
    return False
