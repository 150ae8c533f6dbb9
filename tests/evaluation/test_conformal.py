"""Probabilities: confident predictions are more accurate, and prediction sets have the requested coverage."""

import numpy as np
import pytest
from mapie.classification import SplitConformalClassifier
from sklearn.base import BaseEstimator, ClassifierMixin

from audiofw.evaluation.conformal import coverage_curve, label_sets, summarise_confidence, threshold


def made(n: int, n_classes: int = 5, sharpness: float = 2.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of a perfectly calibrated model, and the true classes."""
    rng = np.random.default_rng(seed)
    proba = rng.dirichlet(np.full(n_classes, 1 / sharpness), size=n)
    return proba, (proba.cumsum(axis=1) > rng.random(n)[:, None]).argmax(axis=1)


@pytest.mark.parametrize("coverage", [0.6, 0.8, 0.9, 0.99])
@pytest.mark.parametrize("sharpness", [0.3, 5.0])
def test_sets_hold_the_true_label_of_new_clips_as_often_as_asked(coverage, sharpness):
    proba, y = made(20_000, sharpness=sharpness)
    least = threshold(np.sort(proba[np.arange(10_000), y[:10_000]]), coverage)
    sets = label_sets(proba[10_000:], least)
    held = sets[np.arange(10_000), y[10_000:]].mean()
    assert held >= coverage - 0.015
    assert held <= coverage + 0.015 or sets.sum(axis=1).max() == 1  # the most likely label alone reaches the coverage


def test_too_few_clips_for_a_coverage_take_every_class_in():
    assert threshold([0.5] * 8, 0.9) == 0
    assert threshold([0.5] * 9, 0.9) == 0.5


def test_a_set_holds_at_least_the_most_likely_class():
    assert label_sets(np.array([[0.4, 0.35, 0.25]]), 0.9).tolist() == [[True, False, False]]


def test_the_curve_tells_of_all_clips_first_and_of_the_surest_last():
    proba, y = made(1000)
    curve = coverage_curve(proba, y)
    assert curve[0]["coverage"] == 1
    assert curve[0]["accuracy"] == (proba.argmax(axis=1) == y).mean()
    assert curve[-1]["accuracy"] > curve[0]["accuracy"]
    for point in curve:
        chosen = proba.max(axis=1) >= point["threshold"]
        assert chosen.mean() == pytest.approx(point["coverage"])
        assert (proba.argmax(axis=1) == y)[chosen].mean() == pytest.approx(point["accuracy"])


@pytest.mark.parametrize("n_parts", [1, 5])
def test_the_measured_coverage_is_that_of_clips_that_set_no_threshold(n_parts):
    proba, y = made(3000, sharpness=0.5)
    summary = summarise_confidence(proba, y, np.arange(3000) % n_parts, 0.9)
    assert summary["sets"]["measured"] == pytest.approx(0.9, abs=0.02)
    assert 1 < summary["sets"]["mean_size"] < 5
    assert len(summary["conformity"]) == 1000
    assert summary["conformity"] == sorted(summary["conformity"])


def test_a_threshold_learnt_on_other_folds_does_not_profit_from_its_own():
    proba = np.array([[0.9, 0.1]] * 20 + [[0.1, 0.9]] * 20)
    y = np.zeros(40, int)  # the second fold is entirely wrong, which the first fold's threshold cannot know
    sets = summarise_confidence(proba, y, np.repeat([1, 2], 20), 0.9)["sets"]
    assert sets["measured"] == 0.5


def test_clips_of_one_group_are_on_one_side_of_the_measure_of_a_single_fold():
    proba, y = made(40)
    groups = np.repeat(["a"], 40)
    assert summarise_confidence(proba, y, np.ones(40), 0.9, groups)["sets"] is None


# --- the reference ----------------------------------------------------------------------------------------


class Known(ClassifierMixin, BaseEstimator):
    """A fitted classifier whose probabilities are its input."""

    def __init__(self, n_classes: int = 5) -> None:
        self.n_classes = n_classes
        self.classes_ = np.arange(n_classes)

    def fit(self, X, y):
        return self

    def predict_proba(self, X):
        return np.asarray(X)

    def predict(self, X):
        return np.asarray(X).argmax(axis=1)


@pytest.mark.parametrize("coverage", [0.7, 0.8, 0.9, 0.95])
@pytest.mark.parametrize("n", [40, 333])
@pytest.mark.parametrize("sharpness", [0.5, 3.0])
def test_sets_are_those_of_mapie(coverage, n, sharpness):
    proba, y = made(n + 500, sharpness=sharpness, seed=n)
    theirs = SplitConformalClassifier(Known(), confidence_level=coverage, conformity_score="lac", prefit=True)
    theirs.conformalize(proba[:n], y[:n])
    _, expected = theirs.predict_set(proba[n:])
    found = label_sets(proba[n:], threshold(np.sort(proba[np.arange(n), y[:n]]), coverage))
    most_likely = proba[n:] == proba[n:].max(axis=1, keepdims=True)  # ours are never empty
    assert (found == (expected[:, :, 0] | most_likely)).all()
