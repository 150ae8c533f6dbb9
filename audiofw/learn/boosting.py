"""Boosting with a set number of threads, and early stopping on an inner split that keeps groups together."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.utils.validation import check_is_fitted, has_fit_parameter
from threadpoolctl import threadpool_limits

from audiofw.learn.inner_splits import Inner, inner_splits, take
from audiofw.learn.temperature import log_loss

ROUNDS = {"catboost": "iterations", "sklearn": "max_iter"}  # n_estimators in the others


class Boosted(ClassifierMixin, BaseEstimator):
    """A boosting classifier with optional early stopping.

    With `early_stopping`, the number of rounds with the lowest log loss is found on one inner split, which keeps each
    group on one side. The classifier is then refitted on all rows with that number of rounds. If no such split exists,
    all rounds are used.

    Parameters
    ----------
    estimator : classifier
        A classifier of LightGBM, XGBoost or CatBoost, or a scikit-learn classifier with `staged_predict_proba`.
    early_stopping : int, optional
        Number of rounds without improvement after which to stop.
    n_splits : int
        The inner test set is 1 / `n_splits` of the rows.
    n_jobs : int, optional
        Number of OpenMP threads, for an estimator without such a parameter.
    random_state : int
        Seed of the inner split.

    Attributes
    ----------
    rounds_ : int or None
        The number of rounds found by early stopping.
    estimator_ : classifier
        The classifier fitted on all rows.

    Examples
    --------
    >>> from audiofw.learn.boosting import Boosted
    >>> import numpy as np
    >>> from sklearn.ensemble import GradientBoostingClassifier
    >>> X = np.random.default_rng(0).normal(size=(80, 3)) + np.repeat([[0], [1]], 40, axis=0)
    >>> y = np.repeat(["cat", "dog"], 40)
    >>> model = Boosted(GradientBoostingClassifier(n_estimators=200, random_state=0), early_stopping=5).fit(X, y)
    >>> model.rounds_ < 200, model.estimator_.n_estimators == model.rounds_
    (True, True)
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
        """Find the number of rounds if `early_stopping` is set, then fit on all rows."""
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
        """Predict class probabilities, ``(n, n_classes)``."""
        check_is_fitted(self)
        with self._threads():
            return np.asarray(self.estimator_.predict_proba(np.asarray(X)))

    def predict(self, X: Any) -> np.ndarray:
        """Predict the most probable class."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


class WeightedRows(NamedTuple):
    """Rows with their class indices and sample weights."""

    X: np.ndarray
    codes: np.ndarray
    weight: np.ndarray | None


def find_rounds(
    estimator: Any, X: np.ndarray, codes: np.ndarray, split: Inner, patience: int, sample_weight: Any = None
) -> int:
    """Fit on the training side of a split and find the number of rounds with the lowest log loss on the test side.

    Parameters
    ----------
    estimator : classifier
        Unfitted; a clone is fitted.
    X : np.ndarray [shape=(n, d)]
    codes : np.ndarray [shape=(n,)]
        Class indices, 0 to n_classes - 1.
    split : Inner
        Every class in its test rows must be in its training rows.
    patience : int
        Number of rounds without improvement after which to stop.

    Returns
    -------
    int
        From 1 to the estimator's own number of rounds.

    Examples
    --------
    >>> from audiofw.learn.boosting import find_rounds
    >>> from audiofw.learn.inner_splits import inner_splits
    >>> import numpy as np
    >>> from sklearn.ensemble import GradientBoostingClassifier
    >>> X = np.random.default_rng(0).normal(size=(80, 3)) + np.repeat([[0], [1]], 40, axis=0)
    >>> codes = np.repeat([0, 1], 40)
    >>> split = inner_splits(codes)[0]
    >>> 1 <= find_rounds(GradientBoostingClassifier(random_state=0), X, codes, split, patience=5) <= 100
    True
    """
    seen = np.unique(codes[split.train])  # some libraries require class indices without gaps
    train, test = (
        WeightedRows(X[rows], np.searchsorted(seen, codes[rows]), take(sample_weight, rows))
        for rows in (split.train, split.test)
    )
    return max(1, FINDERS[library_of(estimator)](clone(estimator), train, test, patience))


def set_rounds(estimator: Any, rounds: int) -> None:
    """Set the number of boosting rounds of an estimator."""
    name = ROUNDS.get(library_of(estimator), "n_estimators")
    estimator.set_params(**{name if name in estimator.get_params() else "n_estimators": rounds})


def library_of(estimator: Any) -> str:
    """Return the name of the estimator's library, or ''."""
    return next((base for cls in type(estimator).__mro__ if (base := cls.__module__.partition(".")[0]) in FINDERS), "")


def _lightgbm(model: Any, train: WeightedRows, test: WeightedRows, patience: int) -> int:
    from lightgbm import early_stopping

    newer = has_fit_parameter(model, "eval_X")  # from 4.7 on
    watched = {"eval_X": test.X, "eval_y": test.codes} if newer else {"eval_set": [(test.X, test.codes)]}
    model.fit(
        train.X,
        train.codes,
        sample_weight=train.weight,
        **watched,
        eval_sample_weight=None if test.weight is None else [test.weight],
        callbacks=[early_stopping(patience, verbose=False)],
    )
    return int(model.best_iteration_)


def _xgboost(model: Any, train: WeightedRows, test: WeightedRows, patience: int) -> int:
    model.set_params(early_stopping_rounds=patience)
    weights = None if test.weight is None else [test.weight]
    watched = {"eval_set": [(test.X, test.codes)], "sample_weight_eval_set": weights, "verbose": False}
    model.fit(train.X, train.codes, sample_weight=train.weight, **watched)
    return int(model.best_iteration) + 1


def _catboost(model: Any, train: WeightedRows, test: WeightedRows, patience: int) -> int:
    from catboost import Pool

    watched = {"eval_set": Pool(test.X, test.codes, weight=test.weight), "early_stopping_rounds": patience}
    model.fit(train.X, train.codes, sample_weight=train.weight, **watched)
    return int(model.get_best_iteration()) + 1


def _sklearn(model: Any, train: WeightedRows, test: WeightedRows, patience: int) -> int:
    """Evaluate the stages of a full fit: scikit-learn's own early stopping ignores groups when it splits."""
    model.fit(train.X, train.codes, sample_weight=train.weight)
    losses = (log_loss(proba, test.codes, test.weight) for proba in model.staged_predict_proba(test.X))
    return best_before_pause(losses, patience)


FINDERS = {"lightgbm": _lightgbm, "xgboost": _xgboost, "catboost": _catboost, "sklearn": _sklearn}


def best_before_pause(losses: Iterable[float], patience: int) -> int:
    """Round number, from 1, of the lowest loss before the first ``patience`` rounds without improvement."""
    best, least = 1, np.inf
    for number, loss in enumerate(losses, 1):
        if loss < least:
            best, least = number, loss
        elif number - best >= patience:
            break
    return best
