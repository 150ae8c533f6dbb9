"""Executors for chunks of items: threads of this process, and worker processes.

Both return a `ChunkResult` per chunk. An item that fails with an AudiofwError becomes `Lost`, without affecting others.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from threadpoolctl import threadpool_limits

from audiofw.errors import AudiofwError, ClipError, DataError, PluginError, one_line
from audiofw.system.importing import PLUGIN_PACKAGES, import_file

log = logging.getLogger(__name__)

ONE_THREAD = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL", "NUMBA")}
HOPELESS = 10  # workers that die in a row before giving up


@dataclass(frozen=True)
class Lost:
    """An item without a result, with a one-line reason."""

    reason: str
    error: AudiofwError = field(default_factory=DataError, repr=False, compare=False)

    @classmethod
    def by(cls, error: AudiofwError) -> Lost:
        """Create from an error; the caller knows the item's name."""
        return cls(one_line(error.reason), error)


class Ready(NamedTuple):
    """An item whose result is already known, and passed through."""

    value: Any


class ChunkResult(NamedTuple):
    """The outcomes of a chunk, and the time in seconds."""

    outcomes: list[Any]
    seconds: float


def outcome(function: Callable[[Any], Any], item: Any) -> Any:
    """Call ``function`` on one item; an AudiofwError, caused by a recording or a plugin, becomes `Lost`.

    Any other exception is a bug in audiofw and propagates.
    """
    if isinstance(item, Ready):
        return item.value
    try:
        return function(item)
    except AudiofwError as error:
        return Lost.by(error)


def _work(function: Callable[[Any], Any], chunk: list[Any], stopped: Callable[[], bool] = lambda: False) -> ChunkResult:
    start = time.perf_counter()
    results = [outcome(function, item) for item in chunk if not stopped()]
    return ChunkResult(results, time.perf_counter() - start)


class Threads:
    """Process chunks in threads of this process."""

    worth = 0.005  # target duration of a chunk in seconds: a hundred times the overhead of submitting it

    def __init__(self, function: Callable[[Any], Any], n: int) -> None:
        self._executor = ThreadPoolExecutor(n, thread_name_prefix="audiofw")
        self._stopped = threading.Event()
        self._work = partial(_work, function, stopped=self._stopped.is_set)

    def submit(self, chunk: list[Any]) -> Future[ChunkResult]:
        return self._executor.submit(self._work, chunk)

    def settle(self, chunk: list[Any], future: Future[ChunkResult]) -> ChunkResult:
        return future.result()

    def close(self) -> None:
        self._executor.shutdown()

    def stop(self) -> None:
        self._stopped.set()
        self._executor.shutdown(cancel_futures=True)


class Processes:
    """Process chunks in worker processes, which are kept for a while for the next call.

    If a worker dies, the whole executor breaks. The items in progress are then retried one at a time, so that only the
    item that kills the worker is lost.
    """

    worth = 0.05

    def __init__(self, function: Callable[[Any], Any], n: int) -> None:
        self._n = n
        self._parcel = pack_function(function)
        self._executor: Any = None
        self._under_way: set[Future[ChunkResult]] = set()
        self._deaths = 0

    def submit(self, chunk: list[Any]) -> Future[ChunkResult]:
        if all(isinstance(item, Ready) for item in chunk):
            return _finished(ChunkResult([item.value for item in chunk], 0.0))
        try:
            future = self._workers().submit(_work_elsewhere, self._parcel, chunk)
        except BrokenExecutor as error:  # a worker has just died
            return _finished(error)
        self._under_way.add(future)
        return future

    def settle(self, chunk: list[Any], future: Future[ChunkResult]) -> ChunkResult:
        try:
            work = future.result()
        except BrokenExecutor:
            return ChunkResult([self._alone(item) for item in chunk], self.worth)
        finally:
            self._under_way.discard(future)
        self._deaths = 0
        return work

    def close(self) -> None:
        """Keep the workers for the next call; they exit by themselves after a while."""

    def stop(self) -> None:
        if self._executor:
            self._executor.shutdown(kill_workers=True)

    def _workers(self) -> Any:
        import loky

        self._executor = loky.get_reusable_executor(self._n, env=ONE_THREAD)
        return self._executor

    def _alone(self, item: Any) -> Any:
        """Process one item with no others in progress, so that a worker's death can be attributed to it."""
        wait(self._under_way)
        future = self.submit([item])
        try:
            result = future.result().outcomes[0]
        except BrokenExecutor as error:
            self._count_death(error)
            return Lost.by(ClipError("worker died: killed or out of memory"))
        finally:
            self._under_way.discard(future)
        self._deaths = 0
        return result

    def _count_death(self, error: BrokenExecutor) -> None:
        self._deaths += 1
        log.debug("a worker process died: %s", one_line(error))
        if self._deaths == HOPELESS:
            raise PluginError(f"{HOPELESS} worker processes died one after another: killed or out of memory") from error


def _finished(result: ChunkResult | BrokenExecutor) -> Future[ChunkResult]:
    future: Future[ChunkResult] = Future()
    if isinstance(result, ChunkResult):
        future.set_result(result)
    else:
        future.set_exception(result)
    return future


class Parcel(NamedTuple):
    """A pickled function, and the plugin files to import before unpickling it."""

    plugins: tuple[tuple[str, str], ...]
    function: bytes


def pack_function(function: Callable[[Any], Any]) -> Parcel:
    """Pickle a function for another process.

    Raises
    ------
    PluginError
        If the function cannot be pickled.
    """
    import cloudpickle

    for name in _plugin_modules():
        _found_package(name)
    try:
        content = cloudpickle.dumps(function)
    except Exception as error:  # any object's __reduce__ may raise anything
        reason = f"{type(error).__name__}: {one_line(error)}"
        raise PluginError(f"cannot be sent to worker processes ({reason}): register it with holds_gil=False") from error
    needed = [name for name in _plugin_modules() if name.encode() in content]
    return Parcel(tuple((name, sys.modules[name].__file__ or "") for name in needed), content)


def _plugin_modules() -> list[str]:
    return [name for name in sys.modules if name.startswith(PLUGIN_PACKAGES)]


@lru_cache(maxsize=2)  # a worker unpickles once for all its chunks
def unpack_function(parcel: Parcel) -> Callable[[Any], Any]:
    """Unpickle a function in the process where it runs.

    Raises
    ------
    PluginError
        If something that it needs is missing.
    """
    import cloudpickle

    try:
        for name, file in parcel.plugins:
            _import_plugin(name, file)
        function: Callable[[Any], Any] = cloudpickle.loads(parcel.function)
    except Exception as error:  # a plugin's import may raise anything
        raise PluginError(f"cannot be loaded in a worker process: {type(error).__name__}: {one_line(error)}") from error
    threadpool_limits(1)  # permanently, since the other workers use the other cores
    return function


def _import_plugin(name: str, file: str) -> None:
    _found_package(name)
    import_file(Path(file), name.rpartition(".")[0])


def _found_package(name: str) -> None:
    """Create the parent package of plugin files' modules, which pickle imports before the module."""
    package = name.partition(".")[0]
    sys.modules.setdefault(package, ModuleType(package))


def _work_elsewhere(parcel: Parcel, chunk: list[Any]) -> ChunkResult:
    return _work(unpack_function(parcel), chunk)
