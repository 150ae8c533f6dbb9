"""Linear discriminant analysis on tables of any width."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from scipy.linalg import solve
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from audiofw.learn.inner_splits import inner_splits
from audiofw.learn.temperature import find_sharpness

LEAST = 1e-4  # a shape measured on fewer rows than columns cannot do without some shrinkage
CHOICES = (0.1, 0.3, 0.6, 0.8, 0.9)  # shrinkages to choose from: what is best is flat, and far above Ledoit and Wolf's
NONE_KNOWN = 0.6  # where there are too few rows to choose


class ShrunkDiscriminant(ClassifierMixin, BaseEstimator):
    """Classes as clouds of one shape around their means, that shape shrunken toward a ball.

    As LinearDiscriminantAnalysis with shrinkage, of columns on one scale; but the work grows with the lesser of rows
    and columns, so that thousands of columns need no principal components first, and the shape is that of all
    classes at once. With more columns than rows its likelihoods are far too sure of themselves: how sharp the
    probabilities are is one number, chosen like the shrinkage, by log loss on inner splits that keep each group on
    one side.

    Parameters
    ----------
    shrinkage : float, optional
        From the shape as measured, 0, to a ball, 1; None chooses.
    n_splits : int
        Inner splits.
    random_state : int
        Of the inner splits.

    Attributes
    ----------
    coef_ : np.ndarray [shape=(n_classes, d)]
    intercept_ : np.ndarray [shape=(n_classes,)]
        With the sharpness in them.
    shrinkage_, sharpness_ : float
    """

    def __init__(self, shrinkage: float | None = None, n_splits: int = 3, random_state: int = 0) -> None:
        self.shrinkage = shrinkage
        self.n_splits = n_splits
        self.random_state = random_state

    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> Self:
        """Choose shrinkage and sharpness on rows that were not fitted, and fit all rows."""
        X, y = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError("the number of classes has to be greater than one; got 1 class")
        weight = np.ones(len(X)) if sample_weight is None else np.asarray(sample_weight, float)
        choices = CHOICES if self.shrinkage is None else (self.shrinkage,)
        scores = self._out_of_fold(X, codes, weight, groups, choices)
        found = [find_sharpness(of_choice, codes, sample_weight) for of_choice in scores]
        best = int(np.argmin([loss for _, loss in found]))
        (self.sharpness_, loss), self.shrinkage_ = found[best], choices[best]
        if np.isinf(loss) and self.shrinkage is None:
            self.shrinkage_ = NONE_KNOWN
        coef, intercept = discriminate(X, codes, weight, [self.shrinkage_])[0]
        self.coef_, self.intercept_ = self.sharpness_ * coef, self.sharpness_ * intercept
        return self

    def _out_of_fold(
        self, X: np.ndarray, codes: np.ndarray, weight: np.ndarray, groups: Any, choices: Sequence[float]
    ) -> np.ndarray:
        """Score rows by fits on other groups' rows, for each shrinkage: ``(choices, n, n_classes)``."""
        scores = np.full((len(choices), len(X), len(self.classes_)), np.nan)
        for train, test in inner_splits(codes, groups, n_splits=self.n_splits, seed=self.random_state):
            seen, inner = np.unique(codes[train], return_inverse=True)
            scores[:, test] = -np.inf
            for number, (coef, intercept) in enumerate(discriminate(X[train], inner, weight[train], choices)):
                scores[number][np.ix_(test, seen)] = X[test] @ coef.T + intercept
        return scores

    def decision_function(self, X: Any) -> np.ndarray:
        """Give each class its log-likelihood, up to what all share; or, of two, the second's lead."""
        scores = self._scores(X)
        return scores[:, 1] - scores[:, 0] if len(self.classes_) == 2 else scores

    def _scores(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        return validate_data(self, X, dtype=np.float64, reset=False) @ self.coef_.T + self.intercept_

    def predict_proba(self, X: Any) -> np.ndarray:
        """Give each class its probability."""
        return softmax(self._scores(X), axis=1)

    def predict(self, X: Any) -> np.ndarray:
        """Give the most probable class."""
        return self.classes_[self._scores(X).argmax(axis=1)]


def discriminate(
    X: np.ndarray, codes: np.ndarray, weight: np.ndarray, shrinkages: Sequence[float]
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Give, for each shrinkage, the linear scores of the classes: ``(n_classes, d)`` and ``(n_classes,)``.

    Measured in the smaller of two equal ways: by the products of columns, or, by Woodbury's formula, of rows.
    """
    weight = weight / weight.sum()
    shares = np.bincount(codes, weight)
    centre = weight @ X
    means = np.stack([weight[codes == code] @ (X[codes == code] - centre) for code in range(len(shares))])
    means /= shares[:, None]
    rows = (X - centre - means[codes]) * np.sqrt(weight)[:, None]
    by_rows = len(rows) < rows.shape[1]
    gram, sides = (rows @ rows.T, rows @ means.T) if by_rows else (rows.T @ rows, means.T)
    found = []
    for shrinkage in shrinkages:
        ball = max(shrinkage, LEAST) * max(np.trace(gram) / rows.shape[1], LEAST**2)
        inner = (1 - shrinkage) * gram
        inner[np.diag_indices_from(inner)] += ball
        solved = solve(inner, sides, assume_a="pos").T
        coef = (means - (1 - shrinkage) * solved @ rows) / ball if by_rows else solved
        found.append((coef, np.log(shares) - np.sum(coef * (means / 2 + centre), axis=1)))
    return found
