"""Sums over rows from which linear discriminants are computed: they add up over blocks, and over parts of a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np
from scipy.linalg import solve
from scipy.linalg.blas import dsyrk

from audiofw.learn.passes import RowsOnDisk

LEAST = 1e-4  # with fewer rows than columns, the covariance is singular without some shrinkage


class Moments(NamedTuple):
    """Weighted sums over rows, about a point near their mean: small differences of large sums are not exact.

    Parameters
    ----------
    shares : np.ndarray [shape=(n_classes,)]
        Weight of each class.
    sums : np.ndarray [shape=(n_classes, d)]
    squares : np.ndarray [shape=(d, d)]
        Only the upper triangle.
    origin : np.ndarray [shape=(d,)]
        The point that is subtracted from each row.

    Examples
    --------
    >>> from audiofw.learn.moments import Moments
    >>> import numpy as np
    >>> moments = Moments(np.zeros(2), np.zeros((2, 3)), np.zeros((3, 3), order="F"), np.zeros(3))
    >>> moments.add(np.ones((4, 3)), codes=np.array([0, 0, 0, 1]), weight=np.ones(4))
    >>> moments.sums.tolist()
    [[3.0, 3.0, 3.0], [1.0, 1.0, 1.0]]
    """

    shares: np.ndarray
    sums: np.ndarray
    squares: np.ndarray
    origin: np.ndarray

    @classmethod
    def of_parts(
        cls, rows: RowsOnDisk, codes: np.ndarray, weight: np.ndarray, part_of: np.ndarray, n_parts: int
    ) -> list[Self]:
        """Sum over each part of the rows, in one pass."""
        n_classes, d = int(codes.max()) + 1, rows.shape[1]
        parts: list[Self] = []
        for places, block in rows.blocks():
            if not parts:
                origin = block.mean(axis=0, dtype=np.float64)
                parts = [
                    cls(np.zeros(n_classes), np.zeros((n_classes, d)), np.zeros((d, d), order="F"), origin)
                    for _ in range(n_parts)
                ]
            for number in np.unique(part_of[places]):
                own = part_of[places] == number
                parts[number].add(block[own], codes[places[own]], weight[places[own]])
        return parts

    def add(self, block: np.ndarray, codes: np.ndarray, weight: np.ndarray) -> None:
        """Add rows, in place."""
        z = block - self.origin
        self.shares[:] += np.bincount(codes, weight, minlength=len(self.shares))
        for code in np.unique(codes):
            self.sums[code] += weight[codes == code] @ z[codes == code]
        z *= np.sqrt(weight)[:, None]
        dsyrk(1.0, z.T, 1.0, self.squares, overwrite_c=True)

    @classmethod
    def total(cls, parts: Sequence[Self]) -> Self:
        """Add up the sums of several parts."""
        shares, sums, squares = (sum(part[i] for part in parts[1:]) + parts[0][i] for i in range(3))
        return cls(shares, sums, squares, parts[0].origin)


def discriminate_moments(moments: Moments, shrinkages: Sequence[float]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Fit coefficients and intercepts as `audiofw.learn.discriminant.discriminate` does, to rounding.

    A class without rows has coefficients of 0 and an intercept of minus infinity.
    """
    total = moments.shares.sum()
    seen = moments.shares > 0
    shares, sums = moments.shares[seen] / total, moments.sums[seen] / total
    centre = sums.sum(axis=0)
    means = sums / shares[:, None] - centre
    gram = moments.squares / total - np.triu((sums / shares[:, None]).T @ sums)
    gram += np.triu(gram, 1).T
    found = []
    for shrinkage in shrinkages:
        ball = max(shrinkage, LEAST) * max(np.trace(gram) / len(gram), LEAST**2)
        inner = (1 - shrinkage) * gram
        inner[np.diag_indices_from(inner)] += ball
        coef, intercept = np.zeros(moments.sums.shape), np.full(len(seen), -np.inf)
        coef[seen] = solve(inner, means.T, assume_a="pos", overwrite_a=True).T
        place = means / 2 + centre + moments.origin
        intercept[seen] = np.log(shares) - np.sum(coef[seen] * place, axis=1)
        found.append((coef, intercept))
    return found
