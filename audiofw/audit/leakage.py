"""Find test clips with a copy in the training set, and how much better the model predicts them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

Sets = tuple[tuple[int, ...], ...]
Folds = Sequence[tuple[np.ndarray, np.ndarray]]

LEAST_COMPARED = 10  # leaked clips, and other clips of their classes: fewer are too few to compare
RESAMPLES = 1000


def leaked(sets: Sets, folds: Folds, n_clips: int) -> np.ndarray:
    """Mark the test clips whose model was trained on another clip of their set, [shape=(n_clips,), dtype=bool]."""
    set_of = np.full(n_clips, -1)
    for number, places in enumerate(sets):
        set_of[list(places)] = number
    mask = np.zeros(n_clips, dtype=bool)
    for train, test in folds:
        fitted = np.unique(set_of[train])
        mask[test] |= np.isin(set_of[test], fitted[fitted >= 0])
    return mask


def effect(y: np.ndarray, predictions: np.ndarray, mask: np.ndarray, sets: Sets = ()) -> str | None:
    """Compare the accuracy on leaked clips with that on other clips of the same classes.

    Classes are weighted by their number of leaked clips, so that both accuracies are for the same mix of classes.
    The interval is a bootstrap over sets of duplicates.

    Parameters
    ----------
    y, predictions : np.ndarray [shape=(clips,)]
        True classes and out-of-fold predictions; -1 for a clip that was never tested.
    mask : np.ndarray [shape=(clips,), dtype=bool]
        As `leaked` returns it.
    sets : tuple of tuples
        Indices of the clips that belong together.

    Returns
    -------
    str or None
        None if too few clips can be compared.
    """
    tested = predictions >= 0
    shared = np.intersect1d(y[mask & tested], y[~mask & tested])
    compared = np.flatnonzero(tested & np.isin(y, shared))
    out = mask[compared]
    if min(out.sum(), (~out).sum()) < LEAST_COMPARED:
        return None
    units = np.arange(len(y))
    for number, places in enumerate(sets):
        units[list(places)] = len(y) + number
    counts = _count_right(np.searchsorted(shared, y[compared]), out, (y == predictions)[compared], units[compared])
    leaked_accuracy, other = _accuracies(counts.sum(axis=0))
    low, high = _interval(counts)
    return (
        f"accuracy {leaked_accuracy:.1%} on {out.sum()} of these clips, {other:.1%} on others of the same classes: "
        f"{100 * (leaked_accuracy - other):+.0f} points (95% interval {100 * low:+.0f} to {100 * high:+.0f})"
    )


def _count_right(codes: np.ndarray, out: np.ndarray, right: np.ndarray, units: np.ndarray) -> np.ndarray:
    """Count clips, [shape=(units, 4, classes)]: leaked, of these correct, other, of these correct."""
    number = np.unique(units, return_inverse=True)[1]
    counts = np.zeros((number.max() + 1, 4, codes.max() + 1))
    np.add.at(counts, (number, np.where(out, 0, 2), codes), 1.0)
    np.add.at(counts, (number, np.where(out, 1, 3), codes), right.astype(float))
    return counts


def _accuracies(counts: np.ndarray) -> tuple[Any, Any]:
    """Average the accuracies of the classes, on leaked and on other clips, weighted by the number of leaked clips."""
    n_out, right_out, n_rest, right_rest = np.moveaxis(counts, -2, 0)
    weight = np.where(n_rest > 0, n_out, 0.0)
    total = np.maximum(weight.sum(axis=-1), 1e-12)
    of_out = right_out / np.maximum(n_out, 1e-12)
    of_rest = right_rest / np.maximum(n_rest, 1e-12)
    return (weight * of_out).sum(axis=-1) / total, (weight * of_rest).sum(axis=-1) / total


def _interval(counts: np.ndarray) -> tuple[float, float]:
    n_units, (_, n_kinds, n_classes) = len(counts), counts.shape
    rng, flat, differences = np.random.default_rng(0), counts.reshape(n_units, -1), []
    for _ in range(RESAMPLES // 50):
        weights = rng.multinomial(n_units, np.full(n_units, 1 / n_units), size=50).astype(float)
        ours, other = _accuracies((weights @ flat).reshape(50, n_kinds, n_classes))
        differences.append(ours - other)
    low, high = np.quantile(np.concatenate(differences), (0.025, 0.975))
    return float(low), float(high)
