"""Label a recording over time: merge the labels of its windows into segments."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from audiofw.bundle.prediction import UNKNOWN, Prediction
from audiofw.parallel.executors import Lost


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
    typicality: float | None = None  #: mean over these windows; None if it is not known


def cells(
    heard: Iterable[tuple[int, float, Prediction | Lost]], classes: np.ndarray, seconds: float, hop: float
) -> Iterator[Cell]:
    """Average the probabilities of all windows that contain the same stretch of time.

    Parameters
    ----------
    heard : iterable of (int, float, Prediction or Lost)
        Each window's number, end and prediction.
    classes : np.ndarray [shape=(classes,)]
    seconds, hop : float
        As for `windows`.
    """
    over: deque[tuple[float, np.ndarray | str, float | None]] = deque(maxlen=max(1, math.ceil(seconds / hop - 1e-9)))
    start, end, last = 0.0, 0.0, -1
    for number, end, prediction in heard:
        over.append((end, *_heard(prediction, classes)))
        start, last = number * hop, number
        yield _cell(over, start, min(start + min(hop, seconds), end))
    while last >= 0 and hop <= seconds and (start := (last := last + 1) * hop) < end - 1e-9:
        yield _cell(over, start, min(start + hop, end))


def _heard(prediction: Prediction | Lost, classes: np.ndarray) -> tuple[np.ndarray | str, float | None]:
    return (
        (prediction.reason, None)
        if isinstance(prediction, Lost)
        else (shares_of(prediction, classes), prediction.typicality)
    )


def shares_of(prediction: Prediction, classes: np.ndarray) -> np.ndarray:
    """Give the class probabilities of a prediction, or 1 for its label."""
    return (classes == prediction.label).astype(float) if prediction.probabilities is None else prediction.probabilities


def _cell(over: Iterable[tuple[float, np.ndarray | str, float | None]], start: float, end: float) -> Cell:
    here = [said for until, said, _ in over if until > start + 1e-9]
    shares = [said for said in here if not isinstance(said, str)]
    if shares:
        typical = [each for until, _, each in over if until > start + 1e-9 and each is not None]
        return Cell(start, end, np.mean(shares, axis=0), typicality=float(np.mean(typical)) if typical else None)
    return Cell(start, end, None, next((said for said in here if isinstance(said, str)), ""))


def segments(
    stretches: Iterable[Cell],
    classes: np.ndarray,
    *,
    threshold: float = 0.0,
    min_confidence: float = 0.0,
    thresholds: np.ndarray | None = None,
    unknown: float | None = None,
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
        Of a model of several labels: a segment for each label of at least this probability. They may overlap, and are
        given in the order of their ends.
    unknown : float, optional
        Stretches of at most this typicality become ``unknown``.
    """
    runs: dict[tuple[str, str], tuple[Segment, int]] = {}  # each with the number of stretches in its mean confidence
    for cell in stretches:
        if cell.typicality is not None and unknown is not None and cell.typicality <= unknown:
            found = _label(cell, classes, threshold, np.inf)
        elif thresholds is None or cell.shares is None:
            found = _label(cell, classes, threshold, min_confidence)
        else:
            found = _labels(cell, cell.shares, classes, np.maximum(thresholds, threshold))
        here = {(segment.label, segment.error): segment for segment in found}
        for key in [key for key, (run, _) in runs.items() if key not in here or abs(run.end - cell.start) >= 1e-6]:
            yield runs.pop(key)[0]
        for key, segment in here.items():
            run, count = runs.get(key, (segment, 0))
            mean = (run.confidence * count + segment.confidence) / (count + 1)
            runs[key] = run._replace(end=segment.end, confidence=mean), count + 1
    for run, _ in runs.values():
        yield run


def _label(cell: Cell, classes: np.ndarray, threshold: float, min_confidence: float) -> list[Segment]:
    if cell.shares is None:
        return [Segment(cell.start, cell.end, "", 0.0, cell.reason)]
    if (confidence := float(cell.shares.max())) < threshold:
        return []
    label = str(classes[cell.shares.argmax()]) if confidence >= min_confidence else UNKNOWN
    return [Segment(cell.start, cell.end, label, confidence)]


def _labels(cell: Cell, shares: np.ndarray, classes: np.ndarray, thresholds: np.ndarray) -> list[Segment]:
    return [
        Segment(cell.start, cell.end, str(name), float(share))
        for name, share, least in zip(classes, shares, thresholds, strict=True)
        if share >= least
    ]
