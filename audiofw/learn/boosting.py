"""Boosting on a number of threads, stopped early if wanted."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.utils.validation import check_is_fitted
from threadpoolctl import threadpool_limits

from audiofw.learn.early import find_rounds, set_rounds
from audiofw.learn.inner_splits import inner_splits


class Boosted(ClassifierMixin, BaseEstimator):
    """A boosting classifier that can find its own number of rounds.

    With `early_stopping`, one inner split, which keeps each group on one side, tells after how many rounds the log
    loss is least; then all rows are fitted anew with as many. Where no such split can be made, it grows all rounds.

    Parameters
    ----------
    estimator : classifier
        LightGBM's, XGBoost's, CatBoost's, or one of scikit-learn's that stages its predictions.
    early_stopping : int, optional
        Rounds without gain after which to stop.
    n_splits : int
        One part in so many is looked at.
    n_jobs : int, optional
        Threads, for an estimator that cannot be told itself.
    random_state : int
        Of the split.

    Attributes
    ----------
    rounds_ : int or None
        The number that was found.
    estimator_ : classifier
        The one fitted on all rows.
    """

    def __init__(
        self,
        estimator: Any,
        early_stopping: int | None = None,
        n_splits: int = 5,
        n_jobs: int | None = None,
        random_state: int = 0,
    ) -> None:
        self.estimator = estimator
        self.early_stopping = early_stopping
        self.n_splits = n_splits
        self.n_jobs = n_jobs
        self.random_state = random_state

    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> Self:
        """Find the number of rounds if wanted, and fit all rows."""
        X = np.asarray(X)
        self.classes_, codes = np.unique(np.asarray(y), return_inverse=True)
        with self._threads():
            self.rounds_ = self._find(X, codes, sample_weight, groups)
            model = clone(self.estimator)
            if self.rounds_ is not None:
                set_rounds(model, self.rounds_)
            self.estimator_ = model.fit(X, codes, sample_weight=sample_weight)
        self.n_features_in_ = X.shape[1]
        return self

    def _find(self, X: np.ndarray, codes: np.ndarray, sample_weight: Any, groups: Any) -> int | None:
        if self.early_stopping is None:
            return None
        splits = inner_splits(codes, groups, n_splits=self.n_splits, seed=self.random_state)
        return find_rounds(self.estimator, X, codes, splits[0], self.early_stopping, sample_weight) if splits else None

    def _threads(self) -> threadpool_limits:
        return threadpool_limits(self.n_jobs if self.n_jobs and self.n_jobs > 0 else None, user_api="openmp")

    def predict_proba(self, X: Any) -> np.ndarray:
        """Give each class its probability."""
        check_is_fitted(self)
        with self._threads():
            return np.asarray(self.estimator_.predict_proba(np.asarray(X)))

    def predict(self, X: Any) -> np.ndarray:
        """Give the most probable class."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]
