"""How far scores may be trusted: one number that turns them into probabilities and changes no order."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import softmax

from audiofw.learn.inner_splits import take

SHARPEST = 1e4


def find_sharpness(scores: np.ndarray, codes: np.ndarray, sample_weight: Any = None) -> tuple[float, float]:
    """Find the factor with which the softmax of scores has the least log loss.

    Parameters
    ----------
    scores : np.ndarray [shape=(n, n_classes)]
        Of rows that had no part in the fit; rows of NaN do not count, -inf is a class that was not known.
    codes : np.ndarray [shape=(n,)]
        True classes as 0 .. n_classes-1.
    sample_weight : array-like [shape=(n,)], optional

    Returns
    -------
    sharpness, loss : float
        1 and infinity where no row counts.
    """
    rows = np.flatnonzero(~np.isnan(scores[:, 0]))
    weight = take(sample_weight, rows)
    if not len(rows) or (weight is not None and not np.any(weight)):
        return 1.0, np.inf

    def loss(logarithm: float) -> float:
        return log_loss(softmax(np.exp(logarithm) * scores[rows], axis=1), codes[rows], weight)

    found = minimize_scalar(loss, bounds=(-np.log(SHARPEST), np.log(SHARPEST)), method="bounded")
    return float(np.exp(found.x)), float(found.fun)


def log_loss(proba: np.ndarray, codes: np.ndarray, sample_weight: Any = None) -> float:
    """Average minus the logarithm of the true class's probability, none being taken as less than 1e-15."""
    of_true = proba[np.arange(len(codes)), codes]
    return float(np.average(-np.log(np.clip(of_true, 1e-15, 1.0)), weights=sample_weight))
