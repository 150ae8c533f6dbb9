"""Hydra's own options for folders and logs: hydra.job.chdir, hydra.job.name, disabled logging."""

import csv
from pathlib import Path

import pytest

from audiofw.bundle.load import load_model
from audiofw.results.record import read_record

QUICK = ["feature=mel", "pooling=stats", "model=lda", "n_jobs=1", "audit=false", "report=false"]

WHERE = """
import os
from audiofw import hookimpl

@hookimpl
def register_features(register):
    register(where)

def where(y, sr):
    \"\"\"Levels, and a file in the working folder.\"\"\"
    open("seen.txt", "w").close()
    return abs(y[: y.size // 100 * 100].reshape(-1, 100)).T
"""


@pytest.fixture
def relative(sounds, tmp_path, monkeypatch):
    """Whatever may be named by a relative path: recordings, lists, a manifest, plugins, the cache."""
    sounds(clips=4, seconds=0.2)
    with (tmp_path / "clips.csv").open("w", newline="") as file:
        rows = [(f"sounds/{label}/{i}.wav", label) for label in ("low", "high") for i in range(4)]
        csv.writer(file).writerows([("path", "label"), *rows])
    (tmp_path / "skip.txt").write_text("*3.wav\n")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "where.py").write_text(WHERE)
    monkeypatch.setenv("AUDIOFW_CACHE", "cache")
    monkeypatch.setenv("AUDIOFW_PLUGINS_PATH", "mine")
    return tmp_path


@pytest.mark.parametrize("source", ["sounds", "clips.csv"])
def test_relative_paths_are_those_of_the_folder_where_a_run_was_started(audiofw, relative, source):
    words = [f"data.source={source}", *QUICK, "feature=where", "data.skip=skip.txt", "hydra.run.dir=out/run"]
    outcome = audiofw(*words, "hydra.job.chdir=true", "cache=true")
    assert outcome.code == 0, outcome.err
    assert "\npredict:  audiofw predict out/run FILE" in outcome.out.replace("--plugins-dir mine ", "")
    assert outcome.out.splitlines()[-1] == "results:  out/run"
    run = relative / "out/run"
    assert {item.name for item in relative.iterdir()} == {"sounds", "clips.csv", "skip.txt", "mine", "cache", "out"}
    assert (run / "seen.txt").exists()  # what chdir is for
    assert len((run / "predictions.csv").read_text().splitlines()) == 2 + 1
    assert load_model(run).predict([relative / "sounds/low/0.wav"]) == ["low"]
    assert audiofw("report", "out/run").code == 0


def test_a_failing_run_leaves_one_line_and_no_folder(audiofw, relative):
    outcome = audiofw("data.source=nowhere", "hydra.run.dir=out/run", "hydra.job.chdir=true")
    assert outcome.code == 1
    assert len(outcome.err.splitlines()) == 1
    assert "nowhere" in outcome.err
    assert not (relative / "out/run").exists()


def test_a_sweep_changes_folders_too(sweep_here, relative):
    outcome = sweep_here("data.source=sounds", *QUICK, "seed=1,2", "hydra.sweep.dir=s", "hydra.job.chdir=true")
    assert outcome.code == 0, outcome.err
    assert {read_record(relative / "s" / job).status for job in "01"} == {"finished"}


@pytest.mark.parametrize("storage", [(), ("tune.storage=sqlite:///studies.db",)])
def test_a_search_changes_folders_too(sweep_here, relative, storage):
    pytest.importorskip("optuna")
    words = [
        "hydra/sweeper=optuna",
        "tune.n_trials=2",
        "tune.holdout=0",
        "model=lda,knn",
        "split=kfold",
        "split.n_splits=3",
        *storage,
    ]
    outcome = sweep_here("data.source=sounds", *QUICK, *words, "hydra.sweep.dir=s", "hydra.job.chdir=true")
    assert outcome.code == 0, outcome.err
    assert Path("studies.db" if storage else "s/study.journal").exists()
    assert {read_record(relative / "s" / job).status for job in "01"} == {"finished"}


@pytest.mark.parametrize("sweep", [False, True])
def test_a_job_name_with_a_slash_is_one_line(audiofw, sweep_here, relative, sweep):
    outcome = (sweep_here if sweep else audiofw)(*QUICK, "hydra.job.name=x/y", "hydra.sweep.dir=s")
    assert outcome.code == 2
    assert outcome.err == "audiofw: hydra.job.name=x/y: names the log file; use a name without slashes\n"


@pytest.mark.parametrize("choice", ["disabled", "none", "stdout"])
@pytest.mark.parametrize("group", ["job_logging", "hydra_logging"])
@pytest.mark.parametrize("sweep", [False, True])
def test_logging_of_another_kind(audiofw, sweep_here, relative, group, choice, sweep):
    if (group, choice) == ("hydra_logging", "stdout"):
        choice = "default"
    words = ["data.source=sounds", *QUICK, f"hydra/{group}={choice}", "hydra.run.dir=r", "hydra.sweep.dir=r"]
    outcome = sweep_here(*words, "seed=1,2") if sweep else audiofw(*words)
    assert outcome.code == 0, outcome.err
    assert "Traceback" not in outcome.err
    assert "accuracy" in outcome.out
