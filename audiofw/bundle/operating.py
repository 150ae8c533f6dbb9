"""The operating points of a bundle: the threshold of each class for a wanted precision or recall."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from audiofw.errors import ConfigError
from audiofw.evaluation.operating import Goal, Point, choose_point

log = logging.getLogger(__name__)

MOST_NAMED = 5


def thresholds_for(
    facts: Mapping[str, Any] | None, classes: Sequence[str], precision: float | None, recall: float | None
) -> np.ndarray:
    """Find the threshold of each class; see `audiofw.bundle.model.Model.operating_thresholds`."""
    given: list[tuple[Goal, float]] = []
    if precision is not None:
        given.append(("precision", precision))
    if recall is not None:
        given.append(("recall", recall))
    if len(given) != 1:
        raise ConfigError("give either a precision or a recall")
    goal, wanted = given[0]
    if not 0 < wanted <= 1:
        raise ConfigError(f"{goal}={wanted:g}: must be above 0 and at most 1")
    if not facts:
        raise ConfigError(f"{goal}={wanted:g}: the model was saved without the probabilities of test clips")
    points = {name: read_points(facts.get(name, ())) for name in classes}
    chosen = {name: choose_point(points[name], goal, wanted) for name in classes}
    _warn(goal, wanted, points, [name for name, point in chosen.items() if point is None])
    return np.array([np.inf if point is None else point.threshold for point in chosen.values()])


def read_points(rows: Any) -> list[Point]:
    """Read the points of a class from a bundle.

    Raises
    ------
    ConfigError
        For values that no point can have.
    """
    try:
        points = [Point(float(t), float(p), float(r), int(n)) for t, p, r, n in rows]
        if not all(0 <= share <= 1 for point in points for share in point[:3]):
            raise ValueError("not between 0 and 1")
    except (TypeError, ValueError, IndexError, KeyError) as error:
        raise ConfigError("the operating points in bundle.json are damaged, or not written by audiofw") from error
    return points


def _warn(goal: Goal, wanted: float, points: Mapping[str, Sequence[Point]], missed: Sequence[str]) -> None:
    if not missed:
        return
    each = ", ".join(f"{name} ({_at_most(points[name], goal)})" for name in missed[:MOST_NAMED])
    more = f" and {len(missed) - MOST_NAMED} more" if len(missed) > MOST_NAMED else ""
    log.warning("%s %g is not reached by %s%s, which is never predicted", goal, wanted, each, more)


def _at_most(points: Sequence[Point], goal: Goal) -> str:
    if not points:
        return "too few clips"
    return f"at most {max(getattr(point, goal) for point in points):.3f}"
