"""Map a function over items on all cores: in order, with bounded memory, and with errors per item.

Items are submitted in small chunks, to reduce the overhead for fast ones, and only a few chunks are in progress at
once, so that memory does not grow with the number of items.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future
from itertools import islice
from typing import Any

from audiofw.errors import ConfigError
from audiofw.parallel.executors import ChunkResult, Processes, Threads, outcome
from audiofw.parallel.limits import one_thread

AHEAD = 4  # chunks in progress per worker: enough that a slow one does not leave the others idle
MOST_WORKERS = 1024
LARGEST = 16  # maximum items per chunk, since results are held until their turn


def cores() -> int:
    """Number of cores available to this process, considering CPU affinity and container limits."""
    import loky  # supports control groups; 50 ms

    return int(loky.cpu_count())


def count_workers(n_jobs: int) -> int:
    """Number of workers for ``n_jobs`` as in scikit-learn: -1 means all cores, -2 all but one.

    Raises
    ------
    ConfigError
        If ``n_jobs`` is 0, or of more workers than any machine has cores.
    """
    if not 1 <= abs(n_jobs) <= MOST_WORKERS:
        raise ConfigError(f"n_jobs={n_jobs}: set the number of workers, up to {MOST_WORKERS}, or -1 for all cores")
    return n_jobs if n_jobs > 0 else max(1, cores() + 1 + n_jobs)


def outcomes(
    function: Callable[[Any], Any], items: Iterable[Any], *, n_jobs: int = -1, processes: bool = False
) -> Generator[Any, None, None]:
    """Call ``function`` on every item.

    Parameters
    ----------
    function : callable of one item
        If it raises an AudiofwError, only that item is lost. Any other exception propagates, with the traceback of the
        thread or process where it was raised. BLAS is limited to one thread.
    items : iterable
        Consumed lazily, in the caller's thread. `Ready` items are passed through.
    n_jobs : int
        Number of workers, as in scikit-learn; 1 runs in the caller's thread.
    processes : bool
        Use worker processes instead of threads, for a function that holds the GIL. An item whose worker dies twice is
        lost; the others are not.

    Yields
    ------
    result or Lost
        One per item, in order. Closing the iterator, or Ctrl-C, stops early: threads finish their current items, worker
        processes are terminated at once.

    Raises
    ------
    ConfigError
        If ``n_jobs`` is 0.
    PluginError
        If the function cannot be sent to a worker process, or kills every worker.
    Exception
        Any other exception of the function: a bug.
    """
    n = count_workers(n_jobs)
    with one_thread("blas", "openmp"):
        if n == 1:
            yield from (outcome(function, item) for item in items)
            return
        executor = Processes(function, n) if processes else Threads(function, n)
        try:
            yield from _in_order(executor, iter(items), n * AHEAD)
        except BaseException:
            executor.stop()
            raise
        executor.close()


def _in_order(executor: Threads | Processes, items: Iterator[Any], most: int) -> Iterator[Any]:
    """Keep at most ``most`` chunks in progress, and yield the outcomes of the oldest."""
    pending: deque[tuple[list[Any], Future[ChunkResult]]] = deque()
    size = 1
    while True:
        while len(pending) < most and (chunk := list(islice(items, size))):
            pending.append((chunk, executor.submit(chunk)))
        if not pending:
            return
        work = executor.settle(*pending.popleft())
        yield from work.outcomes
        size = _next_size(size, work.seconds, executor.worth)


def _next_size(size: int, seconds: float, worth: float) -> int:
    if seconds < worth:
        return min(2 * size, LARGEST)
    return max(size // 2, 1) if seconds > 4 * worth else size
