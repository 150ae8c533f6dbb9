"""Find test clips with a copy in the training set, and how much better the model predicts them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from audiofw.evaluation.intervals import (
    Interval,
    between_bounds,
    clopper_pearson,
    effective,
    standard_error,
    student,
)

Sets = tuple[tuple[int, ...], ...]
Folds = Sequence[tuple[np.ndarray, np.ndarray]]

LEAST_COMPARED = 10  # leaked clips, and other clips of their classes: fewer are too few to compare
LEAST_UNITS = 3  # sets of duplicates, or clips without: an interval from fewer says nothing
LEVEL = 0.95
TOO_FEW = "too few sets of clips for an interval"


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
    The interval is over sets of duplicates; fewer than three, on either side, have none.

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
    interval = _interval(counts)
    known = f"95% interval {100 * interval[0]:+.0f} to {100 * interval[1]:+.0f}" if interval else TOO_FEW
    return (
        f"accuracy {leaked_accuracy:.1%} on {out.sum()} of these clips, {other:.1%} on others of the same classes: "
        f"{100 * (leaked_accuracy - other):+.0f} points ({known})"
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


def _interval(counts: np.ndarray) -> Interval | None:
    """Estimate the interval of the difference by the jackknife over units, with Student's t; None for too few units.

    The leaked and the other side are taken as independent, which is cautious if a set of duplicates is on both.
    """
    n_out, right_out, n_rest, right_rest = np.moveaxis(counts, 1, 0)
    weight = n_out.sum(axis=0) / n_out.sum()
    sides = [
        _width(n * weight / n.sum(axis=0), right * weight / n.sum(axis=0))
        for n, right in ((n_out, right_out), (n_rest, right_rest))
    ]
    widths = [side for side in sides if side is not None]
    if len(widths) < 2:
        return None
    leaked_accuracy, other = _accuracies(counts.sum(axis=0))
    width = math.hypot(*(width for width, _ in widths))
    return between_bounds(leaked_accuracy - other, width, -1.0, min(n for _, n in widths), LEVEL)


def _width(shares: np.ndarray, right: np.ndarray) -> tuple[float, float] | None:
    """Half the width of the interval of one side's accuracy, and the effective number of its units.

    Both arguments are weighted, [shape=(units, classes)].
    """
    shares, right = shares.sum(axis=1), right.sum(axis=1)
    shares, right = shares[shares > 0], right[shares > 0]
    if shares.size < LEAST_UNITS:
        return None
    value, n = right.sum(), effective(shares)
    error = standard_error(right - value * shares, shares, 0.0)
    if error < 1e-9:  # all units are alike
        low, high = clopper_pearson(value * n, n, LEVEL)
        return max(value - low, high - value), n
    return error * student((shares.size + n) / 2 - 1, LEVEL), n
