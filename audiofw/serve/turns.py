"""One recording at a time: work waits for its turn in one thread, and nobody waits for it longer than a limit."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from audiofw.errors import DataError

T = TypeVar("T")


class BusyError(DataError):
    """Work that was not done in time."""


class Turns:
    """Runs functions one after the other in a thread.

    Memory for decoding and features is then used once, however many recordings arrive together, and a plugin's feature
    or a classifier need not be thread-safe.

    Parameters
    ----------
    seconds : float
        The longest wait for a result.
    clock : callable
        Seconds, as `time.monotonic` gives them.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds = seconds
        self._clock = clock
        self._began: float | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="audiofw-turns")

    async def run(self, work: Callable[..., T], *args: Any) -> T:
        """Wait for the result of ``work(*args)``; may be called from any event loop.

        Raises
        ------
        BusyError
            If it takes too long. Python cannot stop it: what has begun goes on, and all else waits for it.
        """
        future = self._thread.submit(self._take, work, *args)
        try:
            return await asyncio.wait_for(asyncio.wrap_future(future), self.seconds)
        except TimeoutError as error:
            raise BusyError(f"not answered within {self.seconds:g} s; try again later") from error

    def _take(self, work: Callable[..., T], *args: Any) -> T:
        self._began = self._clock()
        try:
            return work(*args)
        finally:
            self._began = None

    def close(self) -> None:
        """Wait for what has begun, and give up the rest."""
        self._thread.shutdown(cancel_futures=True)

    @property
    def stuck(self) -> bool:
        """Whether what runs now has taken longer than anyone waits."""
        began = self._began
        return began is not None and self._clock() - began > self.seconds
