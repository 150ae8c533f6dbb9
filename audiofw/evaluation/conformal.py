"""How far probabilities can be relied on: what accuracy a threshold buys, and sets of labels that hold the true one.

Everything is worked out from out-of-fold probabilities. A set of labels is split-conformal: it holds every class whose
probability is at least a threshold, low enough for as large a share of clips as was asked for. That is true of new
clips that are like the tested ones, whatever the model; it is not true of another microphone or another forest.

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
SHARES = (1.0, 0.9, 0.8, 0.5)  # of the clips, the surest, in the summary


def summarise_confidence(
    proba: np.ndarray, y: np.ndarray, parts: np.ndarray, coverage: float, groups: np.ndarray | None = None
) -> dict[str, Any]:
    """Gather what probabilities are worth, ready for JSON.

    Parameters
    ----------
    proba : np.ndarray [shape=(clips, classes)]
        Out-of-fold probabilities of the tested clips.
    y : np.ndarray [shape=(clips,)]
        Their classes.
    parts : np.ndarray [shape=(clips,)]
        The fold that tested each. The threshold that a part is judged by comes from the other parts; of one fold alone
        its clips, or groups, are dealt out.
    coverage : float
        Share of clips whose set is to hold the true label.
    groups : np.ndarray [shape=(clips,)], optional

    Returns
    -------
    dict
        ``curve``: accuracy of the clips above thresholds, and the share of clips that these are; ``sets``: the coverage
        asked for and measured, and the mean number of labels; ``conformity``: the sorted probabilities of the true
        labels, for `threshold`.
    """
    true = proba[np.arange(len(y)), y]
    return {
        "curve": coverage_curve(proba, y),
        "sets": _measure_sets(proba, y, true, _deal(parts, groups), coverage),
        "conformity": _kept(np.sort(true)).tolist(),
    }


def coverage_curve(proba: np.ndarray, y: np.ndarray) -> list[dict[str, float]]:
    """Say how accurate the surest clips are, for shares of them from all down to few.

    Returns
    -------
    list of dict
        ``threshold``: the lowest probability among them, ``coverage``: their share, ``accuracy``: how many are right.
    """
    surest, right = proba.max(axis=1), proba.argmax(axis=1) == y
    order = np.argsort(-surest, kind="stable")
    accuracy = np.cumsum(right[order]) / np.arange(1, len(y) + 1)
    last = np.unique(np.ceil(np.linspace(1, 1 / CURVE_POINTS, CURVE_POINTS) * len(y)).astype(int))[::-1]
    return [
        {"threshold": float(surest[order[n - 1]]), "coverage": n / len(y), "accuracy": float(accuracy[n - 1])}
        for n in last.tolist()
    ]


def threshold(conformity: Sequence[float] | np.ndarray, coverage: float) -> float:
    """Find the probability from which on a class belongs into a clip's set.

    Parameters
    ----------
    conformity : sequence of float
        Probabilities of the true labels of clips that the model was not fitted on, sorted.
    coverage : float
        Share of clips whose set is to hold the true label, from 0 to 1.

    Returns
    -------
    float
        0 if there are too few clips for such a coverage: then every class belongs into it.
    """
    n = len(conformity)
    left_out = n - math.ceil((n + 1) * coverage)  # clips whose true label may be below
    return float(conformity[left_out]) if left_out >= 0 else 0.0


def label_sets(proba: np.ndarray, least: float) -> np.ndarray:
    """Mark the classes of each clip's set, shape ``(clips, classes)``: those of at least this probability.

    A set is never empty: the most likely class is in it.
    """
    return (proba >= least) | (proba == proba.max(axis=1, keepdims=True))


def _measure_sets(
    proba: np.ndarray, y: np.ndarray, true: np.ndarray, parts: np.ndarray, coverage: float
) -> dict[str, float] | None:
    """Judge each part by the threshold of the others; None where there is but one part."""
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


def _deal(parts: np.ndarray, groups: np.ndarray | None) -> np.ndarray:
    """Keep the folds, or deal the clips of a single one, or its groups, into parts."""
    if len(np.unique(parts)) > 1:
        return parts
    units = np.arange(len(parts)) if groups is None else np.unique(groups, return_inverse=True)[1]
    return np.random.default_rng(0).permutation(units.max() + 1)[units] % PARTS


def _kept(ordered: np.ndarray) -> np.ndarray:
    """Thin out many values, evenly and downwards, so that a coverage is kept rather than missed."""
    if len(ordered) <= MOST_KEPT:
        return ordered
    return ordered[np.linspace(0, len(ordered) - 1, MOST_KEPT).astype(int)]
