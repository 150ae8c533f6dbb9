"""Influences are those of the jackknife to first order, and their scores are the ones that are reported."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiofw.evaluation.influence import influences
from audiofw.evaluation.scores import GREATER_IS_BETTER, scores


def predict(n_classes: int, n: int = 400, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Uneven classes, and probabilities with ties among them."""
    rng = np.random.default_rng(seed)
    y = np.concatenate([np.arange(n_classes), rng.integers(n_classes, size=n - n_classes) * rng.integers(2, size=1)])
    y = np.where(rng.random(n) < 0.2, 0, rng.permutation(np.concatenate([y[:n_classes], np.arange(n - n_classes)])))
    y %= n_classes
    proba = rng.dirichlet(np.ones(n_classes), n)
    proba[np.arange(n), y] += 0.4
    proba = proba.round(1) + 1e-3
    proba /= proba.sum(axis=1, keepdims=True)
    return y, proba.argmax(axis=1), proba


@pytest.mark.parametrize("n_classes", [2, 3, 5])
def test_influences_are_what_leaving_a_clip_out_does_to_first_order(n_classes):
    y, predicted, proba = predict(n_classes)
    whole, found = scores(y, predicted, proba, n_classes), influences(y, predicted, proba, n_classes)
    assert set(found) == set(GREATER_IS_BETTER)
    for i in range(0, 400, 23):
        rest = np.delete(np.arange(400), i)
        without = scores(y[rest], predicted[rest], proba[rest], n_classes)
        for name, (value, of_clips) in found.items():
            assert value == pytest.approx(whole[name]), name
            moved = 399 / 400 * (whole[name] - without[name])
            assert of_clips[i] == pytest.approx(moved, abs=0.03 * np.abs(of_clips).max()), name


@settings(deadline=None, max_examples=30)
@given(st.integers(2, 4), st.integers(2, 15), st.integers(0, 10_000))
def test_influences_of_any_predictions_sum_to_zero_and_have_the_score(n_classes, n, seed):
    rng = np.random.default_rng(seed)
    y, proba = rng.integers(n_classes, size=n), rng.dirichlet(np.ones(n_classes), n)
    predicted = rng.integers(n_classes, size=n)
    whole = scores(y, predicted, proba, n_classes)
    for name, (value, of_clips) in influences(y, predicted, proba, n_classes).items():
        assert value == pytest.approx(whole[name], abs=1e-12), name
        assert of_clips.shape == (n,)
        assert of_clips.sum() == pytest.approx(0, abs=1e-9), name


def test_undefined_scores_and_those_not_asked_for_are_left_out():
    y = np.array([0, 0, 1, 1])
    assert "roc_auc" not in influences(y, y, np.full((4, 3), 1 / 3), 3)  # the third class has no clip
    assert "mcc" not in influences(y, 0 * y, None, 2)
    assert set(influences(y, y, None, 2, names=["accuracy", "log_loss"])) == {"accuracy"}
    assert influences(y, y, None, 2, positive=0, names=["f1"])["f1"].value == 1
