"""Clips to a table: each recording's rows are made in parallel, or found in the cache, and padded to one width."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from audiofw.errors import DataError
from audiofw.extraction.padding import Even, Gatherer, Longest, PadValue, Pictures
from audiofw.extraction.recording import Unit
from audiofw.parallel.executors import Lost, Ready
from audiofw.parallel.workers import count_workers, outcomes

if TYPE_CHECKING:
    from audiofw.cache.store import RecipeCache
    from audiofw.data.dataset import Clip

log = logging.getLogger(__name__)


class Failure(NamedTuple):
    """A clip that could not be used, and why."""

    name: str
    path: str
    reason: str


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
    on_error: Literal["skip", "raise"] = "skip",
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
        Whether a clip that fails is listed among the failures, or ends the work.
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
    AudiofwError
        For a plugin that fails on the made-up clip.
    """
    if not clips:
        raise DataError("there are no clips to make a table of")
    settled, started = unit.try_out(), perf_counter()
    rows: Gatherer = Even(len(clips), width or settled, pad_value)
    if unit.pooling.learns:
        rows = Pictures()
    elif pad_to == "longest" and width is None:
        rows = Longest(pad_value)
    kept, counts, failures, cached = [], [], [], 0
    with closing(_extracted(clips, unit, recipe_cache, n_jobs)) as results, _bar(progress, len(clips)) as advance:
        for i, (clip, result) in enumerate(zip(clips, results, strict=True)):
            if isinstance(result, Extracted):
                result = rows.add(result.made, clip.name) or result
            if isinstance(result, Extracted):
                kept.append(i)
                counts.append(len(result.made))
                cached += result.cached
            elif on_error == "raise":
                raise DataError(f"{clip.path}: {result.reason}")
            else:
                failures.append(Failure(clip.name, str(clip.path), result.reason))
            advance()
    _check_any(kept, failures)
    clip_of = np.repeat(np.arange(len(kept)), counts)
    table = Table(rows.stack(), np.array(kept, dtype=np.intp), clip_of, failures, cached)
    _log(len(clips), perf_counter() - started, cached)
    return table


class Extracted(NamedTuple):
    """What was made of a clip, and whether it was found in the cache."""

    made: np.ndarray
    cached: bool


def _extracted(
    clips: Sequence[Clip], unit: Unit, recipe_cache: RecipeCache | None, n_jobs: int
) -> Generator[Extracted | Lost, None, None]:
    n = min(count_workers(n_jobs), len(clips))
    paths = (clip.path for clip in clips)
    if not unit.holds_gil:
        return outcomes(cached_or_made(unit, recipe_cache), paths, n_jobs=n)
    if recipe_cache is None:
        return outcomes(cached_or_made(unit, None), paths, n_jobs=n, processes=True)
    return _extracted_by_processes(clips, unit, recipe_cache, n)


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
    clips: Sequence[Clip], unit: Unit, recipe_cache: RecipeCache, n: int
) -> Generator[Extracted | Lost, None, None]:
    """Look rows up here, have the missing ones made elsewhere: the recipe_cache stays in this process."""

    def look_up(path: Path) -> Ready | Path:
        made = recipe_cache.get(path)
        return path if made is None else Ready(Extracted(made, cached=True))

    with closing(outcomes(unit, (look_up(clip.path) for clip in clips), n_jobs=n, processes=True)) as results:
        for clip, result in zip(clips, results, strict=True):
            if isinstance(result, (Extracted, Lost)):
                yield result
            else:
                recipe_cache.put(clip.path, result)
                yield Extracted(result, cached=False)


def _check_any(kept: Sequence[int], failures: Sequence[Failure]) -> None:
    if kept:
        return
    reasons = Counter(failure.reason for failure in failures).most_common(3)
    told = "; ".join(f"{reason} ({count} ×)" for reason, count in reasons)
    raise DataError(f"none of {len(failures)} clips could be used, {failures[0].name} the first: {told}")


def _bar(progress: str, total: int) -> AbstractContextManager[Callable[[], Any]]:
    if not progress:
        return nullcontext(lambda: None)
    from audiofw.system.progress import counting

    return counting(progress, total)


def _log(count: int, seconds: float, cached: int) -> None:
    log.debug("%d clips in %.1f s (%.0f clips/s), %d from the cache", count, seconds, count / seconds, cached)
