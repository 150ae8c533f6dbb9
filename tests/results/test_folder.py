"""A run's folder holds one run: an earlier one is cleared, anything else is refused, and so is a second at once."""

import json
from pathlib import Path

import pytest

import audiofw as fw
from audiofw.errors import DataError
from audiofw.results.folder import LOCK, OWNED, TEST, TIMELINES, claimed
from audiofw.results.record import read_record

QUICK = ["feature=mel", "pooling=stats", "model=lda", "audit=false", "n_jobs=1"]
BARE = ["report=false", "bundle=false"]


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("how", ["command", "python"])
def test_nothing_of_an_earlier_run_remains(audiofw, sounds, tmp_path, how):
    source = f"data.source={sounds(clips=4)}"
    assert audiofw(source, *QUICK, "hydra.run.dir=run").code == 0
    run = tmp_path / "run"
    (run / TIMELINES).touch()  # of a run with label tables
    (run / TEST).mkdir()  # of a run with data.test
    assert {item.name for item in run.iterdir()} >= OWNED
    (run / ".metrics.json.0123abcd-1-0123abcd.tmp").touch()  # of a run that was killed
    if how == "command":
        assert audiofw(source, *QUICK, *BARE, "hydra.run.dir=run").code == 0
    else:
        fw.run([source, *QUICK, *BARE], path=run)
    left = {item.name for item in run.iterdir()} - {".hydra", "audiofw.log"}
    assert left == OWNED - {"model", "report.html", "importance.json", TIMELINES, TEST}
    assert (run / ".hydra").exists() == (how == "command")


@pytest.mark.parametrize("how", ["command", "python"])
@pytest.mark.parametrize("stranger", ["notes.txt", "config.yaml", "model"])
def test_a_folder_with_anything_else_is_refused_and_left_alone(audiofw, sounds, tmp_path, stranger, how):
    source, run = f"data.source={sounds(clips=4)}", tmp_path / "run"
    if stranger == "model":
        (run / stranger).mkdir(parents=True)
        (run / stranger / "mine").write_text("mine")
    else:
        run.mkdir()
        (run / stranger).write_text("mine")
    before = content(run)
    if how == "command":
        outcome = audiofw(source, *QUICK, *BARE, "hydra.run.dir=run")
        assert outcome.code == 2
        (line,) = outcome.err.splitlines()
    else:
        with pytest.raises(fw.ConfigError) as refused:
            fw.run([source, *QUICK, *BARE], path=run)
        line = str(refused.value)
    assert f"not from a run: {stranger}; choose a new folder" in line
    assert content(run) == before


def test_a_refused_run_leaves_the_earlier_one_whole(audiofw, sounds, tmp_path):
    source = f"data.source={sounds(clips=4)}"
    assert audiofw(source, *QUICK, *BARE, "hydra.run.dir=run").code == 0
    before = content(tmp_path / "run")
    for words in (["model=nosuch"], ["data.source=nowhere"], ["score=nosuch"]):
        assert audiofw(source, *QUICK, *BARE, *words, "hydra.run.dir=run").code != 0
        after = content(tmp_path / "run")
        assert {name: after[name] for name in before if name in OWNED} == {n: before[n] for n in before if n in OWNED}


@pytest.mark.parametrize("how", ["command", "python"])
def test_a_second_run_at_once_is_refused_in_one_line(audiofw, sounds, tmp_path, how):
    source, run = f"data.source={sounds(clips=4)}", tmp_path / "run"
    with claimed(run):
        if how == "command":
            outcome = audiofw(source, *QUICK, "hydra.run.dir=run")
            assert outcome.code == 1
            (line,) = outcome.err.splitlines()
        else:
            with pytest.raises(DataError) as refused:
                fw.run([source, *QUICK], path=run)
            line = str(refused.value)
        assert "another process is writing its results here" in line
        assert [item.name for item in run.iterdir()] == [LOCK]
    assert audiofw(source, *QUICK, *BARE, "hydra.run.dir=run").code == 0
    assert not (run / LOCK).exists()


def test_a_second_sweep_at_once_is_refused_in_one_line(audiofw, sounds, tmp_path):
    words = ["-m", f"data.source={sounds(clips=4)}", *QUICK, *BARE, "model=lda,knn", "hydra.sweep.dir=s"]
    with claimed(tmp_path / "s"):
        outcome = audiofw(*words)
        assert outcome.code == 1
        (line,) = outcome.err.splitlines()
        assert "another process is writing its results here" in line
        assert [item.name for item in (tmp_path / "s").iterdir()] == [LOCK]


def test_a_sweeps_folder_takes_another_grid_without_leftovers(audiofw, sounds, tmp_path):
    source, job = f"data.source={sounds(clips=4)}", tmp_path / "s/0"
    assert audiofw("-m", source, *QUICK, "report=false", "model=lda,knn", "hydra.sweep.dir=s").code == 0
    assert (job / "model").is_dir()
    words = ["-m", source, *QUICK, *BARE, "model=extra_trees,lda", "hydra.sweep.dir=s"]
    assert audiofw(*words).code == 0
    assert not (job / "model").exists()
    assert read_record(job).status == "finished"
    assert json.loads((job / "metrics.json").read_text())["n_clips"] == 8


def test_a_run_is_not_started_in_a_sweeps_folder(audiofw, sounds, tmp_path):
    (tmp_path / "s/0").mkdir(parents=True)
    (tmp_path / "s/leaderboard.csv").touch()
    outcome = audiofw(f"data.source={sounds(clips=4)}", *QUICK, *BARE, "hydra.run.dir=s")
    assert outcome.code == 2
    assert "not from a run: 0 and 1 more;" in outcome.err
