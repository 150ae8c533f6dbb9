"""Cross-validation does not leak: everything is fitted inside each fold, and the reported scores are those measured."""

from __future__ import annotations

import json
from typing import ClassVar

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    KFold,
    RepeatedStratifiedKFold,
    ShuffleSplit,
    StratifiedKFold,
    cross_val_predict,
    cross_val_score,
)
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from threadpoolctl import threadpool_info, threadpool_limits

from audiofw.data.splits import Fold, make_splits
from audiofw.errors import ConfigError, DataError, PluginError
from audiofw.evaluation.cross_validate import cross_validate
from audiofw.evaluation.scores import scores
from audiofw.evaluation.summary import main_value, summarise

CLASSES = ["cat", "dog", "frog"]


def blobs(n=90, n_classes=3, distance=1.5, seed=0, weights=None):
    """A table with a few columns and overlapping classes."""
    rng = np.random.default_rng(seed)
    y = np.sort(rng.choice(n_classes, size=n, p=weights))
    return rng.normal(size=(n, 4)) + distance * np.eye(n_classes, 4)[y], y


def split(splitter, y, groups=None):
    names, classes = [f"clip{i}" for i in range(len(y))], [f"class{i}" for i in range(y.max() + 1)]
    return make_splits(splitter, y, groups=groups, classes=classes, names=names)


def logistic():
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))


@pytest.fixture(scope="module")
def three():
    """Three classes in five folds: table, classes, folds and evaluation."""
    X, y = blobs()
    folds = split(StratifiedKFold(5, shuffle=True, random_state=0), y)
    return X, y, folds, cross_validate(logistic, folds, X, y, n_classes=3)


# --- honesty ---


def test_what_is_fitted_inside_the_fold_cannot_learn_from_noise():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(80, 3000)), np.repeat([0, 1], 40)
    folds = split(StratifiedKFold(5, shuffle=True, random_state=0), y)
    inside = cross_validate(lambda: make_pipeline(SelectKBest(k=20), logistic()), folds, X, y, n_classes=2)
    leaked = cross_validate(logistic, folds, SelectKBest(k=20).fit_transform(X, y), y, n_classes=2)
    assert 0.3 < inside.scores["accuracy"] < 0.7
    assert leaked.scores["accuracy"] > 0.9


class Recorder(ClassifierMixin, BaseEstimator):
    """Records the rows that it was fitted on and predicts; always predicts the label of the first row."""

    log: list = []  # noqa: RUF012

    def fit(self, X, y):
        assert not hasattr(self, "classes_"), "a fresh model for each fold"
        self.classes_, self.first_ = np.unique(y), y[0]
        self.log.append(("fit", X[:, 0].tolist()))
        return self

    def predict(self, X):
        self.log.append(("predict", X[:, 0].tolist()))
        return np.full(len(X), self.first_)


def test_each_fold_fits_a_fresh_model_on_its_training_part_alone_in_the_given_order():
    X, y = np.arange(6.0)[:, None], np.array([0, 1, 0, 1, 0, 1])
    folds = [Fold(np.array([3, 0, 1]), np.array([5, 2])), Fold(np.array([2, 5]), np.array([0]))]
    Recorder.log.clear()
    cross_validate(Recorder, folds, X, y, n_classes=2)
    assert Recorder.log == [("fit", [3, 0, 1]), ("predict", [5, 2]), ("fit", [2, 5]), ("predict", [0])]


def test_out_of_fold_predictions_are_those_of_cross_val_predict(three):
    X, y, _, evaluation = three
    cv = StratifiedKFold(5, shuffle=True, random_state=0)
    np.testing.assert_array_equal(evaluation.predictions, cross_val_predict(logistic(), X, y, cv=cv))
    proba = cross_val_predict(logistic(), X, y, cv=cv, method="predict_proba")
    np.testing.assert_allclose(evaluation.probabilities, proba)
    of_folds = [fold.scores["balanced_accuracy"] for fold in evaluation.folds]
    np.testing.assert_allclose(of_folds, cross_val_score(logistic(), X, y, cv=cv, scoring="balanced_accuracy"))
    assert evaluation.scores == scores(y, evaluation.predictions, evaluation.probabilities, 3)


