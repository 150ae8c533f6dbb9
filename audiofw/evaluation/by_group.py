"""Scores of each group, site, recorder and hour of the day: where a model is worst."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

import numpy as np

from audiofw.data.dataset import Clip
from audiofw.evaluation.cross_validate import Evaluation
from audiofw.evaluation.intervals import score_intervals

LEAST = 5  # test clips of a group; of fewer, a score says nothing
MOST = 200  # groups listed, the worst first
OF_TASK = {"single": "accuracy", "multilabel": "f1_micro"}  # scores that a group with a single class has, too

Interval = Sequence[float] | None


def _hour(clip: Clip) -> str | None:
    if clip.recorded.time is None:
        return None
    return f"{clip.recorded.time + timedelta(seconds=clip.start or 0.0):%H}:00"


WAYS: dict[str, Callable[[Clip], str | None]] = {
    "group": lambda clip: clip.group,
    "site": lambda clip: clip.recorded.site,
    "recorder": lambda clip: clip.recorded.serial,
    "hour": _hour,
}


def ways_of_grouping(clips: Iterable[Clip]) -> dict[str, list[str | None]]:
    """Label clips by each of `WAYS` that divides them; one that divides them as another does is left out.

    Returns
    -------
    dict of str to list of str or None [shape=(clips,)]
    """
    clips, found = list(clips), dict[str, list[str | None]]()
    seen = set[tuple[int, ...]]()
    for way, label in WAYS.items():
        labels = [label(clip) for clip in clips]
        numbers = {value: number for number, value in enumerate(dict.fromkeys(labels))}
        division = tuple(numbers[value] for value in labels)
        if len(numbers.keys() - {None}) > 1 and division not in seen:
            seen.add(division)
            found[way] = labels
    return found


def score_groups(evaluation: Evaluation, clips: Sequence[Clip], level: float = 0.95) -> list[dict[str, Any]]:
    """Score the test clips of each group, as plain Python values.

    Parameters
    ----------
    evaluation : Evaluation
    clips : sequence of Clip
        In its order.
    level : float
        Of the intervals, over clips or, if clips are stretches of recordings, over recordings.

    Returns
    -------
    list of dict
        See `listed`: accuracy, or micro F1 of several labels.
    """
    tested = evaluation.tested
    some = [clip for clip, heard in zip(clips, tested, strict=True) if heard]
    y, predicted = evaluation.y[tested], evaluation.predictions[tested]
    name = OF_TASK["multilabel" if y.ndim == 2 else "single"]
    units = np.array([clip.recording for clip in some]) if any(clip.is_stretch for clip in some) else None

    def score(of: np.ndarray) -> tuple[float, Interval]:
        value = _score(y[of], predicted[of])
        within = None if units is None else units[of]
        found = score_intervals(
            y[of], predicted[of], None, n_classes=evaluation.n_classes, names=[name], groups=within, level=level
        )[name]
        return value, None if found is None else list(found)

    return [listed(way, name, labels, score, LEAST) for way, labels in ways_of_grouping(some).items()]


def _score(y: np.ndarray, predicted: np.ndarray) -> float:
    """Compute accuracy or micro F1; without any label, true or predicted, the latter is 0."""
    if y.ndim == 1:
        return float(np.mean(y == predicted))
    return float(2 * (y * predicted).sum() / max(y.sum() + predicted.sum(), 1))


def listed(
    way: str,
    score: str,
    labels: Sequence[str | None],
    measure: Callable[[np.ndarray], tuple[float, Interval]],
    least: int = 1,
) -> dict[str, Any]:
    """Score each group.

    Parameters
    ----------
    way, score : str
        One of `WAYS`, and the name of the score.
    labels : sequence of str or None
        The group of each clip or recording.
    measure : callable
        Gives the score of some of them, and its interval.
    least : int
        Smaller groups are not scored.

    Returns
    -------
    dict
        ``by``, ``score``, ``n_groups`` and ``groups``: name, size, value and interval of the `MOST` worst. The worst is
        the one with the lowest upper end of its interval, as a small group may have a low score by chance.
    """
    places: dict[str, list[int]] = {}
    for i, label in enumerate(labels):
        if label is not None:
            places.setdefault(label, []).append(i)
    rows = [
        {"group": label, "n": len(of), **dict(zip(("value", "interval"), measure(np.array(of)), strict=True))}
        for label, of in places.items()
        if len(of) >= least
    ]
    return {"by": way, "score": score, "n_groups": len(places), "groups": sorted(rows, key=_surely_bad)[:MOST]}


def _surely_bad(row: Mapping[str, Any]) -> tuple[bool, float, float, str]:
    """Sort by the upper end of the interval, and those without one last."""
    interval = row["interval"]
    return interval is None, interval[1] if interval else row["value"], row["value"], row["group"]
