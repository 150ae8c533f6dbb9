"""A tracker is told of everything that happens and changes nothing; a gate fails a run that is saved."""

import json
import re
import textwrap

import pytest
from conftest import write_wav

import audiofw as fw
from audiofw.experiment.hydra_app import compose
from audiofw.experiment.run import run_code
from audiofw.extraction.clips import find_dataset
from audiofw.results.record import job_identity

TRACKER = """
    import json
    from pathlib import Path

    from audiofw import hookimpl

    @hookimpl
    def register_trackers(register):
        register(diary)

    def diary(event, *, file: str = "diary.txt", fails_at: str = ""):
        "Writes down what it is told."
        event.notes["count"] = event.notes.get("count", 0) + 1
        said = {
            "name": event.name,
            "folder": event.folder.name,
            "count": event.notes["count"],
            "model": event.config.get("model", {}).get("name"),
            "data": event.data,
            "fold": event.fold,
            "value": event.metrics.get("value"),
            "files": sorted(event.files),
            "reason": event.reason,
            "ranked": [run.get("value") for run in event.leaderboard.get("runs", ())],
        }
        with Path(file).open("a") as diary:
            diary.write(json.dumps(said) + "\\n")
        if event.name in fails_at.split("+"):
            raise RuntimeError("no ink")
"""
QUICK = ("feature=mfcc", "pooling=stats", "model=lda", "split=kfold", "split.n_splits=2", "audit=false", "n_jobs=1")


@pytest.fixture
def words(tmp_path, sounds, monkeypatch):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/diary.py").write_text(textwrap.dedent(TRACKER))
    monkeypatch.setenv("AUDIOFW_PLUGINS_PATH", str(tmp_path / "mine"))
    file = f"tracking.file={tmp_path / 'diary.txt'}"
    return [f"data.source={sounds(clips=6)}", *QUICK, "report=false", "tracking=diary", file]


@pytest.fixture
def diary(tmp_path):
    """Read what the tracker was told."""
    return lambda: [json.loads(line) for line in (tmp_path / "diary.txt").read_text().splitlines()]


def test_a_run_tells_its_beginning_each_fold_and_its_end(audiofw, words, diary, tmp_path):
    outcome = audiofw(*words, "hydra.run.dir=run")
    assert outcome.code == 0, outcome.err
    assert outcome.err == ""
    begins, first, second, ends = diary()
    assert [said["name"] for said in diary()] == ["run_begins", "fold_done", "fold_done", "run_ends"]
    assert [said["count"] for said in diary()] == [1, 2, 3, 4]
    assert {said["folder"] for said in diary()} == {"run"}
    assert {said["model"] for said in diary()} == {"lda"}
    data = {"n_clips": 12, "classes": {"high": 6, "low": 6}, "n_groups": 0}
    assert begins["data"] == {"source": str(tmp_path / "sounds"), **data}
    metrics = json.loads((tmp_path / "run/metrics.json").read_text())
    for number, said in enumerate((first, second), 1):
        fold = said["fold"]
        assert (fold["number"], fold["of"], fold["n_train"], fold["n_test"]) == (number, 2, 6, 6)
        assert fold["scores"]["accuracy"] == metrics["scores"]["accuracy"]["folds"][number - 1]
    assert ends["value"] == metrics["value"]
    assert {"metrics.json", "predictions.csv", "config.yaml", "model"} <= set(ends["files"])


def test_a_run_that_fails_tells_why(audiofw, words, diary, tmp_path):
    write_wav(tmp_path / "sounds/low/0.wav", [])
    outcome = audiofw(*words, "data.on_error=raise", "hydra.run.dir=run")
    assert outcome.code == 1
    assert [said["name"] for said in diary()] == ["run_begins", "run_fails"]
    assert "low/0.wav" in diary()[1]["reason"]


