"""Cross-validation: everything that is fitted is fitted inside each fold, on its training set only."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from audiofw.data.splits import Fold, Groups, read_groups
from audiofw.evaluation.fit import Sample, fit_clips, predict_clips, rows_of, thresholds_of
from audiofw.evaluation.scores import Positive, Scores, scores
from audiofw.evaluation.unknown import fit_novelty, measure_distances
from audiofw.learn.steps import last_step


class FoldResult(NamedTuple):
    """The predictions for one fold's test set by the model fitted on its training set."""

    number: int  # from 1
    n_train: int
    test: np.ndarray  # indices of the clips, in the order of the next two
    predictions: np.ndarray
    probabilities: np.ndarray | None
    scores: Scores
    fit_seconds: float
    predict_seconds: float
    thresholds: np.ndarray | None = None  # of each class, with several labels per clip, as is the next
    one_sided: np.ndarray | None = None  # mask of the classes that all or none of the training clips have
    distances: np.ndarray | None = None  # from the training clips, if measured: see `audiofw.evaluation.unknown`


class Pooled(NamedTuple):
    """The combined predictions of all folds for every clip; -1 and NaN for a clip that was never tested."""

    predictions: np.ndarray
    probabilities: np.ndarray | None
    scores: Scores


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Out-of-fold predictions and their scores.

    Attributes
    ----------
    sample : Sample
        The data.
    y, predictions : np.ndarray [shape=(clips,)]
        True and predicted classes; -1 for a clip that was never tested. A clip that was tested several times gets the
        class with the highest mean probability or, without probabilities, the most votes. With several labels per clip,
        indicator matrices (clips, n_classes); a clip that was tested several times gets the labels that half of the
        models gave it.
    probabilities : np.ndarray [shape=(clips, n_classes)] or None
        Mean over the folds that tested the clip; NaN if none did. None if the model gives no probabilities.
    fold_of : np.ndarray [shape=(clips,)]
        Number, from 1, of the first fold that tested the clip; 0 for none.
    scores : dict
        Scores over all test clips together.
    folds, baseline_folds : tuple of FoldResult
        Results of the model, and of the baseline, which always predicts the training set's most frequent class, or
        set of labels.
    models : tuple
        The fitted models: all if they were kept, else only the last fold's.
    distances : np.ndarray [shape=(clips,)] or None
        How far each clip is from the training clips, mean over the folds that tested it; NaN if none did. None if it
        was not measured.
    novelty : Novelty or None
        What measured the distances in the last fold.
    """

    sample: Sample
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
    distances: np.ndarray | None = None
    novelty: Any = None

    @property
    def tested(self) -> np.ndarray:
        """Mask of the clips that were tested."""
        return self.fold_of > 0


def cross_validate(
    make_model: Callable[[], Any],
    folds: Sequence[Fold],
    X: np.ndarray,
    y: np.ndarray,
    *,
    n_classes: int,
    clip_of: np.ndarray | None = None,
    augmented: np.ndarray | None = None,
    groups: Groups = None,
    balance: Literal["none", "balanced"] = "none",
    by_group: bool = False,
    positive: Positive = 1,
    on_fold: Callable[[FoldResult], None] | None = None,
    keep_models: bool = False,
    novelty: bool = False,
) -> Evaluation:
    """Fit a new model on each fold's training set and predict its test set.

    Parameters
    ----------
    make_model : callable
        Returns an unfitted scikit-learn classifier, a new one at each call.
    folds : sequence of Fold
        As `make_splits` returns them.
    X : np.ndarray [shape=(rows, d)]
        Or an object array of two-dimensional features, for a model that begins with a pooling.
    y : np.ndarray [shape=(clips,)]
        Classes as 0 .. n_classes-1; or several labels per clip, as an indicator matrix (clips, n_classes).
    clip_of : np.ndarray [shape=(rows,)], optional
        Index of each row's clip; by default each clip has one row, in order. A fold is fitted on all rows of its
        training clips; the probabilities of a test clip are the mean over its rows.
    augmented : np.ndarray [shape=(rows,)], optional
        Mask of the rows that are used for training, but never predicted.
    groups : sequence of str, optional
        Group of each clip, for the intervals and for models with inner splits.
    balance : "none" or "balanced"
        "balanced" sets class weights inversely proportional to the class frequencies in the training set.
    by_group : bool
        Standardise the columns of each group by its own rows: of training groups by their training rows, of test groups
        by their test rows alone. No labels are used.
    positive : int or tuple of int
        The classes of ``f1``, see `audiofw.evaluation.scores.scores`.
    on_fold : callable, optional
        Called with each fold's result when it is done.
    keep_models : bool
        Keep every fold's fitted model instead of only the last.
    novelty : bool
        Also measure how far the test clips are from the training clips.

    Raises
    ------
    ConfigError
        For a model option out of range, or ``balance`` with a model that does not support sample weights.
    PluginError
        For a model that fails, or predicts something other than classes and probabilities.
    """
    results, baseline = [], []
    models: list[Any] = []
    measure: Any = None
    sample = Sample.of(
        X, y, n_classes, clip_of=clip_of, augmented=augmented, groups=groups, balance=balance, by_group=by_group,
        positive=positive,
    )  # fmt: skip
    blank = Sample.of(np.zeros((len(y), 1)), y, n_classes, positive=positive)
    for number, fold in enumerate(folds, 1):
        result, model = _run_fold(make_model, number, fold, sample)
        if novelty:
            measure, result = _measure_novelty(model, fold, sample, result)
        results.append(result)
        baseline.append(run_baseline(number, fold, blank))
        models = [*models, model] if keep_models else [model]
        if on_fold:
            on_fold(result)
    pooled, fold_of = pool(results, y, n_classes, positive), _number_folds(folds, len(y))
    return Evaluation(
        sample=sample,
        y=y,
        n_classes=n_classes,
        groups=read_groups(groups),
        predictions=pooled.predictions,
        probabilities=pooled.probabilities,
        fold_of=fold_of,
        scores=pooled.scores,
        folds=tuple(results),
        baseline=pool(baseline, y, n_classes, positive),
        baseline_folds=tuple(baseline),
        models=tuple(models),
        distances=_mean_distances(results, len(y)) if novelty else None,
        novelty=measure,
    )


def _measure_novelty(model: Any, fold: Fold, sample: Sample, result: FoldResult) -> tuple[Any, FoldResult]:
    novelty = fit_novelty(model, sample, fold.train)
    rows = rows_of(fold.test, sample.clip_of, without=sample.augmented)
    distances = [
        measure_distances(novelty, model, sample.take(part), sample.clip_of[part]) for part in sample.blocks(rows)
    ]
    return novelty, result._replace(distances=np.concatenate(distances))


def _mean_distances(results: Sequence[FoldResult], n_clips: int) -> np.ndarray:
    total, times = np.zeros(n_clips), np.zeros(n_clips)
    for result in results:
        total[result.test] += result.distances
        times[result.test] += 1
    return np.divide(total, times, out=np.full(n_clips, np.nan), where=times > 0)


def run_baseline(number: int, fold: Fold, blank: Sample) -> FoldResult:
    """Predict a fold's test clips by the frequencies of the labels of its training clips alone."""
    if blank.y.ndim == 1:
        return _run_fold(_make_baseline, number, fold, blank)[0]
    sets, counts = np.unique(blank.y[fold.train], axis=0, return_counts=True)
    predictions = np.tile(sets[counts.argmax()].astype(np.intp), (len(fold.test), 1))
    shares = np.tile(blank.y[fold.train].mean(axis=0), (len(fold.test), 1))
    found = scores(blank.y[fold.test], predictions, shares, blank.n_classes)
    return FoldResult(number, len(fold.train), fold.test, predictions, shares, found, 0.0, 0.0)


