"""From scores of windows to events."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiofw.bundle.prediction import Prediction
from audiofw.bundle.timeline import cells
from audiofw.evaluation.detection import PLAIN, Rule, WindowMeans, average, detect, read_rule
from audiofw.parallel.executors import Lost

CLASSES = ("background", "cat", "dog")


def moments(*rows, hop=1.0):
    starts = hop * np.arange(len(rows))
    return WindowMeans(starts, starts + hop, np.array(rows, float).reshape(-1, 3))


def said(found):
    events = found.events
    return [(s, e, CLASSES[c]) for s, e, c in zip(*(column.tolist() for column in events), strict=True)]


def cat(*shares):
    """Moments with these scores of the cat; the rest is background."""
    return moments(*([1 - p, p, 0] for p in shares))


lengths = st.floats(0.05, 3.0)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.one_of(st.none(), st.floats(0, 1)), min_size=1, max_size=12), lengths, lengths, lengths)
def test_moments_are_the_stretches_of_a_timeline(shares, seconds, hop, short):
    ends = [i * hop + seconds for i in range(len(shares))]
    ends[-1] = max(ends[-1] - seconds + min(short, seconds), ends[-2] + 1e-3 if len(ends) > 1 else 0.01)
    heard = [
        (i, end, Lost("?") if p is None else Prediction("", np.array([p, 1 - p])))
        for i, (p, end) in enumerate(zip(shares, ends, strict=True))
    ]
    expected = list(cells(heard, np.array(["a", "b"]), seconds, hop))
    scores = np.array([[np.nan] * 2 if p is None else [p, 1 - p] for p in shares])
    got = average(scores, np.array(ends), seconds, hop)
    np.testing.assert_allclose(got.starts, [cell.start for cell in expected])
    np.testing.assert_allclose(got.ends, [cell.end for cell in expected])
    blank = np.full(2, np.nan)
    np.testing.assert_allclose(
        got.scores, [blank if cell.shares is None else cell.shares for cell in expected], atol=1e-9
    )


def test_without_thresholds_the_most_probable_class_is_an_event_and_background_is_none():
    scores = moments([0.6, 0.4, 0], [0.3, 0.4, 0.3], [0.1, 0.5, 0.4], [0.1, 0.4, 0.5], [0.9, 0, 0.1])
    found = detect(scores, PLAIN, CLASSES, background="background")
    assert said(found) == [(1, 3, "cat"), (3, 4, "dog")]
    assert found.confidence == pytest.approx([0.45, 0.5])
    assert said(detect(scores, PLAIN, CLASSES))[0] == (0, 1, "background")


def test_a_class_with_a_threshold_need_not_beat_the_background_but_the_other_classes():
    scores = moments([0.6, 0.3, 0.1], [0.4, 0.25, 0.35], [0.75, 0.15, 0.1])
    assert said(detect(scores, Rule({"cat": 0.2}), CLASSES, background="background")) == [(0, 1, "cat")]
    both = detect(scores, Rule({"cat": 0.2, "dog": 0.3}), CLASSES, background="background", exclusive=False)
    assert said(both) == [(0, 2, "cat"), (1, 2, "dog")]


def test_a_median_closes_gaps_and_removes_spikes():
    scores = cat(0.1, 0.9, 0.1, 0.1, 0.9, 0.9, 0.2, 0.9, 0.9, 0.1, 0.1)
    rule = {"cat": 0.5}
    assert len(said(detect(scores, Rule(rule), CLASSES, background="background"))) == 3
    assert said(detect(scores, Rule(rule, "median", 3.0), CLASSES, background="background")) == [(4, 9, "cat")]
    assert len(said(detect(scores, Rule(rule, "median", 1.0), CLASSES, background="background"))) == 3


def test_hysteresis_lets_an_event_fade():
    scores = cat(0.1, 0.3, 0.7, 0.35, 0.7, 0.3, 0.1, 0.3, 0.1)
    assert said(detect(scores, Rule({"cat": 0.6}, "hysteresis"), CLASSES, background="background")) == [(1, 6, "cat")]


def test_events_that_are_too_short_are_dropped():
    scores = cat(0.9, 0.1, 0.9, 0.9, 0.1)
    rule = Rule({"cat": 0.5}, min_duration=2.0)
    assert said(detect(scores, rule, CLASSES, background="background")) == [(2, 4, "cat")]


def test_a_gap_between_windows_ends_an_event():
    starts = np.array([0.0, 1.0, 5.0])
    scores = WindowMeans(starts, starts + 1, np.array([[0, 1, 0]] * 3, float))
    assert said(detect(scores, PLAIN, CLASSES)) == [(0, 2, "cat"), (5, 6, "cat")]


def test_what_was_not_heard_has_no_event():
    scores = cat(0.9, np.nan, 0.9)
    assert said(detect(scores, Rule({"cat": 0.5}), CLASSES)) == [(0, 1, "cat"), (2, 3, "cat")]
    assert said(detect(cat(), PLAIN, CLASSES)) == said(detect(cat(np.nan), PLAIN, CLASSES)) == []


@pytest.mark.parametrize(
    "facts", [{"thresholds": {"cat": 2}}, {"thresholds": {}, "smoothing": "mean"}, {"thresholds": {}, "span": -1}]
)
def test_a_rule_with_a_wrong_value_is_refused(facts):
    with pytest.raises(ValueError, match="rule"):
        read_rule(facts)


def test_neighbours_of_one_class_that_are_near_are_one_event():
    scores = cat(0.9, 0.1, 0.9, 0.1, 0.1, 0.9)
    assert said(detect(scores, Rule({"cat": 0.5}, max_gap=1.0), CLASSES, background="background")) == [
        (0, 3, "cat"),
        (5, 6, "cat"),
    ]


def test_what_is_not_background_is_one_event_of_the_class_that_it_is_as_a_whole():
    scores = moments([0.9, 0.1, 0], [0.1, 0.7, 0.2], [0.2, 0.3, 0.5], [0.1, 0.5, 0.4], [0.9, 0, 0.1], [0.3, 0.3, 0.4])
    found = detect(scores, Rule({}, activity=0.5), CLASSES, background="background")
    assert said(found) == [(1, 4, "cat"), (5, 6, "dog")]
    assert found.confidence == pytest.approx([0.5, 0.4])
    assert said(detect(scores, Rule({"dog": 0.5}, activity=0.5), CLASSES, background="background")) == [(1, 4, "cat")]


def test_events_of_one_class_are_not_joined_over_one_of_another_where_there_is_one_at_a_time():
    scores = moments([0, 1, 0], [1, 0, 0], [0, 0, 1], [1, 0, 0], [0, 1, 0])
    rule = Rule({}, activity=0.5, max_gap=5.0)
    assert [label for *_, label in said(detect(scores, rule, CLASSES, background="background"))] == [
        "cat",
        "dog",
        "cat",
    ]
