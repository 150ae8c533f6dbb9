"""Ridge regression in the space of an RBF kernel, as a classifier with probabilities."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Self

import numpy as np
from scipy.linalg import cholesky, solve, solve_triangular
from scipy.linalg.lapack import dpotri
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from audiofw.learn.classes import encode_classes
from audiofw.learn.inner_splits import Inner, inner_splits, take
from audiofw.learn.preprocessing import ALIKE, Standard
from audiofw.learn.temperature import find_sharpness

EXPONENTS = (0.5, 0.0, 1.0)  # of the columns' standard deviations; the first if there are too few rows to choose
ENOUGH = 600  # rows on which the exponent is chosen
JITTER = 1e-8  # keeps the kernel matrix positive definite if rows are equal


class SoftKernelRidge(ClassifierMixin, BaseEstimator):
    """Kernel ridge regression on the classes' indicators (a least-squares SVM), with temperature-scaled probabilities.

    With a wide RBF kernel it is nearly linear, and at ease with more columns than rows. Its out-of-fold scores follow
    from sums that are computed once, so that the sharpness (inverse temperature) of the probabilities and the scaling
    of the columns are chosen in the training rows at little cost: by log loss on inner splits that keep each group on
    one side. Beyond ``landmarks`` rows, the kernel is approximated by that many of them (Nyström), so that time and
    memory grow linearly with the number of rows.

    Parameters
    ----------
    alpha : float
        Regularisation strength.
    gamma : float
        Kernel coefficient, relative to the mean squared distance of the rows from their mean: the kernel of two rows is
        exp(-gamma * their squared distance / that).
    scale : float, optional
        Exponent of the standard deviations that the columns are divided by: 0 keeps their relative scales, 1
        standardises them; None chooses 0, 0.5 or 1 on the inner splits.
    landmarks : int
        Largest number of rows that the kernel is computed with.
    n_splits : int
        Number of inner splits.
    random_state : int
        Seed of the inner splits and the landmarks.

    Attributes
    ----------
    rows_ : np.ndarray [shape=(landmarks, d), dtype=float16]
        Scaled training rows.
    coef_of_rows_ : np.ndarray [shape=(landmarks, n_classes)]
        Their coefficients.
    shares_ : np.ndarray [shape=(n_classes,)]
        Added to the scores: the classes' shares of the training rows.
    gamma_, scale_, sharpness_ : float
        ``gamma_`` is absolute, for scaled rows.
    feature_importances_ : np.ndarray [shape=(d,)]
        The largest slope of a class's score at the mean of the training rows, per standard deviation of the column.

    Examples
    --------
    >>> from audiofw.learn.kernel_ridge import SoftKernelRidge
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> y = np.repeat(["cat", "dog"], 20)
    >>> X = rng.normal(size=(40, 2))
    >>> X[y == "dog", 0] += 6 * np.sign(X[y == "dog", 0])  # dogs on both sides of the cats
    >>> model = SoftKernelRidge(gamma=1.0).fit(X[::2], y[::2])
    >>> model.score(X[1::2], y[1::2])
    1.0
    """

    def __init__(
        self,
        alpha: float = 0.01,
        gamma: float = 0.2,
        scale: float | None = None,
        landmarks: int = 3000,
        n_splits: int = 5,
        random_state: int = 0,
    ) -> None:
        self.alpha = alpha
        self.gamma = gamma
        self.scale = scale
        self.landmarks = landmarks
        self.n_splits = n_splits
        self.random_state = random_state

    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> Self:
        """Choose scaling and sharpness on out-of-fold scores, then fit on all rows."""
        X, y = validate_data(self, X, y, dtype=np.float64)
        self.classes_, codes = encode_classes(y)
        weight = np.ones(len(X)) if sample_weight is None else np.asarray(sample_weight, float)
        weight = weight * (len(weight) / weight.sum())
        groups = None if groups is None else np.asarray(groups)
        self.standard_ = Standard().fit(X)
        Z = self.standard_.transform(X)
        self.scale_ = self._choose_scale(Z, codes, weight, groups) if self.scale is None else float(self.scale)
        self.weight_ = column_weights(self.standard_, self.scale_)
        self.sharpness_, _ = self._fit(Z * self.weight_, codes, weight, groups)
        return self

    def _choose_scale(self, Z: np.ndarray, codes: np.ndarray, weight: np.ndarray, groups: Any) -> float:
        """Choose the exponent with the least log loss out of fold, on some of the rows."""
        some = spread_rows(codes, ENOUGH, self.random_state)
        losses = []
        for exponent in EXPONENTS:
            scaled = Z[some] * column_weights(self.standard_, exponent)
            model = SoftKernelRidge(**{**self.get_params(), "scale": 1.0, "landmarks": ENOUGH})
            losses.append(model._fit(scaled, codes[some], weight[some], take(groups, some))[1])
        return EXPONENTS[int(np.argmin(losses))]

    def _fit(self, Z: np.ndarray, codes: np.ndarray, weight: np.ndarray, groups: Any) -> tuple[float, float]:
        """Fit on scaled rows; returns the sharpness, and the log loss out of fold."""
        some = spread_rows(codes, self.landmarks, self.random_state)
        self.rows_ = Z[some].astype(np.float16)  # a quarter of the memory, and of the saved model
        self.gamma_ = self.gamma / max(float(np.mean(np.sum(Z**2, axis=1))), 1e-12)
        splits = inner_splits(codes, groups, n_splits=self.n_splits, seed=self.random_state)
        data, among = RidgeTargets(np.eye(codes.max() + 1)[codes], weight, splits, self.alpha), self._kernel()
        if len(some) == len(Z):
            self.coef_of_rows_, self.shares_, scores = solve_rows(among, data)
        else:
            among[np.diag_indices_from(among)] += JITTER
            lower = cholesky(among, lower=True, overwrite_a=True)
            Phi = solve_triangular(lower, self._kernel(Z).T, lower=True).T  # the kernel is about Phi @ Phi.T
            coef, self.shares_, scores = solve_columns(Phi, data)
            self.coef_of_rows_ = solve_triangular(lower.T, coef, lower=False)
        return find_sharpness(scores, codes, weight)

    def _kernel(self, Z: np.ndarray | None = None) -> np.ndarray:
        """Compute the kernel between scaled rows and the stored ones, ``(n, landmarks)``; None: of these."""
        if Z is None:
            Z = rows = self.rows_.astype(np.float32)  # exact; the product of one matrix takes half the time
        else:
            rows = self.rows_.astype(np.float64)
        squares = (-2 * (Z @ rows.T)).astype(np.float64)
        squares += np.sum(Z**2, axis=1)[:, None]
        squares += np.sum(rows**2, axis=1)
        np.maximum(squares, 0, out=squares)
        return np.exp(np.multiply(squares, -self.gamma_, out=squares), out=squares)

    @property
    def feature_importances_(self) -> np.ndarray:
        """The largest slope of a class's score at the mean of the training rows, per standard deviation."""
        rows = self.rows_.astype(np.float64)
        near = np.exp(-self.gamma_ * np.sum(rows**2, axis=1))
        slopes = 2 * self.gamma_ * (near[:, None] * self.coef_of_rows_).T @ rows
        return np.abs(slopes).max(axis=0) * self.weight_

    def decision_function(self, X: Any) -> np.ndarray:
        """Scaled score of each class; for two classes, their difference."""
        scores = self._scores(X)
        return scores[:, 1] - scores[:, 0] if len(self.classes_) == 2 else scores

    def _scores(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        kernel = self._kernel(self.standard_.transform(X) * self.weight_)
        return self.sharpness_ * (kernel @ self.coef_of_rows_ + self.shares_)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Predict class probabilities, ``(n, n_classes)``."""
        return softmax(self._scores(X), axis=1)

    def predict(self, X: Any) -> np.ndarray:
        """Predict the most probable class."""
        return self.classes_[self._scores(X).argmax(axis=1)]


class RidgeTargets(NamedTuple):
    """What a kernel ridge regression is fitted to, apart from the rows."""

    indicators: np.ndarray  #: (n, n_classes)
    weight: np.ndarray
    splits: Sequence[Inner]
    alpha: float

    def shares(self, rows: Any = slice(None)) -> np.ndarray:
        """Shares of the classes in some rows."""
        counts = self.weight[rows] @ self.indicators[rows]
        return counts / counts.sum()

    def parts(self) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """For each split, the rows that are not trained on, those that are tested, and the shares of the others."""
        for train, test in self.splits:
            yield np.setdiff1d(np.arange(len(self.weight)), train), test, self.shares(train)


Solved = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Coefficients, shares of the classes, and scores out of fold: (n, n_classes), NaN for rows that are not tested."""


def solve_rows(kernel: np.ndarray, data: RidgeTargets) -> Solved:
    """Fit a coefficient for each row, with the scores of every split from one inverse of the kernel matrix."""
    Y, shares = data.indicators, data.shares()
    scores = np.full(Y.shape, np.nan)
    kernel[np.diag_indices_from(kernel)] += data.alpha / np.maximum(data.weight, 1e-9)
    inverse = inverted(kernel)
    of_classes, of_ones = inverse @ Y, inverse.sum(axis=1)
    for held, test, known in data.parts():
        residuals = solve(inverse[np.ix_(held, held)], of_classes[held] - np.outer(of_ones[held], known))
        scores[held] = np.where(known > 0, Y[held] - residuals, -np.inf)
        scores[np.setdiff1d(held, test)] = np.nan
    return of_classes - np.outer(of_ones, shares), shares, scores


def solve_columns(Phi: np.ndarray, data: RidgeTargets) -> Solved:
    """Fit a coefficient for each column, with the scores of every split from sums that its rows are taken from."""
    Y, shares = data.indicators, data.shares()
    scores = np.full(Y.shape, np.nan)

    def sums(rows: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        weighted = Phi[rows] * data.weight[rows, None]
        return weighted.T @ Phi[rows], weighted.T @ Y[rows], weighted.sum(axis=0)

    def coef(gram: np.ndarray, products: np.ndarray, total: np.ndarray, shares: np.ndarray) -> np.ndarray:
        ridge = gram + data.alpha * np.eye(len(gram))
        return solve(ridge, products - np.outer(total, shares), assume_a="pos", overwrite_a=True)

    every = sums(slice(None))
    for held, test, known in data.parts():
        gram, products, total = (whole - part for whole, part in zip(every, sums(held), strict=True))
        scores[test] = np.where(known > 0, Phi[test] @ coef(gram, products, total, known) + known, -np.inf)
    return coef(*every, shares), shares, scores


def inverted(matrix: np.ndarray) -> np.ndarray:
    """Invert a symmetric positive definite matrix, in half the time of ``np.linalg.inv``."""
    lower = cholesky(matrix, lower=True, overwrite_a=True, check_finite=False)
    half = np.tril(dpotri(lower, lower=1, overwrite_c=1)[0])
    half += np.tril(half, -1).T
    return half


def column_weights(standard: Standard, exponent: float) -> np.ndarray:
    """Weights that leave standardised columns with their old standard deviations to the power ``1 - exponent``.

    Relative to the median, and at most `ALIKE`: columns in other units must not drown the rest.
    """
    known = standard.factor_ > 0
    weights = np.ones(len(known))
    if known.any():
        spread = 1 / standard.factor_[known]
        weights[known] = np.minimum(spread / np.median(spread), ALIKE) ** (1 - exponent)
    return weights


def spread_rows(codes: np.ndarray, most: int, seed: int) -> np.ndarray:
    """Choose at most that many rows at random, from all classes in proportion; sorted."""
    if len(codes) <= most:
        return np.arange(len(codes))
    order = np.lexsort((np.random.default_rng(seed).random(len(codes)), codes))
    return np.sort(order[np.linspace(0, len(codes) - 1, most).round().astype(int)])
