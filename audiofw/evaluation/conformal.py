"""Accuracy of the most confident predictions, and conformal prediction sets with a given coverage.

Both are computed from out-of-fold probabilities. A prediction set (split conformal) contains every class whose
probability is at least a threshold, low enough for the sets to contain the true class in the wanted share of clips
(the coverage). This holds for new clips like the tested ones, whatever the model, but not for other microphones or
places.

References
----------
Sadinle, M., Lei, J., Wasserman, L.: Least ambiguous set-valued classifiers with bounded error levels. JASA 114, 2019.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

CURVE_POINTS = 50
MOST_KEPT = 1000
PARTS = 5
SHARES = (1.0, 0.9, 0.8, 0.5)  # of the clips, the most confident, in the summary


def summarise_confidence(
    proba: np.ndarray, y: np.ndarray, parts: np.ndarray, coverage: float, groups: np.ndarray | None = None
) -> dict[str, Any]:
    """Summarise how useful the probabilities are, ready for JSON.

    Parameters
    ----------
    proba : np.ndarray [shape=(clips, classes)]
        Out-of-fold probabilities of the test clips.
    y : np.ndarray [shape=(clips,)]
        Their classes.
    parts : np.ndarray [shape=(clips,)]
        The fold that tested each. The threshold for one part is computed on the others; a single fold is divided into
        parts by clips, or groups.
    coverage : float
        Share of clips whose set is to contain the true class.
    groups : np.ndarray [shape=(clips,)], optional

    Returns
    -------
    dict
        ``curve``: accuracy of the clips above thresholds, and their share of all clips; ``sets``: the wanted and the
        measured coverage, and the mean number of classes; ``conformity``: the sorted probabilities of the true classes,
        for `threshold`.
    """
    true = proba[np.arange(len(y)), y]
    return {
        "curve": coverage_curve(proba, y),
        "sets": _measure_sets(proba, y, true, deal(parts, groups), coverage),
        "conformity": thin_out(np.sort(true)).tolist(),
    }


def coverage_curve(proba: np.ndarray, y: np.ndarray) -> list[dict[str, float]]:
    """Compute the accuracy of the most confident predictions, for shares of them from all down to few.

    Returns
    -------
    list of dict
        ``threshold``: their lowest probability, ``coverage``: their share of the clips, ``accuracy``.
    """
    confidence, right = proba.max(axis=1), proba.argmax(axis=1) == y
    order = np.argsort(-confidence, kind="stable")
    accuracy = np.cumsum(right[order]) / np.arange(1, len(y) + 1)
    last = np.unique(np.ceil(np.linspace(1, 1 / CURVE_POINTS, CURVE_POINTS) * len(y)).astype(int))[::-1]
    return [
        {"threshold": float(confidence[order[n - 1]]), "coverage": n / len(y), "accuracy": float(accuracy[n - 1])}
        for n in last.tolist()
    ]


def threshold(conformity: Sequence[float] | np.ndarray, coverage: float) -> float:
    """Find the lowest probability for a class to be in a prediction set.

    Parameters
    ----------
    conformity : sequence of float
        Probabilities of the true classes of clips that the model was not trained on, sorted.
    coverage : float
        Share of clips whose set is to contain the true class, from 0 to 1.

    Returns
    -------
    float
        0 if there are too few clips for this coverage: then every set contains all classes.
    """
    n = len(conformity)
    left_out = n - math.ceil((n + 1) * coverage)  # number of clips whose true class may be below
    return float(conformity[left_out]) if left_out >= 0 else 0.0


def label_sets(proba: np.ndarray, least: float) -> np.ndarray:
    """Mark the classes in each clip's prediction set, shape ``(clips, classes)``: those of at least this probability.

    A set is never empty: it contains the most probable class.
    """
    return (proba >= least) | (proba == proba.max(axis=1, keepdims=True))


def _measure_sets(
    proba: np.ndarray, y: np.ndarray, true: np.ndarray, parts: np.ndarray, coverage: float
) -> dict[str, float] | None:
    """Apply to each part the threshold of the others; None if there is only one part."""
    numbers = np.unique(parts)
    if len(numbers) < 2:
        return None
    sets = np.zeros(proba.shape, bool)
    for number in numbers:
        own = parts == number
        sets[own] = label_sets(proba[own], threshold(np.sort(true[~own]), coverage))
    sizes = sets.sum(axis=1)
    held = sets[np.arange(len(y)), y]
    return {
        "coverage": coverage,
        "measured": float(held.mean()),
        "mean_size": float(sizes.mean()),
        "single": float((sizes == 1).mean()),
    }


def deal(parts: np.ndarray, groups: np.ndarray | None) -> np.ndarray:
    """Keep the folds, or divide a single one into parts, by clips or groups."""
    if len(np.unique(parts)) > 1:
        return parts
    units = np.arange(len(parts)) if groups is None else np.unique(groups, return_inverse=True)[1]
    return np.random.default_rng(0).permutation(units.max() + 1)[units] % PARTS


def thin_out(ordered: np.ndarray) -> np.ndarray:
    """Thin out many values evenly, rounded down, so that the coverage is at least kept."""
    if len(ordered) <= MOST_KEPT:
        return ordered
    return ordered[np.linspace(0, len(ordered) - 1, MOST_KEPT).astype(int)]
