"""Scores on their scales: where value, interval, folds and guessing stand, from 0 to 100 %."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from audiofw.results.console import score_names


class Scored(NamedTuple):
    """One score, and the places of its parts on its scale, in percent."""

    key: str
    name: str
    value: float | None
    interval: tuple[float, float] | None
    mean: float | None
    std: float | None
    guess: float | None
    folds: Sequence[float | None]
    ends: tuple[float, float]

    def at(self, value: float) -> float:
        """Place of a value between the ends, in percent."""
        low, high = self.ends
        return round(100 * min(1.0, max(0.0, (value - low) / ((high - low) or 1.0))), 2)


def scored(metrics: Mapping[str, Any]) -> list[Scored]:
    """List the scores, the main one first."""
    names = score_names(metrics)
    keys = sorted((key for key in names if key in metrics["scores"]), key=lambda key: key != metrics["score"])
    return [_scored(key, names[key], metrics) for key in keys]


def _scored(key: str, name: str, metrics: Mapping[str, Any]) -> Scored:
    parts, guess = metrics["scores"][key], metrics["baseline"].get(key)
    interval = tuple(parts["interval"]) if parts.get("interval") else None
    folds = parts.get("folds") or []
    known = [v for v in (parts["pooled"], guess, *folds, *(interval or ())) if v is not None]
    return Scored(key, name, parts["pooled"], interval, parts["mean"], parts["std"], guess, folds, _ends(key, known))


def _ends(key: str, values: Sequence[float]) -> tuple[float, float]:
    least, most = min([0.0, *values]), max([1.0, *values])
    return (least, most) if key != "log_loss" else (0.0, 1.05 * max([0.1, *values]))
