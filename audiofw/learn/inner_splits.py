"""Splits inside a training part that keep each group on one side, and what a model says of rows it has not seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone

from audiofw.learn.steps import fit


class Inner(NamedTuple):
    """One inner split: indices of rows to fit on, and of rows to look at."""

    train: np.ndarray
    test: np.ndarray


def inner_splits(y: Any, groups: Sequence[Any] | None = None, *, n_splits: int = 5, seed: int = 0) -> list[Inner]:
    """Split rows into stratified parts, so that no group is on both sides and every tested class is trained on.

    A class whose rows are all of one group cannot be tested: its rows are trained on and never tested.

    Parameters
    ----------
    y : array-like [shape=(n,)]
        Classes of any type.
    groups : sequence [shape=(n,)], optional
        Group of each row; without, each row is a group of its own.
    n_splits : int
        At most so many parts; no more than the rarest class that can be tested has groups, but at least two.
    seed : int
        Of the order in which groups are dealt out.

    Returns
    -------
    list of Inner
        Each row is tested once at most. Empty when no class can be tested, or there would be but one row of each
        class to fit on.
    """
    codes = np.unique(np.asarray(y), return_inverse=True)[1]
    units = np.arange(len(codes)) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    counts = np.array([len(np.unique(units[codes == code])) for code in range(codes.max(initial=-1) + 1)])
    testable = np.isin(codes, np.flatnonzero(counts > 1))
    if not testable.any():
        return []
    n_parts = max(2, min(n_splits, int(counts[counts > 1].min())))
    part_of = _deal(codes, units, testable, n_parts, seed)
    splits = [_split(codes, testable, part_of == part) for part in range(n_parts)]
    return [split for split in splits if len(split.test) and _is_enough(codes[split.train])]


def _deal(codes: np.ndarray, units: np.ndarray, testable: np.ndarray, n_parts: int, seed: int) -> np.ndarray:
    """Give each row the number of its part, classes spread evenly over parts as far as whole groups allow.

    Groups without a testable row have part -1: they are in no part.
    """
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    rows, parts = np.flatnonzero(testable), {"n_splits": n_parts, "shuffle": True, "random_state": seed}
    alone = len(np.unique(units)) == len(units)
    splitter = StratifiedKFold(**parts) if alone else StratifiedGroupKFold(**parts)
    dealt = splitter.split(rows, codes[rows], None if alone else units[rows])
    part_of_unit = np.full(units.max() + 1, -1)
    for part, (_, test) in enumerate(dealt):
        part_of_unit[units[rows[test]]] = part
    return part_of_unit[units]


def _is_enough(codes: np.ndarray) -> bool:
    """Whether there are two classes or more, and more rows than classes."""
    return 1 < len(np.unique(codes)) < len(codes)


def _split(codes: np.ndarray, testable: np.ndarray, held: np.ndarray) -> Inner:
    train = np.flatnonzero(~held)
    return Inner(train, np.flatnonzero(held & testable & np.isin(codes, codes[train])))


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


def take(values: Any, rows: np.ndarray) -> Any:
    """Take some rows of an array, or of nothing."""
    return None if values is None else np.asarray(values)[rows]
