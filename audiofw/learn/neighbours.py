"""k-nearest neighbours that also work on very few clips."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.neighbors import KNeighborsClassifier
from sklearn.utils.validation import check_is_fitted, validate_data


class Neighbours(ClassifierMixin, BaseEstimator):
    """KNeighborsClassifier with `n_neighbors` capped at the number of training rows.

    Parameters
    ----------
    n_neighbors, weights, metric, n_jobs
        As in KNeighborsClassifier.

    Examples
    --------
    >>> from audiofw.learn.neighbours import Neighbours
    >>> model = Neighbours(n_neighbors=5).fit([[0.0], [1.0], [9.0]], ["low", "low", "high"])  # of three rows
    >>> model.predict([[0.4], [8.0]]).tolist()
    ['low', 'high']
    """

    def __init__(
        self, n_neighbors: int = 5, weights: str = "distance", metric: str = "euclidean", n_jobs: int | None = None
    ) -> None:
        self.n_neighbors = n_neighbors
        self.weights = weights
        self.metric = metric
        self.n_jobs = n_jobs

    def fit(self, X: Any, y: Any) -> Self:
        """Store the training rows."""
        X, y = validate_data(self, X, y)
        options = {**self.get_params(), "n_neighbors": min(self.n_neighbors, len(X))}
        self.knn_ = KNeighborsClassifier(**options, algorithm="brute").fit(X, y)
        self.classes_ = self.knn_.classes_
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Predict class probabilities: the classes' weighted fractions of the neighbours."""
        check_is_fitted(self)
        return self.knn_.predict_proba(validate_data(self, X, reset=False))

    def predict(self, X: Any) -> np.ndarray:
        """Predict the most probable class."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]
