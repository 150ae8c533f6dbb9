"""Scaling, column selection and PCA that also work on degenerate tables."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.decomposition import PCA
from sklearn.feature_selection import SelectorMixin, f_classif
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted, validate_data

from audiofw.learn.passes import RowsOnDisk

ALIKE = 10.0  # columns share a scale if no standard deviation exceeds this many times the median


class Standard(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Standardise each column to mean 0 and standard deviation 1, as StandardScaler does, and clip outliers.

    A column that is constant in training carries no information: it becomes 0, so that a test clip with a different
    value is not millions of standard deviations away.

    Parameters
    ----------
    limit : float
        Values are clipped to this many standard deviations.
    alike : float, optional
        If no column's standard deviation exceeds this many times the median, all columns are assumed to share a unit
        and are divided by the median instead of their own standard deviation. Columns that hardly vary are then not
        amplified.

    Examples
    --------
    >>> from audiofw.learn.preprocessing import Standard
    >>> import numpy as np
    >>> scale = Standard().fit(np.array([[1.0, 7.0], [3.0, 7.0]]))
    >>> scale.transform(np.array([[3.0, 7.5], [900.0, 7.0]])).tolist()  # constant: 0; outlier: clipped to 10
    [[1.0, 0.0], [10.0, 0.0]]
    """

    def __init__(self, limit: float = 10.0, alike: float | None = None) -> None:
        self.limit = limit
        self.alike = alike

    def fit(self, X: Any, y: Any = None) -> Self:
        """Compute means and standard deviations, in float64, since float32 loses the spread of large numbers."""
        X = np.asarray(validate_data(self, X, dtype="numeric"), np.float64)
        self.mean_ = X.mean(axis=0)
        return self._settle((X - self.mean_).std(axis=0), np.abs(X).max(axis=0))

    def fit_passes(self, rows: RowsOnDisk, y: Any = None) -> Self:
        """Compute the same in two passes over rows on disk."""
        n, self.n_features_in_ = rows.shape
        total, largest, squares, left = (np.zeros(rows.shape[1]) for _ in range(4))
        for _, block in rows.blocks():
            total += block.sum(axis=0, dtype=np.float64)
            np.maximum(largest, np.abs(block).max(axis=0), out=largest)
        self.mean_ = total / n
        for _, block in rows.blocks():
            centred = block - self.mean_
            left += centred.sum(axis=0)  # of rounding
            squares += np.einsum("ij,ij->j", centred, centred)
        return self._settle(np.sqrt(squares / n - (left / n) ** 2), largest)

    def _settle(self, deviation: np.ndarray, largest: np.ndarray) -> Self:
        spread = deviation > 1e-7 * largest  # beyond the rounding error of a constant in float32
        if self.alike is not None and spread.any():
            median = np.median(deviation[spread])
            if deviation.max() <= self.alike * median:
                deviation = np.where(spread, median, deviation)
        self.factor_ = np.divide(1.0, deviation, out=np.zeros_like(deviation), where=spread)
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Scale and clip."""
        check_is_fitted(self)
        X = np.asarray(validate_data(self, X, dtype="numeric", reset=False), np.float64)
        return np.clip((X - self.mean_) * self.factor_, -self.limit, self.limit)


def standardise_groups(X: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Standardise the columns of each group of rows by that group's own rows.

    Parameters
    ----------
    X : np.ndarray [shape=(n, d)]
    groups : np.ndarray [shape=(n,)]
        The rows of a group that has only one become 0.

    Returns
    -------
    np.ndarray [shape=(n, d), dtype=float32]

    Examples
    --------
    >>> import numpy as np
    >>> from audiofw.learn.preprocessing import standardise_groups
    >>> X = np.array([[1.0], [3.0], [100.0], [300.0]])
    >>> standardise_groups(X, np.array(["Ann", "Ann", "Bob", "Bob"])).ravel().tolist()
    [-1.0, 1.0, -1.0, 1.0]
    """
    made = np.empty(X.shape, np.float32)
    for group in np.unique(groups):
        made[groups == group] = Standard().fit_transform(X[groups == group])
    return made


