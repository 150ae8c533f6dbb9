"""Label a recording over time: merge the labels of its windows into segments."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from audiofw.bundle.model import Verdict
from audiofw.data.labels import name_prediction
from audiofw.parallel.executors import Lost

UNKNOWN = "unknown"


class Segment(NamedTuple):
    """A stretch with one label, or one that could not be read."""

    start: float  #: seconds
    end: float
    label: str  #: several as one text, see `audiofw.data.labels.join_labels`
    confidence: float  #: mean probability of the label, or of the least probable of several
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
    stretches: Iterable[Cell],
    classes: np.ndarray,
    *,
    threshold: float = 0.0,
    min_confidence: float = 0.0,
    thresholds: np.ndarray | None = None,
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
    thresholds : np.ndarray [shape=(classes,)], optional
        Of a model of several labels: a stretch gets all labels of at least these probabilities; without any, it gets no
        segment.
    """
    run, count = None, 0  # the segment so far, and the number of stretches in its mean confidence
    for cell in stretches:
        if thresholds is None or cell.shares is None:
            here = _label(cell, classes, threshold, min_confidence)
        else:
            here = _labels(cell.start, cell.end, cell.shares, classes, np.maximum(thresholds, threshold))
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


def _labels(
    start: float, end: float, shares: np.ndarray, classes: np.ndarray, thresholds: np.ndarray
) -> Segment | None:
    over = shares >= thresholds
    label = name_prediction(over, classes)
    return Segment(start, end, label, float(shares[over].min())) if label else None
