"""One process at a time: a lock on a file, which the kernel frees when its holder dies."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

log = logging.getLogger(__name__)


@contextmanager
def alone(lock: Path, doing: str) -> Iterator[None]:
    """Hold a lock, and wait for it if another process has it, saying so once.

    Where no lock can be had, go on without: what is guarded must be right, if slower, even then.

    Parameters
    ----------
    lock : Path
        A file that is made and left there.
    doing : str
        What the other process is doing, for the message.
    """
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        file = lock.open("ab")
    except OSError:
        yield
        return
    with file:
        if try_lock(file) is False:
            log.info("%s: another process is at it; waiting", doing)
            while try_lock(file) is False:
                time.sleep(0.1)
        yield


def try_lock(file: IO[bytes]) -> bool | None:
    """Lock an open file until it is closed: True; False if another holds it; None where locks fail."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        return None
    return True
