"""Tables that are larger than memory: estimators read them in passes, block by block.

An estimator takes part by a method ``fit_passes(rows, y, sample_weight=None, groups=None)``, where ``rows`` is a
`RowsOnDisk`; a pipeline, if all of its steps do. Any other estimator is given the rows as an array; see
`audiofw.evaluation.large`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

BLOCK_BYTES = 32_000_000  # of a block as float64: large enough for BLAS, and far below the memory of any machine
DONTNEED = 4  # MADV_DONTNEED on Linux, macOS and BSD; Windows has no madvise


class RowsOnDisk:
    """Some rows of a table, usually a memory map, possibly as transformed by the first steps of a pipeline.

    Parameters
    ----------
    X : np.ndarray [shape=(n, d)]
    rows : np.ndarray [shape=(m,)]
        Indices of rows, in any order.
    steps : tuple of transformers
        Fitted; they work row by row.

    Examples
    --------
    >>> from audiofw.learn.passes import RowsOnDisk
    >>> import numpy as np
    >>> rows = RowsOnDisk(np.arange(8.0).reshape(4, 2), np.array([3, 0]))
    >>> rows.shape, [(places.tolist(), block.tolist()) for places, block in rows.blocks()]
    ((2, 2), [([1, 0], [[0.0, 1.0], [6.0, 7.0]])])
    """

    def __init__(self, X: np.ndarray, rows: np.ndarray, steps: tuple[Any, ...] = ()) -> None:
        self.X = X
        self.rows = rows
        self.steps = steps
        self.dtype = X.dtype
        self.ndim = X.ndim
        self.shape = (len(rows), X.shape[1] if not steps else len(self.take(np.arange(1))[0]))

    def __len__(self) -> int:
        return len(self.rows)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self.take(np.arange(len(self))), dtype)

    def take(self, places: np.ndarray) -> np.ndarray:
        """Read some of the rows, in this order."""
        taken = self.X[self.rows[places]]
        for step in self.steps:
            taken = step.transform(taken)
        return taken

    def through(self, step: Any) -> RowsOnDisk:
        """Give the same rows as a fitted transformer changes them."""
        return RowsOnDisk(self.X, self.rows, (*self.steps, step))

    def blocks(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Read all rows, in the order of the table: the places of the rows of each block, and the block."""
        order = np.argsort(self.rows, kind="stable")
        size = max(1, BLOCK_BYTES // (8 * max(self.X.shape[1], 1)))
        for start in range(0, len(order), size):
            places = order[start : start + size]
            yield places, self.take(places)
            release(self.X)


def release(X: np.ndarray) -> None:
    """Let the system take back the pages of a memory map that were read; they are not counted as this process's."""
    base: Any = X
    while isinstance(base, np.ndarray):
        base = base.base
    if hasattr(base, "madvise"):
        base.madvise(DONTNEED)
