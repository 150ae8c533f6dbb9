"""Recordings with label tables are scored as a whole, by models that were not trained on them."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from conftest import tone, write_wav

SR = 8000
FAST = ["feature=mfcc", "pooling=stats", "audio.sample_rate=8000", "audio.duration=0.5", "report=false", "n_jobs=1"]
DATA = ["data.source=sounds", "data.annotations=events.csv", "data.unit=windows", "audit=false", *FAST]


def make_scenes(folder, count=8, seconds=12.0):
    """Recordings of tones in noise, each with four to six events, and a table of them."""
    rows = ["file_name,start,end,label"]
    for number in range(count):
        rng = np.random.default_rng(number)
        y, at = 0.02 * rng.standard_normal(round(seconds * SR)), 1.0
        while at + 2.0 < seconds:
            label, length = ("low", "high")[int(rng.integers(2))], float(rng.uniform(0.8, 1.4))
            sound = tone({"low": 300, "high": 2000}[label] * (1 + 0.01 * number), length, SR)
            y[round(at * SR) : round(at * SR) + sound.size] += sound
            rows.append(f"rec{number}.wav,{at:.3f},{at + length:.3f},{label}")
            at += length + float(rng.uniform(0.8, 1.6))
        write_wav(folder / f"sounds/rec{number}.wav", y, SR)
    (folder / "events.csv").write_text("\n".join(rows) + "\n")
    return folder


@pytest.fixture
def scenes(tmp_path):
    return make_scenes(tmp_path)


def read(folder, name="metrics.json"):
    return json.loads((folder / name).read_text(encoding="utf-8"))


def run(audiofw, folder, *words):
    outcome = audiofw(*DATA, f"hydra.run.dir={folder}", *words)
    assert outcome.code == 0, outcome.err
    return outcome.out


def test_each_recording_is_scored_out_of_fold(audiofw, scenes):
    out = run(audiofw, "run", "split=kfold", "split.n_splits=4", "score=event_f1")
    metrics, timelines = read(scenes / "run"), read(scenes / "run", "timelines.json")
    assert metrics["score"] == "event_f1"
    assert metrics["value"] == metrics["scores"]["event_f1"]["pooled"] > 0.8
    assert metrics["scores"]["frame_accuracy"]["pooled"] > 0.9 > metrics["baseline"]["frame_accuracy"]
    assert len(metrics["scores"]["event_f1"]["folds"]) == 4
    assert [row["class"] for row in metrics["timeline"]["per_class"]] == ["high", "low"]
    assert out.startswith("event F1 (IoU 0.5) ")
    assert "8 recordings as a whole" in out
    with (scenes / "run/predictions.csv").open(newline="") as file:
        fold_of = {row["path"].partition("@")[0]: int(row["fold"]) for row in csv.DictReader(file)}
    assert {one["recording"]: one["fold"] for one in timelines} == fold_of
    with (scenes / "events.csv").open(newline="") as file:
        table = [
            [row["file_name"], float(row["start"]), float(row["end"]), row["label"]] for row in csv.DictReader(file)
        ]
    assert sorted([one["recording"], *event] for one in timelines for event in one["truth"]) == sorted(table)


def test_what_was_chosen_inside_the_training_recordings_is_in_the_bundle(audiofw, scenes):
    run(audiofw, "run", "split=holdout", "split.test_size=0.25", "timeline.tune=true", "timeline.windows=[0.25,0.5]")
    metrics, bundle = read(scenes / "run"), read(scenes / "run/model", "bundle.json")
    (way,) = metrics["timeline"]["by_fold"]
    assert metrics["timeline"]["tuned"]
    assert way["window"] in (0.25, 0.5)
    assert metrics["scores"]["event_f1"]["pooled"] > 0.9
    assert bundle["timeline"]["window"] == bundle["audio"]["duration"]
    assert bundle["timeline"]["background"] == "background"
    assert set(bundle["timeline"]["rule"]) == {"thresholds", "smoothing", "span", "max_gap", "min_duration", "activity"}


def test_choosing_uses_no_recording_that_is_tested(audiofw, scenes):
    """Other labels of the test recordings change their scores, and nothing that was chosen."""
    words = ["data.pattern=rec(?P<fold>\\d)", "timeline.tune=true", "timeline.windows=[0.5]", "bundle=false"]
    table = (scenes / "events.csv").read_text()
    ways = []
    for name, text in (("a", table), ("b", table.replace("rec7.wav,", "rec7.wav,0.0,0.4,low\nrec7.wav,"))):
        (scenes / "events.csv").write_text(text)
        run(audiofw, name, "split=predefined", "split.test=[7]", *words)
        ways.append(read(scenes / name)["timeline"]["by_fold"])
    assert ways[0] == ways[1]
    assert read(scenes / "a")["scores"]["frame_accuracy"] != read(scenes / "b")["scores"]["frame_accuracy"]


def test_outside_the_stretches_that_were_labelled_nothing_is_scored(audiofw, scenes):
    lines = (scenes / "events.csv").read_text().splitlines()
    lines += [f"rec{number}.wav,0.0,6.0,checked" for number in range(8)]
    (scenes / "events.csv").write_text("\n".join(lines))
    run(audiofw, "run", "data.annotated=checked", "split=kfold", "split.n_splits=2", "bundle=false")
    timelines = read(scenes / "run", "timelines.json")
    assert [one["seconds"] for one in timelines] == [6.0] * 8
    assert read(scenes / "run")["timeline"]["hours"] == pytest.approx(48 / 3600)
    assert all(event[1] <= 6 for one in timelines for event in (*one["truth"], *one["found"]))


def test_a_recording_that_is_gone_is_left_out_with_a_line(audiofw, scenes):
    (scenes / "sounds/rec3.wav").write_bytes((scenes / "sounds/rec3.wav").read_bytes()[:200] + b"\0" * 100)
    outcome = audiofw(*DATA, "hydra.run.dir=run", "split=kfold", "split.n_splits=2", "bundle=false")
    assert outcome.code == 0, outcome.err
    assert all(one["recording"] != "rec3.wav" or one["seconds"] < 1 for one in read(scenes / "run", "timelines.json"))


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["score=event_f1", "timeline=false"], "score=event_f1 needs recordings with label tables"),
        (["timeline.tune=true", "timeline=false"], "timeline.tune=true needs recordings with label tables"),
        (["timeline.tune=true", "bundle.refit=false"], "needs bundle.refit=true"),
        (["timeline.windows=[-1]"], "timeline.windows"),
    ],
)
def test_options_that_cannot_be_combined_are_refused_in_one_line(audiofw, scenes, words, why):
    outcome = audiofw(*DATA, "hydra.run.dir=run", *words)
    assert outcome.code == 2
    assert why in outcome.err
    assert outcome.err.count("\n") == 1


def test_timelines_can_be_left_out(audiofw, scenes):
    run(audiofw, "run", "timeline=false", "split=kfold", "split.n_splits=2", "bundle=false")
    assert "timeline" not in read(scenes / "run")
    assert not (scenes / "run/timelines.json").exists()
