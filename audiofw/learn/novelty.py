"""How unlike its training rows a row is: its local outlier factor in few dimensions."""

from __future__ import annotations

import warnings
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.neighbors import LocalOutlierFactor
from sklearn.utils.extmath import randomized_svd
from sklearn.utils.validation import check_is_fitted

from audiofw.learn.preprocessing import Standard


class Novelty(BaseEstimator):
    """The local outlier factor of rows: how far they are from training rows, relative to how far these are apart.

    Columns are standardised and projected onto the first singular vectors; the length of the part outside these becomes
    one more column. Labels are not used. On ESC-10 and spoken digits, this tells unlike sounds apart better than a
    Mahalanobis distance or a plain distance to neighbours, since classes differ in how far their clips are apart.

    Parameters
    ----------
    n_neighbors : int
        Number of neighbours; capped at the number of other rows.
    n_components : int
        Maximum number of singular vectors.
    most : int
        Largest number of training rows to keep, spread evenly over all.

    Examples
    --------
    >>> from audiofw.learn.novelty import Novelty
    >>> import numpy as np
    >>> X = np.random.default_rng(0).normal(size=(100, 300))
    >>> novelty = Novelty().fit(X[:-1])
    >>> known, foreign = novelty.measure([X[-1], X[-1] + 9])
    >>> bool(known < 0.1 < foreign)
    True
    """

    def __init__(self, n_neighbors: int = 10, n_components: int = 64, most: int = 1000) -> None:
        self.n_neighbors = n_neighbors
        self.n_components = n_components
        self.most = most

    def fit(self, X: Any, y: Any = None) -> Self:
        """Store the training rows; a single one counts twice, since a density needs neighbours."""
        X = np.asarray(X)
        if len(X) == 1:
            X = np.repeat(X, 2, axis=0)
        if len(X) > self.most:
            X = X[even_places(len(X), self.most)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about equal rows and constant columns
            self.scale_ = Standard().fit(X)
            scaled = self.scale_.transform(X)
            n_components = min(self.n_components, *scaled.shape)
            *_, self.components_ = randomized_svd(scaled, n_components, n_iter=2, random_state=0)
            n_neighbors = min(self.n_neighbors, len(X) - 1)
            factor = LocalOutlierFactor(n_neighbors=n_neighbors, algorithm="brute", novelty=True)
            self.factor_ = factor.fit(self._coordinates(scaled))
        return self

    def measure(self, X: Any) -> np.ndarray:
        """Measure the logarithm of each row's factor, ``(n,)``: about 0 inside the training rows, more outside."""
        check_is_fitted(self)
        return np.log(-self.factor_.score_samples(self._coordinates(self.scale_.transform(X))))

    def _coordinates(self, scaled: np.ndarray) -> np.ndarray:
        """Project onto the singular vectors, and append the distance from the space that they span."""
        inside = scaled @ self.components_.T
        outside = np.sum(scaled**2, axis=1) - np.sum(inside**2, axis=1)
        return np.column_stack([inside, np.sqrt(np.maximum(outside, 0))])


def even_places(n: int, most: int) -> np.ndarray:
    """Choose places of ``n`` rows, evenly spread: at most as many as given."""
    return np.arange(n) if n <= most else np.linspace(0, n - 1, most).round().astype(int)