def _make_baseline() -> Any:
    from sklearn.dummy import DummyClassifier

    # predicts the most frequent class but, unlike strategy="most_frequent", with meaningful probabilities
    return DummyClassifier(strategy="prior")


def _run_fold(make_model: Callable[[], Any], number: int, fold: Fold, sample: Sample) -> tuple[FoldResult, Any]:
    started = time.perf_counter()
    model = fit_clips(make_model, sample, fold.train, where=f" in fold {number}")
    fit_seconds = time.perf_counter() - started
    return test_fold(model, number, fold, sample)._replace(fit_seconds=fit_seconds), model


def test_fold(model: Any, number: int, fold: Fold, sample: Sample) -> FoldResult:
    """Predict a fold's test clips with its fitted model, and score the predictions."""
    started = time.perf_counter()
    rows = rows_of(fold.test, sample.clip_of, without=sample.augmented)
    predictions, probabilities = predict_clips(model, sample, rows)
    return FoldResult(
        number=number,
        n_train=len(fold.train),
        test=fold.test,
        predictions=predictions,
        probabilities=probabilities,
        scores=scores(sample.y[fold.test], predictions, probabilities, sample.n_classes, positive=sample.positive),
        fit_seconds=0.0,
        predict_seconds=time.perf_counter() - started,
        thresholds=thresholds_of(model),
        one_sided=getattr(last_step(model)[0], "one_sided_", None),
    )


def pool(results: Sequence[FoldResult], y: np.ndarray, n_classes: int, positive: Positive = 1) -> Pooled:
    """Combine the folds' predictions for each clip; see `Evaluation`."""
    votes, times, predictions = np.zeros((len(y), n_classes)), np.zeros(len(y), int), np.full(y.shape, -1)
    given = np.zeros((len(y), n_classes))
    for result in results:
        one_hot = result.predictions if y.ndim == 2 else np.eye(n_classes)[result.predictions]
        votes[result.test] += one_hot if result.probabilities is None else result.probabilities
        given[result.test] += one_hot
        times[result.test] += 1
        predictions[result.test] = result.predictions
    again = times > 1
    predictions[again] = votes[again].argmax(axis=1) if y.ndim == 1 else given[again] >= times[again, None] / 2
    probabilities = None
    if all(result.probabilities is not None for result in results):
        probabilities = np.divide(votes, times[:, None], out=np.full(votes.shape, np.nan), where=times[:, None] > 0)
    tested = times > 0
    proba = None if probabilities is None else probabilities[tested]
    found = scores(y[tested], predictions[tested], proba, n_classes, positive=positive)
    return Pooled(predictions, probabilities, found)


def _number_folds(folds: Sequence[Fold], n_clips: int) -> np.ndarray:
    fold_of = np.zeros(n_clips, int)
    for number, fold in reversed(list(enumerate(folds, 1))):
        fold_of[fold.test] = number
    return fold_of
