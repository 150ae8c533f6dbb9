"""The report's section on timelines: what is true and found over the spectrogram, and errors to listen to."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from conftest import tone, write_wav
from reports import made_up_run

from audiofw.data.dataset import Clip
from audiofw.report import timelines
from audiofw.report.build import write_report
from audiofw.report.facts import read_run_facts
from audiofw.report.recordings import RunRecordings
from audiofw.report.timelines import collect_timelines, read_tracks

LABELS = ("class 0", "class 1")
ROWS = [
    {
        "recording": "a.wav",
        "fold": 1,
        "start": 0.0,
        "seconds": 10.0,
        "truth": [[1.0, 3.0, LABELS[0]], [5.0, 6.0, LABELS[1]]],
        "found": [[1.1, 3.0, LABELS[0], 0.9], [7.0, 8.0, LABELS[1], 0.8], [5.0, 6.0, LABELS[0], 0.7]],
    },
    {"recording": "b.wav", "fold": 2, "start": 2.0, "seconds": 8.0, "truth": [[3.0, 4.0, LABELS[1]]], "found": []},
    {"recording": "<b>.wav", "fold": 2, "start": 0.0, "seconds": 3.0, "truth": [], "found": []},
]
ROW = {"precision": 0.5, "recall": 0.5, "f1": 0.5, "support": 2, "collar_f1": 0.5, "segment_f1": 0.5}


@pytest.fixture
def run(tmp_path):
    folder = made_up_run(tmp_path / "run", 2)
    metrics = json.loads((folder / "metrics.json").read_text())
    alarms = {"0.5": 1.0, "0.8": None, "0.9": None}
    metrics["timeline"] = {
        "per_class": [{"class": label, **ROW, "false_alarms": alarms} for label in LABELS],
        "n_recordings": 3,
        "n_events": 3,
        "hours": 21 / 3600,
        "tuned": True,
        "by_fold": [{"window": 1.0, "hop": 0.5, "rule": {}}],
    }
    (folder / "metrics.json").write_text(json.dumps(metrics))
    (folder / "timelines.json").write_text(json.dumps(ROWS))
    return folder


@pytest.fixture
def clips(tmp_path):
    paths = [write_wav(tmp_path / f"{name}.wav", np.tile(tone(900, 1.0), 10)) for name in "ab"]
    return [Clip(path, f"{path.name}@0-1", LABELS[0], start=0.0, end=1.0) for path in paths]


def test_events_are_matched_as_they_are_scored(run):
    first, second, third = read_tracks(read_run_facts(run))
    assert [mark.right for mark in first.truth] == [True, False]
    assert [mark.right for mark in first.found] == [True, False, False]
    assert (first.errors, second.errors, third.errors) == (3, 1, 0)


def test_the_worst_recording_and_errors_are_shown_and_played(run, clips):
    section = collect_timelines(read_run_facts(run), clips, audio=True, n_jobs=1)
    assert [(one.name, one.begin, one.seconds) for one in section.recordings] == [("a.wav", 0, 10), ("b.wav", 2, 8)]
    assert all(one.sound and one.sound.startswith("data:audio/mpeg") for one in section.recordings)
    assert [mark.share for mark, _, _ in section.false_alarms] == [0.8, 0.7]
    assert [(mark.start, name) for mark, name, _ in section.misses] == [(5.0, "a.wav"), (3.0, "b.wav")]
    assert section.false_alarms[0][2].seconds == pytest.approx(2.0)  # half a second around it


def test_a_long_recording_is_cut_to_where_most_is_wrong(run, clips, monkeypatch):
    monkeypatch.setattr(timelines, "LONGEST", 4.0)
    section = collect_timelines(read_run_facts(run), clips, audio=False, n_jobs=1)
    first = section.recordings[0]
    assert (first.begin, first.seconds, first.sound) == (4.0, 4.0, None)
    assert [mark.start for mark in first.found] == [7.0, 5.0]


def test_the_page_shows_them(run, clips):
    page = write_report(run, RunRecordings({clip.name: clip for clip in clips}, None)).read_text(encoding="utf-8")
    assert 'href="#timelines"' in page
    assert len(re.findall(r'<figure class="clip timeline', page)) == 2
    assert "(false alarm)" in page
    assert "<b>.wav" not in page
    assert "windows of 1 s every 0.5 s" in page


def test_without_the_recordings_the_events_are_listed(run):
    section = collect_timelines(read_run_facts(run), [], audio=True, n_jobs=1)
    assert section.recordings == []
    assert [one for _, _, one in (*section.false_alarms, *section.misses)] == [None] * 4


@pytest.mark.parametrize("text", ["", "{", '[{"recording": "a.wav"}]', "[]"])
def test_a_damaged_file_leaves_the_section_out(run, text):
    (run / "timelines.json").write_text(text)
    assert collect_timelines(read_run_facts(run), [], audio=True, n_jobs=1) is None