def test_holdout_leaves_the_other_clips_without_prediction():
    X, y = blobs()
    (fold,) = folds = split(ShuffleSplit(1, test_size=0.2, random_state=42), y)
    evaluation = cross_validate(logistic, folds, X, y, n_classes=3)
    assert np.flatnonzero(evaluation.tested).tolist() == sorted(fold.test)
    assert (evaluation.predictions[fold.train] == -1).all()
    assert np.isnan(evaluation.probabilities[fold.train]).all()
    assert evaluation.scores == pytest.approx(evaluation.folds[0].scores)


def test_folds_are_numbered_and_reported_as_they_end():
    X, y = blobs()
    folds, seen = split(KFold(3), y[np.argsort(np.arange(90) % 30, kind="stable")]), []
    evaluation = cross_validate(logistic, folds, X, np.arange(90) % 3, n_classes=3, on_fold=seen.append)
    assert [result.number for result in seen] == [1, 2, 3]
    assert tuple(seen) == evaluation.folds
    for number, fold in enumerate(folds, 1):
        assert (evaluation.fold_of[fold.test] == number).all()
    assert all(fold.fit_seconds > 0 and fold.predict_seconds > 0 for fold in evaluation.folds)


def test_last_model_is_kept_or_all_of_them(three):
    X, y, folds, evaluation = three
    (last,) = evaluation.models
    np.testing.assert_array_equal(last.predict(X[folds[-1].test]), evaluation.folds[-1].predictions)
    assert len(cross_validate(logistic, folds, X, y, n_classes=3, keep_models=True).models) == 5


# --- clips that are tested several times ---


def test_repeated_folds_average_the_probabilities_of_a_clip():
    X, y = blobs(60)
    folds = split(RepeatedStratifiedKFold(n_splits=3, n_repeats=2, random_state=0), y)
    evaluation = cross_validate(logistic, folds, X, y, n_classes=3)
    expected = np.zeros((60, 3))
    for fold in folds:
        expected[fold.test] += logistic().fit(X[fold.train], y[fold.train]).predict_proba(X[fold.test]) / 2
    np.testing.assert_allclose(evaluation.probabilities, expected)
    np.testing.assert_array_equal(evaluation.predictions, expected.argmax(axis=1))
    assert set(evaluation.fold_of) == {1, 2, 3}  # the first repeat


class Says(ClassifierMixin, BaseEstimator):
    """Always predicts the same class, without probabilities."""

    def __init__(self, what):
        self.what = what

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.full(len(X), self.what)


def test_without_probabilities_the_majority_of_the_folds_decides():
    y = np.array([0, 1, 2, 0, 1, 2])
    folds = [Fold(np.arange(3), np.arange(3, 6))] * 3
    words = iter([2, 1, 2])
    evaluation = cross_validate(lambda: Says(next(words)), folds, np.zeros((6, 1)), y, n_classes=3)
    assert evaluation.predictions.tolist() == [-1, -1, -1, 2, 2, 2]
    assert evaluation.probabilities is None


def test_model_without_probabilities_has_no_scores_of_them():
    X, y = blobs()
    evaluation = cross_validate(LinearSVC, split(StratifiedKFold(3), y), X, y, n_classes=3)
    assert evaluation.scores["accuracy"] > 0.5
    assert evaluation.scores["log_loss"] is evaluation.scores["roc_auc"] is None
    with pytest.raises(ConfigError, match=r"score=roc_auc: undefined, because this model gives no probabilities"):
        main_value(summarise(evaluation, classes=CLASSES, score="roc_auc"))


