"""Operating points: the threshold of each class at which a wanted precision or recall is met, out of fold.

A class is detected in a clip if its probability is at least the threshold. Of all thresholds with the wanted precision,
the one with the highest recall is chosen, and the other way round; so only points that no other betters in both are
kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from audiofw.evaluation.conformal import deal
from audiofw.evaluation.cross_validate import Evaluation

MOST_POINTS = 60  # of a class; a bundle of a thousand classes has them all
LEAST_DETECTIONS = 5  # a precision measured on fewer says little

Goal = Literal["precision", "recall"]


class Point(NamedTuple):
    """One threshold of a class."""

    threshold: float
    precision: float
    recall: float
    detections: int


def operating_points(has: np.ndarray, shares: np.ndarray) -> list[Point]:
    """List the points of one class that no other betters in precision and recall, by falling precision.

    Parameters
    ----------
    has : np.ndarray [shape=(clips,)]
        Which clips have the class.
    shares : np.ndarray [shape=(clips,)]
        Its probability for each, by models that were not trained on the clip.

    Examples
    --------
    >>> points = operating_points(np.array([1, 1, 1, 1, 1, 0, 1]), np.array([0.9, 0.9, 0.8, 0.8, 0.7, 0.6, 0.5]))
    >>> [(point.threshold, round(point.precision, 2), round(point.recall, 2)) for point in points]
    [(0.7, 1.0, 0.83), (0.5, 0.86, 1.0)]
    """
    order = np.argsort(-shares, kind="stable")
    found, ordered = np.cumsum(has[order] > 0), shares[order]
    last = np.flatnonzero(np.diff(ordered, append=-1.0))  # equal probabilities have one threshold
    last = last[last + 1 >= LEAST_DETECTIONS]
    if not has.any() or not last.size:
        return []
    precision, recall = found[last] / (last + 1), found[last] / found[-1]
    best = np.maximum.accumulate(precision[::-1])[::-1]  # of all with at least this recall
    kept = np.flatnonzero((precision == best) & (np.diff(recall, prepend=0.0) > 0))
    kept = kept[np.append(np.diff(precision[kept]) < 0, True)]  # of equal precision, the one with the highest recall
    kept = kept[np.unique(np.linspace(0, len(kept) - 1, min(len(kept), MOST_POINTS)).round().astype(int))]
    return [
        Point(float(ordered[last[i]]), float(precision[i]), float(recall[i]), int(last[i]) + 1) for i in kept.tolist()
    ]


def choose_point(points: Sequence[Point], goal: Goal, wanted: float) -> Point | None:
    """Choose the point that meets a wanted precision with the highest recall, or the other way round; None if none."""
    met = [point for point in points if getattr(point, goal) >= wanted - 1e-12]
    return max(met, key=lambda point: point.recall if goal == "precision" else point.precision, default=None)


def points_of_classes(evaluation: Evaluation) -> list[list[Point]]:
    """List the points of each class of an evaluation; empty without probabilities."""
    if evaluation.probabilities is None:
        return []
    tested = evaluation.tested
    has, shares = _indicators(evaluation)[tested], evaluation.probabilities[tested]
    return [operating_points(has[:, k], shares[:, k]) for k in range(evaluation.n_classes)]


def _indicators(evaluation: Evaluation) -> np.ndarray:
    y = evaluation.y
    return y if y.ndim == 2 else np.eye(evaluation.n_classes, dtype=np.int8)[y]


def summarise_operating(
    evaluation: Evaluation, classes: Sequence[str], wanted: Mapping[Goal, float]
) -> list[dict[str, Any]] | None:
    """Summarise the operating points of each class, ready for JSON; None without probabilities.

    Returns
    -------
    list of dict
        For each goal: ``goal``, ``wanted`` and ``classes``: each with ``class``, ``threshold``, ``precision``,
        ``recall``, ``detections`` (None where it is not reached), and ``measured``: the precision or recall where the
        threshold is chosen on other folds, which is what to expect.
    """
    if not (points := points_of_classes(evaluation)):
        return None
    tested = evaluation.tested
    proba = evaluation.probabilities
    assert proba is not None
    has, shares = _indicators(evaluation)[tested], proba[tested]
    parts = deal(evaluation.fold_of[tested], None if evaluation.groups is None else evaluation.groups[tested])
    names = [str(name) for name in classes]
    measured = [measure(has[:, k], shares[:, k], parts, wanted) for k in range(len(names))]
    return [
        {
            "goal": goal,
            "wanted": share,
            "classes": [
                {"class": name, **_as_row(choose_point(points[k], goal, share)), "measured": measured[k][goal]}
                for k, name in enumerate(names)
            ],
        }
        for goal, share in wanted.items()
    ]


def _as_row(point: Point | None) -> dict[str, float | None]:
    return dict.fromkeys(Point._fields, None) if point is None else point._asdict()


def measure(
    has: np.ndarray, shares: np.ndarray, parts: np.ndarray, wanted: Mapping[Goal, float]
) -> dict[Goal, float | None]:
    """Measure what is met if the threshold for each part is chosen on the others; None where nothing can be counted."""
    detected = {goal: np.zeros(len(has), bool) for goal in wanted}
    for part in np.unique(parts):
        own = parts == part
        points = operating_points(has[~own], shares[~own])
        for goal, share in wanted.items():
            if point := choose_point(points, goal, share):
                detected[goal][own] = shares[own] >= point.threshold
    return {goal: _share_of(has > 0, found, goal) for goal, found in detected.items()}


def _share_of(has: np.ndarray, detected: np.ndarray, goal: Goal) -> float | None:
    of = int(detected.sum() if goal == "precision" else has.sum())
    return float((has & detected).sum()) / of if of else None
