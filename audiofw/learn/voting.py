"""Several classifiers that vote with their probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from sklearn.base import clone
from sklearn.ensemble import VotingClassifier
from sklearn.preprocessing import LabelEncoder
from sklearn.utils.multiclass import check_classification_targets

from audiofw.learn.fitting import fit


class Vote(VotingClassifier):
    """Soft voting whose members, pipelines too, are handed weights and groups.

    Parameters
    ----------
    estimators : list of (str, classifier)
    weights : sequence of float, optional
        Of the members' probabilities; None: all the same.
    """

    def __init__(self, estimators: list[tuple[str, Any]], *, weights: Sequence[float] | None = None) -> None:
        super().__init__(estimators, voting="soft", weights=weights)

    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> Self:
        """Fit the members one after another: each has all the threads."""
        check_classification_targets(y)
        self.le_ = LabelEncoder().fit(y)
        self.classes_ = self.le_.classes_
        _, members = self._validate_estimators()
        X, codes = np.asarray(X), self.le_.transform(y)
        self.estimators_ = [fit(clone(member), X, codes, sample_weight, groups) for member in members]
        return self
