"""The scores are scikit-learn's, and undefined ones are None."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from audiofw.errors import ConfigError
from audiofw.evaluation.intervals import score_interval
from audiofw.evaluation.scores import GREATER_IS_BETTER, check_score, confusion_matrix, per_class, score_counts, scores

pytestmark = pytest.mark.filterwarnings("error")


def predict(n_classes, n=200, seed=0, skill=0.4):
    """Predictions of a synthetic classifier that is better than chance."""
    rng = np.random.default_rng(seed)
    y_true = np.concatenate([np.arange(n_classes), rng.integers(n_classes, size=n - n_classes)])
    proba = rng.dirichlet(np.ones(n_classes), n)
    proba[np.arange(n), y_true] += skill * rng.random(n)
    proba /= proba.sum(axis=1, keepdims=True)
    return y_true, proba.argmax(axis=1), proba


def test_two_classes_have_the_scores_of_scikit_learn():
    y_true, y_pred, proba = predict(2)
    assert scores(y_true, y_pred, proba, 2) == pytest.approx(
        {
            "accuracy": metrics.accuracy_score(y_true, y_pred),
            "balanced_accuracy": metrics.balanced_accuracy_score(y_true, y_pred),
            "f1": metrics.f1_score(y_true, y_pred),
            "f1_macro": metrics.f1_score(y_true, y_pred, average="macro"),
            "f1_weighted": metrics.f1_score(y_true, y_pred, average="weighted"),
            "mcc": metrics.matthews_corrcoef(y_true, y_pred),
            "log_loss": metrics.log_loss(y_true, proba),
            "roc_auc": metrics.roc_auc_score(y_true, proba[:, 1]),
        }
    )


def test_more_classes_have_the_scores_of_scikit_learn_and_f1_is_the_macro_one():
    y_true, y_pred, proba = predict(4)
    of = scores(y_true, y_pred, proba, 4)
    assert of["f1"] == of["f1_macro"] == pytest.approx(metrics.f1_score(y_true, y_pred, average="macro"))
    assert of["log_loss"] == pytest.approx(metrics.log_loss(y_true, proba))
    assert of["roc_auc"] == pytest.approx(metrics.roc_auc_score(y_true, proba, multi_class="ovr"))


def test_f1_is_that_of_the_positive_class():
    y_true, y_pred = np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1])
    assert scores(y_true, y_pred, None, 2)["f1"] == pytest.approx(0.8)
    assert scores(y_true, y_pred, None, 2, positive=0)["f1"] == pytest.approx(2 / 3)


def test_scores_list_what_the_table_of_directions_lists():
    y_true, y_pred, proba = predict(3)
    assert list(scores(y_true, y_pred, proba, 3)) == list(GREATER_IS_BETTER)
    assert [name for name, greater in GREATER_IS_BETTER.items() if not greater] == ["log_loss"]


def test_without_probabilities_their_scores_are_undefined():
    y_true, y_pred, _ = predict(3)
    of = scores(y_true, y_pred, None, 3)
    assert [name for name, value in of.items() if value is None] == ["log_loss", "roc_auc"]


def test_class_missing_from_the_test_part_is_coped_with():
    y_true, y_pred = np.array([0, 0, 1, 1]), np.array([0, 2, 1, 1])
    proba = np.eye(3)[y_pred] * 0.7 + 0.1
    of = scores(y_true, y_pred, proba, 3)
    assert of["balanced_accuracy"] == pytest.approx(0.75)  # over the two classes that occur
    assert of["f1_macro"] == pytest.approx((2 / 3 + 1 + 0) / 3)
    assert of["roc_auc"] is None
    assert of["log_loss"] == pytest.approx(-np.log([0.8, 0.1, 0.8, 0.8]).mean())


def test_test_part_of_one_class_leaves_correlation_undefined():
    of = scores(np.array([1, 1]), np.array([1, 1]), np.array([[0.1, 0.9], [0.2, 0.8]]), 2)
    assert (of["accuracy"], of["mcc"], of["roc_auc"]) == (1.0, None, None)


def test_per_class_and_confusion_cover_every_class():
    y_true, y_pred = np.array([0, 0, 1, 1]), np.array([0, 2, 1, 1])
    rows = per_class(y_true, y_pred, 4)
    assert [row.support for row in rows] == [2, 2, 0, 0]
    assert rows[0] == pytest.approx((1.0, 0.5, 2 / 3, 2))
    assert rows[3] == (0, 0, 0, 0)
    assert confusion_matrix(y_true, y_pred, 4).tolist() == [[1, 0, 1, 0], [0, 2, 0, 0], [0] * 4, [0] * 4]


def test_unknown_score_is_refused_with_the_nearest():
    with pytest.raises(ConfigError, match=r"score=acuracy: unknown score \(did you mean 'accuracy'\?\)"):
        check_score("acuracy")
    with pytest.raises(ConfigError, match="roc_auc"):
        score_interval(np.array([0]), np.array([0]), None, "roc", n_classes=2)


@settings(deadline=None, max_examples=20)
@given(st.integers(2, 4), st.integers(2, 12), st.integers(0, 1000))
def test_scores_of_many_confusion_matrices_at_once_are_those_of_each(n_classes, n, seed):
    y_true, y_pred = np.random.default_rng(seed).integers(n_classes, size=(2, 5, n))
    counts = np.stack([confusion_matrix(true, pred, n_classes) for true, pred in zip(y_true, y_pred, strict=True)])
    together = score_counts(counts.astype(float), positive=1)
    for i, (true, pred) in enumerate(zip(y_true, y_pred, strict=True)):
        for name, value in scores(true, pred, None, n_classes).items():
            if name == "f1" and n_classes == 2 and 1 not in (*true, *pred):
                value = None  # of a resample without the class it tells nothing
            if name in together:
                assert together[name][i] == pytest.approx(np.nan if value is None else value, nan_ok=True), name
