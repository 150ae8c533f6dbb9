"""Scores of each group, site and hour."""

from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier
from tracks import CLASSES, draw

from audiofw.data.dataset import Clip
from audiofw.data.recorder import Recorded
from audiofw.data.splits import Fold
from audiofw.evaluation.by_group import score_groups, ways_of_grouping
from audiofw.evaluation.cross_validate import cross_validate
from audiofw.evaluation.detection import PLAIN
from audiofw.evaluation.intervals import clopper_pearson
from audiofw.evaluation.timelines import Heard, summarise_timelines


def clip(number, group=None, **known):
    return Clip(Path("x"), f"{number:03}.wav", "a", group, recorded=Recorded(**known))


def evaluated(y, n_train=4):
    """Predict 0 for all clips but the first ones, which are trained on."""
    y = np.array(y)
    folds = [Fold(np.arange(n_train), np.arange(n_train, len(y)))]
    return cross_validate(
        lambda: DummyClassifier(strategy="constant", constant=0), folds, np.zeros((len(y), 1)), y, n_classes=2
    )


def test_each_group_has_its_accuracy_and_interval_and_the_surely_worst_comes_first():
    groups = ["train"] * 4 + ["good"] * 20 + ["bad"] * 20 + ["few"] * 5 + ["tiny"] * 2
    y = [0, 1, 0, 1] + [0] * 20 + [0] * 8 + [1] * 12 + [0, 0, 1, 1, 1] + [1] * 2
    (by,) = score_groups(evaluated(y), [clip(i, group) for i, group in enumerate(groups)])
    assert (by["by"], by["score"], by["n_groups"]) == ("group", "accuracy", 4)
    assert [(row["group"], row["n"], row["value"]) for row in by["groups"]] == [
        ("bad", 20, 0.4),
        ("few", 5, 0.4),  # may be so by chance
        ("good", 20, 1.0),
    ]
    assert by["groups"][2]["interval"] == pytest.approx(clopper_pearson(20, 20))
    low, high = by["groups"][0]["interval"]
    assert low < 0.4 < high < by["groups"][1]["interval"][1]


def test_stretches_of_one_recording_are_not_independent():
    clips = [
        clip(i)._replace(name=f"{i // 10}.wav@{i}-{i + 1}", start=float(i), end=i + 1.0, group="ab"[i // 30])
        for i in range(50)
    ]
    y = [0, 1] * 25
    a, b = sorted(score_groups(evaluated(y, 10), clips)[0]["groups"], key=lambda row: row["group"])
    assert a["n"] == b["n"] == 20
    low, high = a["interval"]
    assert high - low > 0.9  # of two recordings


def test_micro_f1_is_the_score_of_several_labels():
    y = np.array([[1, 0], [0, 1]] * 10)
    folds = [Fold(np.arange(4), np.arange(4, 20))]
    evaluation = cross_validate(lambda: DummyClassifier(strategy="prior"), folds, np.zeros((20, 1)), y, n_classes=2)
    (by,) = score_groups(evaluation, [clip(i, "ab"[i % 2]) for i in range(20)])
    assert by["score"] == "f1_micro"
    assert {row["value"] for row in by["groups"]} == {2 * 8 / (8 + 16)}  # both labels are predicted


def test_site_recorder_and_hour_are_ways_of_grouping_if_they_differ():
    night, morning = datetime(2025, 6, 12, 23, 59), datetime(2025, 6, 13, 4)
    clips = [
        clip(0, "1", time=night, site="POND", serial="A"),
        clip(1, "1", time=night, site="POND", serial="A")._replace(start=60.0, end=61.0),
        clip(2, "2", time=morning, site="HILL", serial="B"),
        clip(3, "3", time=morning, site="HILL", serial="B"),
        clip(4),
    ]
    assert ways_of_grouping(clips) == {
        "group": ["1", "1", "2", "3", None],
        "site": ["POND", "POND", "HILL", "HILL", None],  # the recorders divide the clips in the same way
        "hour": ["23:00", "00:00", "04:00", "04:00", None],
    }
    assert ways_of_grouping([clip(0, "1"), clip(1, "1")]) == {}


def test_timelines_have_the_event_f1_of_each_group():
    heard = [Heard(draw(seed, flicker=0.4), PLAIN, 1) for seed in range(6)]
    heard = [one._replace(track=one.track._replace(name=f"{i}.wav")) for i, one in enumerate(heard)]
    site = {f"{i}.wav": "POND" if i < 4 else "HILL" for i in range(6)}
    found = summarise_timelines(heard, CLASSES, background="background", groups={"site": site})["by_group"]
    assert [(by["by"], by["score"], by["n_groups"]) for by in found] == [("site", "event_f1", 2)]
    for row in found[0]["groups"]:
        alone = [one for one in heard if site[one.track.name] == row["group"]]
        assert row["n"] == len(alone)
        assert (
            row["value"] == summarise_timelines(alone, CLASSES, background="background")["scores"]["event_f1"]["value"]
        )
        assert row["interval"][0] < row["value"] < row["interval"][1]
