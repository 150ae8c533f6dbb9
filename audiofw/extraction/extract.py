"""Extract a feature table from clips, in parallel and through the cache, padded to equal width."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from itertools import takewhile
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from audiofw.audio.stretch import Stretch
from audiofw.errors import ClipError, DataError, PluginError
from audiofw.extraction.collected import Spill, stack_all
from audiofw.extraction.failures import Failure, Failures, OnError
from audiofw.extraction.padding import PadValue, make_gatherer
from audiofw.extraction.recording import Unit
from audiofw.parallel.executors import Lost, Ready
from audiofw.parallel.workers import count_workers, outcomes

if TYPE_CHECKING:
    from audiofw.cache.store import RecipeCache
    from audiofw.data.dataset import Clip

log = logging.getLogger(__name__)


class Table(NamedTuple):
    """A feature table.

    Attributes
    ----------
    X
        float32 ``(rows, d)``, finite, a memory map if it is large; for a pooling that learns, an object array of
        matrices ``(rows, frames)``.
    kept
        Indices of the clips with rows, ascending.
    clip_of
        For each row, the position of its clip in ``kept``; ascending.
    failures
        The clips that could not be used.
    cached
        Number of clips found in the cache.
    widths
        With several features, the number of columns of each.
    """

    X: np.ndarray
    kept: np.ndarray
    clip_of: np.ndarray
    failures: list[Failure]
    cached: int
    widths: tuple[int, ...] = ()


class Rows(NamedTuple):
    """Rows of clips and of augmented copies: ``X`` and ``clip_of`` as in `Table`, and a mask of the copies' rows."""

    X: np.ndarray
    clip_of: np.ndarray
    augmented: np.ndarray


def join(table: Table, copies: Sequence[Table], spill: Spill | None = None) -> Rows:
    """Append the rows of augmented copies, which were made from the table's kept clips in the same order."""
    tables = [table, *copies]
    clip_of = [table.clip_of, *(copy.kept[copy.clip_of] for copy in copies)]
    augmented = np.repeat([False, *(True for _ in copies)], [len(each.X) for each in tables])
    X = stack_all([each.X for each in tables], spill) if copies else table.X
    return Rows(X, np.concatenate(clip_of), augmented)


def tabulate(
    clips: Sequence[Clip],
    unit: Unit,
    *,
    n_jobs: int = -1,
    pad_to: Literal["duration", "longest"] = "duration",
    pad_value: PadValue = "floor",
    on_error: OnError = "skip",
    on_plugin_error: OnError = "raise",
    recipe_cache: RecipeCache | None = None,
    width: int | None = None,
    spill: Spill | None = None,
    progress: str = "extract",
) -> Table:
    """Extract a feature table; the result does not depend on ``n_jobs`` or on the cache.

    Parameters
    ----------
    clips : sequence of Clip
    unit : Unit
        The extraction of one recording. It is tried first on a synthetic clip.
    n_jobs : int
        Number of workers, as in scikit-learn: threads, or processes if a plugin holds the GIL.
    pad_to : {"duration", "longest"}
        Width of the table: that of a clip of the unit's duration, or of the longest row. If recordings are read to the
        end, or at their own sampling rates, rows must have equal widths or be padded to the longest.
    pad_value : {"zero", "floor"}
        Padding of shorter rows: zeros, or the row's minimum.
    on_error : {"skip", "raise"}
        Whether to list a clip that cannot be used among the failures, or to raise. This includes clips for which a
        plugin returns NaN, infinity or nothing, or raises librosa's ``ParameterError``.
    on_plugin_error : {"skip", "raise"}
        Whether to list a clip on which a plugin fails in any other way, or to raise, once the clips in progress are
        finished and cached. With "raise", plugins that return nothing usable for more than 1 % of the clips, and at
        least three, also raise, after the last clip.
    recipe_cache : RecipeCache, optional
        Cache of rows.
    width : int, optional
        Width of the table, to match another table.
    spill : Spill, optional
        Where a large table goes; by default, it is kept in memory.
    progress : str
        Label of the progress bar on stderr (only on a terminal); empty for no bar.

    Returns
    -------
    Table

    Raises
    ------
    DataError
        If no clip could be used, or one could not and ``on_error="raise"``; if rows differ in width; or if the table
        does not fit in memory.
    PluginError
        If a plugin fails on the synthetic clip, or as controlled by ``on_plugin_error``; unless the plugin raised
        another AudiofwError.
    """
    if not clips:
        raise DataError("there are no clips to extract features from")
    settled, started = _try_out(unit, on_plugin_error), perf_counter()
    to_longest = pad_to == "longest" and width is None
    matrices = unit.pooling.learns
    rows = make_gatherer(len(clips), width or settled, pad_value, to_longest=to_longest, matrices=matrices, spill=spill)
    kept, counts, failures, cached = [], [], Failures(on_error, on_plugin_error), 0
    handed_out = takewhile(lambda _: not failures.fatal, (clip.stretch for clip in clips))
    n_jobs = min(count_workers(n_jobs), len(clips))
    with closing(_extracted(handed_out, unit, recipe_cache, n_jobs)) as results, _bar(progress, len(clips)) as advance:
        # after a fatal failure, no new clip is started, and those in progress are finished
        for i, (clip, result) in enumerate(zip(clips, results, strict=False)):
            if isinstance(result, Extracted):
                result = rows.add(result.made, clip.name) or result
            if isinstance(result, Lost):
                failures.add(clip, result)
            else:
                kept.append(i)
                counts.append(len(result.made))
                cached += result.cached
            advance()
    failures.check(len(clips))
    clip_of = np.repeat(np.arange(len(kept)), counts)
    table = Table(rows.stack(), np.array(kept, dtype=np.intp), clip_of, failures.listed, cached)
    _log(len(clips), perf_counter() - started, cached)
    return table


