"""Clips to a table: each recording's row is made in parallel, or found in the cache, and padded to one width."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

import numpy as np

from audiofw.errors import DataError
from audiofw.unit import Choice, Unit
from audiofw.workers import Known, Lost, count_workers, outcomes

if TYPE_CHECKING:
    from audiofw.dataset import Clip

__all__ = ["Choice", "Failure", "Shelf", "Table", "Unit", "tabulate"]

log = logging.getLogger(__name__)

PadValue = Literal["zero", "floor"]


class Failure(NamedTuple):
    """A clip that could not be used, and why."""

    name: str
    path: str
    reason: str


class Table(NamedTuple):
    """What the clips became.

    ``X`` is float32 ``(kept, d)``, finite; ``kept`` holds the index of each row's clip, ascending; ``cached`` counts
    the rows that were found in the cache.
    """

    X: np.ndarray
    kept: np.ndarray
    failures: list[Failure]
    cached: int


class Shelf(Protocol):
    """Where rows are kept between runs; many threads ask it at once."""

    def get(self, path: Path) -> np.ndarray | None: ...
    def put(self, path: Path, array: np.ndarray) -> None: ...


def tabulate(
    clips: Sequence[Clip],
    unit: Unit,
    *,
    n_jobs: int = -1,
    pad_to: Literal["duration", "longest"] = "duration",
    pad_value: PadValue = "floor",
    on_error: Literal["skip", "raise"] = "skip",
    shelf: Shelf | None = None,
    progress: bool = True,
) -> Table:
    """Make the table of some clips; the same one whatever ``n_jobs`` and whatever the shelf holds.

    Parameters
    ----------
    clips : sequence of Clip
    unit : Unit
        What makes a clip's row. It is tried out first, on a made-up clip.
    n_jobs : int
        Workers, in scikit-learn's sense: threads, or processes if the unit holds the GIL.
    pad_to : {"duration", "longest"}
        Width of the table: that of a clip of the unit's duration, or of the longest row. A unit that reads to the end,
        or at each file's own rate, has rows of one width or must pad to the longest.
    pad_value : {"zero", "floor"}
        What shorter rows end with: zeros, or the row's own minimum.
    on_error : {"skip", "raise"}
        Whether a clip that fails is listed among the failures, or ends the work.
    shelf : Shelf, optional
        Rows made earlier.
    progress : bool
        Show a bar on stderr, if that is a terminal.

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
    width, started = unit.try_out(), perf_counter()
    rows = Longest(pad_value) if pad_to == "longest" else Even(len(clips), width, pad_value)
    kept, failures, cached = [], [], 0
    with closing(_found(clips, unit, shelf, n_jobs)) as results, _bar(progress, len(clips)) as advance:
        for i, (clip, result) in enumerate(zip(clips, results, strict=True)):
            if isinstance(result, Found):
                result = rows.add(result.row, clip.name) or result
            if isinstance(result, Found):
                kept.append(i)
                cached += result.cached
            elif on_error == "raise":
                raise DataError(f"{clip.path}: {result.reason}")
            else:
                failures.append(Failure(clip.name, str(clip.path), result.reason))
            advance()
    _check_any(kept, failures)
    table = Table(rows.stack(), np.array(kept, dtype=np.intp), failures, cached)
    _log(len(clips), perf_counter() - started, cached)
    return table


class Found(NamedTuple):
    """A clip's row, and whether it was found in the cache."""

    row: np.ndarray
    cached: bool


def _found(clips: Sequence[Clip], unit: Unit, shelf: Shelf | None, n_jobs: int) -> Generator[Found | Lost, None, None]:
    n = min(count_workers(n_jobs), len(clips))
    paths = (clip.path for clip in clips)
    if not unit.holds_gil:
        return outcomes(finder(unit, shelf), paths, n_jobs=n)
    if shelf is None:
        return outcomes(finder(unit, None), paths, n_jobs=n, processes=True)
    return _found_beside_processes(clips, unit, shelf, n)


