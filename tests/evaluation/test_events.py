"""Scores of events are those of ``sed_scores_eval``, and a day of them takes no time."""

from __future__ import annotations

from functools import partial
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiofw.evaluation.events import (
    NONE,
    Compared,
    by_collar,
    by_overlap,
    event_counts,
    f1_of,
    frame_accuracy,
    make_events,
    score_event_counts,
    segment_counts,
)
from audiofw.evaluation.psds import _writable_frame

CLASSES = ["a", "b", "c"]


def draw(seed, n=12, seconds=30.0):
    """Some true events, and others that are partly the same ones moved a little; those of a class do not touch."""
    rng = np.random.default_rng(seed)
    truth = [(s, s + rng.uniform(0.2, 4), int(rng.integers(3))) for s in rng.uniform(0, seconds - 4, n)]
    found = [(max(s + rng.normal(0, 0.2), 0), e + rng.normal(0, 0.3), c) for s, e, c in truth if rng.random() < 0.8]
    found = [(s, max(e, s + 0.1), int(rng.integers(3)) if rng.random() < 0.2 else c) for s, e, c in found]
    found += [(s, s + 1.0, int(rng.integers(3))) for s in rng.uniform(0, seconds - 2, 3)]
    return Compared(make_events(apart(truth)), make_events(apart(found)), seconds)


def apart(rows):
    kept = []
    for start, end, c in sorted(rows):
        if all(start > before + 0.05 for _, before, other in kept if other == c):
            kept.append((start, end, c))
    return kept


def as_scores(events, seconds):
    """Write events as the reference takes them: scores of 1 or 0 between all their ends."""
    start, end, number = (np.asarray(column) for column in events)
    moments = np.unique(np.concatenate([[0.0, seconds], start, end]))
    scores = [
        [float(((start <= a) & (b <= end) & (number == c)).any()) for c in range(3)] for a, b in pairwise(moments)
    ]
    columns = {"onset": moments[:-1], "offset": moments[1:], **dict(zip(CLASSES, np.array(scores).T, strict=True))}
    return _writable_frame()(columns)


def as_reference_takes(recordings):
    truth = {
        str(i): [(s, e, CLASSES[c]) for s, e, c in zip(*(column.tolist() for column in each.truth), strict=True)]
        for i, each in enumerate(recordings)
    }
    found = {str(i): as_scores(each.found, each.seconds) for i, each in enumerate(recordings)}
    return found, truth, {str(i): each.seconds for i, each in enumerate(recordings)}


def each_f1(counts):
    return dict(zip(CLASSES, (score_event_counts(row).f1 for row in counts), strict=True))


def of_classes(result):
    return {name: result[0][name] for name in CLASSES}


@pytest.mark.parametrize("seed", range(5))
def test_event_f1_with_collars_is_that_of_sed_scores_eval(seed):
    reference = pytest.importorskip("sed_scores_eval")
    recordings = [draw(seed), draw(seed + 100)]
    found, truth, _ = as_reference_takes(recordings)
    collars = {"onset_collar": 0.25, "offset_collar": 0.25, "offset_collar_rate": 0.4}
    counts = event_counts(recordings, 3, partial(by_collar, onset=0.25, offset=0.4))
    assert each_f1(counts) == pytest.approx(of_classes(reference.collar_based.fscore(found, truth, 0.5, **collars)))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("length", [1.0, 0.5])
def test_segment_f1_is_that_of_sed_scores_eval(seed, length):
    reference = pytest.importorskip("sed_scores_eval")
    recordings = [draw(seed), draw(seed + 100)]
    found, truth, seconds = as_reference_takes(recordings)
    expected = of_classes(reference.segment_based.fscore(found, truth, seconds, 0.5, segment_length=length))
    assert each_f1(segment_counts(recordings, 3, length)) == pytest.approx(expected)


def iou_of(a, b):
    inner = min(a[1], b[1]) - max(a[0], b[0])
    return max(inner, 0) / (a[1] - a[0] + b[1] - b[0] - inner)


