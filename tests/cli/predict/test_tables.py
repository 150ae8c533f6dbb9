"""A model that was trained on windows makes timelines by itself, as one table for each recording."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from bundles import make_run
from conftest import tone, write_wav

import audiofw as fw
from audiofw.cli.predict.options import read_options, settle
from audiofw.data.annotations.read import read_annotations

SR = 8000
EVENTS = [(1.0, 2.5, "low"), (4.0, 5.5, "high"), (7.0, 8.5, "low")]


def write_scene(path, seed):
    y = 0.02 * np.random.default_rng(seed).standard_normal(10 * SR)
    for start, end, label in EVENTS:
        sound = tone({"low": 300, "high": 2000}[label] * (1 + 0.01 * seed), end - start, SR)
        y[round(start * SR) : round(start * SR) + sound.size] += sound
    return write_wav(path, y, SR)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("timed")
    rows = ["file_name,start,end,label"]
    for number in range(6):
        write_scene(folder / f"sounds/rec{number}.wav", number)
        rows += [f"rec{number}.wav,{start},{end},{label}" for start, end, label in EVENTS]
    (folder / "events.csv").write_text("\n".join(rows))
    words = ["audio.sample_rate=8000", "audio.duration=0.5", "feature=mfcc", "pooling=stats", "n_jobs=1", "audit=false"]
    data = [f"data.source={folder / 'sounds'}", f"data.annotations={folder / 'events.csv'}", "data.unit=windows"]
    tuned = ["timeline.tune=true", "timeline.windows=[0.5]", "cache=false", "report=false"]
    fw.run([*data, *words, *tuned], path=folder / "run")
    return folder / "run"


@pytest.fixture
def scene(tmp_path):
    write_scene(tmp_path / "night/a/rec.wav", 7)
    write_scene(tmp_path / "night/b/rec.wav", 8)
    return tmp_path


def assert_near(rows):
    assert [row[2] for row in rows] == [label for *_, label in EVENTS]
    np.testing.assert_allclose([row[:2] for row in rows], [row[:2] for row in EVENTS], atol=0.55)


def test_a_timeline_needs_no_window(audiofw, trained, scene):
    outcome = audiofw("predict", str(trained), "night/a/rec.wav")
    assert outcome.code == 0, outcome.err
    rows = list(csv.DictReader(io.StringIO(outcome.out)))
    assert_near([(float(row["start"]), float(row["end"]), row["label"]) for row in rows])
    whole = audiofw("predict", str(trained), "night/a/rec.wav", "--whole")
    assert whole.out.splitlines()[0].startswith("path,predicted,confidence,p(background)")


def test_background_is_between_the_events_on_request(audiofw, trained, scene):
    outcome = audiofw("predict", str(trained), "night/a/rec.wav", "--background", "--format", "json")
    rows = json.loads(outcome.out)
    assert [row["label"] for row in rows[:3]] == ["background", "low", "background"]
    assert [row["end"] for row in rows[:-1]] == [row["start"] for row in rows[1:]]
    assert all(0.5 < row["confidence"] <= 1 for row in rows)


@pytest.mark.parametrize(
    ("format", "name"),
    [
        ("raven", "rec.Table.1.selections.txt"),
        ("audacity", "rec.txt"),
        ("textgrid", "rec.TextGrid"),
        ("csv", "rec.csv"),
        ("json", "rec.json"),
    ],
)
def test_each_recording_has_a_table_that_is_read_again(audiofw, trained, scene, format, name):
    if format == "textgrid":
        pytest.importorskip("praatio")
    (scene / "out").mkdir()
    outcome = audiofw("predict", str(trained), "night", "-o", "out", "--format", format, "--scores")
    assert (outcome.code, outcome.out, outcome.err) == (0, "", "")
    assert sorted(path.relative_to(scene / "out").as_posix() for path in (scene / "out").rglob("*.*")) == sorted(
        f"{folder}/{file}" for folder in "ab" for file in (name, "rec.scores.csv")
    )
    rows = sorted((row.start, row.end, row.label) for row in read_annotations(scene / "out/b" / name))
    assert_near(rows)
    single = audiofw("predict", str(trained), "night/b/rec.wav", "--format", "json")
    assert rows == [(row["start"], row["end"], row["label"]) for row in json.loads(single.out)]
    with (scene / "out/b/rec.scores.csv").open(newline="") as file:
        scores = list(csv.reader(file))
    assert scores[0] == ["start", "end", "p(background)", "p(high)", "p(low)"]
    assert all(abs(sum(map(float, row[2:])) - 1) < 1e-4 for row in scores[1:])


def test_what_cannot_be_read_is_a_line_and_the_others_have_their_tables(audiofw, trained, scene):
    (scene / "night/c.wav").write_bytes(b"x")
    outcome = audiofw("predict", str(trained), "night", "-o", "out", "--format", "raven")
    assert outcome.code == 1
    (line,) = outcome.err.splitlines()
    assert line.startswith("audiofw: night/c.wav: not audio")
    assert (scene / "out/a/rec.Table.1.selections.txt").is_file()
    assert not list((scene / "out").glob("c.*"))


def test_features_that_were_kept_give_the_same_timeline(audiofw, trained, scene, monkeypatch):
    words = ["predict", str(trained), "night/a/rec.wav", "--format", "audacity", "--cache"]
    first = audiofw(*words)
    monkeypatch.setattr("audiofw.extraction.over_time.windows", lambda *_: pytest.fail("it was read again"))
    assert audiofw(*words).out == first.out != ""


def test_a_threshold_and_a_window_of_ones_own_are_taken(audiofw, trained, scene):
    options = read_options(["run", "x.wav", "--threshold", "0.7"])
    settle(options, fw.load_model(trained).facts["timeline"], ["background", "high", "low"])
    assert set(options.way.rule.thresholds.values()) == {0.7}
    outcome = audiofw("predict", str(trained), "night/a/rec.wav", "--window", "1", "--hop", "0.5", "--format", "json")
    rows = json.loads(outcome.out)
    assert {row["label"] for row in rows} == {"low", "high"}
    assert all(row["start"] % 0.5 == 0 for row in rows)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--scores"], "-o FOLDER"),
        (["--whole", "--window", "1"], "--whole"),
        (["--whole", "--format", "raven"], "--format raven needs --window"),
        (["--format", "textgrid", "night"], "single recording"),
    ],
)
def test_options_that_do_not_fit_are_one_line(audiofw, trained, scene, words, said):
    outcome = audiofw("predict", str(trained), "night/a/rec.wav", *words)
    assert outcome.code == 2
    assert said in outcome.err
    assert outcome.err.count("\n") == 1


def test_a_model_of_clips_says_how_much_of_a_long_recording_it_used(audiofw, tmp_path):
    run = make_run(tmp_path)
    for name in ("one.wav", "two.wav"):
        write_wav(tmp_path / name, np.tile(tone(910, 1.0), 70))
    outcome = audiofw("predict", str(run), "one.wav", "two.wav", "--format", "csv")
    assert outcome.code == 0
    line = "audiofw: one.wav: 0.6 of 70 s were used (and of 1 more recordings); --window 0.6 labels all of it\n"
    assert outcome.err == line


def test_tables_of_an_archive_lie_as_its_recordings_do(audiofw, trained, scene):
    shutil.make_archive("night", "zip", "night")
    outcome = audiofw("predict", str(trained), "night.zip", "--format", "audacity", "-o", "tables")
    assert outcome.code == 0, outcome.err
    assert sorted(path.relative_to("tables").as_posix() for path in Path("tables").rglob("*.txt")) == [
        "a/rec.txt",
        "b/rec.txt",
    ]


def test_a_folder_of_tables_goes_on_with_what_it_lacks(audiofw, trained, scene):
    words = ["predict", str(trained), "night", "--format", "raven", "-o", "labels"]
    write_wav(scene / "night/c.wav", np.zeros(0))  # cannot be used
    assert audiofw(*words).code == 1
    tables = {file: file.read_text() for file in (scene / "labels").rglob("*.txt")}
    assert len(tables) == 2
    first, second = tables
    first.write_text("as it is")
    second.unlink()
    assert audiofw(*words, "--resume").code == 1
    assert first.read_text() == "as it is"
    assert second.read_text() == tables[second]
    for folder in "ab":
        write_scene(scene / f"night/{folder}/rec.wav", 9)
    assert audiofw(*words, "--resume").code == 1
    assert first.read_text() == tables[first]  # of the recordings as they are now


def test_a_folder_is_not_gone_on_with_by_other_options(audiofw, trained, scene):
    words = ["predict", str(trained), "night", "--format", "raven", "-o", "labels", "--resume"]
    assert audiofw(*words).code == 0  # nothing is there yet
    assert audiofw(*words, "--scores").err.endswith("started with another --scores; leave out --resume to start over\n")
    (scene / "labels.resume.jsonl").unlink()
    outcome = audiofw(*words)
    assert outcome.code == 2
    assert "labels.resume.jsonl is missing" in outcome.err
