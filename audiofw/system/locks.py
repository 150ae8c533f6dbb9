"""One process at a time: a lock on a file, which the kernel frees when its holder dies."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

log = logging.getLogger(__name__)

NO_LOCKS = (OSError, NotImplementedError)  # a read-only folder, or a file system without locks
POLL = 0.1  # seconds


@contextmanager
def alone(lock: Path, doing: str) -> Iterator[bool]:
    """Hold a lock, and wait for it if another process has it, saying so once.

    Where no lock can be had, go on without: what is guarded must be right, if slower, even then.

    Parameters
    ----------
    lock : Path
        A file that is made and left there.
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
                log.info("%s: another process is at it; waiting", doing)
                held.enter_context(file.acquire(poll_interval=POLL))
        yield file.is_locked


def is_free(lock: Path) -> bool:
    """Whether a lock can be had and nobody has it."""
    from filelock import FileLock

    with suppress(*NO_LOCKS), FileLock(lock, timeout=0):  # Timeout is an OSError
        return True
    return False
