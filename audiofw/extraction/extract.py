"""Clips to a table: each recording's rows are made in parallel, or found in the cache, and padded to one width."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from itertools import takewhile
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from audiofw.errors import DataError
from audiofw.extraction.failures import Failure, Failures, OnError
from audiofw.extraction.padding import Even, Gatherer, Longest, PadValue, Pictures
from audiofw.extraction.recording import Unit
from audiofw.parallel.executors import Lost, Ready
from audiofw.parallel.workers import count_workers, outcomes

if TYPE_CHECKING:
    from audiofw.cache.store import RecipeCache
    from audiofw.data.dataset import Clip

log = logging.getLogger(__name__)


class Table(NamedTuple):
    """What the clips became.

    ``X`` is float32 ``(rows, d)``, finite, or for a pooling that learns an array of pictures, ``dtype=object``.
    ``kept`` holds the index of each clip that has rows, and ``clip_of`` tells of each row which of these it is of; both
    ascend. ``cached`` counts the clips that were found in the cache.
    """

    X: np.ndarray
    kept: np.ndarray
    clip_of: np.ndarray
    failures: list[Failure]
    cached: int


class Rows(NamedTuple):
    """Rows of clips and of changed copies of them: ``X`` and ``clip_of`` as in `Table`, and a mask of the copies'."""

    X: np.ndarray
    clip_of: np.ndarray
    augmented: np.ndarray


def join(table: Table, copies: Sequence[Table]) -> Rows:
    """Put the rows of changed copies below a table's; the copies are of the table's kept clips, in their order."""
    tables = [table, *copies]
    clip_of = [table.clip_of, *(copy.kept[copy.clip_of] for copy in copies)]
    augmented = np.repeat([False, *(True for _ in copies)], [len(each.X) for each in tables])
    X = np.concatenate([each.X for each in tables]) if copies else table.X
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
    progress: str = "extract",
) -> Table:
    """Make the table of some clips; the same one whatever ``n_jobs`` and whatever the recipe_cache holds.

    Parameters
    ----------
    clips : sequence of Clip
    unit : Unit
        What makes a clip's rows. It is tried out first, on a made-up clip.
    n_jobs : int
        Workers, in scikit-learn's sense: threads, or processes if the unit holds the GIL.
    pad_to : {"duration", "longest"}
        Width of the table: that of a clip of the unit's duration, or of the longest row. A unit that reads to the end,
        or at each file's own rate, has rows of one width or must pad to the longest.
    pad_value : {"zero", "floor"}
        What shorter rows end with: zeros, or the row's own minimum.
    on_error : {"skip", "raise"}
        Whether a clip that cannot be used is listed among the failures, or ends the work. So is a clip for which a
        plugin gives NaN, infinity, nothing at all, or librosa's ``ParameterError``.
    on_plugin_error : {"skip", "raise"}
        Whether a clip on which a plugin fails in any other way is listed, or ends the work, once the clips under way
        are finished and in the cache. With "raise", plugins that give nothing usable for more than 1 % of the clips,
        and at least three, end the work too, after the last clip.
    recipe_cache : RecipeCache, optional
        Rows made earlier.
    width : int, optional
        Of another table, that this one is to have, too.
    progress : str
        What the bar on stderr, if that is a terminal, says; nothing for no bar.

    Raises
    ------
    DataError
        If no clip could be used, or one could not and ``on_error="raise"``; if the table has no one width, or no
        memory holds it.
    PluginError
        For a plugin that fails on the made-up clip, and as ``on_plugin_error`` says; unless the plugin chose another of
        audiofw's errors.
    """
    if not clips:
        raise DataError("there are no clips to make a table of")
    settled, started = unit.try_out(), perf_counter()
    rows: Gatherer = Even(len(clips), width or settled, pad_value)
    if unit.pooling.learns:
        rows = Pictures()
    elif pad_to == "longest" and width is None:
        rows = Longest(pad_value)
    kept, counts, failures, cached = [], [], Failures(on_error, on_plugin_error), 0
    handed_out = takewhile(lambda _: not failures.fatal, (clip.path for clip in clips))
    n_jobs = min(count_workers(n_jobs), len(clips))
    with closing(_extracted(handed_out, unit, recipe_cache, n_jobs)) as results, _bar(progress, len(clips)) as advance:
        # after a fatal failure no clip is handed out any more, and what is under way is finished
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
    """What was made of a clip, and whether it was found in the cache."""

    made: np.ndarray
    cached: bool


def _extracted(
    paths: Iterable[Path], unit: Unit, recipe_cache: RecipeCache | None, n: int
) -> Generator[Extracted | Lost, None, None]:
    if not unit.holds_gil:
        return outcomes(cached_or_made(unit, recipe_cache), paths, n_jobs=n)
    if recipe_cache is None:
        return outcomes(cached_or_made(unit, None), paths, n_jobs=n, processes=True)
    return _extracted_by_processes(paths, unit, recipe_cache, n)


def cached_or_made(make: Callable[[Path], np.ndarray], recipe_cache: RecipeCache | None) -> Callable[[Path], Extracted]:
    """Give what finds on the recipe_cache what was made of a recording, or makes it and puts it there."""

    def find_or_make(path: Path) -> Extracted:
        made = recipe_cache.get(path) if recipe_cache else None
        if made is not None:
            return Extracted(made, cached=True)
        made = make(path)
        if recipe_cache:
            recipe_cache.put(path, made)
        return Extracted(made, cached=False)

    return find_or_make


def _extracted_by_processes(
    paths: Iterable[Path], unit: Unit, recipe_cache: RecipeCache, n: int
) -> Generator[Extracted | Lost, None, None]:
    """Look rows up here, have the missing ones made elsewhere: the recipe_cache stays in this process."""
    under_way: deque[Path] = deque()

    def look_up(path: Path) -> Ready | Path:
        under_way.append(path)
        made = recipe_cache.get(path)
        return path if made is None else Ready(Extracted(made, cached=True))

    with closing(outcomes(unit, map(look_up, paths), n_jobs=n, processes=True)) as results:
        for result in results:
            path = under_way.popleft()
            if isinstance(result, (Extracted, Lost)):
                yield result
            else:
                recipe_cache.put(path, result)
                yield Extracted(result, cached=False)


def _bar(progress: str, total: int) -> AbstractContextManager[Callable[[], Any]]:
    if not progress:
        return nullcontext(lambda: None)
    from audiofw.system.progress import counting

    return counting(progress, total)


def _log(count: int, seconds: float, cached: int) -> None:
    log.debug("%d clips in %.1f s (%.0f clips/s), %d from the cache", count, seconds, count / seconds, cached)