@pytest.mark.parametrize("event", ["run_begins", "fold_done", "run_ends"])
def test_a_tracker_that_fails_is_one_warning_and_changes_nothing(audiofw, words, diary, tmp_path, event):
    plain = audiofw(*words[:-2], "hydra.run.dir=plain")
    outcome = audiofw(*words, f"tracking.fails_at={event}", "hydra.run.dir=run")
    assert (plain.code, outcome.code) == (0, 0)
    (line,) = outcome.err.splitlines()
    assert re.match(r"tracking=diary: diary\.py:\d+: RuntimeError: no ink", line)
    assert line.endswith(f"RuntimeError: no ink (at {event}; results are not affected)")
    assert len(diary()) == 4
    scores = [json.loads((tmp_path / run / "metrics.json").read_text())["scores"] for run in ("plain", "run")]
    assert scores[0] == scores[1]


def test_a_tracker_is_no_part_of_what_identifies_a_job_or_a_model(words, tmp_path):
    def job(*words):
        config, choices = compose(words)
        return job_identity(config, choices, find_dataset(config), run_code())

    assert job(*words) == job(*words[:-2])
    run = fw.run([*words, "bundle=true"], path=tmp_path / "run")
    facts = json.loads((run.path / "model/bundle.json").read_text())
    assert "diary" not in json.dumps(facts)
    assert "diary" in (run.path / "config.yaml").read_text()


def test_the_command_for_predictions_does_not_need_the_tracker(audiofw, words):
    assert "--plugins-dir" not in audiofw(*words, "hydra.run.dir=run").out


def test_a_sweep_tells_each_run_and_its_end(sweep_here, words, diary):
    outcome = sweep_here(*words, "model=lda,knn", "hydra.sweep.dir=sweep", "tracking.fails_at=sweep_ends")
    assert outcome.code == 0, outcome.err
    *runs, end = diary()
    assert [said["name"] for said in runs] == 2 * ["run_begins", "fold_done", "fold_done", "run_ends"]
    assert [said["folder"] for said in runs] == 4 * ["0"] + 4 * ["1"]
    assert (end["name"], end["folder"]) == ("sweep_ends", "sweep")
    ranked = [value for value in end["ranked"] if value is not None]
    assert ranked[:2] == sorted((said["value"] for said in runs if said["value"] is not None), reverse=True)
    header = outcome.out.splitlines()[2:6]
    assert not any("tracking" in line for line in header)


@pytest.mark.parametrize(
    ("gate", "code", "said"),
    [
        ("min_score=0.5", 0, ""),
        ("min_score=1.01", 3, "audiofw: accuracy 1.000 is below min_score=1.01\n"),
        ("min_score=null", 0, ""),
        ("score=log_loss min_score=-1", 3, " is above min_score=-1\n"),
        ("score=log_loss min_score=9", 0, ""),
    ],
)
def test_a_gate_is_the_exit_code_of_a_run_that_is_saved(audiofw, words, tmp_path, gate, code, said):
    outcome = audiofw(*words[:-2], *gate.split(), "hydra.run.dir=run")
    assert outcome.code == code
    assert outcome.err.endswith(said)
    assert bool(outcome.err) == bool(said)
    assert outcome.out.startswith(("accuracy 1.000", "log loss"))
    assert (tmp_path / "run/model/bundle.json").exists()
    assert said.strip() in (tmp_path / "run/audiofw.log").read_text()
    assert json.loads((tmp_path / "run/result.json").read_text())["status"] == "finished"


def test_a_gate_is_no_part_of_what_identifies_a_job(words):
    def job(*words):
        config, choices = compose(words)
        return job_identity(config, choices, find_dataset(config), run_code())

    assert job(*words) == job(*words, "min_score=0.5")


@pytest.mark.parametrize(("gate", "code"), [("0.5", 0), ("1.01", 3)])
def test_the_gate_of_a_sweep_is_for_its_best_run(sweep_here, words, gate, code, tmp_path):
    outcome = sweep_here(*words[:-2], "model=lda,knn", "hydra.sweep.dir=sweep", f"min_score={gate}")
    assert outcome.code == code, outcome.err
    assert (tmp_path / "sweep/leaderboard.csv").exists()
    assert ("below min_score=1.01" in outcome.err) == (code == 3)


def test_a_job_that_fails_counts_before_the_gate(sweep_here, words):
    outcome = sweep_here(*words[:-2], "model=lda,knn", "feature.n_mfcc=13,0", "hydra.sweep.dir=sweep", "min_score=2")
    assert outcome.code == 1
    assert "below min_score" not in outcome.err