def finder(make: Callable[[Path], np.ndarray], shelf: Shelf | None) -> Callable[[Path], Found]:
    """Give what finds a recording's vector on the shelf, or makes it and puts it there."""

    def find_or_make(path: Path) -> Found:
        row = shelf.get(path) if shelf else None
        if row is not None:
            return Found(row, cached=True)
        row = make(path)
        if shelf:
            shelf.put(path, row)
        return Found(row, cached=False)

    return find_or_make


def _found_beside_processes(
    clips: Sequence[Clip], unit: Unit, shelf: Shelf, n: int
) -> Generator[Found | Lost, None, None]:
    """Look rows up here, have the missing ones made elsewhere: the shelf stays in this process."""

    def look_up(path: Path) -> Known | Path:
        row = shelf.get(path)
        return path if row is None else Known(Found(row, cached=True))

    with closing(outcomes(unit, (look_up(clip.path) for clip in clips), n_jobs=n, processes=True)) as results:
        for clip, result in zip(clips, results, strict=True):
            if isinstance(result, (Found, Lost)):
                yield result
            else:
                shelf.put(clip.path, result)
                yield Found(result, cached=False)


class Even:
    """Rows of a width that is known, or else the first row's; its memory is taken once."""

    def __init__(self, count: int, width: int | None, pad_value: PadValue) -> None:
        self._shape = (count, width)
        self._pad_value = pad_value
        self._X = None if width is None else _allocate(count, width)
        self._first = ""
        self._filled = 0

    def add(self, row: np.ndarray, name: str) -> Lost | None:
        """Take a row in, or say why not.

        Raises
        ------
        DataError
            For a row of another width than the first, where no width was given.
        """
        if self._X is None:
            self._X, self._first = _allocate(self._shape[0], row.size), name
        width = self._X.shape[1]
        if self._first and row.size != width:
            raise DataError(
                f"{name}: {row.size} numbers, where {self._first} gave {width}: "
                "set audio.duration and audio.sample_rate, or pad.to=longest"
            )
        if row.size > width:
            return Lost(f"{row.size} numbers, more than the {width} of a clip of audio.duration: set pad.to=longest")
        _fill(self._X[self._filled], row, self._pad_value)
        self._filled += 1
        return None

    def stack(self) -> np.ndarray:
        """Give the table; the rows of failures were never touched, so they take no memory."""
        assert self._X is not None
        return self._X[: self._filled]


class Longest:
    """Rows of any width, kept one by one until the widest is known."""

    def __init__(self, pad_value: PadValue) -> None:
        self._pad_value = pad_value
        self._rows: list[np.ndarray] = []

    def add(self, row: np.ndarray, name: str) -> None:
        """Take a row in."""
        self._rows.append(row)

    def stack(self) -> np.ndarray:
        """Give the table, letting go of each row once it is in."""
        X = _allocate(len(self._rows), max(row.size for row in self._rows))
        self._rows.reverse()
        for line in X:
            _fill(line, self._rows.pop(), self._pad_value)
        return X


def _fill(line: np.ndarray, row: np.ndarray, pad_value: PadValue) -> None:
    line[: row.size] = row
    if row.size < line.size:  # zero dB is the loudest value, so a floor is the row's own
        line[row.size :] = row.min() if pad_value == "floor" else 0


def _allocate(count: int, width: int) -> np.ndarray:
    try:
        return np.empty((count, width), dtype=np.float32)
    except MemoryError as error:
        raise DataError(
            f"a table of {count} clips by {width} numbers needs {4e-9 * count * width:.1f} GB of memory: "
            "choose pooling=stats, or fewer rows of the feature, as feature.n_mels=64"
        ) from error


def _check_any(kept: Sequence[int], failures: Sequence[Failure]) -> None:
    if kept:
        return
    reasons = Counter(failure.reason for failure in failures).most_common(3)
    told = "; ".join(f"{reason} ({count} ×)" for reason, count in reasons)
    raise DataError(f"none of {len(failures)} clips could be used, {failures[0].name} the first: {told}")


def _bar(progress: bool, total: int) -> AbstractContextManager[Callable[[], Any]]:
    if not progress:
        return nullcontext(lambda: None)
    from audiofw.progress import counting

    return counting("extract", total)


def _log(count: int, seconds: float, cached: int) -> None:
    log.debug("%d clips in %.1f s (%.0f clips/s), %d from the cache", count, seconds, count / seconds, cached)
