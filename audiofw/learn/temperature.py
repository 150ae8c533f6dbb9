"""Temperature scaling: one parameter that turns scores into calibrated probabilities without changing their ranking."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import softmax

from audiofw.learn.inner_splits import take

SHARPEST = 1e4


def find_sharpness(scores: np.ndarray, codes: np.ndarray, sample_weight: Any = None) -> tuple[float, float]:
    """Find the factor (inverse temperature) that minimises the log loss of the softmax of the scores.

    Parameters
    ----------
    scores : np.ndarray [shape=(n, n_classes)]
        Out-of-fold scores; rows of NaN are ignored, -inf marks a class that was not trained on.
    codes : np.ndarray [shape=(n,)]
        True class indices, 0 to n_classes - 1.
    sample_weight : array-like [shape=(n,)], optional

    Returns
    -------
    sharpness, loss : float
        1 and infinity if every row is ignored.

    Examples
    --------
    >>> from audiofw.learn.temperature import find_sharpness
    >>> import numpy as np
    >>> scores = np.array([[9.0, 0.0], [9.0, 0.0], [9.0, 0.0], [9.0, 0.0]])
    >>> sharpness, loss = find_sharpness(scores, np.array([0, 0, 0, 1]))  # very confident, yet one in four is wrong
    >>> bool(np.isclose(sharpness * 9, np.log(3), atol=1e-3))  # odds of three to one
    True
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
    """Mean negative log-probability of the true class, with probabilities clipped to at least 1e-15."""
    of_true = proba[np.arange(len(codes)), codes]
    return float(np.average(-np.log(np.clip(of_true, 1e-15, 1.0)), weights=sample_weight))
