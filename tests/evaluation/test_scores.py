"""The scores are scikit-learn's, undefined ones are None, and the intervals are those of the bootstrap."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from audiofw.errors import ConfigError
from audiofw.evaluation.intervals import ROC_AUC_RESAMPLES, bootstrap_interval, bootstrap_intervals
from audiofw.evaluation.scores import GREATER_IS_BETTER, check_score, confusion_matrix, per_class, scores

pytestmark = pytest.mark.filterwarnings("error")


def predict(n_classes, n=200, seed=0, skill=0.4):
    """Predictions of a made classifier that is somewhat right."""
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
    assert of["balanced_accuracy"] == pytest.approx(0.75)  # over the two classes that are there
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
        bootstrap_interval(np.array([0]), np.array([0]), None, "roc", n_classes=2, seed=0)


# --- intervals ---


def resample(y_true, y_pred, proba, n_classes, n, seed, units=None):
    """The bootstrap as one would write it down: scikit-learn called on every resample of the same draws."""
    members = [np.flatnonzero(units == unit) for unit in np.unique(units)] if units is not None else None
    n_units = len(members) if members else len(y_true)
    drawn = np.random.default_rng(seed).integers(n_units, size=(n, n_units))
    for row in drawn:
        clips = np.concatenate([members[unit] for unit in row]) if members else row
        yield scores(y_true[clips], y_pred[clips], proba[clips], n_classes)


@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("grouped", [False, True])
def test_quick_bootstrap_equals_the_plain_one(n_classes, grouped):
    y_true, y_pred, proba = predict(n_classes, n=60)
    proba = proba.round(1) + 1e-3  # ties
    proba /= proba.sum(axis=1, keepdims=True)
    groups = np.arange(60) // 4 if grouped else None
    quick = bootstrap_intervals(y_true, y_pred, proba, n_classes=n_classes, seed=3, n=20, groups=groups)
    plain = list(resample(y_true, y_pred, proba, n_classes, 20, 3, groups))
    for name, interval in quick.items():
        values = [each[name] for each in plain if each[name] is not None]
        assert interval == pytest.approx(tuple(np.quantile(values, [0.025, 0.975])), abs=1e-9), name


@settings(deadline=None, max_examples=12)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=2, max_size=8),
    st.integers(0, 5),
)
def test_quick_bootstrap_equals_the_plain_one_where_classes_are_missing(pairs, seed):
    y_true, y_pred = np.array(pairs).T
    proba = np.eye(3)[y_pred] * 0.7 + 0.1
    quick = bootstrap_intervals(y_true, y_pred, proba, n_classes=3, seed=seed, n=8)
    plain = list(resample(y_true, y_pred, proba, 3, 8, seed))
    for name, interval in quick.items():
        values = [each[name] for each in plain if each[name] is not None]
        if interval is None:
            assert len(values) < 4 or np.ptp(values) < 1e-9, name
        else:
            assert interval == pytest.approx(tuple(np.quantile(values, [0.025, 0.975])), abs=1e-9), name


def test_interval_of_accuracy_is_that_of_the_binomial_and_holds_the_score():
    y_true, y_pred, _ = predict(3, n=400)
    right = (y_true == y_pred).mean()
    low, high = bootstrap_interval(y_true, y_pred, None, "accuracy", n_classes=3, seed=0)
    assert low < right < high
    assert high - low == pytest.approx(2 * 1.96 * np.sqrt(right * (1 - right) / 400), rel=0.1)


def test_higher_level_is_wider():
    y_true, y_pred, _ = predict(3)
    narrow, wide = (
        bootstrap_interval(y_true, y_pred, None, "mcc", n_classes=3, seed=0, level=level) for level in (0.5, 0.99)
    )
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


def test_blocks_do_not_change_the_interval():
    y_true, y_pred, proba = predict(2, n=9000)  # 4 000 000 / 9000 resamples are a block, so n=1000 takes three
    low, high = bootstrap_interval(y_true, y_pred, proba, "accuracy", n_classes=2, seed=0)
    drawn = np.random.default_rng(0).integers(9000, size=(1000, 9000))
    expected = np.quantile((y_true == y_pred)[drawn].mean(axis=1), [0.025, 0.975])
    assert (low, high) == pytest.approx(tuple(expected))


def test_interval_by_group_is_wider_where_clips_of_a_group_are_alike():
    rng = np.random.default_rng(0)
    groups = np.repeat([f"animal{i}" for i in range(20)], 30)
    right = np.repeat(rng.random(20) < 0.7, 30)
    y_true = rng.integers(2, size=600)
    y_pred = np.where(right, y_true, 1 - y_true)
    by_clip, by_group = (
        bootstrap_interval(y_true, y_pred, None, "accuracy", n_classes=2, seed=0, groups=g) for g in (None, groups)
    )
    assert by_group[1] - by_group[0] > 3 * (by_clip[1] - by_clip[0])


def test_interval_is_unknown_where_resamples_cannot_differ():
    y = np.array([0, 1, 0, 1])
    assert bootstrap_interval(y, y, None, "accuracy", n_classes=2, seed=0) is None  # all right
    assert bootstrap_interval(y, 0 * y, None, "accuracy", n_classes=2, seed=0, groups=["a"] * 4) is None
    assert bootstrap_interval(y, 0 * y, None, "roc_auc", n_classes=2, seed=0) is None


def test_interval_is_the_same_for_the_same_seed():
    y_true, y_pred, proba = predict(3)
    first, again, other = (bootstrap_intervals(y_true, y_pred, proba, n_classes=3, seed=s) for s in (1, 1, 2))
    assert first == again != other
    assert ROC_AUC_RESAMPLES < 1000


def test_resamples_without_the_positive_class_tell_nothing_of_its_f1():
    y = np.array([0, 0, 0, 1])
    spread = bootstrap_intervals(y, y, None, n_classes=2, seed=0)
    assert spread["f1"] is None  # all that hold it are right; that some do not hold it is no zero
