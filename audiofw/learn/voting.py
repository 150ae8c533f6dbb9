"""Soft voting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Self

import numpy as np
from scipy.special import softmax
from sklearn.base import clone
from sklearn.ensemble import VotingClassifier
from sklearn.preprocessing import LabelEncoder
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from audiofw.learn.steps import fit

LEAST = 1e-3  # probabilities are clipped to at least this; otherwise a single member's 0 would veto a class


class Vote(VotingClassifier):
    """Soft voting that passes sample weights and groups on to its members, including pipelines.

    Parameters
    ----------
    estimators : list of (str, classifier)
    weights : sequence of float, optional
        Weights of the members; None for equal weights.
    mean : "geometric" or "arithmetic"
        How the members' probabilities are averaged; the geometric mean gives more influence to confident members.

    Examples
    --------
    >>> from audiofw.learn.voting import Vote
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.naive_bayes import GaussianNB
    >>> model = Vote([("line", LogisticRegression()), ("bayes", GaussianNB())], weights=[2, 1])
    >>> model = model.fit([[0.0], [0.2], [0.9], [1.0]], ["cat", "cat", "dog", "dog"])
    >>> model.predict([[0.1], [0.95]]).tolist()
    ['cat', 'dog']
    >>> model.members_proba([[0.1], [0.95]]).shape  # members, rows, classes
    (2, 2, 2)
    """

    def __init__(
        self,
        estimators: list[tuple[str, Any]],
        *,
        weights: Sequence[float] | None = None,
        mean: Literal["geometric", "arithmetic"] = "geometric",
    ) -> None:
        super().__init__(estimators, voting="soft", weights=weights)
        self.mean = mean

    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> Self:
        """Fit the members one after another, so that each can use all threads."""
        check_classification_targets(y)
        self.le_ = LabelEncoder().fit(y)
        self.classes_ = self.le_.classes_
        X, codes = np.asarray(X), self.le_.transform(y)
        self.estimators_ = [fit(clone(member), X, codes, sample_weight, groups) for _, member in self.estimators]
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Average the members' class probabilities, ``(n, n_classes)``."""
        check_is_fitted(self)
        said = self.members_proba(X)
        if self.mean == "arithmetic":
            return np.average(said, axis=0, weights=self.weights)
        shares = np.ones(len(said)) if self.weights is None else np.asarray(self.weights, float)
        return multiply(said, shares / shares.sum())

    def members_proba(self, X: Any) -> np.ndarray:
        """Predict each member's class probabilities, ``(members, n, n_classes)``."""
        return np.array([member.predict_proba(np.asarray(X)) for member in self.estimators_])


def multiply(said: np.ndarray, powers: np.ndarray) -> np.ndarray:
    """Normalised product of the members' probabilities ``(members, n, n_classes)``, each raised to its power."""
    return softmax(np.tensordot(powers, np.log(np.maximum(said, LEAST)), axes=1), axis=1)