def test_class_that_a_model_has_not_met_has_probability_zero_in_its_own_column():
    X, y = blobs()
    train = np.flatnonzero(y != 1)
    fold = Fold(train, np.flatnonzero(y == 1))
    evaluation = cross_validate(logistic, [fold], X, y, n_classes=3)
    columns = evaluation.probabilities[fold.test]
    assert (columns[:, 1] == 0).all()
    np.testing.assert_allclose(columns[:, [0, 2]], logistic().fit(X[train], y[train]).predict_proba(X[fold.test]))


class Coarse(Says):
    """Its probabilities sum to 1 only approximately, like those of 32-bit libraries."""

    def predict_proba(self, X):
        return np.tile(np.float32([0.2, 0.3, 0.5003]), (len(X), 1))


@pytest.mark.filterwarnings("error::UserWarning")
def test_probabilities_are_made_to_sum_to_one():
    X, y = blobs()
    evaluation = cross_validate(lambda: Coarse(2), split(StratifiedKFold(3), y), X, y, n_classes=3)
    np.testing.assert_allclose(evaluation.probabilities.sum(axis=1), 1, rtol=1e-12)


# --- balance ---


def boosters():
    from lightgbm import LGBMClassifier
    from xgboost import XGBClassifier

    return {
        "GradientBoostingClassifier": lambda: GradientBoostingClassifier(n_estimators=5, random_state=0),
        "XGBClassifier": lambda: XGBClassifier(n_estimators=5, n_jobs=1),
        "LGBMClassifier": lambda: LGBMClassifier(n_estimators=5, n_jobs=1, verbose=-1),
        "Pipeline": logistic,
        "nested Pipeline": lambda: make_pipeline(StandardScaler(), logistic()),
    }


@pytest.mark.parametrize("name", boosters())
def test_balance_finds_more_of_the_rare_class(name):
    X, y = blobs(300, 2, distance=1.0, weights=[0.9, 0.1])
    folds = split(StratifiedKFold(3, shuffle=True, random_state=0), y)
    plain, balanced = (
        cross_validate(boosters()[name], folds, X, y, n_classes=2, balance=balance) for balance in ("none", "balanced")
    )
    assert balanced.probabilities[:, 1].mean() > plain.probabilities[:, 1].mean() + 0.1
    assert balanced.scores["balanced_accuracy"] > plain.scores["balanced_accuracy"]


def test_balance_weighs_by_the_classes_of_the_training_part():
    X, y = blobs(200, 2, distance=1.0, weights=[0.8, 0.2])
    folds = split(StratifiedKFold(2), y)
    evaluation = cross_validate(LogisticRegression, folds, X, y, n_classes=2, balance="balanced")
    for fold, result in zip(folds, evaluation.folds, strict=True):
        own = LogisticRegression(class_weight="balanced").fit(X[fold.train], y[fold.train])
        np.testing.assert_allclose(result.probabilities, own.predict_proba(X[fold.test]), atol=1e-3)


@pytest.mark.parametrize("wrap", [lambda model: model, lambda model: make_pipeline(StandardScaler(), model)])
def test_balance_is_refused_for_a_model_that_would_ignore_it(wrap):
    X, y = blobs()
    folds = split(StratifiedKFold(3), y)
    with pytest.raises(ConfigError, match=r"balanced: KNeighborsClassifier takes no sample_weight.*balance=none"):
        cross_validate(lambda: wrap(KNeighborsClassifier()), folds, X, y, n_classes=3, balance="balanced")


# --- models that fail ---


