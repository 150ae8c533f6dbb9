"""Influence of each tested clip on a score, for confidence intervals and comparisons of runs.

The influence of a clip is the first-order change of the score with the clip's weight (infinitesimal jackknife). The
influences of all clips sum to zero, and their squares to the variance of the score; those of a group are summed first.
Unlike resampling, which computes the scores a thousand times, this takes a single pass over the clips for all scores.

References
----------
Efron, B.: The jackknife, the bootstrap and other resampling plans. SIAM 1982, chapter 6.
DeLong, E. et al.: Comparing the areas under two or more correlated ROC curves. Biometrics 44, 1988.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from audiofw.evaluation.label_scores import influence_auc, influence_labels
from audiofw.evaluation.scores import Positive, scores_of


class Influence(NamedTuple):
    """A score and the influence of each clip on it."""

    value: float
    of_clips: np.ndarray  # (clips,), summing to zero


class _Counts(NamedTuple):
    """The counts from which scores of labels are computed; the scores' derivatives have the same form."""

    right: np.ndarray  # (classes,), as are the next two
    true: np.ndarray
    predicted: np.ndarray
    total: float


def influences(
    y_true: np.ndarray,
    y_pred: np.ndarray,
    proba: np.ndarray | None,
    n_classes: int,
    *,
    names: Iterable[str] | None = None,
    positive: Positive = 1,
) -> dict[str, Influence]:
    """Compute scores, each with the influence of every clip.

    Parameters
    ----------
    y_true, y_pred, proba, n_classes, positive
        As in `audiofw.evaluation.scores.scores`.
    names : iterable of str, optional
        Names of the scores; by default all.

    Returns
    -------
    dict of str to Influence
        Excludes scores that are undefined for these clips, and ``mcc`` if only one class is predicted.
    """
    wanted = set(scores_of(y_true) if names is None else names)
    if y_true.ndim == 2:
        return {name: Influence(*part) for name, part in influence_labels(y_true, y_pred, proba, wanted).items()}
    found = {
        name: Influence(value, _spread_over_clips(slope, y_true, y_pred))
        for name, (value, slope) in _differentiate(_count(y_true, y_pred, n_classes), positive).items()
        if name in wanted
    }
    if proba is not None and "log_loss" in wanted:
        found["log_loss"] = _log_loss(y_true, proba)
    if proba is not None and "roc_auc" in wanted and len(np.unique(y_true)) == n_classes:
        found["roc_auc"] = _roc_auc(y_true, proba)
    return found


def _count(y_true: np.ndarray, y_pred: np.ndarray, n_classes: int) -> _Counts:
    right, true, predicted = (
        np.bincount(y, minlength=n_classes).astype(float) for y in (y_true[y_true == y_pred], y_true, y_pred)
    )
    return _Counts(right, true, predicted, float(len(y_true)))


def _spread_over_clips(slope: _Counts, y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
    hit = y_true == y_pred
    return slope.right[y_true] * hit + slope.true[y_true] + slope.predicted[y_pred] + slope.total


# --- scores of labels -------------------------------------------------------------------------------------


def _differentiate(counts: _Counts, positive: Positive) -> dict[str, tuple[float, _Counts]]:
    """Map each score of labels to its value and its derivatives with respect to the counts."""
    f1, slope = _f1_of_each(counts)
    present = counts.true + counts.predicted > 0
    macro = _weigh(f1, slope, present / present.sum())
    of_f1 = np.isin(np.arange(f1.size), positive) & present
    scores = {
        "accuracy": _accuracy(counts),
        "balanced_accuracy": _balanced_accuracy(counts),
        "f1_macro": macro,
        "f1_weighted": _f1_weighted(counts, f1, slope),
    }
    if isinstance(positive, int) and f1.size != 2:
        scores["f1"] = macro
    elif of_f1.any():
        scores["f1"] = _weigh(f1, slope, of_f1 / of_f1.sum())
    if (mcc := _mcc(counts)) is not None:
        scores["mcc"] = mcc
    return scores


def _accuracy(counts: _Counts) -> tuple[float, _Counts]:
    value, none = counts.right.sum() / counts.total, np.zeros_like(counts.right)
    return value, _Counts(none + 1 / counts.total, none, none, -value / counts.total)


def _balanced_accuracy(counts: _Counts) -> tuple[float, _Counts]:
    recall, per_clip = _divide(counts.right, counts.true), _divide(1.0, counts.true) / (counts.true > 0).sum()
    value = recall.sum() / (counts.true > 0).sum()
    return value, _Counts(per_clip, -recall * per_clip, np.zeros_like(recall), 0.0)


def _f1_of_each(counts: _Counts) -> tuple[np.ndarray, _Counts]:
    both = counts.true + counts.predicted
    f1 = _divide(2 * counts.right, both)
    fall = -_divide(f1, both)
    return f1, _Counts(_divide(2.0, both), fall, fall, 0.0)


def _weigh(values: np.ndarray, slope: _Counts, weights: np.ndarray) -> tuple[float, _Counts]:
    right, true, predicted = (weights * part for part in slope[:3])
    return float(values @ weights), _Counts(right, true, predicted, 0.0)


def _f1_weighted(counts: _Counts, f1: np.ndarray, slope: _Counts) -> tuple[float, _Counts]:
    value, by_weight = _weigh(f1, slope, counts.true / counts.total)
    own = f1 / counts.total  # the weights are counts, too
    return value, by_weight._replace(true=by_weight.true + own, total=-value / counts.total)


def _mcc(counts: _Counts) -> tuple[float, _Counts] | None:
    """Differentiate covariance / √(of_true · of_predicted)."""
    right, true, predicted, n = counts.right.sum(), counts.true, counts.predicted, counts.total
    of_true, of_predicted = (n**2 - side @ side for side in (true, predicted))
    if of_true <= 0 or of_predicted <= 0:
        return None
    scale = 1 / np.sqrt(of_true * of_predicted)
    value = (right * n - true @ predicted) * scale
    return value, _Counts(
        np.full_like(true, n * scale),
        value * true / of_true - predicted * scale,
        value * predicted / of_predicted - true * scale,
        right * scale - value * n * (1 / of_true + 1 / of_predicted),
    )


def _divide(a: np.ndarray | float, b: np.ndarray) -> np.ndarray:
    return np.divide(a, b, out=np.zeros_like(b), where=b > 0)


# --- scores of probabilities ------------------------------------------------------------------------------


def _log_loss(y_true: np.ndarray, proba: np.ndarray) -> Influence:
    own = proba[np.arange(len(y_true)), y_true].astype(float)
    losses = -np.log(np.clip(own, np.finfo(proba.dtype).eps, 1))
    return Influence(float(losses.mean()), (losses - losses.mean()) / losses.size)


def _roc_auc(y_true: np.ndarray, proba: np.ndarray) -> Influence:
    one_of_two = [1] if proba.shape[1] == 2 else range(proba.shape[1])
    each = [influence_auc(y_true == one, proba[:, one]) for one in one_of_two]
    return Influence(*(np.mean(parts, axis=0) for parts in zip(*each, strict=True)))
