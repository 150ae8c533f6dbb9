"""Thresholds for a wanted precision or recall are the best that meet it, and are measured on other folds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import precision_score, recall_score

from audiofw.bundle.operating import thresholds_for
from audiofw.errors import ConfigError
from audiofw.evaluation.operating import LEAST_DETECTIONS, MOST_POINTS, choose_point, measure, operating_points

CLIPS = st.lists(st.tuples(st.booleans(), st.integers(0, 12).map(lambda n: n / 12)), min_size=1, max_size=60)


def all_points(has: np.ndarray, shares: np.ndarray) -> list[tuple[float, float, float]]:
    """Try every threshold."""
    tried = [(t, shares >= t) for t in np.unique(shares)]
    return [
        (t, precision_score(has, found, zero_division=0), recall_score(has, found, zero_division=0))
        for t, found in tried
        if found.sum() >= LEAST_DETECTIONS
    ]


@settings(deadline=None, max_examples=60)
@given(clips=CLIPS, wanted=st.sampled_from([0.3, 0.5, 0.9, 1.0]))
def test_the_point_is_the_best_of_all_thresholds_that_meet_the_goal(clips, wanted):
    has, shares = (np.array(column) for column in zip(*clips, strict=True))
    tried = all_points(has, shares) if has.any() else []
    points = operating_points(has, shares)
    for goal, own, other in (("precision", 1, 2), ("recall", 2, 1)):
        meeting = [point for point in tried if point[own] >= wanted - 1e-12]
        chosen = choose_point(points, goal, wanted)
        if not meeting or (goal == "precision" and max(point[2] for point in meeting) == 0):
            assert chosen is None or chosen.recall == 0
            continue
        assert chosen is not None
        assert chosen[other] == pytest.approx(max(point[other] for point in meeting))
        found = shares >= chosen.threshold
        assert chosen.precision == pytest.approx(precision_score(has, found, zero_division=0))
        assert chosen.recall == pytest.approx(recall_score(has, found, zero_division=0))
        assert chosen.detections == found.sum()


def test_points_of_many_clips_stay_few_and_meet_the_goal():
    rng = np.random.default_rng(0)
    has = rng.random(20_000) < 0.3
    shares = np.clip(0.5 * has + rng.normal(0.25, 0.2, has.size), 0, 1)
    points = operating_points(has, shares)
    assert len(points) <= MOST_POINTS
    point = choose_point(points, "precision", 0.9)
    assert point is not None
    assert 0.9 <= point.precision < 0.92


def test_what_is_measured_on_other_folds_is_lower_than_what_was_chosen():
    rng = np.random.default_rng(0)
    measured = []
    for _ in range(40):
        has, shares = rng.random(60) < 0.5, rng.random(60)  # nothing to learn
        measured.append(measure(has, shares, np.arange(60) % 5, {"precision": 0.7})["precision"])
    known = [share for share in measured if share is not None]
    assert np.mean(known) < 0.6


def test_a_class_without_clips_or_detections_has_no_point():
    assert operating_points(np.zeros(10, bool), np.linspace(0, 1, 10)) == []
    assert operating_points(np.ones(4, bool), np.ones(4)) == []
    assert measure(np.zeros(4, bool), np.ones(4), np.arange(4), {"recall": 0.9}) == {"recall": None}


FACTS = {"cat": [[0.7, 0.95, 0.5, 10], [0.4, 0.8, 0.9, 20]], "dog": [[0.6, 0.7, 0.8, 20]], "owl": []}


def test_thresholds_of_a_bundle_are_those_that_meet_the_goal(caplog):
    found = thresholds_for(FACTS, ["cat", "dog", "owl"], 0.9, None)
    np.testing.assert_array_equal(found, [0.7, np.inf, np.inf])
    assert "precision 0.9 is not reached by dog (at most 0.700), owl (too few clips)" in caplog.text
    np.testing.assert_array_equal(thresholds_for(FACTS, ["cat", "dog"], None, 0.8), [0.4, 0.6])


@pytest.mark.parametrize(
    ("facts", "precision", "recall", "reason"),
    [
        (FACTS, None, None, "give either"),
        (FACTS, 0.9, 0.9, "give either"),
        (FACTS, 0.0, None, "precision=0: must be above 0"),
        (FACTS, None, 1.5, r"recall=1\.5: must be above 0"),
        (None, 0.9, None, "saved without the probabilities"),
        ({"cat": [[2, 1, 1, 5]]}, 0.9, None, "damaged"),
        ({"cat": [["x"]]}, 0.9, None, "damaged"),
        ({"cat": 5}, 0.9, None, "damaged"),
    ],
)
def test_what_has_no_thresholds_is_refused(facts, precision, recall, reason):
    with pytest.raises(ConfigError, match=reason):
        thresholds_for(facts, ["cat"], precision, recall)
