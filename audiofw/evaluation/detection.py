"""From the class scores of windows to events: average, smooth, compare with thresholds, drop what is too short."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

import numpy as np

from audiofw.evaluation.events import Events

Smoothing = Literal["none", "median", "hysteresis"]
SMOOTHINGS = get_args(Smoothing)
FAINTER = 0.5  # where hysteresis lets an event end, as a share of the threshold that starts it


class WindowMeans(NamedTuple):
    """Stretches of a recording in which no window begins or ends, with the mean scores of the windows over them."""

    starts: np.ndarray  #: [shape=(m,)], seconds
    ends: np.ndarray  #: [shape=(m,)]
    scores: np.ndarray  #: [shape=(m, n_classes)]; NaN where no window could be used


class Found(NamedTuple):
    """Events, and the mean score of each."""

    events: Events
    confidence: np.ndarray  #: [shape=(n,)]


@dataclass(frozen=True)
class Rule:
    """How scores become events.

    Parameters
    ----------
    thresholds : mapping of str to float
        Least score of each class. A class that is not listed is active wherever it is the most probable one.
    smoothing : {"none", "median", "hysteresis"}
        ``median``: of the scores, over ``span`` seconds. ``hysteresis``: an event lasts until its score falls below
        half the threshold.
    span : float
        Length of the median filter, in seconds.
    max_gap : float
        Neighbouring events of one class that are no farther apart are one, in seconds.
    min_duration : float
        Shorter events are dropped, in seconds.
    activity : float, optional
        Where the background's score is below ``1 - activity`` is one event, of the class that has the highest mean
        score over all of it; this mean must reach the class's threshold. Without it, each class is compared with its
        threshold at each moment.
    """

    thresholds: Mapping[str, float]
    smoothing: Smoothing = "none"
    span: float = 0.0
    max_gap: float = 0.0
    min_duration: float = 0.0
    activity: float | None = None


PLAIN = Rule({})


def average(scores: np.ndarray, ends: np.ndarray, seconds: float, hop: float) -> WindowMeans:
    """Average the scores of all windows over the same stretch of time.

    Parameters
    ----------
    scores : np.ndarray [shape=(windows, n_classes)]
        NaN for a window that could not be used.
    ends : np.ndarray [shape=(windows,)]
        Where each window ends, in seconds: the last may be shorter than the others.
    seconds, hop : float
        Length of a window, and time from one start to the next.
    """
    n = len(scores)
    if not n:
        return WindowMeans(np.zeros(0), np.zeros(0), scores)
    over = max(1, math.ceil(seconds / hop - 1e-9))  # windows over one stretch
    starts = hop * np.arange(n + over - 1)
    starts = starts[(np.arange(len(starts)) < n) | (starts < ends[-1] - 1e-9)]
    last = np.minimum(np.arange(len(starts)), n - 1)
    first = np.minimum(np.maximum(np.arange(len(starts)) - over + 1, 0), last)
    until = np.minimum(starts + min(hop, seconds), ends[last])
    return WindowMeans(starts, until, _window_means(scores, first, last))


def _window_means(scores: np.ndarray, first: np.ndarray, last: np.ndarray) -> np.ndarray:
    heard = ~np.isnan(scores[:, :1])
    sums, counts = (_cumulated(np.where(heard, scores, 0)), _cumulated(heard))
    count = counts[last + 1] - counts[first]
    total = sums[last + 1] - sums[first]
    return np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)


def _cumulated(values: np.ndarray) -> np.ndarray:
    return np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0, dtype=np.float64)])


def detect(
    moments: WindowMeans, rule: Rule, classes: Sequence[str], *, background: str | None = None, exclusive: bool = True
) -> Found:
    """Find the events in a recording.

    Parameters
    ----------
    moments : Moments
    rule : Rule
    classes : sequence of str
        Classes of the columns of the scores.
    background : str, optional
        The class that stands for none; it gives no events.
    exclusive : bool
        Whether only one class can be active at a time: the most probable one.

    Returns
    -------
    Found
        Sorted by start.
    """
    scores = smoothed(moments, rule)
    if rule.activity is not None:
        return name_runs(moments, scores, rule, classes, background)
    return find_runs(moments, candidates(scores, rule, classes, background, exclusive), rule, classes, background)


def smoothed(moments: WindowMeans, rule: Rule) -> np.ndarray:
    """Smooth the scores if the rule says so; a stretch that was not heard has the score 0."""
    scores = np.nan_to_num(moments.scores)
    size = _odd(rule.span / float(np.median(np.diff(moments.starts)))) if len(scores) > 1 else 1
    if rule.smoothing != "median" or size == 1:
        return scores
    from scipy.ndimage import median_filter

    return median_filter(scores, size=(size, 1), mode="nearest")


def _odd(size: float) -> int:
    return 2 * round((size - 1) / 2) + 1 if size > 1 else 1


def candidates(
    scores: np.ndarray, rule: Rule, classes: Sequence[str], background: str | None, exclusive: bool
) -> np.ndarray:
    """Set scores to 0 where another class is more probable; a class with a threshold need not beat the background."""
    if not exclusive or not len(scores):
        return scores
    rows, best = np.arange(len(scores)), np.zeros(scores.shape, bool)
    best[rows, scores.argmax(axis=1)] = True
    named = np.array([name in rule.thresholds for name in classes])
    if others := [i for i, name in enumerate(classes) if name != background]:
        top = np.array(others)[scores[:, others].argmax(axis=1)]
        best[rows, top] |= named[top]
    return np.where(best, scores, 0)


def find_runs(
    moments: WindowMeans, scores: np.ndarray, rule: Rule, classes: Sequence[str], background: str | None
) -> Found:
    """Find where the scores of a class stay above its threshold, for long enough."""
    least = np.array([rule.thresholds.get(name, 0.0) for name in classes])
    return _joined(moments, scores, _active_runs(moments, _without(scores, classes, background), least, rule), rule)


def name_runs(
    moments: WindowMeans, scores: np.ndarray, rule: Rule, classes: Sequence[str], background: str | None
) -> Found:
    """Find where there is more than background for long enough, and the class that it is as a whole."""
    named = _without(scores, classes, background)
    runs = _active_runs(moments, named.sum(axis=1, keepdims=True), np.array([rule.activity]), rule)
    means = _means(named, *runs[:2])
    of = means.argmax(axis=1)
    sure = means[np.arange(len(of)), of] >= np.array([rule.thresholds.get(name, 0.0) for name in classes])[of]
    return _joined(moments, named, (runs[0][sure], runs[1][sure], of[sure]), rule)


def _without(scores: np.ndarray, classes: Sequence[str], background: str | None) -> np.ndarray:
    return np.where([name == background for name in classes], 0.0, scores)


Runs = tuple[np.ndarray, np.ndarray, np.ndarray]
"""The first and last stretch of each, and its class."""


def _active_runs(moments: WindowMeans, scores: np.ndarray, least: np.ndarray, rule: Rule) -> Runs:
    """List the runs of each column's scores above its threshold."""
    active = (scores >= least) & (scores > 0)
    joined = np.concatenate([[False], np.abs(moments.starts[1:] - moments.ends[:-1]) < 1e-6])[: len(scores)]
    if rule.smoothing == "hysteresis":
        active = _held(active, scores >= np.maximum(FAINTER * least, 1e-9), joined)
    return _runs(active, joined)


