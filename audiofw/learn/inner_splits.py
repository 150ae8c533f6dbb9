"""Inner cross-validation on a training fold, with groups kept together, and out-of-fold predictions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone

from audiofw.learn.steps import fit


class Inner(NamedTuple):
    """One inner split: indices of training and test rows."""

    train: np.ndarray
    test: np.ndarray


def inner_splits(y: Any, groups: Sequence[Any] | None = None, *, n_splits: int = 5, seed: int = 0) -> list[Inner]:
    """Make stratified splits in which no group is on both sides and every tested class is also trained on.

    A class with a single group cannot be tested: its rows are only used for training.

    Parameters
    ----------
    y : array-like [shape=(n,)]
        Classes of any type.
    groups : sequence [shape=(n,)], optional
        Group of each row; None makes each row its own group.
    n_splits : int
        Maximum number of splits. Limited by the number of groups of the rarest testable class, but at least two.
    seed : int
        Seed of the random assignment of groups to folds.

    Returns
    -------
    list of Inner
        Each row is tested at most once. Empty if no class can be tested, or if only one row per class would be left for
        training.

    Examples
    --------
    >>> from audiofw.learn.inner_splits import inner_splits
    >>> y = ["cat", "cat", "cat", "cat", "dog", "dog", "dog", "dog"]
    >>> groups = ["Tom", "Tom", "Kit", "Kit", "Rex", "Rex", "Max", "Max"]
    >>> splits = inner_splits(y, groups, n_splits=5)
    >>> len(splits)  # each class has only two groups
    2
    >>> [sorted({groups[row] for row in split.test} & {groups[row] for row in split.train}) for split in splits]
    [[], []]
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
    """Assign rows to folds, stratified by class as far as whole groups allow; -1 for groups that are not tested."""
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    rows, parts = np.flatnonzero(testable), {"n_splits": n_parts, "shuffle": True, "random_state": seed}
    alone = len(np.unique(units)) == len(units)
    splitter = StratifiedKFold(**parts) if alone else StratifiedGroupKFold(**parts)
    folds = splitter.split(rows, codes[rows], None if alone else units[rows])
    part_of_unit = np.full(units.max() + 1, -1)
    for part, (_, test) in enumerate(folds):
        part_of_unit[units[rows[test]]] = part
    return part_of_unit[units]


def _is_enough(codes: np.ndarray) -> bool:
    """Whether there are at least two classes and more rows than classes."""
    return 1 < len(np.unique(codes)) < len(codes)


def _split(codes: np.ndarray, testable: np.ndarray, held: np.ndarray) -> Inner:
    train = np.flatnonzero(~held)
    return Inner(train, np.flatnonzero(held & testable & np.isin(codes, codes[train])))


def out_of_fold(
    model: Any,
    X: Any,
    codes: np.ndarray,
    splits: Sequence[Inner],
    sample_weight: Any = None,
    groups: Any = None,
    *,
    score: Callable[[Any, Any], np.ndarray] = lambda fitted, X: fitted.predict_proba(X),
    absent: float = 0.0,
) -> np.ndarray:
    """Predict each split's test rows with a clone of the model fitted on its training rows.

    Parameters
    ----------
    model : classifier
        Unfitted; clones are fitted.
    X : array [shape=(n, …)]
    codes : np.ndarray [shape=(n,)]
        Class indices, 0 to n_classes - 1.
    splits : sequence of Inner
    score : callable
        ``(fitted, X)`` to the scores of the classes that were trained on; by default their probabilities.
    absent : float
        Score of a class that was not trained on.

    Returns
    -------
    np.ndarray [shape=(n, n_classes)]
        Scores; NaN for rows that no split tests.

    Examples
    --------
    >>> from audiofw.learn.inner_splits import inner_splits, out_of_fold
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> X, codes = np.array([[0.0], [0.1], [0.2], [1.0], [1.1], [1.2]]), np.array([0, 0, 0, 1, 1, 1])
    >>> probabilities = out_of_fold(LogisticRegression(), X, codes, inner_splits(codes, n_splits=3))
    >>> probabilities.argmax(axis=1).tolist()
    [0, 0, 0, 1, 1, 1]
    """
    scores = np.full((len(codes), int(codes.max()) + 1), np.nan)
    for train, test in splits:
        seen, inner = np.unique(codes[train], return_inverse=True)  # some models require class indices without gaps
        fitted = fit(clone(model), X[train], inner, take(sample_weight, train), take(groups, train))
        scores[test] = absent
        scores[np.ix_(test, seen)] = score(fitted, X[test])
    return scores


def take(values: Any, rows: np.ndarray) -> Any:
    """Select rows of an array; None stays None."""
    return None if values is None else np.asarray(values)[rows]
