"""Scores of predictions, by scikit-learn; None where a score is undefined.

These are ``log_loss`` and ``roc_auc`` without probabilities, ``roc_auc`` if a class has no clips, and ``mcc`` if all
clips are of one class.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from audiofw.errors import ConfigError, ScoreError, nearest
from audiofw.evaluation.label_scores import score_labels

GREATER_IS_BETTER = {
    "accuracy": True,
    "balanced_accuracy": True,
    "f1": True,
    "f1_macro": True,
    "f1_weighted": True,
    "mcc": True,
    "log_loss": False,
    "roc_auc": True,
}
"""All scores of one label per clip, and whether higher is better."""

OF_LABELS = {"map": True, "roc_auc": True, "f1_micro": True, "f1_macro": True, "subset_accuracy": True}
"""All scores of several labels per clip."""

OF_TIMELINES = {
    "event_f1": True,
    "event_f1_macro": True,
    "event_f1_collar": True,
    "segment_f1": True,
    "frame_accuracy": True,
    "psds": True,
}
"""All scores of annotated recordings as a whole, see `audiofw.evaluation.timelines`."""

OF_TASK = {"single": GREATER_IS_BETTER, "multilabel": OF_LABELS}
HIGHER_IS_BETTER = GREATER_IS_BETTER | OF_LABELS | OF_TIMELINES

NEED_PROBABILITIES = ("log_loss", "roc_auc", "map")

Scores = dict[str, float | None]

Positive = int | tuple[int, ...]
"""The classes of ``f1``: those whose mean it is, or a single one of two classes; with more classes, all."""


class ClassScores(NamedTuple):
    """The scores of one class; a division by zero gives 0."""

    precision: float
    recall: float
    f1: float
    support: int


def check_score(name: str, task: str | None = None) -> None:
    """Check the name of a score.

    Raises
    ------
    ConfigError
        If the task, or without one any task, has no such score; lists the available scores.
    """
    known = HIGHER_IS_BETTER if task is None else OF_TASK[task] | OF_TIMELINES
    if name not in known:
        what = f"not a score of task={task}" if name in HIGHER_IS_BETTER else f"unknown score{nearest(name, known)}"
        raise ConfigError(f"score={name}: {what}; available: {', '.join(known)}")


def scores_of(y: np.ndarray) -> dict[str, bool]:
    """Return the scores of class indices, or of an indicator matrix, and whether higher is better."""
    return OF_TASK["multilabel" if y.ndim == 2 else "single"]


def scores(
    y_true: np.ndarray, y_pred: np.ndarray, proba: np.ndarray | None, n_classes: int, *, positive: Positive = 1
) -> Scores:
    """Compute all the scores in `GREATER_IS_BETTER`; of indicator matrices, those of `score_labels`.

    Parameters
    ----------
    y_true, y_pred : np.ndarray [shape=(n,)]
        Classes as 0 .. n_classes-1; some may be missing.
    proba : np.ndarray [shape=(n, n_classes)] or None
        Probabilities; each row sums to 1.
    n_classes : int
        In all of the data.
    positive : int or tuple of int
        With two classes, the one for ``f1``: by default the last in sorted order, as in scikit-learn. Several: the
        classes whose mean is ``f1``.

    Returns
    -------
    dict of str to float or None
        ``accuracy``, ``balanced_accuracy`` (unweighted average recall, of the classes in `y_true`), ``f1`` (of
        `positive`; by default of one of two classes, else ``f1_macro``), ``f1_macro`` and ``f1_weighted`` (of the
        classes in either), ``mcc``, ``log_loss`` (nats), ``roc_auc`` (one against the rest, averaged over classes).
    """
    if y_true.ndim == 2:
        return score_labels(y_true, y_pred, proba)
    from sklearn import metrics

    present = np.unique(y_true)
    f1_macro = metrics.f1_score(y_true, y_pred, average="macro", zero_division=0)
    f1_of_each = metrics.f1_score(y_true, y_pred, labels=range(n_classes), average=None, zero_division=0)
    values: dict[str, Any] = {
        "accuracy": metrics.accuracy_score(y_true, y_pred),
        # the same as balanced_accuracy_score, which warns about classes that are only in y_pred
        "balanced_accuracy": metrics.recall_score(y_true, y_pred, labels=present, average="macro", zero_division=0),
        "f1": f1_macro,
        "f1_macro": f1_macro,
        "f1_weighted": metrics.f1_score(y_true, y_pred, average="weighted", zero_division=0),
        "mcc": metrics.matthews_corrcoef(y_true, y_pred) if present.size > 1 else None,
        "log_loss": None if proba is None else metrics.log_loss(y_true, proba, labels=range(n_classes)),
        "roc_auc": None if proba is None or present.size < n_classes else _roc_auc(y_true, proba),
    }
    if isinstance(positive, tuple) or n_classes == 2:
        found = [i for i in np.atleast_1d(positive) if (y_true == i).any() or (y_pred == i).any()]
        values["f1"] = f1_of_each[found].mean() if found else 0.0
    return {name: None if value is None else float(value) for name, value in values.items()}


def positive_classes(classes: Sequence[str], negative: str | None) -> Positive:
    """Choose the classes of ``f1``: all but the negative one, if it is among them.

    Examples
    --------
    >>> positive_classes(["background", "robin", "wren"], "background"), positive_classes(["robin", "wren"], None)
    ((1, 2), 1)
    """
    return tuple(i for i, name in enumerate(classes) if name != negative) if negative in classes else 1


def _roc_auc(y_true: np.ndarray, proba: np.ndarray) -> float:
    from sklearn.metrics import roc_auc_score

    if proba.shape[1] == 2:
        return roc_auc_score(y_true, proba[:, 1])
    return roc_auc_score(y_true, proba, multi_class="ovr", average="macro")


def per_class(y_true: np.ndarray, y_pred: np.ndarray, n_classes: int) -> list[ClassScores]:
    """Score each class, in the order of the classes."""
    from sklearn.metrics import precision_recall_fscore_support

    columns = precision_recall_fscore_support(y_true, y_pred, labels=range(n_classes), zero_division=0)
    return [ClassScores(float(p), float(r), float(f), int(n)) for p, r, f, n in zip(*columns, strict=True)]


def confusion_matrix(y_true: np.ndarray, y_pred: np.ndarray, n_classes: int) -> np.ndarray:
    """Count clips: rows are true classes, columns predicted ones."""
    from sklearn.metrics import confusion_matrix

    return confusion_matrix(y_true, y_pred, labels=range(n_classes))


def score_counts(counts: np.ndarray, positive: Positive) -> dict[str, np.ndarray]:
    """Score many confusion matrices at once, shape (sets, classes, classes), like `scores`; NaN where undefined."""
    right = np.diagonal(counts, axis1=1, axis2=2)
    true, predicted, total = counts.sum(axis=2), counts.sum(axis=1), counts.sum(axis=(1, 2))
    f1 = _divide(2 * right, true + predicted)
    f1_macro = np.nanmean(f1, axis=1)
    return {
        "accuracy": right.sum(axis=1) / total,
        "balanced_accuracy": np.nanmean(_divide(right, true), axis=1),
        "f1": f1_macro if isinstance(positive, int) and f1.shape[1] != 2 else _mean_of(f1[:, np.atleast_1d(positive)]),
        "f1_macro": f1_macro,
        "f1_weighted": np.nansum(f1 * true, axis=1) / total,
        "mcc": _matthews(right, true, predicted, total),
    }


def _mean_of(columns: np.ndarray) -> np.ndarray:
    """Average over the columns that are defined; NaN where none is."""
    defined = np.isfinite(columns)
    return _divide(np.where(defined, columns, 0.0).sum(axis=1), defined.sum(axis=1))


def _matthews(right: np.ndarray, true: np.ndarray, predicted: np.ndarray, total: np.ndarray) -> np.ndarray:
    of_true, of_predicted = (total**2 - (side**2).sum(axis=1) for side in (true, predicted))
    covariance = right.sum(axis=1) * total - (true * predicted).sum(axis=1)
    mcc = np.nan_to_num(_divide(covariance, np.sqrt(of_true * of_predicted)))
    return np.where(of_true > 0, mcc, np.nan)


def _divide(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.divide(a, b, out=np.full(np.shape(a), np.nan), where=b > 0)


def refuse_low(score: str, value: float, least: float | None) -> None:
    """Raise ScoreError if a score is worse than the least one; for a score to be minimised, that is the largest."""
    if least is None:
        return
    greater = HIGHER_IS_BETTER[score]
    if (value < least) if greater else (value > least):
        raise ScoreError(f"{score} {value:.3f} is {'below' if greater else 'above'} min_score={least:g}")
