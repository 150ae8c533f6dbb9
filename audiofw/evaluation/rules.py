"""Choose how scores become events: thresholds, smoothing and minimum duration, on recordings with known events."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import product
from typing import NamedTuple

import numpy as np

from audiofw.evaluation.detection import (
    Found,
    Rule,
    WindowMeans,
    candidates,
    detect,
    find_runs,
    name_runs,
    smoothed,
)
from audiofw.evaluation.events import Compared, Events, by_overlap, event_counts, f1_of, frame_accuracy

THRESHOLDS = np.round(np.arange(0.1, 0.95, 0.1), 2)
MEDIANS = (3, 5)  # stretches of time
GAPS = (0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0)  # seconds
SHORTEST = 0.05  # quantile of the true events' length, in shares of which minimum durations are tried
SHARES = (0.0, 0.5, 1.0)
FRAMES = 0.25  # weight of the frame accuracy beside the event F1: edges count, too, not only whether events are found
LISTED = 20  # rules with the highest event F1, whose frame accuracy is measured


Find = Callable[[WindowMeans, np.ndarray, Rule, Sequence[str], str | None], Found]


class Track(NamedTuple):
    """One recording: the scores that a model gives over time, and what is true."""

    name: str
    moments: WindowMeans
    truth: Events
    seconds: float  #: length of the recording, or of the stretch of it that is scored
    offset: float = 0.0  #: where that begins in the recording


def choose_rule(
    tracks: Sequence[Track], classes: Sequence[str], *, background: str | None = None, exclusive: bool = True
) -> tuple[Rule, float]:
    """Choose the rule with the highest event F1 (and, with less weight, frame accuracy) on some recordings.

    Parameters
    ----------
    tracks : sequence of Track
        With scores of a model that was not trained on them.
    classes : sequence of str
        Of the columns of the scores.
    background : str, optional
        The class that stands for none.
    exclusive : bool
        Whether only one class can be active at a time.

    Returns
    -------
    rule : Rule
    value : float
        What it reaches.
    """
    found = [
        one for smoothing in _smoothings(tracks) for one in _tried(tracks, smoothing, classes, background, exclusive)
    ]
    best = sorted(found, key=lambda pair: -pair[1])[:LISTED]

    def value(rule: Rule, f1: float) -> float:
        compared = compare_tracks(tracks, rule, classes, background=background, exclusive=exclusive)
        return f1 + FRAMES * frame_accuracy(compared, len(classes))

    return max(((rule, value(rule, f1)) for rule, f1 in best), key=lambda pair: pair[1])


def compare_tracks(
    tracks: Sequence[Track], rule: Rule, classes: Sequence[str], *, background: str | None, exclusive: bool = True
) -> list[Compared]:
    """Find the events of each recording by a rule, and put them beside the true ones."""
    found = [detect(t.moments, rule, classes, background=background, exclusive=exclusive) for t in tracks]
    return [Compared(t.truth, one.events, t.seconds) for t, one in zip(tracks, found, strict=True)]


def _smoothings(tracks: Sequence[Track]) -> list[Rule]:
    steps = np.concatenate([np.diff(track.moments.starts) for track in tracks])
    step = float(np.median(steps)) if len(steps) else 1.0
    medians = [Rule({}, "median", round(size * step, 6)) for size in MEDIANS]
    return [Rule({}), Rule({}, "hysteresis"), *medians]


def _lengths(tracks: Sequence[Track]) -> list[float]:
    """List the minimum durations to try."""
    lengths = np.concatenate([track.truth.ends - track.truth.starts for track in tracks])
    return (
        sorted({round(share * float(np.quantile(lengths, SHORTEST)), 3) for share in SHARES}) if len(lengths) else [0.0]
    )


def _tried(
    tracks: Sequence[Track], smoothing: Rule, classes: Sequence[str], background: str | None, exclusive: bool
) -> Iterator[tuple[Rule, float]]:
    """Score the rules with one kind of smoothing by their event F1."""
    scores = [smoothed(track.moments, smoothing) for track in tracks]
    names = [name for name in classes if name != background]
    free = replace(smoothing, thresholds=dict.fromkeys(names, 0.0))
    alone = [candidates(each, free, classes, background, exclusive) for each in scores]

    def counts(find: Find, scores: Sequence[np.ndarray], rule: Rule) -> np.ndarray:
        runs = [find(t.moments, each, rule, classes, background) for t, each in zip(tracks, scores, strict=True)]
        found = [Compared(t.truth, run.events, t.seconds) for t, run in zip(tracks, runs, strict=True)]
        return event_counts(found, len(classes), by_overlap)

    for gap, least in product(GAPS, _lengths(tracks)):
        rule = replace(smoothing, max_gap=gap, min_duration=least)
        yield _with_thresholds(rule, names, classes, lambda at: counts(find_runs, alone, at))
        for activity in THRESHOLDS if exclusive else ():
            at = replace(rule, activity=float(activity))
            yield at, f1_of(counts(name_runs, scores, at))


def _with_thresholds(
    rule: Rule, names: Sequence[str], classes: Sequence[str], counts: Callable[[Rule], np.ndarray]
) -> tuple[Rule, float]:
    """Choose each class's threshold by itself: which class is the most probable does not depend on any of them."""
    each = np.array([counts(replace(rule, thresholds=dict.fromkeys(names, float(p)))) for p in THRESHOLDS])
    f1 = 2 * each[..., 0] / np.maximum(2 * each[..., 0] + each[..., 1] + each[..., 2], 1)
    chosen = {name: _middle_of_best(f1[:, list(classes).index(name)]) for name in names}
    places = [int(np.flatnonzero(chosen[name] == THRESHOLDS)[0]) if name in chosen else 0 for name in classes]
    total = each[places, np.arange(len(classes))]
    return replace(rule, thresholds=chosen), f1_of(total)


def _middle_of_best(f1: np.ndarray) -> float:
    """Choose the middle of the thresholds that are nearly the best, as the best one may be so by chance."""
    good = np.flatnonzero(f1 >= f1.max() - 0.005)
    return float(THRESHOLDS[good[len(good) // 2]])