class Best(SelectorMixin, BaseEstimator):
    """Keep the k columns with the highest ANOVA F value.

    Like SelectKBest, but accepts tables with fewer than k columns and with constant columns, which rank last.

    Parameters
    ----------
    k : int
        Number of columns to keep.

    Examples
    --------
    >>> from audiofw.learn.preprocessing import Best
    >>> import numpy as np
    >>> X = np.array([[5.0, 0.0], [1.0, 0.1], [2.0, 1.0], [4.0, 1.1]])
    >>> Best(k=1).fit(X, ["cat", "cat", "dog", "dog"]).get_support().tolist()
    [False, True]
    """

    def __init__(self, k: int = 500) -> None:
        self.k = k

    def fit(self, X: Any, y: Any) -> Self:
        """Rank the columns."""
        X, y = validate_data(self, X, y)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about constant columns and classes with one clip
            self.scores_ = np.nan_to_num(f_classif(X, y)[0], nan=-1.0, posinf=np.finfo(float).max)
        return self

    def fit_passes(self, rows: RowsOnDisk, y: Any) -> Self:
        """Compute the F values from each class's sums, in two passes over rows on disk."""
        classes, codes = np.unique(y, return_inverse=True)
        n, self.n_features_in_ = rows.shape
        counts, sums = np.bincount(codes)[:, None], np.zeros((len(classes), rows.shape[1]))
        within = np.zeros(rows.shape[1])
        for places, block in rows.blocks():
            for code in np.unique(codes[places]):
                sums[code] += block[codes[places] == code].sum(axis=0, dtype=np.float64)
        for places, block in rows.blocks():
            apart = block - (sums / counts)[codes[places]]
            within += np.einsum("ij,ij->j", apart, apart)
        between = (counts * (sums / counts - sums.sum(axis=0) / n) ** 2).sum(axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            scores = (between / (len(classes) - 1)) / (within / (n - len(classes)))
        self.scores_ = np.nan_to_num(scores, nan=-1.0, posinf=np.finfo(float).max)
        return self

    def _get_support_mask(self) -> np.ndarray:
        check_is_fitted(self)
        mask = np.zeros(len(self.scores_), bool)
        mask[np.argsort(-self.scores_, kind="stable")[: self.k]] = True
        return mask


class Directions(TransformerMixin, BaseEstimator):
    """PCA with the number of components limited by the numbers of rows and columns.

    Parameters
    ----------
    n_components : int
        Maximum number of components.
    random_state : int, optional
        Seed of the randomised solver, which PCA uses for large tables.

    Examples
    --------
    >>> from audiofw.learn.preprocessing import Directions
    >>> import numpy as np
    >>> X = np.random.default_rng(0).normal(size=(6, 40))
    >>> Directions(n_components=100).fit_transform(X).shape  # six rows span at most six directions
    (6, 6)
    """

    def __init__(self, n_components: int = 100, random_state: int | None = None) -> None:
        self.n_components = n_components
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> Self:
        """Compute the principal components."""
        X = validate_data(self, X)
        self.pca_ = PCA(min(self.n_components, *X.shape), random_state=self.random_state).fit(X)
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Project the rows onto the components."""
        check_is_fitted(self)
        return self.pca_.transform(validate_data(self, X, reset=False))


def standardised(make: Callable[[], Any]) -> Pipeline:
    """Put `Standard` before the classifier that ``make`` creates."""
    model = make()
    steps = model.steps if isinstance(model, Pipeline) else [("model", model)]
    return Pipeline([("normalize", Standard()), *steps])


def prepare(*, select: int | None, pca: int | None, seed: int, scale: bool | None = True) -> list[tuple[str, Any]]:
    """List the preprocessing steps of a pipeline: scaling, column selection and PCA.

    ``scale=None`` keeps the relative scales of columns with a similar spread, see `Standard`.

    Examples
    --------
    >>> from audiofw.learn.preprocessing import prepare
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import Pipeline
    >>> steps = prepare(select=500, pca=50, seed=0)
    >>> [name for name, _ in steps]
    ['scale', 'select', 'pca']
    >>> model = Pipeline([*steps, ("classify", LogisticRegression())])
    """
    steps: list[tuple[str, Any]] = (
        [("scale", Standard(alike=ALIKE if scale is None else None))] if scale is not False else []
    )
    if select is not None:
        steps.append(("select", Best(select)))
    if pca is not None:
        steps.append(("pca", Directions(pca, random_state=seed)))
    return steps
