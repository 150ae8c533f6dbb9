"""Stratified splits of data with several labels per row (iterative stratification), which keep groups together.

scikit-learn stratifies only by one class per row.

References
----------
Sechidis, K., Tsoumakas, G., Vlahavas, I.: On the stratification of multi-label data. ECML PKDD 2011.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def stratify(
    Y: np.ndarray,
    shares: Sequence[float] | np.ndarray,
    groups: Sequence[Any] | np.ndarray | None = None,
    *,
    seed: int = 0,
) -> np.ndarray:
    """Divide rows into parts in which each label has about the same frequency.

    The label with the fewest rows left is distributed first: each of its rows, or groups, goes to the part that still
    lacks most rows with this label, and among these to the one that still lacks most rows.

    Parameters
    ----------
    Y : np.ndarray [shape=(n, labels)]
        1 where a row has the label, else 0.
    shares : sequence of float
        Size of each part; they sum to 1.
    groups : sequence [shape=(n,)], optional
        The rows of a group go to the same part.
    seed : int
        Decides between equal choices.

    Returns
    -------
    np.ndarray [shape=(n,), dtype=int]
        The part of each row.

    Examples
    --------
    >>> from audiofw.learn.stratify import stratify
    >>> import numpy as np
    >>> y = np.array([[1, 0], [1, 0], [1, 1], [1, 1], [0, 0], [0, 0]])  # which of two labels each row has
    >>> part = stratify(y, [0.5, 0.5])
    >>> [y[part == number].sum(axis=0).tolist() for number in (0, 1)]
    [[2, 1], [2, 1]]
    """
    unit_of = np.arange(len(Y)) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    units = np.zeros((unit_of.max(initial=-1) + 1, Y.shape[1] + 1))  # labels of each unit, and its number of rows
    np.add.at(units, unit_of, np.column_stack([Y, np.ones(len(Y))]))
    lacking = np.outer(shares, units.sum(axis=0))
    part_of, rng = np.full(len(units), -1), np.random.default_rng(seed)
    order = rng.permutation(len(units))
    order = order[np.argsort(-units[order, -1], kind="stable")]  # large groups first, while there is choice
    while (left := order[part_of[order] < 0]).size:
        label = _rarest(units[left])
        for unit in left[units[left, label] > 0]:
            part = _neediest(lacking, label, rng)
            part_of[unit] = part
            lacking[part] -= units[unit]
    return part_of[unit_of]


def _rarest(units: np.ndarray) -> int:
    """Find the label with the fewest rows; the number of rows, in the last column, once no row has a label."""
    counts = units.sum(axis=0)
    counts[:-1][counts[:-1] == 0] = np.inf
    return int(counts[:-1].argmin()) if np.isfinite(counts[:-1]).any() else len(counts) - 1


def _neediest(lacking: np.ndarray, label: int, rng: np.random.Generator) -> int:
    """Find the part that lacks most rows with a label, and among these most rows."""
    best = np.arange(len(lacking))
    for column in (label, -1):
        of_best = lacking[best, column]
        best = best[of_best > of_best.max() - 1e-9]
    return int(best[0] if len(best) == 1 else rng.choice(best))
