"""Columns on one scale, whatever they hold: constants, huge numbers, outliers."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data


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
