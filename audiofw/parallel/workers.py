"""Run a function over many items on every core: in order, in bounded memory, each error of ours on its own.

Items travel in small chunks, so that quick ones cost little, and only a few chunks are under way at once, so that
memory does not grow with their number.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future
from itertools import islice
from typing import Any

from threadpoolctl import threadpool_limits

from audiofw.errors import ConfigError
from audiofw.parallel.executors import ChunkResult, Processes, Threads, outcome

AHEAD = 4  # chunks under way for each worker: enough that a slow one does not leave the others idle
LARGEST = 16  # items of a chunk: their results are held until their turn comes


def cores() -> int:
    """Count the cores that this process may use: affinity and the container's limits included."""
    import loky  # it knows control groups; 50 ms

    return int(loky.cpu_count())


def count_workers(n_jobs: int) -> int:
    """Read ``n_jobs`` as scikit-learn does: -1 is every core, -2 all but one.

    Raises
    ------
    ConfigError
        For zero.
    """
    if n_jobs == 0:
        raise ConfigError("n_jobs=0: give the number of workers, or -1 for every core")
    return n_jobs if n_jobs > 0 else max(1, cores() + 1 + n_jobs)


def outcomes(
    function: Callable[[Any], Any], items: Iterable[Any], *, n_jobs: int = -1, processes: bool = False
) -> Generator[Any, None, None]:
    """Call ``function`` on every item.

    Parameters
    ----------
    function : callable of one item
        An error of ours (`AudiofwError`) costs that item alone; anything else that it raises ends the work, with the
        traceback of the thread or process where it was raised. BLAS is held to one thread around it.
    items : iterable
        Taken as they are needed, in the caller's thread. A `Ready` one is passed on.
    n_jobs : int
        Workers, in scikit-learn's sense; 1 works in the caller's thread.
    processes : bool
        Worker processes for a function that holds the GIL, in place of threads. An item whose worker dies twice is
        lost, the others are not.

    Yields
    ------
    result or Lost
        One for each item, in the items' order. Close the iterator to end the work early: it waits for the items in
        the workers' hands, no more. An interrupt (Ctrl-C) does the same. Worker processes are ended at once.

    Raises
    ------
    ConfigError
        For ``n_jobs=0``.
    PluginError
        For a function that cannot be sent to a worker process, or that kills every one.
    Exception
        Whatever else the function raises: a bug.
    """
    n = count_workers(n_jobs)
    with threadpool_limits(1):
        if n == 1:
            yield from (outcome(function, item) for item in items)
            return
        lane = Processes(function, n) if processes else Threads(function, n)
        try:
            yield from _in_order(lane, iter(items), n * AHEAD)
        except BaseException:
            lane.stop()
            raise
        lane.close()


def _in_order(lane: Threads | Processes, items: Iterator[Any], most: int) -> Iterator[Any]:
    """Keep at most so many chunks under way, and yield the outcomes of the oldest."""
    pending: deque[tuple[list[Any], Future[ChunkResult]]] = deque()
    size = 1
    while True:
        while len(pending) < most and (chunk := list(islice(items, size))):
            pending.append((chunk, lane.submit(chunk)))
        if not pending:
            return
        work = lane.settle(*pending.popleft())
        yield from work.outcomes
        size = _next_size(size, work.seconds, lane.worth)


def _next_size(size: int, seconds: float, worth: float) -> int:
    if seconds < worth:
        return min(2 * size, LARGEST)
    return max(size // 2, 1) if seconds > 4 * worth else size
