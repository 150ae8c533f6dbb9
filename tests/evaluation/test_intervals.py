"""Intervals hold the true score as often as they say, by clips and by groups, few or many, and flawless scores too."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from audiofw.evaluation.influence import influences
from audiofw.evaluation.intervals import clopper_pearson, score_interval, score_intervals
from audiofw.evaluation.scores import GREATER_IS_BETTER, scores
from benchmarks.intervals import Scene, simulate, truth

pytestmark = pytest.mark.filterwarnings("error")


def predict(n_classes=3, n=200, seed=0, skill=0.4):
    """Predictions of a synthetic classifier that is better than chance."""
    rng = np.random.default_rng(seed)
    y = np.concatenate([np.arange(n_classes), rng.integers(n_classes, size=n - n_classes)])
    proba = rng.dirichlet(np.ones(n_classes), n)
    proba[np.arange(n), y] += skill * rng.random(n)
    proba /= proba.sum(axis=1, keepdims=True)
    return y, proba.argmax(axis=1), proba


def hits(right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Labels and predictions of two classes, right or wrong as given."""
    y = np.arange(right.size) % 2
    return y, np.where(right, y, 1 - y)


def of_accuracy(right: np.ndarray, groups=None, level: float = 0.95) -> tuple[float, float] | None:
    return score_interval(*hits(right), None, "accuracy", n_classes=2, groups=groups, level=level)


# --- references -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("right", "n"), [(0, 12), (1, 20), (18, 20), (50, 50), (333, 400)])
def test_clopper_pearson_is_that_of_statsmodels(right, n):
    assert clopper_pearson(right, n) == pytest.approx(proportion_confint(right, n, method="beta"))
    assert clopper_pearson(right, n, 0.8) == pytest.approx(proportion_confint(right, n, 0.2, method="beta"))


def test_interval_by_groups_of_one_size_is_students_t_of_their_means_on_the_logit_scale():
    rng = np.random.default_rng(0)
    right = rng.random((7, 40)) < rng.uniform(0.6, 0.95, (7, 1))
    low, high = of_accuracy(right.ravel(), np.repeat(np.arange(7), 40))
    means = right.mean(axis=1)
    plain = stats.t.interval(0.95, 6, means.mean(), stats.sem(means))
    p = means.mean()
    away = (plain[1] - p) / (p * (1 - p))
    assert (low, high) == pytest.approx([1 / (1 + np.exp(-(np.log(p / (1 - p)) + side * away))) for side in (-1, 1)])


def test_interval_of_many_clips_is_that_of_the_binomial():
    right = np.random.default_rng(0).random(4000) < 0.8
    assert of_accuracy(right) == pytest.approx(proportion_confint(right.sum(), 4000, method="wilson"), abs=1e-3)


@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("grouped", [False, True])
def test_intervals_of_many_units_are_those_of_the_bootstrap(n_classes, grouped):
    y, predicted, proba = predict(n_classes, n=600)
    groups = np.arange(600) // 6 if grouped else None
    found = score_intervals(y, predicted, proba, n_classes=n_classes, groups=groups)
    rng, drawn = np.random.default_rng(1), []
    for _ in range(120):
        clips = (
            (6 * rng.integers(100, size=(100, 1)) + np.arange(6)).ravel() if grouped else rng.integers(600, size=600)
        )
        drawn.append(influences(y[clips], predicted[clips], proba[clips], n_classes))
    for name, (low, high) in found.items():
        spread = np.std([each[name].value for each in drawn])
        assert high - low == pytest.approx(2 * 1.98 * spread, rel=0.2), name


# --- what they promise ------------------------------------------------------------------------------------


def share_held(n_groups: int, sizes: tuple[int, int], spread: float, times: int = 400) -> float:
    """Say how often the interval holds the accuracy that groups have on average, of sizes between two."""
    rng = np.random.default_rng(n_groups)
    truth = stats.norm.cdf(1.2 / np.sqrt(1 + spread**2))
    held = 0
    for _ in range(times):
        groups = np.repeat(np.arange(n_groups), rng.integers(*sizes, n_groups, endpoint=True))
        ease = 1.2 + spread * rng.standard_normal(n_groups)[groups] + rng.standard_normal(groups.size)
        low, high = of_accuracy(ease > 0, groups)
        held += low <= truth <= high
    return held / times


@pytest.mark.parametrize("n_groups", [3, 4, 6, 10, 20])
@pytest.mark.parametrize(("sizes", "spread"), [((20, 20), 0.0), ((20, 20), 0.8), ((8, 60), 0.5)])
def test_intervals_of_few_groups_hold_the_truth_as_often_as_they_say(n_groups, sizes, spread):
    assert 0.925 <= share_held(n_groups, sizes, spread) <= (0.995 if n_groups < 6 else 0.98)


@pytest.mark.parametrize("score", ["balanced_accuracy", "f1_macro", "mcc", "roc_auc"])
@pytest.mark.parametrize(("n_classes", "n_groups"), [(5, 8), (5, 10), (10, 20), (5, 15)])
def test_intervals_of_groups_with_one_class_each_rest_on_the_groups_of_a_class(n_classes, n_groups, score):
    scene = Scene(n_groups, 16, 0.33, n_classes=n_classes, nested=True)
    rng, true, held = np.random.default_rng(0), truth(scene._replace(n_groups=1))[score], 0
    for _ in range(200):
        y, predicted, proba, groups = simulate(scene, rng)
        y = np.where(rng.random(y.size) < 0.01, 0, y)  # some clips of an animal are of another species
        low, high = score_interval(y, predicted, proba, score, n_classes=n_classes, groups=groups)
        held += low <= true <= high
    assert held / 200 >= 0.92