class Fails(Says):
    """A third-party model with one fault."""

    def __init__(self, fault):
        self.fault = fault

    def fit(self, X, y):
        if self.fault == "fit":
            raise RuntimeError("\n  out of luck\nand a long story")
        if self.fault == "silent":
            raise RuntimeError
        if self.fault == "data":
            raise DataError("data: said by the plugin itself")
        return super().fit(X, y)

    def predict(self, X):
        n = len(X)
        return {"float": np.full(n, 0.5), "short": np.zeros(n - 1), "name": np.full(n, "cat")}.get(
            self.fault, np.zeros(n)
        )

    def predict_proba(self, X):
        n, even = len(X), np.full((len(X), 3), 1 / 3)
        return {"sum": 2 * even, "nan": np.nan * even, "columns": even[:, :2] * 1.5, "flat": np.full(n, 1.0)}.get(
            self.fault, even
        )


def no_model():
    raise ImportError("No module named 'torch'")


@pytest.mark.parametrize(
    ("make_model", "error", "words"),
    [
        (lambda: GradientBoostingClassifier(n_estimators=0), ConfigError, ["'n_estimators' parameter", "Got 0"]),
        (lambda: make_pipeline(LogisticRegression(C=-1)), ConfigError, ["'C' parameter of LogisticRegression"]),
        (lambda: boosters()["XGBClassifier"]().set_params(subsample=5), PluginError, ["XGBClassifier", "subsample"]),
        (
            lambda: boosters()["LGBMClassifier"]().set_params(bagging_fraction=7),
            PluginError,
            ["LGBMClassifier failed in fold 1", "Check failed: (bagging_fraction) <= (1.0)"],
        ),
        (no_model, PluginError, ["it cannot be made: ImportError: No module named 'torch'"]),
        (lambda: Fails("fit"), PluginError, ["model: Fails failed in fold 1: ", ": out of luck"]),
        (lambda: Fails("silent"), PluginError, ["Fails failed in fold 1: RuntimeError"]),
        (lambda: Fails("data"), DataError, ["said by the plugin itself"]),
        (lambda: Fails("float"), PluginError, ["predict must return one of the classes"]),
        (lambda: Fails("short"), PluginError, ["predict must return one of the classes"]),
        (lambda: Fails("name"), PluginError, ["predict must return one of the classes"]),
        (lambda: Fails("sum"), PluginError, ["predict_proba must return one row", "sum 1"]),
        (lambda: Fails("nan"), PluginError, ["predict_proba must return one row"]),
        (lambda: Fails("columns"), PluginError, ["predict_proba must return one row"]),
        (lambda: Fails("flat"), PluginError, ["predict_proba must return one row"]),
    ],
)
def test_model_that_fails_says_why_in_one_line(make_model, error, words):
    X, y = blobs()
    with pytest.raises(error) as caught:
        cross_validate(make_model, split(StratifiedKFold(3), y), X, y, n_classes=3)
    message = str(caught.value)
    assert "\n" not in message
    assert [word for word in words if word not in message] == [], message


# --- baseline and summary ---


def test_baseline_says_the_most_frequent_class_of_each_training_part():
    X, y = blobs(100, 2, weights=[0.7, 0.3])
    majority = max((y == 0).mean(), (y == 1).mean())
    evaluation = cross_validate(logistic, split(StratifiedKFold(5), y), X, y, n_classes=2)
    baseline = evaluation.baseline
    assert baseline.scores["accuracy"] == pytest.approx(majority)
    assert baseline.scores["balanced_accuracy"] == 0.5
    assert baseline.scores["log_loss"] < 1  # the frequencies, not certainty
    assert set(baseline.predictions) == {0}


