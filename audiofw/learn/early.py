"""After how many rounds boosting is best on rows that it is not fitted on, in each library's own way."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone
from sklearn.utils.validation import has_fit_parameter

from audiofw.learn.fitting import log_loss, take
from audiofw.learn.inner_splits import Inner

ROUNDS = {"catboost": "iterations", "sklearn": "max_iter"}  # n_estimators in the others


class Rows(NamedTuple):
    """Some rows, their classes and weights."""

    X: np.ndarray
    codes: np.ndarray
    weight: np.ndarray | None


def find_rounds(
    estimator: Any, X: np.ndarray, codes: np.ndarray, split: Inner, patience: int, sample_weight: Any = None
) -> int:
    """Fit one side of a split and find after how many rounds the log loss on the other is least.

    Parameters
    ----------
    estimator : classifier
        It stays unfitted.
    X : np.ndarray [shape=(n, d)]
    codes : np.ndarray [shape=(n,)]
        Classes as 0 .. n_classes-1.
    split : Inner
        Every class that it tests is trained on.
    patience : int
        Rounds without gain after which to stop.

    Returns
    -------
    int
        From 1 to the estimator's own number of rounds.
    """
    seen = np.unique(codes[split.train])  # without a gap, as some libraries want them
    train, test = (
        Rows(X[rows], np.searchsorted(seen, codes[rows]), take(sample_weight, rows))
        for rows in (split.train, split.test)
    )
    return max(1, FINDERS[library_of(estimator)](clone(estimator), train, test, patience))


def set_rounds(estimator: Any, rounds: int) -> None:
    """Let an estimator grow so many rounds."""
    name = ROUNDS.get(library_of(estimator), "n_estimators")
    estimator.set_params(**{name if name in estimator.get_params() else "n_estimators": rounds})


def library_of(estimator: Any) -> str:
    """Name the library that an estimator comes from."""
    return next((base for cls in type(estimator).__mro__ if (base := cls.__module__.partition(".")[0]) in FINDERS), "")


def _lightgbm(model: Any, train: Rows, test: Rows, patience: int) -> int:
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


def _xgboost(model: Any, train: Rows, test: Rows, patience: int) -> int:
    model.set_params(early_stopping_rounds=patience)
    weights = None if test.weight is None else [test.weight]
    watched = {"eval_set": [(test.X, test.codes)], "sample_weight_eval_set": weights, "verbose": False}
    model.fit(train.X, train.codes, sample_weight=train.weight, **watched)
    return int(model.best_iteration) + 1


def _catboost(model: Any, train: Rows, test: Rows, patience: int) -> int:
    from catboost import Pool

    watched = {"eval_set": Pool(test.X, test.codes, weight=test.weight), "early_stopping_rounds": patience}
    model.fit(train.X, train.codes, sample_weight=train.weight, **watched)
    return int(model.get_best_iteration()) + 1


def _sklearn(model: Any, train: Rows, test: Rows, patience: int) -> int:
    """Look at the stages of a whole fit: scikit-learn's own early stopping draws its split regardless of groups."""
    model.fit(train.X, train.codes, sample_weight=train.weight)
    losses = (log_loss(proba, test.codes, test.weight) for proba in model.staged_predict_proba(test.X))
    return best_before_pause(losses, patience)


FINDERS = {"lightgbm": _lightgbm, "xgboost": _xgboost, "catboost": _catboost, "sklearn": _sklearn}


def best_before_pause(losses: Iterable[float], patience: int) -> int:
    """Give the number, from 1, of the least loss before the first pause of so many rounds without gain."""
    best, least = 1, np.inf
    for number, loss in enumerate(losses, 1):
        if loss < least:
            best, least = number, loss
        elif number - best >= patience:
            break
    return best
