"""Columns on one scale, and fewer of them: the best, or their main directions; never more than there are."""

from __future__ import annotations

import warnings
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.decomposition import PCA
from sklearn.feature_selection import SelectorMixin, f_classif
from sklearn.utils.validation import check_is_fitted, validate_data

ALIKE = 10.0  # times the median deviation; columns that spread no more than this are in one unit


class Standard(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Bring each column to mean 0 and deviation 1, as StandardScaler does, and keep it within bounds.

    A column that is constant where it is fitted says nothing: it becomes 0 everywhere, so that a test clip with
    another value in it does not stand out by millions. Values further out than `limit` deviations are cut off.

    Parameters
    ----------
    limit : float
        In deviations.
    alike : float, optional
        If no column's deviation is more than so many times the median one, columns are taken to be in one unit, and
        keep their proportions: one that hardly varies is not blown up to count as much as the others.
    """

    def __init__(self, limit: float = 10.0, alike: float | None = None) -> None:
        self.limit = limit
        self.alike = alike

    def fit(self, X: Any, y: Any = None) -> Self:
        """Measure the columns in double precision: float32 would lose the spread of large numbers."""
        X = np.asarray(validate_data(self, X, dtype="numeric"), np.float64)
        self.mean_ = X.mean(axis=0)
        deviation = (X - self.mean_).std(axis=0)
        least = 1e-7 * np.abs(X).max(axis=0)  # what rounding to float32 makes of a constant
        spread = deviation > least
        if self.alike is not None and spread.any():
            median = np.median(deviation[spread])
            if deviation.max() <= self.alike * median:
                deviation = np.where(spread, median, deviation)
        self.factor_ = np.divide(1.0, deviation, out=np.zeros_like(deviation), where=spread)
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Scale, and cut off at the limit."""
        check_is_fitted(self)
        X = np.asarray(validate_data(self, X, dtype="numeric", reset=False), np.float64)
        return np.clip((X - self.mean_) * self.factor_, -self.limit, self.limit)


class Best(SelectorMixin, BaseEstimator):
    """Keep the columns that differ most between classes, by the F value of an analysis of variance.

    As SelectKBest, but content with fewer columns than it asks for, and with constant ones, which come last.

    Parameters
    ----------
    k : int
    """

    def __init__(self, k: int = 500) -> None:
        self.k = k

    def fit(self, X: Any, y: Any) -> Self:
        """Rank the columns."""
        X, y = validate_data(self, X, y)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of constant columns and classes of one clip
            self.scores_ = np.nan_to_num(f_classif(X, y)[0], nan=-1.0, posinf=np.finfo(float).max)
        return self

    def _get_support_mask(self) -> np.ndarray:
        check_is_fitted(self)
        mask = np.zeros(len(self.scores_), bool)
        mask[np.argsort(-self.scores_, kind="stable")[: self.k]] = True
        return mask


class Directions(TransformerMixin, BaseEstimator):
    """Turn columns into their first principal components, as many as the rows allow.

    Parameters
    ----------
    n_components : int
        At most so many.
    random_state : int, optional
        Of the randomised solver, which PCA takes for large tables.
    """

    def __init__(self, n_components: int = 100, random_state: int | None = None) -> None:
        self.n_components = n_components
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> Self:
        """Find the directions."""
        X = validate_data(self, X)
        self.pca_ = PCA(min(self.n_components, *X.shape), random_state=self.random_state).fit(X)
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Give the components of each row."""
        check_is_fitted(self)
        return self.pca_.transform(validate_data(self, X, reset=False))


def prepare(*, select: int | None, pca: int | None, seed: int, scale: bool | None = True) -> list[tuple[str, Any]]:
    """List the first steps of a pipeline for a model that compares columns: scale, choose, turn.

    With ``scale=None`` columns that seem to be in one unit keep their proportions.
    """
    steps: list[tuple[str, Any]] = (
        [("scale", Standard(alike=ALIKE if scale is None else None))] if scale is not False else []
    )
    if select is not None:
        steps.append(("select", Best(select)))
    if pca is not None:
        steps.append(("pca", Directions(pca, random_state=seed)))
    return steps
