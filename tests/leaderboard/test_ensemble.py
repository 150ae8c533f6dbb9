"""Averaging helps when models differ, and scores at chance when there is nothing to learn."""

from __future__ import annotations

import numpy as np
import pytest

from audiofw.evaluation.scores import GREATER_IS_BETTER, OF_LABELS, scores
from audiofw.leaderboard.ensemble import HOLDOUT_PARTS, MOST_PARTS, average_across, build_ensemble, make_parts, select

N_CLASSES = 4


def make_classes(n: int = 300, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(N_CLASSES, size=n)


def soften(guess: np.ndarray, sure: float = 0.7) -> np.ndarray:
    """Make probabilities of random guesses."""
    return np.where(np.eye(N_CLASSES, dtype=bool)[guess], sure, (1 - sure) / (N_CLASSES - 1))


def make_models(y: np.ndarray, n_models: int, skill: float, seed: int = 1) -> np.ndarray:
    """Make probabilities ``(models, clips, classes)`` of models with independent errors."""
    rng = np.random.default_rng(seed)
    noise = rng.random((n_models, len(y), N_CLASSES))
    noise[:, np.arange(len(y)), y] += skill
    return (noise / noise.sum(axis=2, keepdims=True)).astype(np.float32)


def folds_of(y: np.ndarray, n_folds: int = 5) -> np.ndarray:
    return np.arange(len(y)) % n_folds + 1


def accuracy(proba: np.ndarray, y: np.ndarray) -> float:
    return float(np.mean(proba.argmax(axis=-1) == y))


def build(proba, y, score="accuracy", folds=None):
    folds = folds_of(y) if folds is None else folds
    return build_ensemble(proba, y, folds, make_parts(folds, None, 0), score)


def test_models_that_err_differently_are_better_together():
    y = make_classes()
    proba = make_models(y, 8, skill=0.4)
    made = build(proba, y)
    assert made.value > max(accuracy(one, y) for one in proba) + 0.1
    assert made.weights.sum() == pytest.approx(1)
    assert np.count_nonzero(made.weights) > 3


def test_one_good_model_is_left_alone_among_bad_ones():
    y = make_classes()
    bad = make_models(y, 6, skill=0.0)
    proba = np.concatenate([bad, soften(y, 0.99)[None].astype(np.float32)])
    made = build(proba, y)
    assert made.value == 1.0
    np.testing.assert_allclose(made.weights, np.eye(7)[6])


def test_models_that_know_different_classes_are_both_taken():
    y = make_classes()
    uniform = np.full((len(y), N_CLASSES), 1 / N_CLASSES)
    proba = np.stack([np.where((y < 2)[:, None], soften(y), uniform), np.where((y < 2)[:, None], uniform, soften(y))])
    made = build(proba, y, "log_loss")
    assert (made.weights > 0.3).all()
    assert made.value < min(scores(y, one.argmax(1), one, N_CLASSES)["log_loss"] for one in proba) - 0.05


def test_on_pure_noise_it_gives_chance_where_choosing_on_the_same_clips_looks_far_better():
    values, same_clips = [], []
    for seed in range(3):
        y = make_classes(200, seed)
        proba = make_models(y, 60, skill=0.0, seed=seed + 50)
        values.append(build(proba, y).value)
        same_clips.append(accuracy(np.tensordot(select(proba, y, "accuracy"), proba, axes=1), y))
    assert np.mean(values) == pytest.approx(1 / N_CLASSES, abs=0.04)
    assert np.mean(same_clips) > 1 / N_CLASSES + 0.1


def test_labels_of_a_part_do_not_reach_its_own_average():
    y = make_classes()
    proba, parts = make_models(y, 10, skill=0.3), folds_of(y) - 1
    shuffled = np.where(parts == 2, np.random.default_rng(9).permutation(y), y)
    before, after = (average_across(proba, labels, parts, "accuracy") for labels in (y, shuffled))
    np.testing.assert_array_equal(before[parts == 2], after[parts == 2])
    assert not np.array_equal(before[parts != 2], after[parts != 2])


@pytest.mark.parametrize("score", list(GREATER_IS_BETTER))
def test_every_score_can_be_asked_for(score):
    y = make_classes()
    proba = make_models(y, 6, skill=0.5)
    made = build(proba, y, score)
    assert made.value == pytest.approx(scores(y, made.predictions, made.probabilities, N_CLASSES)[score])
    exact = proba / proba.sum(axis=2, keepdims=True, dtype=float)
    singles = [scores(y, one.argmax(1), one, N_CLASSES)[score] for one in exact]
    assert made.value > max(singles) if GREATER_IS_BETTER[score] else made.value < min(singles)
    assert made.interval[0] < made.value < made.interval[1]


def test_folds_are_scored_one_by_one_in_the_order_of_their_numbers():
    y = make_classes(330)
    folds = folds_of(y, 11)
    made = build(make_models(y, 4, skill=0.5), y, folds=folds)
    right = made.predictions == y
    assert made.folds == pytest.approx([right[folds == number].mean() for number in range(1, 12)])
    np.testing.assert_allclose(made.probabilities.sum(axis=1), 1)


def test_same_input_gives_the_same_ensemble():
    y = make_classes()
    proba = make_models(y, 12, skill=0.3)
    one, two = build(proba, y), build(proba, y)
    np.testing.assert_array_equal(one.weights, two.weights)
    assert one.interval == two.interval


def test_class_that_the_choosing_part_lacks_is_coped_with():
    y = np.array([0, 0, 0, 1, 1, 1, 2, 2, 2, 3] * 2)
    folds = np.where(y == 3, 2, 1)
    made = build(make_models(y, 3, skill=1.0), y, "mcc", folds=folds)
    assert made.folds[1] is None  # no correlation with a single class
    assert made.value is not None


# --- parts ------------------------------------------------------------------------------------------------


def test_parts_are_the_folds():
    np.testing.assert_array_equal(make_parts(np.array([3, 1, 2, 1]), None, 0), [2, 0, 1, 0])


def test_many_folds_are_taken_together_but_never_cut():
    folds = np.repeat(np.arange(1, 41), 3)
    parts = make_parts(folds, None, 0)
    assert len(set(parts)) == MOST_PARTS
    assert len(set(zip(folds, parts, strict=True))) == 40


def test_clips_of_one_holdout_are_dealt_out_by_the_seed():
    folds = np.ones(52, int)
    parts = make_parts(folds, None, 3)
    assert sorted(np.bincount(parts)) == [10, 10, 10, 11, 11]
    np.testing.assert_array_equal(parts, make_parts(folds, None, 3))
    assert not np.array_equal(parts, make_parts(folds, None, 4))
    assert HOLDOUT_PARTS == 5


def test_groups_of_one_holdout_are_dealt_out_whole():
    groups = [f"bird {i % 7}" for i in range(70)]
    parts = make_parts(np.ones(70, int), groups, 0)
    assert len(set(zip(groups, parts.tolist(), strict=True))) == 7
    assert len(set(parts.tolist())) == HOLDOUT_PARTS


def test_one_group_or_clip_cannot_be_cut():
    assert make_parts(np.ones(9, int), ["bird"] * 9, 0) is None
    assert make_parts(np.ones(1, int), None, 0) is None


# --- several labels


def make_labels(n: int = 300, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).random((n, N_CLASSES)) < (0.1, 0.2, 0.4, 0.6)).astype(np.int8)


