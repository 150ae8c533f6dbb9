"""What ``metrics.json`` says about timelines."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tracks import CLASSES, draw

from audiofw.evaluation.detection import PLAIN, Rule
from audiofw.evaluation.events import by_overlap, event_counts, f1_of, frame_accuracy
from audiofw.evaluation.rules import compare_tracks
from audiofw.evaluation.scores import OF_TIMELINES
from audiofw.evaluation.timelines import Heard, summarise_timelines


def summary(heard, **options):
    return summarise_timelines(heard, CLASSES, background="background", **options)


@pytest.fixture(scope="module")
def heard():
    return [Heard(draw(seed, weak=True), Rule({"cat": 0.6, "dog": 0.2}), 1 + seed % 2) for seed in range(6)]


def test_the_scores_are_those_of_all_recordings_together_and_of_each_fold(heard):
    scores = summary(heard)["scores"]
    assert list(scores) == list(OF_TIMELINES)
    tracks = [one.track for one in heard]
    compared = compare_tracks(tracks, heard[0].rule, CLASSES, background="background")
    assert scores["event_f1"]["value"] == f1_of(event_counts(compared, 3, by_overlap))
    assert scores["frame_accuracy"]["value"] == frame_accuracy(compared, 3)
    first = compare_tracks(tracks[::2], heard[0].rule, CLASSES, background="background")
    assert scores["frame_accuracy"]["folds"][0] == frame_accuracy(first, 3)


def test_finding_nothing_is_said_beside(heard):
    scores = summary(heard)["scores"]
    quiet = [one.track.seconds - float(np.sum(one.track.truth.ends - one.track.truth.starts)) for one in heard]
    assert scores["frame_accuracy"]["background"] == pytest.approx(sum(quiet) / sum(one.track.seconds for one in heard))
    assert scores["event_f1"]["background"] == scores["segment_f1"]["background"] == 0


def test_intervals_contain_the_value_and_need_several_recordings():
    heard = [Heard(draw(seed, flicker=0.4), PLAIN, 1) for seed in range(5)]
    for name in ("event_f1", "segment_f1", "frame_accuracy"):
        row = summary(heard)["scores"][name]
        assert 0 < row["interval"][0] < row["value"] < row["interval"][1] < 1
        assert summary(heard[:1])["scores"][name]["interval"] is None


def test_false_alarms_are_counted_an_hour_at_each_recall(heard):
    rows = {row["class"]: row for row in summary(heard)["per_class"]}
    assert list(rows) == ["cat", "dog"]
    assert rows["cat"]["false_alarms"] == {"0.5": 0, "0.8": 0, "0.9": 0}
    shy = [
        Heard(one.track._replace(moments=one.track.moments._replace(scores=0 * one.track.moments.scores)), PLAIN, 1)
        for one in heard
    ]
    assert summary(shy)["per_class"][0]["false_alarms"] == {"0.5": None, "0.8": None, "0.9": None}


def test_everything_is_json_and_recordings_without_events_are_no_exception(heard):
    json.dumps(summary(heard), allow_nan=False)
    quiet = [one._replace(track=one.track._replace(truth=one.track.truth.of_class(9))) for one in heard]
    values = summary(quiet)
    json.dumps(values, allow_nan=False)
    assert values["n_events"] == 0
    assert values["per_class"][0]["support"] == 0
