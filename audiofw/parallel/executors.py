"""Two ways to have items worked on elsewhere: threads of this process, and worker processes.

Both take chunks of items and give back `Work`; an item that fails by an error of ours is `Lost`, and harms no other.
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
HOPELESS = 10  # workers dying one after another


@dataclass(frozen=True)
class Lost:
    """An item without a result, and why, on one line."""

    reason: str
    error: AudiofwError = field(default_factory=DataError, repr=False, compare=False)

    @classmethod
    def by(cls, error: AudiofwError) -> Lost:
        """Lose an item by an error; its name is left to those who know it."""
        return cls(one_line(error.reason), error)


class Ready(NamedTuple):
    """An item whose result is there already: it is passed on in its place."""

    value: Any


class ChunkResult(NamedTuple):
    """The outcomes of a chunk, and the time they took."""

    outcomes: list[Any]
    seconds: float


def outcome(function: Callable[[Any], Any], item: Any) -> Any:
    """Call ``function`` on one item; an error of ours, of a recording or a plugin, makes it `Lost`.

    Anything else that is raised is a bug of ours, and nobody's data.
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
    """Chunks worked on by threads of this process."""

    worth = 0.005  # seconds that a chunk should last: a hundred times what handing it over costs

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
    """Chunks worked on by worker processes, which stay a while for the next call.

    A worker's death breaks the whole executor. What was under way is tried again, one item at a time, so that the
    item that kills is known and lost, and nothing else is.
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
        except BrokenExecutor as error:  # a worker died just now
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
        """Leave the workers to the next call; without one they end by themselves."""

    def stop(self) -> None:
        if self._executor:
            self._executor.shutdown(kill_workers=True)

    def _workers(self) -> Any:
        import loky

        self._executor = loky.get_reusable_executor(self._n, env=ONE_THREAD)
        return self._executor

    def _alone(self, item: Any) -> Any:
        """Work on one item with nothing beside it: if a worker dies now, it is known of what."""
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
    """A function as bytes, and the plugin files to import before it is taken out."""

    plugins: tuple[tuple[str, str], ...]
    function: bytes


def pack_function(function: Callable[[Any], Any]) -> Parcel:
    """Make a function ready to travel to another process.

    Raises
    ------
    PluginError
        If it cannot be pickled.
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


@lru_cache(maxsize=2)  # a worker unpacks once, however many chunks it gets
def unpack_function(parcel: Parcel) -> Callable[[Any], Any]:
    """Take the function out, in the process where it is to run.

    Raises
    ------
    PluginError
        If what it needs is not there.
    """
    import cloudpickle

    try:
        for name, file in parcel.plugins:
            _import_plugin(name, file)
        function: Callable[[Any], Any] = cloudpickle.loads(parcel.function)
    except Exception as error:  # a plugin's import may raise anything
        raise PluginError(f"does not load in a worker process: {type(error).__name__}: {one_line(error)}") from error
    threadpool_limits(1)  # for good: this process has siblings on the other cores
    return function


def _import_plugin(name: str, file: str) -> None:
    _found_package(name)
    import_file(Path(file), name.rpartition(".")[0])


def _found_package(name: str) -> None:
    """Have the package that plugin files are named after: pickle imports it before the module."""
    package = name.partition(".")[0]
    sys.modules.setdefault(package, ModuleType(package))


def _work_elsewhere(parcel: Parcel, chunk: list[Any]) -> ChunkResult:
    return _work(unpack_function(parcel), chunk)