@pytest.mark.parametrize(("n", "share"), [(20, 0.7), (20, 0.95), (50, 0.9), (200, 0.9), (200, 0.99)])
def test_intervals_of_few_clips_hold_the_truth_as_often_as_they_say(n, share):
    """Sum the binomial probabilities of all counts whose interval holds the share."""
    held = [low <= share <= high for low, high in (of_accuracy(np.arange(n) < right) for right in range(n + 1))]
    assert stats.binom.pmf(np.arange(n + 1), n, share) @ held >= 0.93


def test_interval_by_group_is_wider_where_clips_of_a_group_are_alike():
    rng = np.random.default_rng(0)
    groups = np.repeat([f"animal{i}" for i in range(20)], 30)
    right = np.repeat(rng.random(20) < 0.7, 30)
    by_clip, by_group = (of_accuracy(right, given) for given in (None, groups))
    assert by_group[1] - by_group[0] > 3 * (by_clip[1] - by_clip[0])


def test_fewer_groups_give_a_wider_interval():
    drawn = np.random.default_rng(0).random((40, 240)) < 0.8
    widths = [
        np.mean([np.ptp(of_accuracy(right, np.arange(240) % n_groups)) for right in drawn]) for n_groups in (3, 6, 60)
    ]
    assert widths[0] > 1.3 * widths[1] > 1.4 * widths[2]


def test_higher_level_is_wider():
    y, predicted, _ = predict()
    narrow, wide = (score_interval(y, predicted, None, "mcc", n_classes=3, level=level) for level in (0.5, 0.99))
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


# --- flawless and hopeless --------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [4, 30, 400])
def test_flawless_scores_have_the_exact_interval(n):
    assert of_accuracy(np.ones(n, bool)) == pytest.approx((0.025 ** (1 / n), 1.0))
    assert of_accuracy(np.zeros(n, bool)) == pytest.approx((0.0, 1 - 0.025 ** (1 / n)))


def test_flawless_scores_of_every_kind_have_an_interval():
    y = np.arange(60) % 3
    found = score_intervals(y, y, np.eye(3)[y] * 0.97 + 0.01, n_classes=3)
    log_loss = found.pop("log_loss")
    assert log_loss is None  # every clip has the same
    for name, (low, high) in found.items():
        assert high == pytest.approx(1), name
        assert low == pytest.approx(0.025 ** (1 / 60) * (2 if name == "mcc" else 1) - (name == "mcc")), name


def test_flawless_score_of_a_rare_class_rests_on_its_clips():
    y = np.repeat([0, 1], [90, 10])
    found = score_intervals(y, y, None, n_classes=2)
    assert found["f1"][0] == pytest.approx(0.025 ** (1 / 10))
    assert found["balanced_accuracy"][0] == pytest.approx(0.025 ** (1 / 36))  # 4 / (1/90 + 1/10)
    assert found["accuracy"][0] == pytest.approx(0.025 ** (1 / 100))


def test_flawless_score_of_groups_rests_on_their_effective_number():
    even, uneven = np.repeat(np.arange(6), 10), np.repeat(np.arange(6), [35, 5, 5, 5, 5, 5])
    assert of_accuracy(np.ones(60, bool), even)[0] == pytest.approx(0.025 ** (1 / 6))
    assert of_accuracy(np.ones(60, bool), uneven)[0] == pytest.approx(0.025 ** (1 / (60**2 / (35**2 + 5 * 25))))


def test_groups_that_do_not_differ_have_an_interval_between_the_bounds():
    low, high = of_accuracy(np.tile([True, True, True, True, False], 3), np.repeat(np.arange(3), 5))
    assert 0 < low < 0.8 < high < 1


@pytest.mark.parametrize("seed", range(30))
def test_intervals_stay_within_the_range_of_their_score_and_hold_it(seed):
    rng = np.random.default_rng(seed)
    n, n_classes = int(rng.integers(4, 30)), int(rng.integers(2, 5))
    y, predicted, proba = predict(n_classes, n, seed, skill=rng.choice([0.1, 2.0, 20.0]))
    groups = rng.integers(rng.integers(2, 8), size=n) if seed % 2 else None
    found = score_intervals(y, predicted, proba, n_classes=n_classes, groups=groups)
    for name, value in scores(y, predicted, proba, n_classes).items():
        low, high = found[name]
        least, most = {"mcc": (-1, 1), "log_loss": (0, np.inf)}.get(name, (0, 1))
        ordered = [least, low, value, high, most]
        assert all(a <= b + 1e-9 for a, b in pairwise(ordered)), (name, ordered)


# --- nothing to say ---------------------------------------------------------------------------------------


def test_interval_is_unknown_where_nothing_tells_of_the_spread():
    y = np.array([0, 1, 0, 1])
    assert score_interval(y, 0 * y, None, "accuracy", n_classes=2, groups=["a"] * 4) is None
    assert score_interval(y, 0 * y, None, "roc_auc", n_classes=2) is None
    assert score_interval(y, 0 * y, None, "mcc", n_classes=2) is None
    assert score_interval(y[:1], y[:1], None, "accuracy", n_classes=2) is None


def test_intervals_are_asked_for_by_name_and_none_is_left_out():
    y, predicted, proba = predict()
    assert set(score_intervals(y, predicted, proba, n_classes=3)) == set(GREATER_IS_BETTER)
    assert set(score_intervals(y, predicted, None, n_classes=3, names=["f1", "log_loss"])) == {"f1", "log_loss"}
    assert score_intervals(y, predicted, None, n_classes=3)["log_loss"] is None
