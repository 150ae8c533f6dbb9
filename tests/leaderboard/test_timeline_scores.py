"""Runs are compared by scores of timelines, over recordings."""

import json

import numpy as np
import pytest

from audiofw.evaluation.events import Compared, make_events
from audiofw.evaluation.timelines import measures
from audiofw.leaderboard.ranking import rank
from audiofw.leaderboard.runs import read_runs
from audiofw.leaderboard.timelines import read_timelines

CLASSES = ["background", "cat", "dog"]


def make_run(folder, misses, *, n=20, score="event_f1", seconds=10.0):
    """Write a run that misses one of two events in some recordings."""
    truth = [[1.0, 2.0, "cat"], [4.0, 6.0, "dog"]]
    listed = [
        {
            "recording": f"rec{i:02}.wav",
            "fold": 1 + i % 2,
            "start": 0.0,
            "seconds": seconds,
            "truth": truth,
            "found": [[*event, 0.9] for event in truth[: 1 if i in misses else 2]],
        }
        for i in range(n)
    ]
    value = (2 * n - len(misses)) / (2 * n)
    row = {"pooled": value, "mean": value, "std": 0.0, "interval": None, "folds": [value, value]}
    metrics = {
        "score": score,
        "scores": {score: row},
        "interval_level": 0.95,
        "classes": CLASSES,
        "timeline": {"background": "background"},
        "n_clips": 400,
        "n_folds": 2,
    }
    folder.mkdir(parents=True)
    (folder / "metrics.json").write_text(json.dumps(metrics))
    (folder / "timelines.json").write_text(json.dumps(listed))
    (folder / "config.yaml").write_text("model: {name: lda}\n")
    return folder


def comparisons(folder):
    board = rank(read_runs([folder]))
    return [row.comparison for row in board.rows], board.notes


def test_a_run_that_misses_more_in_most_recordings_is_worse_and_one_that_hardly_does_is_not(tmp_path):
    make_run(tmp_path / "good", {0, 1})
    make_run(tmp_path / "alike", {1, 2, 3})
    make_run(tmp_path / "bad", set(range(15)))
    (_, alike, bad), notes = comparisons(tmp_path)
    assert (alike.tied, alike.unit, alike.n_units) == (True, "recordings", 20)
    assert bad.tied is False
    assert bad.p < 0.05 < alike.p
    assert any("over 20 recordings" in note for note in notes)


def test_runs_on_other_recordings_or_without_timelines_are_not_compared(tmp_path):
    make_run(tmp_path / "best", {0})
    make_run(tmp_path / "other", {0, 1, 2}, seconds=11.0)
    (make_run(tmp_path / "lost", {0, 1}) / "timelines.json").unlink()
    make_run(tmp_path / "same", {0, 1, 2, 3})
    _, notes = comparisons(tmp_path)
    assert "–: 1 of 4 runs are not compared: they were tested on other recordings than the best" in notes
    assert "–: 1 of 4 runs have no readable timelines.json" in notes


@pytest.mark.parametrize("score", ["event_f1", "frame_accuracy", "segment_f1"])
def test_what_recordings_add_sums_up_to_about_the_score(tmp_path, score):
    make_run(tmp_path / "run", {0, 5, 6}, n=40, score=score)
    (run,) = read_runs([tmp_path])
    parts = read_timelines(run, score).contributions
    truth, half = make_events([(1.0, 2.0, 1), (4.0, 6.0, 2)]), make_events([(1.0, 2.0, 1)])
    all_of = [Compared(truth, half if i in (0, 5, 6) else truth, 10.0) for i in range(40)]
    assert parts.sum() == pytest.approx(measures(CLASSES, "background")[score](all_of), abs=2e-3)
    assert np.ptp(parts[[0, 5, 6]]) < 1e-6
    assert parts[0] < parts[1]


def test_psds_is_not_a_score_of_single_recordings(tmp_path):
    make_run(tmp_path / "a", {0}, score="psds")
    make_run(tmp_path / "b", {1}, score="psds")
    _, notes = comparisons(tmp_path)
    assert any("psds is not a score of single recordings" in note for note in notes)
