"""Fit, predict, score: everything that is fitted is fitted inside each fold, on its training part alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from audiofw.errors import AudiofwError, ConfigError, PluginError, first_line
from audiofw.scores import Scores, scores
from audiofw.splits import Fold, Groups, read_groups


class FoldResult(NamedTuple):
    """What one model, fitted on one fold's training part, said of its test part."""

    number: int  # from 1
    n_train: int
    test: np.ndarray  # indices of the clips, as are the rows of the next two
    predictions: np.ndarray
    probabilities: np.ndarray | None
    scores: Scores
    fit_seconds: float
    predict_seconds: float


class Pooled(NamedTuple):
    """What the folds' models together said of every clip; -1 and NaN where a clip was never in a test part."""

    predictions: np.ndarray
    probabilities: np.ndarray | None
    scores: Scores


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Out-of-fold predictions and their scores.

    Attributes
    ----------
    y, predictions : np.ndarray [shape=(clips,)]
        True and predicted classes; a clip that was never in a test part is predicted as -1. A clip that was in
        several has the class of the highest mean probability, or, without probabilities, of most votes.
    probabilities : np.ndarray [shape=(clips, n_classes)] or None
        Mean over the test parts that held the clip; NaN for none. None when the model gives none.
    fold_of : np.ndarray [shape=(clips,)]
        Number, from 1, of the first fold that tested the clip; 0 for none.
    scores : dict
        Of all tested clips together.
    folds, baseline_folds : tuple of FoldResult
        Of the model, and of always saying the training part's most frequent class.
    models : tuple
        The fitted models: all if they were kept, else the last fold's.
    """

    y: np.ndarray
    n_classes: int
    groups: np.ndarray | None
    predictions: np.ndarray
    probabilities: np.ndarray | None
    fold_of: np.ndarray
    scores: Scores
    folds: tuple[FoldResult, ...]
    baseline: Pooled
    baseline_folds: tuple[FoldResult, ...]
    models: tuple[Any, ...]

    @property
    def tested(self) -> np.ndarray:
        """Mask of the clips that were in a test part."""
        return self.fold_of > 0


def cross_validate(
    make_model: Callable[[], Any],
    folds: Sequence[Fold],
    X: np.ndarray,
    y: np.ndarray,
    *,
    n_classes: int,
    groups: Groups = None,
    balance: Literal["none", "balanced"] = "none",
    on_fold: Callable[[FoldResult], None] | None = None,
    keep_models: bool = False,
) -> Evaluation:
    """Fit a fresh model on each fold's training part and let it predict the test part.

    Parameters
    ----------
    make_model : callable
        Makes an unfitted scikit-learn classifier, a new one at each call.
    folds : sequence of Fold
        As `make_splits` gives them.
    X : np.ndarray [shape=(clips, d)]
    y : np.ndarray [shape=(clips,)]
        Classes as 0 .. n_classes-1.
    groups : sequence of str, optional
        Group of each clip; kept for the intervals.
    balance : "none" or "balanced"
        "balanced" weighs each clip by the inverse of its class's frequency in the training part.
    on_fold : callable, optional
        Called with each fold's result as soon as it is there.
    keep_models : bool
        Keep every fold's fitted model instead of the last alone.

    Raises
    ------
    ConfigError
        For a model option out of range, or `balance` with a model that takes no weights.
    PluginError
        For a model that fails, or predicts what is no class or no probability.
    """
    results, baseline = [], []
    models: list[Any] = []
    for number, fold in enumerate(folds, 1):
        result, model = _run_fold(make_model, number, fold, X, y, n_classes, balance)
        results.append(result)
        baseline.append(_run_fold(_make_baseline, number, fold, X, y, n_classes)[0])
        models = [*models, model] if keep_models else [model]
        if on_fold:
            on_fold(result)
    pooled, fold_of = _pool(results, y, n_classes), _number_folds(folds, len(y))
    return Evaluation(
        y=y,
        n_classes=n_classes,
        groups=read_groups(groups),
        predictions=pooled.predictions,
        probabilities=pooled.probabilities,
        fold_of=fold_of,
        scores=pooled.scores,
        folds=tuple(results),
        baseline=_pool(baseline, y, n_classes),
        baseline_folds=tuple(baseline),
        models=tuple(models),
    )


def _make_baseline() -> Any:
    from sklearn.dummy import DummyClassifier

    # it says the most frequent class, and, unlike strategy="most_frequent", with honest probabilities
    return DummyClassifier(strategy="prior")


def _run_fold(
    make_model: Callable[[], Any],
    number: int,
    fold: Fold,
    X: np.ndarray,
    y: np.ndarray,
    n_classes: int,
    balance: str = "none",
) -> tuple[FoldResult, Any]:
    with _blame("model: it cannot be made"):
        model = make_model()
    name = _last_step(model)[1]
    weights = _weigh(model, y[fold.train]) if balance == "balanced" else {}
    with _blame(f"model: {name} failed in fold {number}"):
        started = time.perf_counter()
        model.fit(X[fold.train], y[fold.train], **weights)
        fitted = time.perf_counter()
        predictions = _predict(model, X[fold.test], n_classes)
        probabilities = _predict_proba(model, X[fold.test], n_classes)
        ended = time.perf_counter()
    result = FoldResult(
        number=number,
        n_train=len(fold.train),
        test=fold.test,
        predictions=predictions,
        probabilities=probabilities,
        scores=scores(y[fold.test], predictions, probabilities, n_classes),
        fit_seconds=fitted - started,
        predict_seconds=ended - fitted,
    )
    return result, model


@contextmanager
def _blame(where: str) -> Iterator[None]:
    """Turn what a model raises into one line, with the first line of its reason."""
    from sklearn.utils._param_validation import InvalidParameterError

    try:
        yield
    except AudiofwError:
        raise
    except InvalidParameterError as error:
        raise ConfigError(f"model: {first_line(error)}") from error
    except Exception as error:  # a plugin's code may raise anything
        raise PluginError(f"{where}: {type(error).__name__}: {first_line(error)}") from error


def _last_step(model: Any, prefix: str = "") -> tuple[Any, str, str]:
    """Find the classifier at the end of a pipeline: itself, its class's name, and the prefix of its parameters."""
    steps = getattr(model, "steps", None)
    if steps:
        return _last_step(steps[-1][1], f"{prefix}{steps[-1][0]}__")
    return model, type(model).__name__, prefix