def make_label_models(y: np.ndarray, n_models: int, skill: float, seed: int = 1) -> np.ndarray:
    """Make probabilities of each label by itself, of models with independent errors."""
    noise = np.random.default_rng(seed).random((n_models, *y.shape))
    return ((skill * y + noise) / (1 + skill)).astype(np.float32)


@pytest.mark.parametrize("score", list(OF_LABELS))
def test_models_of_several_labels_that_err_differently_are_better_together(score):
    y = make_labels()
    proba = make_label_models(y, 8, skill=0.5)
    made = build(proba, y, score)
    alone = [scores(y, (one >= 0.5).astype(int), one, N_CLASSES)[score] for one in proba]
    assert made.value > max(alone)
    assert made.value == scores(y, made.predictions, made.probabilities, N_CLASSES)[score]
    assert made.interval[0] < made.value < made.interval[1]


def test_labels_of_a_part_decide_neither_its_weights_nor_its_thresholds():
    y = make_labels()
    proba, folds = make_label_models(y, 4, skill=0.5), folds_of(y)
    inside, others = folds == 2, y.copy()
    others[inside] = 1 - others[inside]
    before, after = build(proba, y, "map"), build(proba, others, "map")
    np.testing.assert_array_equal(before.predictions[inside], after.predictions[inside])
    np.testing.assert_array_equal(before.probabilities[inside], after.probabilities[inside])
    assert (before.predictions[~inside] != after.predictions[~inside]).any()
