"""Cross-validation with several labels per clip: what is chosen, and on which clips."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from audiofw.data.splits import Fold
from audiofw.errors import ConfigError, PluginError
from audiofw.evaluation.cross_validate import cross_validate
from audiofw.evaluation.fit import predict
from audiofw.evaluation.summary import main_value, summarise

CHANCE = np.random.default_rng(0)
X = CHANCE.standard_normal((150, 6))
Y = (X[:, :3] + 0.5 * CHANCE.standard_normal((150, 3)) > (-0.3, 0.5, 1)).astype(np.int8)
PLACES = np.arange(150)
FOLDS = [Fold(PLACES[k != PLACES % 3], PLACES[k == PLACES % 3]) for k in range(3)]


def validate(X=X, Y=Y, folds=FOLDS, model=LogisticRegression, **options):
    return cross_validate(model, folds, X, Y, n_classes=Y.shape[1], **options)


def test_each_clip_is_predicted_by_a_model_that_was_not_trained_on_it():
    found = validate()
    for fold in FOLDS:
        alone = OneVsRestClassifier(LogisticRegression()).fit(X[fold.train], Y[fold.train])
        np.testing.assert_allclose(found.probabilities[fold.test], alone.predict_proba(X[fold.test]))
    for result in found.folds:
        np.testing.assert_array_equal(result.predictions, result.probabilities >= result.thresholds)


def test_thresholds_do_not_depend_on_the_test_clips():
    before = validate().folds[0].thresholds
    others = Y.copy()
    others[FOLDS[0].test] = 1 - others[FOLDS[0].test]
    np.testing.assert_array_equal(validate(Y=others).folds[0].thresholds, before)
    others[FOLDS[0].train] = 1 - others[FOLDS[0].train]
    assert (validate(Y=others).folds[0].thresholds != before).any()


class Remembers(LogisticRegression):
    """Is sure of the rows that it was trained on, and knows nothing of others."""

    def fit(self, X, y, sample_weight=None):
        self.known_ = {tuple(row): label for row, label in zip(X, y, strict=True)}
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        share = np.array([0.9 * self.known_[key] + 0.05 if (key := tuple(row)) in self.known_ else 0.3 for row in X])
        return np.column_stack([1 - share, share])


def test_thresholds_are_chosen_on_clips_that_the_model_was_not_trained_on():
    assert all((fold.thresholds < 0.3).all() for fold in validate(model=Remembers).folds)


def test_thresholds_are_chosen_on_groups_that_the_model_was_not_trained_on():
    copies = np.repeat(X[:50], 3, axis=0)  # known, unless the copies of a clip stay together
    labels, groups = np.repeat(Y[:50], 3, axis=0), [str(i // 3) for i in range(150)]
    folds = [Fold(PLACES[:120], PLACES[120:])]
    (apart,) = validate(copies, labels, folds, Remembers, groups=groups).folds
    (mixed,) = validate(copies, labels, folds, Remembers).folds
    assert (apart.thresholds < 0.3).all()
    assert mixed.thresholds.max() > 0.3


def test_a_clip_is_predicted_by_the_mean_of_its_rows_and_augmented_ones_train_only():
    rows = np.concatenate([X, X + 0.1, X + 100])
    clip_of = np.tile(PLACES, 3)
    augmented = np.repeat([False, False, True], 150)
    found = validate(rows, clip_of=clip_of, augmented=augmented)
    order = np.argsort(clip_of, kind="stable")
    alone = OneVsRestClassifier(LogisticRegression()).fit(
        rows[order][np.isin(clip_of[order], FOLDS[2].train)], Y[clip_of[order]][np.isin(clip_of[order], FOLDS[2].train)]
    )
    mean = (alone.predict_proba(X[FOLDS[2].test]) + alone.predict_proba(X[FOLDS[2].test] + 0.1)) / 2
    np.testing.assert_allclose(found.probabilities[FOLDS[2].test], mean, rtol=1e-4)


def test_a_clip_that_was_tested_twice_has_the_mean_probability():
    turned = [Fold(np.roll(fold.train, 1), fold.test) for fold in FOLDS]
    found = validate(
        folds=[*FOLDS, *turned, *(Fold(PLACES[k != PLACES % 4], PLACES[k == PLACES % 4]) for k in range(4))]
    )
    first = [result.probabilities[result.test == 5][0] for result in found.folds if 5 in result.test]
    assert len(first) == 3
    np.testing.assert_allclose(found.probabilities[5], np.mean(first, axis=0))
    votes = [result.predictions[result.test == 5][0] for result in found.folds if 5 in result.test]
    np.testing.assert_array_equal(found.predictions[5], np.mean(votes, axis=0) >= 0.5)


def test_the_baseline_knows_only_frequencies():
    found = validate()
    assert found.baseline.scores["map"] == pytest.approx(np.mean(Y.mean(axis=0)), abs=0.05)
    counts = np.unique(Y, axis=0, return_counts=True)[1]
    assert found.baseline.scores["subset_accuracy"] == pytest.approx(counts.max() / 150)
    assert found.scores["map"] > 0.8


def test_a_class_missing_from_a_training_set_is_told_and_nothing_fails():
    labels = np.column_stack([Y, PLACES == 0])  # clip 0 is tested in the first fold
    metrics = summarise(validate(Y=labels), classes=["a", "b", "c", "rare"], score="map")
    assert [row["one_sided"] for row in metrics["per_class"]] == [[], [], [], [1]]
    assert metrics["per_class"][3]["recall"] == 0
    assert main_value(metrics) == pytest.approx(metrics["scores"]["map"]["pooled"])


def test_the_summary_counts_labels_together_and_false_alarms():
    found = validate()
    metrics = summarise(found, classes=["a", "b", "c"], score="f1_macro")
    assert metrics["task"] == "multilabel"
    assert metrics["together"][0][1] == int(np.sum(Y[:, 0] & Y[:, 1]))
    false = (found.predictions[:, 2] == 1) & (Y[:, 2] == 0) & (Y[:, 0] == 1)
    assert metrics["false_alarms"][0][2] == int(false.sum())
    mean = np.mean([fold.thresholds for fold in found.folds], axis=0)
    assert [row["threshold"] for row in metrics["per_class"]] == pytest.approx(mean)


def test_clips_that_are_all_alike_in_the_test_leave_the_score_undefined():
    metrics = summarise(
        validate(Y=np.column_stack([PLACES % 3 == 0]).astype(int), folds=FOLDS[:1]), classes=["a"], score="map"
    )
    with pytest.raises(ConfigError, match="score=map: undefined, because no class has test clips with and without it"):
        main_value(metrics)


def test_two_clips_and_one_group_get_thresholds_of_one_half():
    one = validate(X[:3], Y[:3], [Fold(np.array([0, 1]), np.array([2]))], groups=["g"] * 3).folds[0]
    assert one.thresholds.tolist() == [0.5] * 3


def test_balanced_labels_raise_the_probability_of_rare_ones():
    plain, balanced = validate(), validate(balance="balanced")
    assert (balanced.probabilities[:, 2] > plain.probabilities[:, 2]).mean() > 0.95


def test_a_pooling_that_learns_is_fitted_without_the_test_clips():
    matrices = np.empty(150, object)
    matrices[:] = [row[:, None] for row in X]
    seen = []

    def squeeze(rows):
        seen.append(len(rows))
        return np.array([row[:, 0] for row in rows])

    def make():
        pooling = make_pipeline(FunctionTransformer(squeeze), StandardScaler())
        return Pipeline([("pooling", pooling), ("model", LogisticRegression())])

    found = validate(matrices, model=make)
    assert found.scores["map"] == pytest.approx(validate().scores["map"], abs=0.05)
    assert 100 in seen
    assert 150 not in seen


def test_probabilities_out_of_range_are_refused():
    model = validate().models[-1]
    model.estimators_[0].predict_proba = lambda X: np.column_stack([np.full(len(X), 3.0), np.full(len(X), -1.0)])
    with pytest.raises(PluginError, match="LogisticRegression: predict_proba must return probabilities, from 0 to 1"):
        predict(model, X, PLACES, 3)


def test_more_false_alarms_come_with_lower_thresholds():
    model = validate().models[-1]
    counts = []
    for threshold in (0.2, 0.5, 0.8):
        model.thresholds_ = np.full(3, threshold)
        counts.append(predict(model, X, PLACES, 3)[0].sum())
    assert all(more > fewer for more, fewer in pairwise(counts))
