"""Scores of several labels per clip, and the influence of each clip on them.

A class that all or none of the clips have cannot be ranked: it has neither an average precision nor a ROC AUC, and is
left out of their means. A class that is neither true nor predicted for any clip is left out of the mean F1.

References
----------
Boyd, K. et al.: Area under the precision-recall curve: point estimates and confidence intervals. ECML PKDD 2013.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np


class LabelScores(NamedTuple):
    """The scores of one class among several per clip; None if they are undefined."""

    average_precision: float | None
    roc_auc: float | None
    precision: float
    recall: float
    f1: float
    support: int  #: clips that have the label


def score_labels(y_true: np.ndarray, y_pred: np.ndarray, proba: np.ndarray | None) -> dict[str, float | None]:
    """Compute all scores of several labels.

    Parameters
    ----------
    y_true, y_pred : np.ndarray [shape=(n, classes)]
        Indicator matrices.
    proba : np.ndarray [shape=(n, classes)] or None
        The probability of each class by itself.

    Returns
    -------
    dict of str to float or None
        ``map`` (mean average precision), ``roc_auc``, ``f1_macro`` (means over the classes where they are defined),
        ``f1_micro`` (of all pairs of clip and class) and ``subset_accuracy`` (share of clips with all labels right).
    """
    from sklearn import metrics

    each = score_each(y_true, y_pred, proba)
    named = [one.f1 for one, has, said in zip(each, y_true.T, y_pred.T, strict=True) if has.any() or said.any()]
    return {
        "map": _mean(one.average_precision for one in each),
        "roc_auc": _mean(one.roc_auc for one in each),
        "f1_micro": float(metrics.f1_score(y_true.ravel(), y_pred.ravel(), zero_division=0)) if named else None,
        "f1_macro": _mean(named),
        "subset_accuracy": float((y_true == y_pred).all(axis=1).mean()) if len(y_true) else None,
    }


def score_each(y_true: np.ndarray, y_pred: np.ndarray, proba: np.ndarray | None) -> list[LabelScores]:
    """Score each class, in the order of the classes; a division by zero gives 0."""
    from sklearn import metrics

    found = []
    for k, (has, said) in enumerate(zip(y_true.T, y_pred.T, strict=True)):
        precision, recall, f1, _ = metrics.precision_recall_fscore_support(has, said, average="binary", zero_division=0)
        ranked = None if proba is None or not is_ranked(has) else proba[:, k]
        ap = None if ranked is None else float(metrics.average_precision_score(has, ranked))
        auc = None if ranked is None else float(metrics.roc_auc_score(has, ranked))
        found.append(LabelScores(ap, auc, float(precision), float(recall), float(f1), int(has.sum())))
    return found


def is_ranked(has: np.ndarray) -> bool:
    """Whether some clips have a label and others do not, so that they can be ranked."""
    return bool(0 < has.sum() < len(has))


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


# --- influences -------------------------------------------------------------------------------------------


Part = tuple[float, np.ndarray]  # a score, and the influence of each clip


def influence_labels(
    y_true: np.ndarray, y_pred: np.ndarray, proba: np.ndarray | None, names: Iterable[str]
) -> dict[str, Part]:
    """Compute scores of several labels, each with the influence of every clip, without those that are undefined."""
    makers: dict[str, Callable[[], Part | None]] = {
        "map": lambda: _mean_part(_ranked(y_true, proba, influence_ap)),
        "roc_auc": lambda: _mean_part(_ranked(y_true, proba, influence_auc)),
        "f1_micro": lambda: _f1(y_true, y_pred),
        "f1_macro": lambda: _mean_part([_f1(a[:, None], b[:, None]) for a, b in zip(y_true.T, y_pred.T, strict=True)]),
        "subset_accuracy": lambda: _share((y_true == y_pred).all(axis=1)),
    }
    made = {name: makers[name]() for name in names if name in makers}
    return {name: part for name, part in made.items() if part is not None}


def _ranked(y_true: np.ndarray, proba: np.ndarray | None, influence: Callable[[Any, Any], Part]) -> list[Part | None]:
    if proba is None:
        return []
    return [influence(has > 0, said) for has, said in zip(y_true.T, proba.T, strict=True) if is_ranked(has)]


def _mean_part(parts: Iterable[Part | None]) -> Part | None:
    known = [part for part in parts if part is not None]
    return (float(np.mean([v for v, _ in known])), np.mean([i for _, i in known], axis=0)) if known else None


def _share(right: np.ndarray) -> Part:
    value = right.mean()
    return float(value), (right - value) / len(right)


def _f1(y_true: np.ndarray, y_pred: np.ndarray) -> Part | None:
    """F1 of all pairs of clip and class, ``2 hits / (true + predicted)``; None if nothing is true or predicted."""
    both, hits = (y_true + y_pred.astype(int)).sum(axis=1), (y_true * y_pred.astype(int)).sum(axis=1)
    if not (total := both.sum()):
        return None
    value = 2 * hits.sum() / total
    return float(value), (2 * hits - value * both) / total


def influence_ap(own: np.ndarray, proba: np.ndarray) -> Part:
    """Average precision: the mean precision among the clips of at least the probability of each clip with the label.

    A clip has an influence by its own precision, and as one of those that others are ranked against.
    """
    levels, level = np.unique(-proba, return_inverse=True)  # the highest probability first
    at, hits = (np.bincount(level, weights, minlength=len(levels)) for weights in (None, own))
    above, hits_above = np.cumsum(at), np.cumsum(hits)
    precision = hits_above / above
    value, n_own = (precision * hits).sum() / hits.sum(), hits.sum()
    below = lambda each: np.cumsum((hits * each)[::-1])[::-1]  # noqa: E731  # over clips that are ranked no higher
    moved = np.where(own, precision[level] - value + below(1 / above)[level], 0.0) - below(precision / above)[level]
    return float(value), moved / n_own


def influence_auc(own: np.ndarray, proba: np.ndarray) -> Part:
    """Area under the ROC curve: the fraction of other clips that each is ranked correctly against; ties count half."""
    n_own = own.sum()
    n_rest = own.size - n_own
    below = _ranks(proba)
    below[own] -= _ranks(proba[own])
    below[~own] -= _ranks(proba[~own])
    placed = np.where(own, below / n_rest, 1 - below / n_own)
    value = placed[own].mean()
    return float(value), (placed - value) / np.where(own, n_own, n_rest)


def _ranks(values: np.ndarray) -> np.ndarray:
    """Rank values from 1, equal ones by the mean of their ranks, as scipy.stats.rankdata, which is slow to import."""
    _, level, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[level]
