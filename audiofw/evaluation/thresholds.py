"""The probability from which a label is predicted, chosen for each class by F1 on clips that the model has not seen."""

from __future__ import annotations

import numpy as np

DEFAULT = 0.5


def choose_thresholds(y: np.ndarray, proba: np.ndarray) -> np.ndarray:
    """Choose the threshold of each class with the highest F1.

    Parameters
    ----------
    y : np.ndarray [shape=(n, classes)]
        Indicator matrix.
    proba : np.ndarray [shape=(n, classes)]
        Out-of-fold probabilities; rows of NaN are ignored.

    Returns
    -------
    np.ndarray [shape=(classes,)]
        Each halfway between two probabilities; 0.5 for a class that all or none of the clips have.

    Examples
    --------
    >>> choose_thresholds(np.array([[1], [0], [1], [0]]), np.array([[0.9], [0.1], [0.3], [0.2]]))
    array([0.25])
    """
    rows = ~np.isnan(proba).any(axis=1)
    return np.array([_best(has, said) for has, said in zip(y[rows].T, proba[rows].T, strict=True)])


def _best(has: np.ndarray, said: np.ndarray) -> float:
    if not 0 < has.sum() < len(has):
        return DEFAULT
    levels, level = np.unique(-said, return_inverse=True)  # the highest probability first
    n_said = np.cumsum(np.bincount(level, minlength=len(levels)))
    hits = np.cumsum(np.bincount(level, has, minlength=len(levels)))
    best = int(np.argmax(2 * hits / (n_said + has.sum())))
    below = -levels[best + 1] if best + 1 < len(levels) else 0.0
    return float((below - levels[best]) / 2)
