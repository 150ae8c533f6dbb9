"""Label a stream of samples as it comes in: one answer for each window, when the window ends."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np

from audiofw.audio.load import resample, to_mono
from audiofw.bundle.labelling import LabellingRule
from audiofw.bundle.prediction import Prediction
from audiofw.data.given import as_rate, as_samples
from audiofw.extraction.over_time import Window, cut_windows, make_row
from audiofw.extraction.recording import Unit
from audiofw.parallel.executors import Lost, outcome


class Answer(NamedTuple):
    """The prediction for one window of a stream."""

    start: float  #: seconds since the first sample
    end: float
    label: str  #: empty if there is none
    probabilities: np.ndarray | None = None  #: [shape=(classes,)]
    error: str = ""  #: why there is no label


def listen(
    unit: Unit,
    classify: Callable[[np.ndarray | Lost], Prediction | Lost],
    blocks: Iterable[np.ndarray],
    sr: float,
    way: LabellingRule,
) -> Iterator[Answer]:
    """Label each window of a stream; see `audiofw.bundle.model.Model.listen`."""
    rate = as_rate(sr, "sr")
    mono = (_mono(block, unit) for block in blocks)
    return (_answer(unit, classify, window, way) for window in cut_windows(mono, rate, way.window, way.hop, rest=False))


def _mono(block: np.ndarray, unit: Unit) -> np.ndarray:
    return to_mono(as_samples(block, "a block of the stream"), unit.channel)[0]


def _answer(
    unit: Unit, classify: Callable[[np.ndarray | Lost], Prediction | Lost], window: Window, way: LabellingRule
) -> Answer:
    start = window.end - math.ceil(way.window * window.sr) / window.sr
    prediction = classify(outcome(lambda given: _row(unit, given), window))
    if isinstance(prediction, Lost):
        if not prediction.error.costs_a_clip:
            raise prediction.error
        return Answer(start, window.end, "", error=prediction.reason)
    return Answer(start, window.end, prediction.label_or_unknown(way.unknown), prediction.probabilities)


def _row(unit: Unit, window: Window) -> np.ndarray:
    rate = unit.sample_rate or window.sr
    return make_row(unit, window._replace(y=resample(window.y, window.sr, rate), sr=rate))
