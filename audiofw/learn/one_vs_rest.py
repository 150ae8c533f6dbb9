"""One classifier per label, for clips that may have several."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.dummy import DummyClassifier
from sklearn.utils.validation import check_is_fitted

from audiofw.errors import ConfigError
from audiofw.learn.steps import fit, last_step, takes


class OneVsRest(ClassifierMixin, BaseEstimator):
    """A clone of a classifier for each label, which tells rows with the label from all others.

    scikit-learn's OneVsRestClassifier passes on neither sample weights nor groups. A label that all or none of the
    training rows have gets a constant probability of 1 or 0.

    Parameters
    ----------
    estimator : classifier
        With ``predict_proba``.
    balance : "none" or "balanced"
        "balanced" gives rows with and without a label the same total weight.

    Attributes
    ----------
    estimators_ : list of classifiers
        One for each label, fitted on 0 and 1.
    thresholds_ : np.ndarray [shape=(labels,)]
        Labels of at least this probability are predicted: 0.5, until better ones are chosen on other rows.
    one_sided_ : np.ndarray [shape=(labels,), dtype=bool]
        Labels that all or none of the training rows have.
    classes_ : np.ndarray [shape=(labels,)]
        Indices of the labels.

    Examples
    --------
    >>> from audiofw.learn.one_vs_rest import OneVsRest
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> X = np.array([[0.0, 0.0], [0.0, 9.0], [9.0, 0.0], [9.0, 9.0]])
    >>> y = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])  # which of two labels each row has
    >>> OneVsRest(LogisticRegression()).fit(X, y).predict([[8.0, 8.0], [1.0, 9.0]]).tolist()
    [[1, 1], [0, 1]]
    """

    def __init__(self, estimator: Any, balance: str = "none") -> None:
        self.estimator = estimator
        self.balance = balance

    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> Self:
        """Fit one classifier for each column of ``y``, an indicator matrix."""
        indicators = np.asarray(y)
        if indicators.ndim != 2:
            raise ValueError(f"y must be an indicator matrix; got {indicators.ndim} dimension(s)")
        self.estimators_ = [self._fit_one(X, column, sample_weight, groups) for column in indicators.T.astype(int)]
        self.one_sided_ = np.ptp(indicators, axis=0) == 0
        self.classes_, self.thresholds_ = np.arange(len(self.estimators_)), np.full(len(self.estimators_), 0.5)
        return self

    def _fit_one(self, X: Any, has: np.ndarray, sample_weight: Any, groups: Any) -> Any:
        if np.ptp(has) == 0:
            return DummyClassifier(strategy="prior").fit(np.zeros((len(has), 1)), has)
        if self.balance == "balanced":
            weight = np.ones(len(has)) if sample_weight is None else np.asarray(sample_weight, float)
            sample_weight = weight * (weight.sum() / (2 * np.bincount(has, weight)))[has]
        elif not takes(self.estimator, "sample_weight"):
            sample_weight = None
        return fit(clone(self.estimator), X, has, sample_weight, groups)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Predict the probability of each label by itself, ``(n, labels)``: rows need not sum to 1."""
        check_is_fitted(self)
        return np.column_stack([share_of_positive(one, X) for one in self.estimators_])

    def predict(self, X: Any) -> np.ndarray:
        """Predict an indicator matrix, ``(n, labels)``."""
        return (self.predict_proba(X) >= self.thresholds_).astype(np.int8)


def share_of_positive(model: Any, X: Any) -> np.ndarray:
    """Predict the probability of class 1, ``(n,)``, with a classifier fitted on 0 and 1, or on one of them."""
    if isinstance(model, DummyClassifier):
        return np.full(len(X), float(model.classes_[0]))
    said = np.asarray(model.predict_proba(X), float)
    return said[:, list(model.classes_).index(1)] / said.sum(axis=1)


def one_vs_rest(model: Any, balance: str = "none", *, pools: bool = False) -> Any:
    """Wrap an unfitted classifier; of a pipeline that begins with a pooling that learns, only what follows.

    Raises
    ------
    ConfigError
        If the classifier gives no probabilities.
    """
    if pools:
        from sklearn.pipeline import Pipeline

        return Pipeline([model.steps[0], ("model", one_vs_rest(model[1:], balance))])
    if not hasattr(model, "predict_proba"):
        name = last_step(model)[1]
        raise ConfigError(
            f"task=multilabel: {name} gives no probabilities, which choosing labels needs; use another model"
        )
    return OneVsRest(model, balance)
