"""The rows of a recording over time: cut into windows, read block by block, and kept in the cache."""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import closing
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import soxr

from audiofw.audio.decode import Reader
from audiofw.audio.load import CANCELLING, Channel, check_samples, opened, to_mono
from audiofw.audio.parts import Gap
from audiofw.cache.store import RecipeCache
from audiofw.errors import DataError
from audiofw.extraction.recording import Unit
from audiofw.parallel.executors import Lost
from audiofw.parallel.workers import outcomes
from audiofw.system.sourcecode import digest_code

log = logging.getLogger(__name__)

BLOCK = 2**18  # samples in memory, of all channels together, or after resampling
ENDS = "ends"  # the entry that says where each window ends
STORED = 128  # windows whose rows are one entry of the cache


class Window(NamedTuple):
    """One window of a recording."""

    number: int  #: from 0
    end: float  #: seconds
    y: np.ndarray  #: [shape=(n,), dtype=float32]
    sr: int
    reason: str = ""  #: why it cannot be used


def windows(
    path: Path, sample_rate: int | None, seconds: float, hop: float, channel: Channel = "mix"
) -> Iterator[Window | Gap]:
    """Cut a recording of any length into windows, keeping only a few blocks in memory.

    The last window ends with the recording, so it may be shorter. Windows that reach into a damaged stretch have a
    reason. If the file is truncated, a `Gap` follows.

    Parameters
    ----------
    path : Path
    sample_rate : int or None
        Rate to resample to, in Hz; None keeps the file's own.
    seconds, hop : float
        Length of a window, and time from one start to the next.
    channel : {"mix", "loudest"} or int
        As for `audiofw.audio.load.load`; the loudest is that of each block.

    Raises
    ------
    DataError
        If the file cannot be used; the message is only the reason.
    """
    with opened(path) as file:
        sr = sample_rate or file.samplerate
        end = 0.0
        for window in cut_windows(_resampled(_blocks(file, sr, channel), file.samplerate, sr), sr, seconds, hop):
            start, end = window.end - len(window.y) / sr, window.end
            lost = (gap.reason for gap in file.gaps if gap.start < end - 1 / sr and gap.end > start + 1 / sr)
            yield window._replace(reason=next(lost, ""))
        yield from (gap for gap in file.gaps if gap.start > end - 2 / sr)


