"""The polyphonic sound detection score (PSDS) of timelines, by ``sed_scores_eval``: over all thresholds at once."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from importlib.util import find_spec
from itertools import pairwise
from typing import Any

import numpy as np

from audiofw.errors import one_line
from audiofw.evaluation.detection import WindowMeans
from audiofw.evaluation.events import Events

log = logging.getLogger(__name__)

TOLERANCE = 0.7  # least share of a detection that is true, and of an event that is detected: DCASE's first scenario
MOST_FALSE = 100.0  # false alarms an hour up to which the curve counts
PIECE = 500  # moments of a longer recording that are scored together: it compares each with each
LEVELS = 1000  # thresholds


def psds(
    scored: Sequence[tuple[WindowMeans, Events, float]], classes: Sequence[str], background: str | None
) -> float | None:
    """Compute PSDS with the tolerances of DCASE's first scenario, and the standard deviation over classes subtracted.

    Parameters
    ----------
    scored : sequence of (Moments, Events, float)
        For each recording: scores, true events, length in seconds.
    classes : sequence of str
        Classes of the columns of the scores.
    background : str, optional
        A class that is not to be detected.

    Returns
    -------
    float or None
        From 0 to 1; None if ``sed_scores_eval`` cannot be imported, or a class has no true event.
    """
    wanted = [i for i, name in enumerate(classes) if name != background]
    present = set(np.concatenate([truth.classes for _, truth, _ in scored]).tolist()) if scored else set()
    if not find_spec("sed_scores_eval") or not present.issuperset(wanted):
        return None
    try:
        from sed_scores_eval import intersection_based
    except ImportError as error:  # what it needs imports pkg_resources, which setuptools 81 and later lack
        said = "no PSDS, as sed_scores_eval cannot be imported: %s; pip install 'setuptools<81'"
        log.warning(said, one_line(error))
        return None

    names, pieces = [classes[i] for i in wanted], dict(enumerate(piece for one in scored for piece in _pieces(*one)))
    value, *_ = intersection_based.psds(
        scores={str(i): _frame(moments, wanted, names) for i, (moments, _, _) in pieces.items()},
        ground_truth={str(i): list(_merged(truth, classes)) for i, (_, truth, _) in pieces.items()},
        audio_durations={str(i): seconds for i, (_, _, seconds) in pieces.items()},
        dtc_threshold=TOLERANCE,
        gtc_threshold=TOLERANCE,
        alpha_ct=0.0,
        alpha_st=1.0,
        max_efpr=MOST_FALSE,
    )
    return float(value)


def _pieces(moments: WindowMeans, truth: Events, seconds: float) -> Iterator[tuple[WindowMeans, Events, float]]:
    """Cut a long recording where no true event goes on."""
    starts = moments.starts
    busy = np.searchsorted(truth.starts, starts) > np.searchsorted(np.sort(truth.ends), starts, side="right")
    cuts = [0]
    for place in np.flatnonzero(~busy):
        if place - cuts[-1] >= PIECE:
            cuts.append(int(place))
    for first, last in pairwise([*cuts, len(starts)]):
        begin, end = float(starts[first]), float(starts[last]) if last < len(starts) else seconds
        inside = (truth.starts >= begin) & (truth.starts < end)
        yield WindowMeans(*(column[first:last] for column in moments)), Events(*(c[inside] for c in truth)), end - begin


def _frame(moments: WindowMeans, wanted: Sequence[int], names: Sequence[str]) -> Any:
    scores = np.round(np.nan_to_num(moments.scores[:, wanted]) * LEVELS) / LEVELS
    columns = {"onset": moments.starts, "offset": [*moments.starts[1:], *moments.ends[-1:]]}
    return _writable_frame()({**columns, **dict(zip(names, scores.T, strict=True))})


@cache
def _writable_frame() -> Any:
    """Make a DataFrame whose arrays can be written to, as the compiled code demands: those of pandas 3 cannot."""
    from pandas import DataFrame

    class Writable(DataFrame):
        _constructor = property(lambda self: Writable)

        def to_numpy(self, *given: Any, **options: Any) -> np.ndarray:
            return np.array(super().to_numpy(*given, **options))

    return Writable


def _merged(truth: Events, classes: Sequence[str]) -> Iterable[tuple[float, float, str]]:
    """Join events of one class that overlap, which PSDS does not know."""
    for number in np.unique(truth.classes):
        starts, ends, _ = truth.of_class(number)
        until = np.maximum.accumulate(ends)
        new = np.concatenate([[True], starts[1:] > until[:-1]])
        last = np.concatenate([np.flatnonzero(new)[1:], [len(starts)]]) - 1
        yield from zip(starts[new].tolist(), until[last].tolist(), [classes[number]] * int(new.sum()), strict=True)
