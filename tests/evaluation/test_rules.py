"""Rules are chosen that find the known events."""

from __future__ import annotations

import pytest
from tracks import CLASSES, draw

from audiofw.evaluation.detection import PLAIN
from audiofw.evaluation.events import by_overlap, event_counts, f1_of, make_events
from audiofw.evaluation.rules import choose_rule, compare_tracks


def f1(tracks, rule, exclusive=True):
    compared = compare_tracks(tracks, rule, CLASSES, background="background", exclusive=exclusive)
    return f1_of(event_counts(compared, 3, by_overlap))


@pytest.mark.parametrize("options", [{}, {"flicker": 0.3}, {"weak": True}, {"flicker": 0.3, "weak": True}])
@pytest.mark.parametrize("exclusive", [True, False])
def test_the_rule_finds_the_events_of_other_recordings(options, exclusive):
    train, test = ([draw(seed, **options) for seed in seeds] for seeds in (range(4), range(10, 14)))
    rule, value = choose_rule(train, CLASSES, background="background", exclusive=exclusive)
    assert value > 1.1
    assert f1(test, rule, exclusive) > 0.95
    assert f1(test, rule, exclusive) >= f1(test, PLAIN)
    if options:
        assert f1(test, PLAIN) < 0.9


def test_a_class_that_gives_low_scores_gets_a_low_threshold():
    rule, _ = choose_rule(
        [draw(seed, weak=True) for seed in range(4)], CLASSES, background="background", exclusive=False
    )
    assert rule.thresholds["dog"] < 0.3 < rule.thresholds["cat"]


def test_recordings_without_events_have_a_rule_too():
    track = draw(0)._replace(truth=make_events([]))
    rule, _ = choose_rule([track], CLASSES, background="background")
    assert rule.min_duration >= 0
