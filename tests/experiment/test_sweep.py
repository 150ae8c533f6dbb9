"""Sweeps that can be trusted: each job once, each failure its own, whatever kills them."""

import csv
import json
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

WILD = """
    import os, signal, sys, time
    from audiofw import hookimpl

    @hookimpl
    def register_models(register):
        register(wild)

    def wild(seed, *, how: str = "well", depth: int = 1):
        "A tree that can fail in every way, and notes each fit."
        from sklearn.tree import DecisionTreeClassifier

        if how == "vanish":
            os._exit(9)

        class Wild(DecisionTreeClassifier):
            def fit(self, X, y, **options):
                with open(os.environ["FITS"], "a") as file:
                    file.write(f"{how} {depth}\\n")
                time.sleep(float(os.environ.get("FIT_SECONDS", 0)))
                if how == "raise":
                    raise RuntimeError("no wood")
                if how == "exit":
                    sys.exit(3)
                if how == "leave":
                    os._exit(7)
                if how == "kill":
                    os.kill(os.getpid(), signal.SIGKILL)
                return super().fit(X, y, **options)

        return Wild(max_depth=depth, random_state=seed)
"""


@pytest.fixture
def sweep(tmp_path, sounds):
    """Run a sweep of wild models in a process of its own, on small sounds; ``fits()`` lists every fit made."""
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins/wild.py").write_text(textwrap.dedent(WILD))
    folder = sounds(clips=6, seconds=0.2)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "FITS": str(tmp_path / "fits")}

    def command(*words: str, seconds: float = 0) -> subprocess.Popen:
        fixed = [
            "-m",
            "--plugins-dir",
            "plugins",
            f"data.source={folder}",
            "model=wild",
            "report=false",
            "bundle=false",
        ]
        return subprocess.Popen(
            [sys.executable, "-m", "audiofw", *fixed, *words],
            cwd=tmp_path,
            env={**environment, "FIT_SECONDS": str(seconds)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    return command


def finish(process: subprocess.Popen) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def fits(tmp_path: Path) -> list[str]:
    file = tmp_path / "fits"
    return file.read_text().splitlines() if file.exists() else []


def leaderboard(folder: Path) -> dict[str, str]:
    """Read what matters of a sweep's leaderboard: each run's options and its score."""
    with (folder / "leaderboard.csv").open() as file:
        return {
            json.dumps({k: v for k, v in row.items() if k.startswith(("model", "feature"))}): row["value"]
            for row in csv.DictReader(file)
        }


def statuses(folder: Path) -> dict[str, tuple[str, str | None]]:
    records = [json.loads(file.read_text()) for file in folder.rglob("result.json")]
    return {" ".join(record["overrides"]): (record["status"], record["reason"]) for record in records}


def test_each_failure_costs_its_own_job_alone(sweep, tmp_path):
    code, out, err = finish(sweep("model.how=well,raise,exit,leave,vanish,kill,fine", "hydra.sweep.dir=s"))
    assert code != 0
    ends = {key.split("model.how=")[1].split()[0]: value for key, value in statuses(tmp_path / "s").items()}
    assert {how: status for how, (status, _) in ends.items()} == {
        "well": "finished",
        "raise": "failed",
        "exit": "failed",
        "leave": "failed",
        "vanish": "failed",
        "kill": "failed",
        "fine": "finished",
    }
    assert "no wood" in ends["raise"][1]
    assert "SystemExit: 3" in ends["exit"][1]
    assert "exit code 7" in ends["leave"][1]
    assert "SIGKILL" in ends["kill"][1]
    assert sorted(fits(tmp_path)) == sorted(f"{how} 1" for how in ends if how != "vanish")  # nothing twice
    for reason in ("no wood", "SIGKILL", "exit code 7"):
        assert reason in out
    assert "Traceback" not in err


def test_a_finished_job_is_found_again_in_a_grown_sweep_of_another_folder(sweep, tmp_path):
    finish(sweep("model.depth=1,2", "hydra.sweep.dir=a"))
    code, _, err = finish(sweep("model.depth=3,2,1", "hydra.sweep.dir=b"))
    assert code == 0, err
    assert sorted(fits(tmp_path)) == ["well 1", "well 2", "well 3"]
    assert len(leaderboard(tmp_path / "b")) >= 3
    assert err.count("finished before") == 2


def test_failed_jobs_are_run_again_finished_ones_not_unless_told(sweep, tmp_path):
    words = ("model.how=well,raise", "hydra.sweep.dir=s")
    finish(sweep(*words))
    assert finish(sweep(*words))[0] != 0
    assert sorted(fits(tmp_path)) == ["raise 1", "raise 1", "well 1"]
    assert finish(sweep(*words, "sweep.rerun=none"))[0] != 0
    assert len(fits(tmp_path)) == 3
    finish(sweep(*words, "sweep.rerun=all"))
    assert len(fits(tmp_path)) == 5


def test_changed_data_is_another_job(sweep, tmp_path):
    finish(sweep("model.depth=1,2", "hydra.sweep.dir=a"))
    clip = next((tmp_path / "sounds/low").glob("*.wav"))
    clip.rename(clip.with_name("another.wav"))
    finish(sweep("model.depth=1,2", "hydra.sweep.dir=b"))
    assert len(fits(tmp_path)) == 4


@pytest.mark.parametrize("victim", ["group", "supervisor"])
def test_a_killed_sweep_is_resumed_with_nothing_done_twice(sweep, tmp_path, victim):
    words = ("model.depth=1,2,3,4,5,6", "hydra.sweep.dir=s")
    rng = random.Random(victim)
    for _ in range(3):
        process = sweep(*words, seconds=0.3)
        time.sleep(rng.uniform(1.5, 4))
        os.killpg(process.pid, signal.SIGKILL) if victim == "group" else process.kill()
        process.communicate()
        time.sleep(0.5)  # an orphan sees that its supervisor is gone
    code, _, err = finish(sweep(*words))
    assert code == 0, err
    assert {status for status, _ in statuses(tmp_path / "s").values()} == {"finished"}
    done = fits(tmp_path)
    assert set(done) == {f"well {depth}" for depth in range(1, 7)}
    assert len(done) <= 6 + 3  # each kill can cost the one job that was under way
    other = finish(sweep(*words[:1], "hydra.sweep.dir=t", "sweep.rerun=all"))
    assert other[0] == 0
    assert leaderboard(tmp_path / "s") == leaderboard(tmp_path / "t")


def test_the_leaderboard_is_written_while_jobs_still_run(sweep, tmp_path, audiofw, monkeypatch):
    """Here the supervisor is this process, so that it can be made to look more often."""
    monkeypatch.setattr("audiofw.experiment.supervisor.REFRESH_SECONDS", 0.5)
    monkeypatch.setenv("FITS", str(tmp_path / "fits"))
    monkeypatch.setenv("FIT_SECONDS", "2")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    seen = []

    def note(folder: Path) -> None:
        seen.append({status for status, _ in statuses(folder).values()})

    monkeypatch.setattr("audiofw.report.leaderboard.write_leaderboard_csv", note)
    words = [
        "-m",
        "--plugins-dir",
        "plugins",
        "data.source=sounds",
        "model=wild",
        "report=false",
        "bundle=false",
        "model.depth=1,2",
    ]
    assert audiofw(*words, "hydra.sweep.dir=s").code == 0
    assert {"finished", "running"} in seen


def test_ctrl_c_shows_what_there_is_and_exits_with_130(sweep, tmp_path):
    process = sweep("model.depth=1,2,3,4,5,6,7,8", "hydra.sweep.dir=s", seconds=1)
    while len(fits(tmp_path)) < 3:
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)
    code, out, err = finish(process)
    assert code == 130
    assert "accuracy" in out
    assert "Traceback" not in err
    assert "stopped by Ctrl-C" in {reason for _, reason in statuses(tmp_path / "s").values()}


def test_two_sweeps_at_once_share_their_work_and_agree(sweep, tmp_path):
    first = sweep("model.depth=1,2", "feature=mel,mfcc", "hydra.sweep.dir=a", "sweep.rerun=all")
    second = sweep("model.depth=1,2", "feature=mel,mfcc", "hydra.sweep.dir=b", "sweep.rerun=all")
    assert finish(first)[0] == finish(second)[0] == 0
    assert leaderboard(tmp_path / "a") == leaderboard(tmp_path / "b")
    runs = [json.loads(file.read_text()) for file in tmp_path.glob("[ab]/*/metrics.json")]
    assert len(runs) == 8
    assert sum(run["n_clips"] - run["n_from_cache"] for run in runs) == 12 * 2  # each clip once for each feature


def test_joblib_gives_what_the_basic_launcher_gives(sweep, tmp_path):
    basic = finish(sweep("model.depth=1,2,3", "hydra.sweep.dir=a"))
    joblib = finish(sweep("model.depth=1,2,3", "hydra.sweep.dir=b", "hydra/launcher=joblib", "sweep.rerun=all"))
    assert basic[0] == joblib[0] == 0, joblib[2]
    assert leaderboard(tmp_path / "a") == leaderboard(tmp_path / "b")


def test_a_job_killed_under_joblib_costs_itself_alone(sweep, tmp_path):
    code, _, _ = finish(sweep("model.how=well,kill,fine", "hydra.sweep.dir=s", "hydra/launcher=joblib"))
    assert code != 0
    ends = {key.split("model.how=")[1].split()[0]: status for key, (status, _) in statuses(tmp_path / "s").items()}
    assert ends == {"well": "finished", "kill": "failed", "fine": "finished"}
