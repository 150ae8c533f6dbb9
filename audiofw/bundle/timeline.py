"""Label a recording over time: cut it into windows, read block by block, and merge their labels into segments."""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soxr

from audiofw.audio.decode import Reader
from audiofw.audio.load import CANCELLING, Channel, check_samples, opened, to_mono
from audiofw.bundle.model import Verdict
from audiofw.errors import DataError
from audiofw.extraction.recording import Unit
from audiofw.parallel.executors import Lost

log = logging.getLogger(__name__)

UNKNOWN = "unknown"
BLOCK = 2**18  # samples in memory, of all channels together, or after resampling


class Window(NamedTuple):
    """One window of a recording."""

    number: int  #: from 0
    end: float  #: seconds
    y: np.ndarray  #: [shape=(n,), dtype=float32]
    sr: int


class Gap(NamedTuple):
    """The end of a truncated recording: its header declares it, but the file lacks it."""

    start: float  #: seconds
    end: float
    reason: str


def windows(
    path: Path, sample_rate: int | None, seconds: float, hop: float, channel: Channel = "mix"
) -> Iterator[Window | Gap]:
    """Cut a recording of any length into windows, keeping only a few blocks in memory.

    The last window ends with the recording, so it may be shorter. If the file is truncated, a `Gap` follows.

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
        yield from _cut(_resampled(_blocks(file, sr, channel), file.samplerate, sr), sr, seconds, hop)
        if file.missing:
            yield Gap(*file.missing, file.notes[0])


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


def _cut(blocks: Iterator[np.ndarray], sr: int, seconds: float, hop: float) -> Iterator[Window]:
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
    if start < at + held.size and end < at + held.size:  # include the end
        yield Window(number, (at + held.size) / sr, held[start - at :].copy(), sr)
    elif not number:
        raise DataError("no samples in it")


def make_row(unit: Unit, window: Window) -> np.ndarray:
    """Extract the features of a window: ``(1, d)``, or ``(1, rows, frames)`` for a pooling that learns."""
    check_samples(window.y, unit.silence)
    return unit.pool(window.y, window.sr)[None]


class Segment(NamedTuple):
    """A stretch with one label, or one that could not be read."""

    start: float  #: seconds
    end: float
    label: str
    confidence: float  #: mean probability of the label
    error: str = ""  #: why there is no label


class Cell(NamedTuple):
    """A stretch in which no window begins or ends, with the mean prediction of the windows that contain it."""

    start: float
    end: float
    shares: np.ndarray | None  #: [shape=(classes,)]; None if no window that contains it could be used
    reason: str = ""  #: why not


def cells(
    heard: Iterable[tuple[int, float, Verdict | Lost]], classes: np.ndarray, seconds: float, hop: float
) -> Iterator[Cell]:
    """Average the probabilities of all windows that contain the same stretch of time.

    Parameters
    ----------
    heard : iterable of (int, float, Verdict or Lost)
        Each window's number, end and prediction.
    classes : np.ndarray [shape=(classes,)]
    seconds, hop : float
        As for `windows`.
    """
    over: deque[tuple[float, np.ndarray | str]] = deque(maxlen=max(1, math.ceil(seconds / hop - 1e-9)))
    start, end, last = 0.0, 0.0, -1
    for number, end, verdict in heard:
        over.append((end, verdict.reason if isinstance(verdict, Lost) else _shares(verdict, classes)))
        start, last = number * hop, number
        yield _cell(over, start, min(start + min(hop, seconds), end))
    while last >= 0 and hop <= seconds and (start := (last := last + 1) * hop) < end - 1e-9:
        yield _cell(over, start, min(start + hop, end))


def _shares(verdict: Verdict, classes: np.ndarray) -> np.ndarray:
    return (classes == verdict.label).astype(float) if verdict.probabilities is None else verdict.probabilities


def _cell(over: Iterable[tuple[float, np.ndarray | str]], start: float, end: float) -> Cell:
    here = [said for until, said in over if until > start + 1e-9]
    shares = [said for said in here if not isinstance(said, str)]
    if shares:
        return Cell(start, end, np.mean(shares, axis=0))
    return Cell(start, end, None, next((said for said in here if isinstance(said, str)), ""))


def segments(
    stretches: Iterable[Cell], classes: np.ndarray, *, threshold: float = 0.0, min_confidence: float = 0.0
) -> Iterator[Segment]:
    """Merge neighbouring stretches with the same label, or that could not be read for the same reason.

    Parameters
    ----------
    stretches : iterable of Cell
    classes : np.ndarray [shape=(classes,)]
    threshold : float
        Labels below this probability get no segment.
    min_confidence : float
        Labels below this probability become ``unknown``.
    """
    run, count = None, 0  # the segment so far, and the number of stretches in its mean confidence
    for cell in stretches:
        here = _label(cell, classes, threshold, min_confidence)
        alike = run and here and (run.label, run.error) == (here.label, here.error)
        if run and here and alike and abs(run.end - here.start) < 1e-6:
            mean = (run.confidence * count + here.confidence) / (count + 1)
            run, count = run._replace(end=here.end, confidence=mean), count + 1
            continue
        if run:
            yield run
        run, count = here, 1
    if run:
        yield run


def _label(cell: Cell, classes: np.ndarray, threshold: float, min_confidence: float) -> Segment | None:
    if cell.shares is None:
        return Segment(cell.start, cell.end, "", 0.0, cell.reason)
    if (confidence := float(cell.shares.max())) < threshold:
        return None
    label = str(classes[cell.shares.argmax()]) if confidence >= min_confidence else UNKNOWN
    return Segment(cell.start, cell.end, label, confidence)
