"""Fit a model with what it takes of weights and groups, and ask it about rows that it has not seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.utils.validation import has_fit_parameter

from audiofw.errors import ConfigError
from audiofw.learn.inner_splits import Inner
from audiofw.learn.steps import last_step


def fit(model: Any, X: Any, y: np.ndarray, sample_weight: Any = None, groups: Any = None) -> Any:
    """Fit a model; groups go to one that takes them, weights must be taken.

    Raises
    ------
    ConfigError
        When there are weights and the model takes none.
    """
    last, name, prefix = last_step(model)
    given = {}
    if sample_weight is not None:
        if not has_fit_parameter(last, "sample_weight"):
            raise ConfigError(f"balance=balanced: {name} takes no sample_weight, so it cannot be balanced")
        given[f"{prefix}sample_weight"] = sample_weight
    if groups is not None and has_fit_parameter(last, "groups"):
        given[f"{prefix}groups"] = groups
    return model.fit(X, y, **given)


def take(values: Any, rows: np.ndarray) -> Any:
    """Take some rows of an array, or of nothing."""
    return None if values is None else np.asarray(values)[rows]


def out_of_fold(
    model: Any, X: Any, codes: np.ndarray, splits: Sequence[Inner], sample_weight: Any = None, groups: Any = None
) -> np.ndarray:
    """Let a fresh copy of a model, fitted on each split's training rows, predict its test rows.

    Parameters
    ----------
    model : classifier
        It stays unfitted.
    X : array [shape=(n, …)]
    codes : np.ndarray [shape=(n,)]
        Classes as 0 .. n_classes-1.
    splits : sequence of Inner

    Returns
    -------
    np.ndarray [shape=(n, n_classes)]
        Probabilities; NaN for a row that no split tests, 0 for a class that was not trained on.
    """
    proba = np.full((len(codes), int(codes.max()) + 1), np.nan)
    for train, test in splits:
        seen, inner = np.unique(codes[train], return_inverse=True)  # some models want 0 .. k-1 without a gap
        fitted = fit(clone(model), X[train], inner, take(sample_weight, train), take(groups, train))
        proba[test] = 0.0
        proba[np.ix_(test, seen)] = fitted.predict_proba(X[test])
    return proba


def log_loss(proba: np.ndarray, codes: np.ndarray, sample_weight: Any = None) -> float:
    """Average minus the logarithm of the true class's probability, none being taken as less than 1e-15."""
    of_true = proba[np.arange(len(codes)), codes]
    return float(np.average(-np.log(np.clip(of_true, 1e-15, 1.0)), weights=sample_weight))