def test_summary_is_json_of_what_was_measured(three):
    _, y, _, evaluation = three
    summary = summarise(evaluation, classes=CLASSES, score="mcc")
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary
    assert summary["value"] == summary["scores"]["mcc"]["pooled"] == evaluation.scores["mcc"]
    low, high = summary["scores"]["mcc"]["interval"]
    assert low < summary["value"] < high
    of_folds = [fold.scores["mcc"] for fold in evaluation.folds]
    assert summary["scores"]["mcc"]["folds"] == of_folds
    assert summary["scores"]["mcc"]["mean"] == pytest.approx(np.mean(of_folds))
    assert summary["scores"]["mcc"]["std"] == pytest.approx(np.std(of_folds, ddof=1))
    assert (summary["n_clips"], summary["n_tested"], summary["n_folds"]) == (90, 90, 5)
    assert np.sum(summary["confusion_matrix"]) == 90
    assert [row["support"] for row in summary["per_class"]] == np.bincount(y).tolist()
    assert [row["class"] for row in summary["per_class"]] == summary["classes"] == CLASSES
    assert summary["f1_of"] == "mean over classes"
    assert summary["baseline"]["accuracy"] < summary["scores"]["accuracy"]["pooled"]


def test_one_holdout_has_no_spread_and_its_pooled_score_is_the_folds():
    X, y = blobs(n_classes=2)
    evaluation = cross_validate(logistic, split(ShuffleSplit(1, random_state=0), y), X, y, n_classes=2)
    summary = summarise(evaluation, classes=CLASSES[:2])
    accuracy = summary["scores"]["accuracy"]
    assert accuracy["std"] is None
    assert accuracy["pooled"] == accuracy["mean"] == accuracy["folds"][0] == summary["value"]
    assert summary["f1_of"] == "dog"


def test_summary_resamples_groups_where_there_are_some():
    X, y = blobs()
    folds, groups = split(StratifiedKFold(3), y), [f"g{i % 3}-{i // 15}" for i in range(90)]
    with_groups, without = (
        summarise(cross_validate(logistic, folds, X, y, n_classes=3, groups=given), classes=CLASSES)
        for given in (groups, None)
    )
    assert (with_groups["interval_over"], without["interval_over"]) == ("groups", "clips")
    assert with_groups["scores"]["accuracy"]["interval"] != without["scores"]["accuracy"]["interval"]
    assert with_groups["value"] == without["value"]


def test_score_that_is_undefined_in_some_folds_is_averaged_over_the_others():
    X, y = blobs(30, 2)
    folds = [Fold(np.arange(1, 29), np.array([0, 29])), Fold(np.r_[0, 2:30], np.array([1]))]
    summary = summarise(cross_validate(logistic, folds, X, y, n_classes=2), classes=CLASSES[:2])
    defined, undefined = summary["scores"]["roc_auc"]["folds"]
    assert undefined is None
    assert summary["scores"]["roc_auc"]["mean"] == defined
    assert summary["scores"]["roc_auc"]["std"] is None


def test_main_score_that_is_undefined_is_refused_rather_than_returned():
    X, y = blobs(30, 2)
    evaluation = cross_validate(logistic, [Fold(np.arange(3, 30), np.arange(3))], X, y, n_classes=2)
    with pytest.raises(ConfigError, match="score=mcc: undefined, because a class has no test clips"):
        main_value(summarise(evaluation, classes=CLASSES[:2], score="mcc"))


def test_unknown_score_is_refused(three):
    with pytest.raises(ConfigError, match=r"did you mean 'balanced_accuracy'"):
        summarise(three[-1], classes=CLASSES, score="balanced_acuracy")


def test_smaller_is_better_is_said_of_log_loss(three):
    summary = summarise(three[-1], classes=CLASSES, score="log_loss")
    assert summary["greater_is_better"] is False
    assert summary["value"] < summary["baseline"]["log_loss"]


# --- several rows per clip -------------------------------------------------------------------------


class Spy(ClassifierMixin, BaseEstimator):
    """Stores its arguments, and predicts the value of a row's first column."""

    def fit(self, X, y, groups=None, sample_weight=None):
        self.given_ = (X, y, groups, sample_weight)
        self.classes_ = np.array([0, 1])
        return self

    def predict_proba(self, X):
        share = np.clip(np.asarray(X)[:, 0], 0, 1)
        return np.column_stack([1 - share, share])

    def predict(self, X):
        return self.predict_proba(X).argmax(axis=1)


