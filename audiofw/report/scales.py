"""Positions of scores on their axes: value, interval, folds and baseline, in percent of the width; right is better."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from audiofw.evaluation.scores import HIGHER_IS_BETTER
from audiofw.results.console import score_names


class Scored(NamedTuple):
    """One score with everything that is drawn for it.

    Attributes
    ----------
    ends : tuple of float
        The values at the left and right end of its axis; if lower is better, the larger one is on the left.
    """

    key: str
    name: str
    value: float | None
    interval: tuple[float, float] | None
    mean: float | None
    std: float | None
    baseline: float | None
    folds: Sequence[float | None]
    ends: tuple[float, float]

    def at(self, value: float) -> float:
        """Give the position of a value between the ends, in percent."""
        left, right = self.ends
        return round(100 * min(1.0, max(0.0, (value - left) / ((right - left) or 1.0))), 2)

    def bar(self, values: tuple[float, float]) -> tuple[float, float]:
        """Give the left end and the width of an interval, in percent."""
        left, right = sorted(map(self.at, values))
        return left, round(max(right - left, 0.5), 2)


def scored(metrics: Mapping[str, Any]) -> list[Scored]:
    """List the scores, the main one first; all but log loss share one axis."""
    names = score_names(metrics)
    keys = sorted((key for key in names if key in metrics["scores"]), key=lambda key: key != metrics["score"])
    rows = [_scored(key, names[key], metrics) for key in keys]
    shared = min(row.ends[0] for row in rows if HIGHER_IS_BETTER[row.key]), 1.0
    return [row._replace(ends=shared) if HIGHER_IS_BETTER[row.key] else row for row in rows]


def _scored(key: str, name: str, metrics: Mapping[str, Any]) -> Scored:
    parts, baseline = metrics["scores"][key], metrics["baseline"].get(key)
    interval = tuple(parts["interval"]) if parts.get("interval") else None
    folds = parts.get("folds") or []
    known = [v for v in (parts["pooled"], baseline, *folds, *(interval or ())) if v is not None]
    ends = (min([0.0, *known]), 1.0) if HIGHER_IS_BETTER[key] else (1.05 * max([0.1, *known]), 0.0)
    return Scored(key, name, parts["pooled"], interval, parts["mean"], parts["std"], baseline, folds, ends)