class Extracted(NamedTuple):
    """The rows of a clip, and whether they came from the cache."""

    made: np.ndarray
    cached: bool


def _try_out(unit: Unit, on_plugin_error: OnError) -> int | None:
    try:
        return unit.try_out()
    except PluginError as error:
        if on_plugin_error == "skip" and (error.__cause__ or isinstance(error, ClipError)):  # recordings may do
            return None
        raise


def _extracted(
    sounds: Iterable[Stretch], unit: Unit, recipe_cache: RecipeCache | None, n: int
) -> Generator[Extracted | Lost, None, None]:
    if not unit.holds_gil:
        return outcomes(cached_or_made(unit, recipe_cache), sounds, n_jobs=n)
    if recipe_cache is None:
        return outcomes(cached_or_made(unit, None), sounds, n_jobs=n, processes=True)
    return _extracted_by_processes(sounds, unit, recipe_cache, n)


def cached_or_made(
    make: Callable[[Stretch], np.ndarray], recipe_cache: RecipeCache | None
) -> Callable[[Stretch], Extracted]:
    """Wrap ``make`` so that its results are looked up in, and added to, the cache."""

    def find_or_make(sound: Stretch) -> Extracted:
        made = recipe_cache.get(sound.path, sound.key) if recipe_cache else None
        if made is not None:
            return Extracted(made, cached=True)
        made = make(sound)
        if recipe_cache:
            recipe_cache.put(sound.path, made, sound.key)
        return Extracted(made, cached=False)

    return find_or_make


def _extracted_by_processes(
    sounds: Iterable[Stretch], unit: Unit, recipe_cache: RecipeCache, n: int
) -> Generator[Extracted | Lost, None, None]:
    """Use the cache in this process, and extract missing rows in worker processes."""
    under_way: deque[Stretch] = deque()

    def look_up(sound: Stretch) -> Ready | Stretch:
        under_way.append(sound)
        made = recipe_cache.get(sound.path, sound.key)
        return sound if made is None else Ready(Extracted(made, cached=True))

    with closing(outcomes(unit, map(look_up, sounds), n_jobs=n, processes=True)) as results:
        for result in results:
            sound = under_way.popleft()
            if isinstance(result, (Extracted, Lost)):
                yield result
            else:
                recipe_cache.put(sound.path, result, sound.key)
                yield Extracted(result, cached=False)


def _bar(progress: str, total: int) -> AbstractContextManager[Callable[[], Any]]:
    if not progress:
        return nullcontext(lambda: None)
    from audiofw.system.progress import counting

    return counting(progress, total)


def _log(count: int, seconds: float, cached: int) -> None:
    log.debug("%d clips in %.1f s (%.0f clips/s), %d from the cache", count, seconds, count / seconds, cached)