def test_a_clip_is_what_its_rows_say_on_average_and_copies_are_never_tested():
    y = np.array([0, 1, 1, 0])
    clip_of = np.array([0, 1, 1, 2, 3, 0, 1, 2, 3])
    augmented = np.arange(9) >= 5
    X = np.array([0.1, 0.4, 0.8, 0.9, 0.2, 9, 9, 9, 9])[:, None]
    folds = [Fold(np.array([3, 0]), np.array([2, 1])), Fold(np.array([1, 2]), np.array([0, 3]))]
    evaluation = cross_validate(
        Spy, folds, X, y, n_classes=2, clip_of=clip_of, augmented=augmented, groups=["p", "q", None, "p"],
        keep_models=True,
    )  # fmt: skip
    np.testing.assert_allclose(evaluation.probabilities[:, 1], [0.1, 0.6, 0.9, 0.2])
    assert evaluation.scores["accuracy"] == 1
    rows, labels, groups, weights = evaluation.models[0].given_
    assert rows[:, 0].tolist() == [0.2, 9, 0.1, 9]
    assert labels.tolist() == [0] * 4
    assert groups.tolist() == ["p"] * 4
    assert weights is None  # each clip has two rows
    rows, labels, groups, weights = evaluation.models[1].given_
    assert groups.tolist() == ["q"] * 3 + ["(clip 2)"] * 2
    np.testing.assert_allclose(weights, [5 / 6] * 3 + [5 / 4] * 2)  # all clips have equal weight


def test_a_model_without_groups_of_the_data_is_handed_the_clip_of_each_row():
    y = np.array([0, 1, 0, 1])
    folds = [Fold(np.array([0, 1]), np.array([2, 3]))]
    clip_of = np.array([0, 0, 1, 2, 3])
    evaluation = cross_validate(Spy, folds, np.zeros((5, 1)), y, n_classes=2, clip_of=clip_of)
    assert evaluation.models[0].given_[2].tolist() == [0, 0, 1]


def test_groups_reach_the_classifier_at_the_end_of_a_pipeline():
    X, y = blobs(n_classes=2)
    evaluation = cross_validate(
        lambda: make_pipeline(StandardScaler(), Spy()), split(StratifiedKFold(3), y), np.clip(X, 0, 1), y, n_classes=2
    )
    assert len(evaluation.models[-1][-1].given_[2]) == 60


def test_rows_of_a_clip_vote_where_a_model_gives_no_probabilities():
    y = np.array([0, 1, 0, 1])
    X = np.array([[0.0], [5.0], [5.0], [0.0], [5.0], [5.0], [0.0]])
    clip_of = np.array([0, 1, 2, 2, 2, 3, 3])
    folds = [Fold(np.array([0, 1]), np.array([2, 3]))]
    evaluation = cross_validate(LinearSVC, folds, X, y, n_classes=2, clip_of=clip_of)
    assert evaluation.probabilities is None
    assert evaluation.predictions[2:].tolist() == [1, 0]  # two of three; ties go to the first class


class CountsThreads(KNeighborsClassifier):
    """Notes how many BLAS threads there are while it is fitted and while it predicts."""

    seen: ClassVar[list[int]] = []

    def fit(self, X, y):
        self.seen.extend(_blas_threads())
        return super().fit(X, y)

    def predict_proba(self, X):
        self.seen.extend(_blas_threads())
        return super().predict_proba(X)


def _blas_threads():
    return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]


def test_models_run_on_one_blas_thread_and_the_callers_number_is_restored():
    X, y = blobs()
    CountsThreads.seen.clear()
    with threadpool_limits(2, user_api="blas"):
        before = _blas_threads()
        cross_validate(CountsThreads, split(KFold(3, shuffle=True, random_state=0), y), X, y, n_classes=3)
        assert _blas_threads() == before
    assert set(CountsThreads.seen) == {1}