def _means(scores: np.ndarray, first: np.ndarray, last: np.ndarray) -> np.ndarray:
    total = _cumulated(scores)
    return (total[last + 1] - total[first]) / (last + 1 - first)[:, None]


def _joined(moments: WindowMeans, scores: np.ndarray, runs: Runs, rule: Rule) -> Found:
    """Join neighbours of one class, leave out what is then too short, and sort by start.

    Where there is one class at a time, neighbours are those in time; otherwise those of the class.
    """
    order = np.argsort(runs[0], kind="stable") if rule.activity is not None else np.lexsort((runs[0], runs[2]))
    first, last, of = (column[order] for column in runs)
    apart = (of[1:] != of[:-1]) | (moments.starts[first[1:]] - moments.ends[last[:-1]] > rule.max_gap + 1e-9)
    begins = np.concatenate([[True], apart]) if len(of) else np.zeros(0, bool)
    first, of, last = first[begins], of[begins], last[np.concatenate([begins[1:], [True]]) if len(of) else begins]
    keep = moments.ends[last] - moments.starts[first] >= rule.min_duration - 1e-9
    order = np.flatnonzero(keep)[np.lexsort((of[keep], first[keep]))]
    first, last, of = first[order], last[order], of[order]
    confidence = _means(scores, first, last)[np.arange(len(of)), of]
    return Found(Events(moments.starts[first], moments.ends[last], of), confidence)


def _held(active: np.ndarray, faint: np.ndarray, joined: np.ndarray) -> np.ndarray:
    """Extend what is active over the neighbouring stretches that are at least faint."""
    faint = faint & active.any(axis=0) | active
    first, last, of = _runs(faint, joined)
    counts = _cumulated(active)
    kept = counts[last + 1, of] > counts[first, of]
    changes = np.zeros((len(active) + 1, active.shape[1]), int)
    np.add.at(changes, (first[kept], of[kept]), 1)
    np.add.at(changes, (last[kept] + 1, of[kept]), -1)
    return changes[:-1].cumsum(axis=0) > 0


def _runs(active: np.ndarray, joined: np.ndarray) -> Runs:
    """List the first and last stretch, and the class, of every run of active ones; a gap in time ends a run."""
    edge = np.zeros((1, active.shape[1]), bool)
    before = np.concatenate([edge, active[:-1]]) & joined[:, None]
    after = np.concatenate([(active & joined[:, None])[1:], edge])
    of, first = np.nonzero((active & ~before).T)
    _, last = np.nonzero((active & ~after).T)
    return first, last, of


def read_rule(facts: Mapping[str, Any]) -> Rule:
    """Read a rule from a bundle.

    Raises
    ------
    ValueError
        For a value that no rule can have.
    """
    rule = Rule(**facts)
    shares, lengths = [*rule.thresholds.values(), rule.activity or 0.0], (rule.span, rule.max_gap, rule.min_duration)
    if rule.smoothing not in SMOOTHINGS or not all(0 <= p <= 1 for p in shares) or not all(s >= 0 for s in lengths):
        raise ValueError(f"the timeline's rule {dict(facts)}")
    return rule
