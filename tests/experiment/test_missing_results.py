"""Exit code 0 means that everything asked for is there; what was computed is shown and kept all the same."""

import errno
import json
from pathlib import Path

import pytest

import audiofw as fw
from audiofw.results.record import read_record
from audiofw.system import atomic

QUICK = ["feature=mel", "pooling=stats", "model=lda", "audit=false", "n_jobs=1", "report=false"]


@pytest.fixture
def full_disk(monkeypatch):
    """Make the disk full for files of one name."""
    write = atomic._write_new

    def fill(name: str) -> None:
        def refuse(file: str, data: bytes) -> None:
            if f".{name}." in file:
                raise OSError(errno.ENOSPC, "No space left on device", file)
            write(file, data)

        monkeypatch.setattr(atomic, "_write_new", refuse)

    return fill


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("model.skops", "no model saved: run/model/model.skops: No space left on device; free some space"),
        ("bundle.json", "no model saved: run/model/bundle.json: No space left on device"),
        ("predictions.csv", "run/predictions.csv: cannot be written: No space left on device"),
        ("metrics.json", "run/metrics.json: cannot be written: No space left on device"),
        ("report.html", "no report: DataError: run/report.html: cannot be written: No space left on device"),
        ("importance.json", "no report: DataError: run/importance.json: cannot be written: No space left on device"),
    ],
)
def test_a_full_disk_costs_the_exit_code_and_one_line_not_the_score(audiofw, sounds, full_disk, tmp_path, name, said):
    full_disk(name)
    outcome = audiofw(f"data.source={sounds(clips=4)}", *QUICK[:-1], "hydra.run.dir=run")
    assert outcome.code == 1
    assert outcome.out.startswith("accuracy ")
    (line,) = outcome.err.splitlines()
    assert line.startswith("audiofw: ")
    assert said in line.replace(f"{tmp_path}/", "")
    assert not list(Path("run").rglob("*.tmp"))
    assert Path("run/model").exists() == (name in ("report.html", "importance.json"))
    record = read_record(Path("run"))
    assert (record.status, said in record.missing.replace(f"{tmp_path}/", "")) == ("finished", True)


def test_a_record_that_cannot_be_written_is_one_line(audiofw, sounds, full_disk):
    full_disk("result.json")
    outcome = audiofw(f"data.source={sounds(clips=4)}", *QUICK, "hydra.run.dir=run")
    assert outcome.code == 1
    assert len(outcome.err.splitlines()) == 1
    assert "result.json: cannot be written: No space left on device" in outcome.err


def test_a_cache_that_cannot_be_written_costs_a_warning(audiofw, sounds, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("AUDIOFW_CACHE", str(tmp_path / "file"))
    outcome = audiofw(f"data.source={sounds(clips=4)}", *QUICK, "hydra.run.dir=run")
    assert outcome.code == 0
    assert "continuing without storing features" in outcome.err
    assert "Traceback" not in outcome.err


def test_python_gets_its_result_and_a_warning(sounds, full_disk, tmp_path, caplog):
    full_disk("model.skops")
    result = fw.run([f"data.source={sounds(clips=4)}", *QUICK], path=tmp_path / "run")
    assert result.score == 1
    assert "no model saved" in caplog.text


def test_a_sweep_whose_runs_lack_models_says_so_and_makes_them_next_time(sweep_here, sounds, full_disk, tmp_path):
    words = [f"data.source={sounds(clips=4)}", *QUICK, "model=lda,knn", "hydra.sweep.dir=s"]
    full_disk("model.skops")
    outcome = sweep_here(*words)
    assert outcome.code == 1
    assert "2 of 2 runs could not save all of their results: no model saved" in outcome.out
    full_disk("nothing")
    outcome = sweep_here(*words)
    assert outcome.code == 0, outcome.err
    assert all((tmp_path / "s" / job / "model").is_dir() for job in "01")
    assert json.loads((tmp_path / "s/0/result.json").read_text())["missing"] is None


def test_a_sweeps_leaderboard_is_shown_where_it_cannot_be_written(sweep_here, sounds, full_disk, tmp_path):
    full_disk("leaderboard.csv")
    words = [f"data.source={sounds(clips=4)}", *QUICK, "bundle=false", "model=lda,knn", "hydra.sweep.dir=s"]
    outcome = sweep_here(*words)
    assert outcome.code == 1
    assert "lda" in outcome.out
    assert "leaderboard.csv: cannot write the leaderboard: No space left on device" in outcome.err.splitlines()[-1]