def _weigh(model: Any, y: np.ndarray) -> dict[str, np.ndarray]:
    """Make the weights that balance the classes, under the name by which they reach the classifier."""
    from sklearn.utils.class_weight import compute_sample_weight
    from sklearn.utils.validation import has_fit_parameter

    last, name, prefix = _last_step(model)
    if not has_fit_parameter(last, "sample_weight"):
        raise ConfigError(
            f"balance=balanced: {name} takes no sample_weight, so it cannot be balanced: balance=none, or another model"
        )
    return {f"{prefix}sample_weight": compute_sample_weight("balanced", y)}


def _predict(model: Any, X: np.ndarray, n_classes: int) -> np.ndarray:
    predictions = np.asarray(model.predict(X))
    if predictions.shape != (len(X),) or not np.isin(predictions, np.arange(n_classes)).all():
        raise PluginError(f"model: {_last_step(model)[1]}: predict must give a class of fit's y for each clip")
    return predictions.astype(np.intp)


def _predict_proba(model: Any, X: np.ndarray, n_classes: int) -> np.ndarray | None:
    """Give each class its column, also one that the model has not met; None for a model without probabilities."""
    if not hasattr(model, "predict_proba"):
        return None
    proba, seen = np.asarray(model.predict_proba(X), float), np.asarray(model.classes_, int)
    sums = proba.sum(axis=-1, keepdims=True)
    if proba.shape != (len(X), len(seen)) or not np.allclose(sums, 1, atol=1e-3) or (proba < 0).any():
        raise PluginError(
            f"model: {_last_step(model)[1]}: predict_proba must give a row of probabilities for each clip, with sum 1"
        )
    columns = np.zeros((len(X), n_classes))
    columns[:, seen] = proba / sums  # float32 sums to 1 too coarsely for log_loss
    return columns


def _pool(results: Sequence[FoldResult], y: np.ndarray, n_classes: int) -> Pooled:
    votes, times, predictions = np.zeros((len(y), n_classes)), np.zeros(len(y), int), np.full(len(y), -1)
    for result in results:
        one_hot = np.eye(n_classes)[result.predictions]
        votes[result.test] += one_hot if result.probabilities is None else result.probabilities
        times[result.test] += 1
        predictions[result.test] = result.predictions
    predictions[times > 1] = votes[times > 1].argmax(axis=1)
    probabilities = None
    if all(result.probabilities is not None for result in results):
        probabilities = np.divide(votes, times[:, None], out=np.full(votes.shape, np.nan), where=times[:, None] > 0)
    tested = times > 0
    proba = None if probabilities is None else probabilities[tested]
    return Pooled(predictions, probabilities, scores(y[tested], predictions[tested], proba, n_classes))


def _number_folds(folds: Sequence[Fold], n_clips: int) -> np.ndarray:
    fold_of = np.zeros(n_clips, int)
    for number, fold in reversed(list(enumerate(folds, 1))):
        fold_of[fold.test] = number
    return fold_of
