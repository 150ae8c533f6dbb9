"""Summarise an evaluation for ``metrics.json``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from audiofw.errors import ConfigError
from audiofw.evaluation.conformal import summarise_confidence
from audiofw.evaluation.cross_validate import Evaluation
from audiofw.evaluation.intervals import score_intervals
from audiofw.evaluation.label_summary import summarise_labels
from audiofw.evaluation.scores import HIGHER_IS_BETTER, NEED_PROBABILITIES, check_score, confusion_matrix, per_class


def summarise(
    evaluation: Evaluation,
    *,
    classes: Sequence[str],
    score: str = "accuracy",
    level: float = 0.95,
    coverage: float = 0.9,
) -> dict[str, Any]:
    """Summarise an evaluation as plain Python values, ready for JSON; None for undefined scores.

    The main ``value``, None if it is undefined, is the pooled score: that of all out-of-fold predictions together. The
    interval is for this score, in which every clip has the same weight whatever the sizes of the folds.

    Parameters
    ----------
    evaluation : Evaluation
    classes : sequence of str
        Names of the classes, in the order of their indices.
    score : str
        The main score, one of `audiofw.evaluation.scores.OF_TASK`.
    level : float
        Confidence level of the intervals.
    coverage : float
        Coverage of the prediction sets, see `audiofw.evaluation.conformal`.

    Raises
    ------
    ConfigError
        For an unknown score.
    """
    task = "multilabel" if evaluation.y.ndim == 2 else "single"
    check_score(score, task)
    tested, y, proba = evaluation.tested, evaluation.y, evaluation.probabilities
    y_true, y_pred = y[tested], evaluation.predictions[tested]
    groups = None if evaluation.groups is None else evaluation.groups[tested]
    intervals = score_intervals(
        y_true, y_pred, None if proba is None else proba[tested],
        n_classes=evaluation.n_classes, groups=groups, positive=evaluation.sample.positive, level=level,
    )  # fmt: skip
    each = {
        name: _summarise_score(name, value, intervals[name], evaluation) for name, value in evaluation.scores.items()
    }
    return {
        "task": task,
        "score": score,
        "value": evaluation.scores[score],
        "greater_is_better": HIGHER_IS_BETTER[score],
        "scores": each,
        "interval_level": level,
        "interval_over": "clips" if groups is None else "groups",
        "n_interval_over": int(tested.sum()) if groups is None else len(np.unique(groups)),
        "baseline": evaluation.baseline.scores,
        "classes": list(map(str, classes)),
        "f1_of": _f1_of(evaluation, classes),
        "negative": _negative(evaluation, classes),
        **(
            summarise_labels(evaluation, classes)
            if task == "multilabel"
            else _summarise_classes(evaluation, classes, groups, coverage)
        ),
        "n_clips": len(y),
        "n_tested": int(tested.sum()),
        "n_folds": len(evaluation.folds),
        "fit_seconds": [fold.fit_seconds for fold in evaluation.folds],
        "predict_seconds": [fold.predict_seconds for fold in evaluation.folds],
    }


def _f1_of(evaluation: Evaluation, classes: Sequence[str]) -> str:
    positive = evaluation.sample.positive
    if evaluation.y.ndim == 2 or (isinstance(positive, int) and evaluation.n_classes > 2):
        return "mean over classes"
    which = [str(classes[i]) for i in np.atleast_1d(positive)]
    return which[0] if len(which) == 1 else f"mean over classes without {_negative(evaluation, classes)}"


def _negative(evaluation: Evaluation, classes: Sequence[str]) -> str | None:
    """Name the class that is not one of those of ``f1``; None if all are, or one of two."""
    positive = evaluation.sample.positive
    if isinstance(positive, int):
        return None
    return str(next(name for i, name in enumerate(classes) if i not in positive))


def _summarise_classes(
    evaluation: Evaluation, classes: Sequence[str], groups: np.ndarray | None, coverage: float
) -> dict[str, Any]:
    tested, n_classes = evaluation.tested, evaluation.n_classes
    y_true, y_pred = evaluation.y[tested], evaluation.predictions[tested]
    rows = per_class(y_true, y_pred, n_classes)
    return {
        "per_class": [{"class": str(name), **row._asdict()} for name, row in zip(classes, rows, strict=True)],
        "confidence": _summarise_confidence(evaluation, groups, coverage),
        "confusion_matrix": confusion_matrix(y_true, y_pred, n_classes).tolist(),
    }


def _summarise_confidence(evaluation: Evaluation, groups: np.ndarray | None, coverage: float) -> dict[str, Any] | None:
    if evaluation.probabilities is None:
        return None
    tested = evaluation.tested
    proba, y, folds = evaluation.probabilities[tested], evaluation.y[tested], evaluation.fold_of[tested]
    return summarise_confidence(proba, y, folds, coverage, groups)


def _summarise_score(
    name: str, pooled: float | None, interval: tuple[float, float] | None, evaluation: Evaluation
) -> dict[str, Any]:
    of_folds = [fold.scores[name] for fold in evaluation.folds]
    defined = [value for value in of_folds if value is not None]
    return {
        "pooled": pooled,
        "mean": float(np.mean(defined)) if defined else None,
        "std": float(np.std(defined, ddof=1)) if len(defined) > 1 else None,
        "interval": None if interval is None else list(interval),
        "folds": of_folds,
    }


def main_value(metrics: Mapping[str, Any]) -> float:
    """Return the main score.

    Raises
    ------
    ConfigError
        If it is undefined for these predictions.
    """
    score, value = metrics["score"], metrics["value"]
    if value is not None:
        return float(value)
    if metrics["task"] == "multilabel":
        reason, other = "no class has test clips with and without it", "f1_micro"
    else:
        without = score in NEED_PROBABILITIES and metrics["scores"]["log_loss"]["pooled"] is None
        reason, other = "this model gives no probabilities" if without else "a class has no test clips", "accuracy"
    raise ConfigError(f"score={score}: undefined, because {reason}; choose another score, e.g. score={other}")
