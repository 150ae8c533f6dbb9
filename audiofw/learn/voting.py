"""Several classifiers that vote with their probabilities."""

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

LEAST = 1e-3  # a probability below this counts as this, or one member's 0 would forbid what all others say


class Vote(VotingClassifier):
    """Soft voting whose members, pipelines too, are handed weights and groups.

    Parameters
    ----------
    estimators : list of (str, classifier)
    weights : sequence of float, optional
        Of the members' probabilities; None: all the same.
    mean : "geometric" or "arithmetic"
        Of the members' probabilities; the geometric one gives a member that is sure of itself more of a say.
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
        """Fit the members one after another: each has all the threads."""
        check_classification_targets(y)
        self.le_ = LabelEncoder().fit(y)
        self.classes_ = self.le_.classes_
        _, members = self._validate_estimators()
        X, codes = np.asarray(X), self.le_.transform(y)
        self.estimators_ = [fit(clone(member), X, codes, sample_weight, groups) for member in members]
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Give each class the members' mean."""
        check_is_fitted(self)
        said = self._collect_probas(np.asarray(X))
        if self.mean == "arithmetic":
            return np.average(said, axis=0, weights=self.weights)
        shares = np.ones(len(said)) if self.weights is None else np.asarray(self.weights, float)
        return multiply(said, shares / shares.sum())


def multiply(said: np.ndarray, powers: np.ndarray) -> np.ndarray:
    """Raise ``(members, n, n_classes)`` probabilities to the members' powers and multiply; ``(n, n_classes)``."""
    return softmax(np.tensordot(powers, np.log(np.maximum(said, LEAST)), axes=1), axis=1)
