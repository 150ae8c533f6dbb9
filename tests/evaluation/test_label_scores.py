"""Scores of several labels agree with scikit-learn's, and influences with leaving a clip out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from audiofw.errors import ConfigError
from audiofw.evaluation.influence import influences
from audiofw.evaluation.intervals import score_intervals
from audiofw.evaluation.label_scores import score_each
from audiofw.evaluation.scores import GREATER_IS_BETTER, HIGHER_IS_BETTER, OF_LABELS, check_score, scores


def predict(n: int = 300, n_classes: int = 4, seed: int = 0, digits: int = 1):
    """Labels of different frequency, and probabilities with ties among them."""
    chance = np.random.default_rng(seed)
    y = (chance.random((n, n_classes)) < np.linspace(0.1, 0.7, n_classes)).astype(np.int8)
    proba = np.clip(0.4 * y + 0.6 * chance.random((n, n_classes)), 0, 1).round(digits)
    return y, (proba >= 0.5).astype(int), proba


def test_scores_are_those_of_scikit_learn():
    y, said, proba = predict()
    found = scores(y, said, proba, 4)
    assert list(found) == list(OF_LABELS)
    assert found == pytest.approx({
        "map": metrics.average_precision_score(y, proba, average="macro"),
        "roc_auc": metrics.roc_auc_score(y, proba, average="macro"),
        "f1_micro": metrics.f1_score(y, said, average="micro"),
        "f1_macro": metrics.f1_score(y, said, average="macro"),
        "subset_accuracy": metrics.accuracy_score(y, said),
    }, abs=1e-12)  # fmt: skip


def test_each_class_has_the_scores_of_scikit_learn():
    y, said, proba = predict()
    each = score_each(y, said, proba)
    for k, row in enumerate(each):
        assert row.average_precision == metrics.average_precision_score(y[:, k], proba[:, k])
        assert row.roc_auc == metrics.roc_auc_score(y[:, k], proba[:, k])
        assert (row.precision, row.recall, row.f1) == (
            metrics.precision_score(y[:, k], said[:, k]),
            metrics.recall_score(y[:, k], said[:, k]),
            metrics.f1_score(y[:, k], said[:, k]),
        )
        assert row.support == y[:, k].sum()


@pytest.mark.parametrize("one_sided", [0, 1])
def test_a_class_that_all_or_none_have_is_left_out_of_ranked_means(one_sided):
    y, said, proba = predict()
    more = np.full((len(y), 1), one_sided)
    found = scores(np.hstack([y, more]), np.hstack([said, more]), np.hstack([proba, more]), 5)
    alone = scores(y, said, proba, 4)
    assert (found["map"], found["roc_auc"]) == (alone["map"], alone["roc_auc"])
    row = score_each(np.hstack([y, more]), np.hstack([said, more]), np.hstack([proba, more]))[-1]
    assert (row.average_precision, row.roc_auc) == (None, None)


def test_nothing_is_ranked_if_all_clips_are_alike_or_without_probabilities():
    y = np.ones((5, 2), int)
    assert scores(y, y, y.astype(float), 2)["map"] is None
    assert scores(*predict()[:2], None, 4)["roc_auc"] is None
    assert "map" not in influences(*predict()[:2], None, 4)


@pytest.mark.parametrize("digits", [1, 6])
def test_influences_are_what_leaving_a_clip_out_does_to_first_order(digits):
    y, said, proba = predict(digits=digits)
    whole, found = scores(y, said, proba, 4), influences(y, said, proba, 4)
    assert set(found) == set(OF_LABELS)
    for i in range(0, 300, 17):
        rest = np.delete(np.arange(300), i)
        without = scores(y[rest], said[rest], proba[rest], 4)
        for name, (value, of_clips) in found.items():
            assert value == pytest.approx(whole[name]), name
            moved = 299 / 300 * (whole[name] - without[name])
            assert of_clips[i] == pytest.approx(moved, abs=0.04 * np.abs(of_clips).max()), name


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 4), st.integers(1, 15), st.integers(0, 10_000))
def test_influences_of_any_predictions_sum_to_zero_and_have_the_score(n_classes, n, seed):
    y, said, proba = predict(n, n_classes, seed)
    whole = scores(y, said, proba, n_classes)
    found = influences(y, said, proba, n_classes)
    assert set(found) == {name for name, value in whole.items() if value is not None}
    for name, (value, of_clips) in found.items():
        assert value == pytest.approx(whole[name], abs=1e-12), name
        assert of_clips.shape == (n,)
        assert of_clips.sum() == pytest.approx(0, abs=1e-9), name


def test_intervals_hold_the_score_and_are_wider_over_groups_of_equal_clips():
    y, said, proba = predict(digits=6)
    alone = score_intervals(y, said, proba, n_classes=4)
    copies = [np.repeat(each, 5, axis=0) for each in (y, said, proba)]
    over_groups = score_intervals(*copies, n_classes=4, groups=np.repeat(np.arange(300), 5))
    over_clips = score_intervals(*copies, n_classes=4)
    for name, value in scores(y, said, proba, 4).items():
        low, high = alone[name]
        assert low < value < high, name
        assert np.subtract(*over_groups[name]) == pytest.approx(np.subtract(*alone[name]), rel=0.02), name
        assert np.subtract(*over_clips[name]) > 0.6 * np.subtract(*over_groups[name]), name


def test_intervals_cover_the_score_of_all_clips_as_often_as_they_say():
    y, said, proba = predict(20_000, 3, digits=6)
    truth, chance, held = scores(y, said, proba, 3), np.random.default_rng(1), []
    for _ in range(200):
        some = chance.integers(20_000, size=150)
        found = score_intervals(y[some], said[some], proba[some], n_classes=3)
        held.append([low <= truth[name] <= high for name, (low, high) in found.items()])
    assert (np.mean(held, axis=0) >= 0.9).all()


def test_flawless_predictions_have_an_interval():
    y, _, _ = predict(40)
    for name, (low, high) in score_intervals(y, y, y.astype(float), n_classes=4).items():
        assert 0.5 < low < 1.0 == high, name


def test_scores_of_the_other_task_are_refused():
    check_score("map", "multilabel")
    with pytest.raises(ConfigError, match="score=accuracy: not a score of task=multilabel; available: map, roc_auc"):
        check_score("accuracy", "multilabel")
    with pytest.raises(ConfigError, match="score=map: not a score of task=single; available: accuracy"):
        check_score("map", "single")
    assert set(HIGHER_IS_BETTER) >= set(GREATER_IS_BETTER) | set(OF_LABELS)