def _blocks(file: Reader, target: int, channel: Channel) -> Iterator[np.ndarray]:
    """Read mono blocks that are small even after resampling: a damaged header may give a sample rate of 1 Hz."""
    frames = max(min(BLOCK // file.channels, BLOCK * file.samplerate // target), 1)
    for block in file.blocks(frames):
        y, cancel = to_mono(block, channel)
        if cancel and CANCELLING not in file.notes:
            file.notes.append(CANCELLING)
        yield y
    for note in file.notes:
        log.warning("%s: %s", file.path, note)


def _resampled(blocks: Iterator[np.ndarray], sr: int, target: int) -> Iterator[np.ndarray]:
    if sr == target:
        yield from blocks
        return
    stream = soxr.ResampleStream(sr, target, 1, dtype="float32", quality="HQ")
    for block in blocks:
        yield stream.resample_chunk(block)
    yield stream.resample_chunk(np.zeros(0, dtype=np.float32), last=True)


def cut_windows(
    blocks: Iterator[np.ndarray], sr: int, seconds: float, hop: float, *, rest: bool = True
) -> Iterator[Window]:
    """Cut a stream of samples into windows, each as soon as its last sample has come.

    With ``rest``, what is left at the end is a shorter window, and no samples at all are an error.
    """
    size, at, number, start = math.ceil(seconds * sr), 0, 0, 0  # the samples in memory begin at `at`
    held, end = np.zeros(0, dtype=np.float32), 0
    for block in blocks:
        held = np.concatenate([held, block])
        while start + size <= at + held.size:
            end = start + size
            yield Window(number, end / sr, held[start - at : end - at].copy(), sr)
            number, start = number + 1, round((number + 1) * hop * sr)
        drop = min(max(start - at, 0), held.size)
        at, held = at + drop, held[drop:]
    if not rest:
        return
    if start < at + held.size and end < at + held.size:  # include the end
        yield Window(number, (at + held.size) / sr, held[start - at :].copy(), sr)
    elif not number:
        raise DataError("no samples in it")


def make_row(unit: Unit, window: Window) -> np.ndarray:
    """Extract the features of a window: ``(1, d)``, or ``(1, rows, frames)`` for a pooling that learns."""
    if window.reason:
        raise DataError(window.reason)
    check_samples(window.y, unit.silence)
    return unit.pool(window.y, window.sr)[None]


class WindowFeatures(NamedTuple):
    """The features of one window."""

    end: float  #: seconds
    made: np.ndarray | Lost  #: [shape=(1, d)], or [shape=(1, rows, frames)] for a pooling that learns


def rows_over_time(
    path: Path, unit: Unit, seconds: float, hop: float, *, n_jobs: int = 1, recipe_cache: RecipeCache | None = None
) -> Generator[WindowFeatures | Gap, None, None]:
    """Extract the features of all windows of a recording, in order, keeping only a few in memory.

    Parameters
    ----------
    path : Path
    unit : Unit
    seconds, hop : float
        As for `windows`.
    n_jobs : int
        Number of workers.
    recipe_cache : RecipeCache, optional
        Of `recipe_over_time`. Windows that could not be used are not kept in it.

    Raises
    ------
    DataError
        If the file cannot be used, or no further; the message is only the reason.
    """
    if recipe_cache is None:
        yield from _made(path, unit, seconds, hop, 0, n_jobs)
        return
    ends, done = recipe_cache.get(path, ENDS), 0
    for row in () if ends is None else _stored(path, ends.tolist(), recipe_cache):
        yield row
        done += 1
    if ends is None or done < len(ends):
        with closing(_made(path, unit, seconds, hop, done, n_jobs)) as made:
            yield from _storing(made, path, [] if ends is None else ends[:done].tolist(), recipe_cache)


def recipe_over_time(unit: Unit, seconds: float, hop: float) -> dict[str, Any]:
    """Everything that the rows of `rows_over_time` depend on apart from the recording itself."""
    return {
        **unit.recipe(),
        "audio": unit.decoding(),  # not how a clip would be cut
        "over_time": {"seconds": seconds, "hop": hop, "stored": STORED, "code": digest_code([Path(__file__)])},
    }


def _made(
    path: Path, unit: Unit, seconds: float, hop: float, done: int, n_jobs: int
) -> Generator[WindowFeatures | Gap, None, None]:
    ends, last = deque[float](), deque[Gap | DataError]()

    def each() -> Iterator[Window]:
        try:
            for window in islice(windows(path, unit.sample_rate, seconds, hop, unit.channel), done, None):
                if isinstance(window, Gap):
                    last.append(window)
                else:
                    ends.append(window.end)
                    yield window
        except DataError as error:  # the windows before it are finished first
            last.append(error)

    with closing(outcomes(partial(make_row, unit), each(), n_jobs=n_jobs, processes=unit.holds_gil)) as made:
        for result in made:
            yield WindowFeatures(ends.popleft(), result)
    for one in last:
        if isinstance(one, DataError):
            raise one
        yield one


def _stored(path: Path, ends: list[float], cache: RecipeCache) -> Iterator[WindowFeatures]:
    """Read rows from the cache, up to the first block that it lacks."""
    for first in range(0, len(ends), STORED):
        if (rows := cache.get(path, str(first))) is None:
            return
        yield from (WindowFeatures(end, row[np.newaxis]) for end, row in zip(ends[first:], rows, strict=False))


def _storing(
    made: Iterator[WindowFeatures | Gap], path: Path, ends: list[float], cache: RecipeCache
) -> Iterator[WindowFeatures | Gap]:
    """Put blocks of rows into the cache as they pass, and at last, for a file that is whole, where the windows end."""
    block, whole = list[np.ndarray | Lost](), True
    for row in made:
        yield row
        if isinstance(row, Gap):
            whole = False
            continue
        ends.append(row.end)
        block.append(row.made)
        if len(block) == STORED:
            _put(cache, path, len(ends) - STORED, block)
            block = []
    _put(cache, path, len(ends) - len(block), block)
    if whole and cache.get(path, ENDS) is None:
        cache.put(path, np.array(ends), ENDS)


def _put(cache: RecipeCache, path: Path, first: int, block: list[np.ndarray | Lost]) -> None:
    rows = [each for each in block if not isinstance(each, Lost)]
    alike = len({row.shape for row in rows}) == 1
    if len(rows) == len(block) and alike and cache.get(path, str(first)) is None:
        cache.put(path, np.concatenate(rows), str(first))