spans = st.lists(st.tuples(st.integers(0, 40), st.integers(1, 12)), max_size=8)


@settings(max_examples=60, deadline=None)
@given(spans, spans, st.sampled_from([0.3, 0.5, 0.75]))
def test_as_many_events_are_matched_by_overlap_as_can_be(one, other, iou):
    truth, found = (sorted((s / 4, (s + n) / 4, 0) for s, n in rows) for rows in (one, other))
    matched = by_overlap(make_events(truth), make_events(found), iou)
    assert len(set(matched.true)) == len(set(matched.found)) == len(matched.true)
    fits = [[j for j, b in enumerate(found) if iou_of(a, b) >= iou - 1e-9] for a in truth]
    assert all(j in fits[i] for i, j in zip(matched.true, matched.found, strict=True))
    owner: dict[int, int] = {}

    def place(i, seen):
        for j in fits[i]:
            if j not in seen:
                seen.add(j)
                if j not in owner or place(owner[j], seen):
                    owner[j] = i
                    return True
        return False

    assert len(matched.true) == sum(place(i, set()) for i in range(len(truth)))


def test_frame_accuracy_is_the_share_of_time_that_is_right():
    truth = make_events([(2, 4, 0), (6, 8, 1)])
    found = make_events([(3, 5, 0), (6, 8, 0)])
    assert frame_accuracy([Compared(truth, found, 10.0)], 2) == pytest.approx(0.6)  # wrong: 2–3, 4–5, 6–8
    assert frame_accuracy([Compared(truth, NONE, 10.0)], 2) == pytest.approx(0.6)
    assert frame_accuracy([Compared(truth, truth, 10.0), Compared(truth, NONE, 10.0)], 2) == pytest.approx(0.8)


def test_events_may_overlap_and_reach_beyond_the_end():
    truth = make_events([(1, 3, 0), (2, 4, 0), (2, 12, 1)])
    found = make_events([(1, 4, 0), (2, 12, 1)])
    assert frame_accuracy([Compared(truth, found, 10.0)], 2) == 1
    assert segment_counts([Compared(truth, found, 10.0)], 2).tolist() == [[3, 0, 0], [8, 0, 0]]


def test_a_recording_without_events_scores_like_any_other():
    quiet = Compared(NONE, NONE, 10.0)
    assert frame_accuracy([quiet], 2) == 1
    assert event_counts([quiet], 2, by_overlap).sum() == segment_counts([quiet], 2).sum() == 0
    alarm = Compared(NONE, make_events([(0, 1, 1)]), 10.0)
    assert event_counts([quiet, alarm], 2, by_overlap).tolist() == [[0, 0, 0], [0, 1, 0]]
    assert f1_of(event_counts([quiet, alarm], 2, by_overlap)) == 0


def test_an_event_is_not_matched_with_one_of_another_recording():
    early, late = make_events([(0, 1, 0)]), make_events([(9, 10, 0)])
    recordings = [Compared(late, NONE, 10.0), Compared(NONE, early, 10.0)]
    assert event_counts(recordings, 1, by_overlap).tolist() == [[0, 1, 1]]
    assert event_counts(recordings, 1, partial(by_collar, onset=5)).tolist() == [[0, 1, 1]]


def test_the_class_must_be_right():
    truth, found = make_events([(0, 1, 0)]), make_events([(0, 1, 1)])
    assert event_counts([Compared(truth, found, 2.0)], 2, by_overlap).tolist() == [[0, 0, 1], [0, 1, 0]]


def test_a_day_of_events_is_matched_without_comparing_each_with_each():
    starts = np.arange(0, 86400, 0.5)  # each with each would be 3e10 pairs
    truth = make_events(zip(starts, starts + 0.4, np.arange(len(starts)) % 3, strict=True))
    found = make_events(zip(starts + 0.01, starts + 0.41, np.arange(len(starts)) % 3, strict=True))
    recordings = [Compared(truth, found, 86400.0)]
    assert f1_of(event_counts(recordings, 3, by_overlap)) == f1_of(event_counts(recordings, 3, by_collar)) == 1
