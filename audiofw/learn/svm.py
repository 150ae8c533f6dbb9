"""A support vector machine with probabilities that agree with its predictions."""

from __future__ import annotations

from itertools import combinations
from typing import Any, Self

import numpy as np
from scipy.special import log_expit, softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.svm import SVC
from sklearn.utils.validation import check_is_fitted, validate_data

from audiofw.learn.classes import encode_classes
from audiofw.learn.inner_splits import inner_splits, out_of_fold
from audiofw.learn.temperature import find_sharpness

SLOPE = 6.0  # log-odds per unit of a pairwise decision: close to SVC's voting, but without ties


class SoftSVC(ClassifierMixin, BaseEstimator):
    """SVC with probabilities: a softmax over the summed log-probabilities of its one-vs-one decisions.

    The sharpness (inverse temperature) of the softmax is chosen by log loss on inner splits that keep each group on one
    side. It does not change the ranking, so `predict` always returns the most probable class. SVC's own
    ``probability=True`` ignores groups, can contradict its predictions, and will be removed in scikit-learn 1.11.

    Parameters
    ----------
    C, kernel, degree, coef0, tol, class_weight
        As in SVC.
    gamma : float, "wide", "scale" or "auto"
        As in SVC; "wide" is a quarter of "scale", which doubles the radius of influence of each row.
    n_splits : int
        Number of inner splits.
    random_state : int
        Seed of the inner splits.

    Examples
    --------
    >>> from audiofw.learn.svm import SoftSVC
    >>> import numpy as np
    >>> X = np.random.default_rng(0).normal(size=(30, 2)) + np.repeat([[0, 0], [4, 0], [0, 4]], 10, axis=0)
    >>> y = np.repeat(["cat", "dog", "frog"], 10)
    >>> model = SoftSVC().fit(X, y)
    >>> probabilities = model.predict_proba([[0, 0], [4, 0], [0, 4]])
    >>> probabilities.sum(axis=1).round(6).tolist()
    [1.0, 1.0, 1.0]
    >>> model.classes_[probabilities.argmax(axis=1)].tolist() == model.predict([[0, 0], [4, 0], [0, 4]]).tolist()
    True
    """

    def __init__(
        self,
        C: float = 1.0,
        kernel: str = "rbf",
        gamma: float | str = "wide",
        degree: int = 3,
        coef0: float = 0.0,
        tol: float = 1e-3,
        class_weight: Any = None,
        n_splits: int = 3,
        random_state: int = 0,
    ) -> None:
        self.C = C
        self.kernel = kernel
        self.gamma = gamma
        self.degree = degree
        self.coef0 = coef0
        self.tol = tol
        self.class_weight = class_weight
        self.n_splits = n_splits
        self.random_state = random_state

    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> Self:
        """Fit the SVC on all rows, and the sharpness on out-of-fold decisions."""
        X, y = validate_data(self, X, y)
        self.classes_, codes = encode_classes(y)
        self.gamma_ = 1 / (4 * X.shape[1] * max(X.var(), 1e-12)) if self.gamma == "wide" else self.gamma
        self.sharpness_ = self._find_sharpness(X, codes, sample_weight, groups)
        self.svc_ = self._new().fit(X, codes, sample_weight=sample_weight)
        return self

    def _new(self) -> SVC:
        own = {name: value for name, value in self.get_params().items() if name not in ("n_splits", "random_state")}
        return SVC(**{**own, "gamma": self.gamma_}, decision_function_shape="ovo")

    def _find_sharpness(self, X: np.ndarray, codes: np.ndarray, sample_weight: Any, groups: Any) -> float:
        splits = inner_splits(codes, groups, n_splits=self.n_splits, seed=self.random_state)
        sums = out_of_fold(self._new(), X, codes, splits, sample_weight, score=sum_pairs, absent=-np.inf)
        return find_sharpness(sums, codes, sample_weight)[0]

    def decision_function(self, X: Any) -> np.ndarray:
        """Summed log-probabilities of each class; for two classes, their difference."""
        check_is_fitted(self)
        sums = sum_pairs(self.svc_, validate_data(self, X, reset=False))
        return sums[:, 1] - sums[:, 0] if len(self.classes_) == 2 else sums

    def predict_proba(self, X: Any) -> np.ndarray:
        """Predict class probabilities, ``(n, n_classes)``."""
        check_is_fitted(self)
        return softmax(self.sharpness_ * sum_pairs(self.svc_, validate_data(self, X, reset=False)), axis=1)

    def predict(self, X: Any) -> np.ndarray:
        """Predict the most probable class."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


def sum_pairs(svc: SVC, X: np.ndarray) -> np.ndarray:
    """Sum each class's log-probabilities of winning against the other classes; ``(n, n_classes)``."""
    decisions, n_classes = svc.decision_function(X), len(svc.classes_)
    if n_classes == 2:
        decisions = -decisions[:, None]  # with two classes, a positive decision means the second
    sums = np.zeros((len(X), n_classes))
    for column, (one, other) in enumerate(combinations(range(n_classes), 2)):
        sums[:, one] += log_expit(SLOPE * decisions[:, column])
        sums[:, other] += log_expit(-SLOPE * decisions[:, column])
    return sums
