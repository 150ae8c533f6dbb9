"""Linear discriminant analysis for tables of any width."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from scipy.linalg import solve
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from audiofw.learn.classes import encode_classes
from audiofw.learn.inner_splits import inner_splits
from audiofw.learn.moments import LEAST, Moments, discriminate_moments
from audiofw.learn.passes import RowsOnDisk
from audiofw.learn.temperature import find_sharpness

CHOICES = (0.1, 0.3, 0.6, 0.8, 0.9)  # a coarse grid: the optimum is flat, and far above Ledoit and Wolf's estimate
NONE_KNOWN = 0.6  # if there are too few rows to choose


class ShrunkDiscriminant(ClassifierMixin, BaseEstimator):
    """Linear discriminant analysis with a shrinkage covariance and temperature-scaled probabilities.

    Similar to LinearDiscriminantAnalysis with shrinkage on standardised columns, with two differences. The cost grows
    with the smaller of the numbers of rows and columns, so that thousands of columns need no PCA. And the covariance is
    pooled over all classes before it is shrunk. With more columns than rows, the likelihoods are far too confident;
    they are scaled by a sharpness (inverse temperature), which is chosen like the shrinkage: by log loss on inner
    splits that keep each group on one side.

    Parameters
    ----------
    shrinkage : float, optional
        From 0 (empirical covariance) to 1 (multiple of the identity); None chooses it on the inner splits.
    n_splits : int
        Number of inner splits.
    random_state : int
        Seed of the inner splits.

    Attributes
    ----------
    coef_ : np.ndarray [shape=(n_classes, d)]
    intercept_ : np.ndarray [shape=(n_classes,)]
        Both include the sharpness.
    shrinkage_, sharpness_ : float

    Examples
    --------
    >>> from audiofw.learn.discriminant import ShrunkDiscriminant
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> y = np.repeat(["cat", "dog"], 20)
    >>> X = rng.normal(size=(40, 500))  # far more columns than rows
    >>> X[y == "dog"] += 0.3
    >>> model = ShrunkDiscriminant().fit(X[::2], y[::2])
    >>> model.predict(X[1::2][[0, -1]]).tolist()
    ['cat', 'dog']
    >>> 0 < model.shrinkage_ < 1
    True
    """

    def __init__(self, shrinkage: float | None = None, n_splits: int = 3, random_state: int = 0) -> None:
        self.shrinkage = shrinkage
        self.n_splits = n_splits
        self.random_state = random_state

    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> Self:
        """Choose shrinkage and sharpness on out-of-fold scores, then fit on all rows."""
        X, y = validate_data(self, X, y, dtype=np.float64)
        self.classes_, codes = encode_classes(y)
        weight = np.ones(len(X)) if sample_weight is None else np.asarray(sample_weight, float)
        scores = self._out_of_fold(X, codes, weight, groups, self._choices())
        self._choose(scores, codes, sample_weight)
        coef, intercept = discriminate(X, codes, weight, [self.shrinkage_])[0]
        self.coef_, self.intercept_ = self.sharpness_ * coef, self.sharpness_ * intercept
        return self

    def fit_passes(self, rows: RowsOnDisk, y: Any, sample_weight: Any = None, groups: Any = None) -> Self:
        """Fit in two passes over rows on disk: the moments of the inner splits' parts add up to those of all rows."""
        self.classes_, codes = np.unique(y, return_inverse=True)
        self.n_features_in_ = rows.shape[1]
        weight = np.ones(len(rows)) if sample_weight is None else np.asarray(sample_weight, float)
        splits = inner_splits(codes, groups, n_splits=self.n_splits, seed=self.random_state)
        part_of, tested_by = np.full((2, len(rows)), len(splits))  # the last part is always trained on, never tested
        for number, (train, test) in enumerate(splits):
            part_of[np.setdiff1d(np.arange(len(rows)), train, assume_unique=True)] = number
            tested_by[test] = number
        parts = Moments.of_parts(rows, codes, weight, part_of, len(splits) + 1)
        fitted = [
            discriminate_moments(Moments.total(parts[:number] + parts[number + 1 :]), self._choices())
            for number in range(len(splits))
        ]
        scores = np.full((len(self._choices()), len(rows), len(self.classes_)), np.nan)
        for places, block in rows.blocks() if splits else ():
            for number in range(len(splits)):
                own = tested_by[places] == number
                for choice, (coef, intercept) in enumerate(fitted[number]):
                    scores[choice, places[own]] = block[own] @ coef.T + intercept
        self._choose(scores, codes, sample_weight)
        coef, intercept = discriminate_moments(Moments.total(parts), [self.shrinkage_])[0]
        self.coef_, self.intercept_ = self.sharpness_ * coef, self.sharpness_ * intercept
        return self

    def _choices(self) -> Sequence[float]:
        return CHOICES if self.shrinkage is None else (self.shrinkage,)

    def _choose(self, scores: np.ndarray, codes: np.ndarray, sample_weight: Any) -> None:
        """Choose the shrinkage and sharpness with the lowest log loss of out-of-fold scores."""
        found = [find_sharpness(of_choice, codes, sample_weight) for of_choice in scores]
        best = int(np.argmin([loss for _, loss in found]))
        (self.sharpness_, loss), self.shrinkage_ = found[best], self._choices()[best]
        if np.isinf(loss) and self.shrinkage is None:
            self.shrinkage_ = NONE_KNOWN

    def _out_of_fold(
        self, X: np.ndarray, codes: np.ndarray, weight: np.ndarray, groups: Any, choices: Sequence[float]
    ) -> np.ndarray:
        """Compute out-of-fold scores for each shrinkage: ``(choices, n, n_classes)``."""
        scores = np.full((len(choices), len(X), len(self.classes_)), np.nan)
        for train, test in inner_splits(codes, groups, n_splits=self.n_splits, seed=self.random_state):
            seen, inner = np.unique(codes[train], return_inverse=True)
            scores[:, test] = -np.inf
            for number, (coef, intercept) in enumerate(discriminate(X[train], inner, weight[train], choices)):
                scores[number][np.ix_(test, seen)] = X[test] @ coef.T + intercept
        return scores

    def decision_function(self, X: Any) -> np.ndarray:
        """Scaled log-likelihood of each class, up to a common constant; for two classes, their difference."""
        scores = self._scores(X)
        return scores[:, 1] - scores[:, 0] if len(self.classes_) == 2 else scores

    def _scores(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        return validate_data(self, X, dtype=np.float64, reset=False) @ self.coef_.T + self.intercept_

    def predict_proba(self, X: Any) -> np.ndarray:
        """Predict class probabilities, ``(n, n_classes)``."""
        return softmax(self._scores(X), axis=1)

    def predict(self, X: Any) -> np.ndarray:
        """Predict the most probable class."""
        return self.classes_[self._scores(X).argmax(axis=1)]


def discriminate(
    X: np.ndarray, codes: np.ndarray, weight: np.ndarray, shrinkages: Sequence[float]
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Fit the coefficients ``(n_classes, d)`` and intercepts ``(n_classes,)`` for each shrinkage.

    Solves in the smaller dimension: with the columns' covariance or, by the Woodbury identity, the rows' Gram matrix.
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
