"""Reliable sweeps: each job runs once and fails on its own, whatever kills it.

Sweeps run in this process unless a test is about the process.
"""

import csv
import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from gates import PATIENCE, PYTHONPATH, arrival, opened_gate, port_of, wait_until_gone

from audiofw.experiment import supervisor

WILD = """
    import os, signal, sys
    import numpy as np
    from audiofw import hookimpl
    from gates import arrive

    @hookimpl
    def register_features(register):
        register(level)
        register(peak)

    @hookimpl
    def register_models(register):
        register(wild)

    def level(y, sr):
        "The level of a clip."
        if os.environ.pop("EXTRACTION_HELD", None):  # at the first clip
            arrive()
        return np.abs(y[None]).mean(keepdims=True)

    def peak(y, sr):
        "The greatest sample of a clip."
        return np.abs(y[None]).max(keepdims=True)

    def wild(seed, *, how: str = "well", depth: int = 1):
        "A tree that can fail in every way, and notes each fit."
        from sklearn.tree import DecisionTreeClassifier

        if how == "vanish":
            os._exit(9)

        class Wild(DecisionTreeClassifier):
            def fit(self, X, y, **options):
                with open(os.environ["FITS"], "a") as file:
                    file.write(f"{how} {depth}\\n")
                if str(depth) == os.environ.get("HELD"):
                    arrive()
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

WORDS = [
    *("--plugins-dir", "plugins", "data.source=sounds", "feature=level", "pooling=stats", "model=wild"),
    *("audit=false", "report=false", "bundle=false", "n_jobs=1"),
]


@pytest.fixture(autouse=True)
def wild_models(tmp_path, sounds, monkeypatch):
    """Make small sounds and plugins; ``fits()`` lists all fits."""
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins/wild.py").write_text(textwrap.dedent(WILD))
    sounds(clips=6, seconds=0.2)
    monkeypatch.setenv("PYTHONPATH", PYTHONPATH)
    monkeypatch.setenv("FITS", str(tmp_path / "fits"))


@pytest.fixture
def gate(monkeypatch):
    """Hold the fit with one depth, or the extraction."""
    with opened_gate() as gate:
        monkeypatch.setenv("GATE", port_of(gate))
        yield gate


@pytest.fixture
def sweep(sweep_here):
    """Run a sweep of such models in this process."""
    return lambda *words: sweep_here(*WORDS, *words)


@pytest.fixture
def start(tmp_path):
    """Start a sweep in a separate process, with overrides and environment variables."""

    def start(*words: str, **environment: str) -> subprocess.Popen:
        return subprocess.Popen(
            [sys.executable, "-m", "audiofw", "-m", *WORDS, *words],
            cwd=tmp_path,
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    return start


def finish(process: subprocess.Popen) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=PATIENCE)
    return process.returncode, out, err


def fits(tmp_path: Path) -> list[str]:
    file = tmp_path / "fits"
    return file.read_text().splitlines() if file.exists() else []


def leaderboard(folder: Path) -> dict[str, str]:
    """Read the options and score of each run from a sweep's leaderboard."""
    with (folder / "leaderboard.csv").open() as file:
        return {
            json.dumps({k: v for k, v in row.items() if k.startswith(("model", "feature"))}): row["value"]
            for row in csv.DictReader(file)
        }


def statuses(folder: Path) -> dict[str, tuple[str, str | None]]:
    records = [json.loads(file.read_text()) for file in folder.rglob("result.json")]
    return {" ".join(record["overrides"]): (record["status"], record["reason"]) for record in records}


def ends(folder: Path) -> dict[str, tuple[str, str | None]]:
    """Map the model's behaviour to the status and reason of its job."""
    return {words.split("model.how=")[1].split()[0]: end for words, end in statuses(folder).items()}


def test_each_failure_costs_its_own_job_alone(sweep, tmp_path):
    code, out, err = sweep("model.how=raise,well,exit,fine", "hydra.sweep.dir=s")
    assert code != 0
    found = ends(tmp_path / "s")
    assert {how for how, (status, _) in found.items() if status == "finished"} == {"well", "fine"}
    assert {how for how, (status, _) in found.items() if status == "failed"} == {"raise", "exit"}
    assert "no wood" in found["raise"][1]
    assert "SystemExit: 3" in found["exit"][1]
    assert "no wood" in out
    assert sorted(fits(tmp_path)) == ["exit 1", "fine 1", "raise 1", "well 1"]
    assert "Traceback" not in err


def test_each_death_costs_its_own_job_alone(audiofw, tmp_path):
    code, out, err = audiofw("-m", *WORDS, "model.how=leave,vanish,well,kill", "hydra.sweep.dir=s")
    assert code != 0
    found = ends(tmp_path / "s")
    assert {how: status for how, (status, _) in found.items()} == {
        "leave": "failed",
        "vanish": "failed",
        "well": "finished",
        "kill": "failed",
    }
    assert "exit code 7" in found["leave"][1]
    assert "exit code 9" in found["vanish"][1]
    assert "SIGKILL" in found["kill"][1]
    assert fits(tmp_path) == ["leave 1", "well 1", "kill 1"]  # nothing twice
    for reason in ("SIGKILL", "exit code 7"):
        assert reason in out
    assert "Traceback" not in err
    assert "Error executing" not in err  # Hydra's line


def test_a_finished_job_is_found_again_in_a_grown_sweep_of_another_folder(sweep, tmp_path):
    sweep("model.depth=1,2", "hydra.sweep.dir=a")
    code, _, err = sweep("model.depth=3,2,1", "hydra.sweep.dir=b")
    assert code == 0, err
    assert sorted(fits(tmp_path)) == ["well 1", "well 2", "well 3"]
    assert len(leaderboard(tmp_path / "b")) >= 3
    assert err.count("finished before") == 2


def test_failed_jobs_are_run_again_finished_ones_not_unless_told(sweep, tmp_path):
    words = ("model.how=well,raise", "hydra.sweep.dir=s")
    sweep(*words)
    assert sweep(*words).code != 0
    assert sorted(fits(tmp_path)) == ["raise 1", "raise 1", "well 1"]
    assert sweep(*words, "sweep.rerun=none").code != 0
    assert len(fits(tmp_path)) == 3
    sweep(*words, "sweep.rerun=all")
    assert len(fits(tmp_path)) == 5


def test_changed_data_is_another_job(sweep, tmp_path):
    sweep("model.depth=1,2", "hydra.sweep.dir=a")
    clip = next((tmp_path / "sounds/low").glob("*.wav"))
    clip.rename(clip.with_name("another.wav"))
    sweep("model.depth=1,2", "hydra.sweep.dir=b")
    assert len(fits(tmp_path)) == 4


def test_a_killed_sweep_is_resumed_with_nothing_done_twice(sweep, start, gate, tmp_path):
    words = ("model.depth=1,2,3,4", "hydra.sweep.dir=s")
    for held, victim in (("2", os.killpg), ("3", os.kill)):  # the whole group, and the supervisor alone
        process = start(*words, HELD=held)
        fit = arrival(gate)
        victim(process.pid, signal.SIGKILL)
        wait_until_gone(fit)  # the orphan notices that its supervisor is gone
        finish(process)
    code, _, err = sweep(*words)
    assert code == 0, err
    assert {status for status, _ in statuses(tmp_path / "s").values()} == {"finished"}
    # each kill costs only the job that was running
    assert fits(tmp_path) == ["well 1", "well 2", "well 2", "well 3", "well 3", "well 4"]
    assert sweep(words[0], "hydra.sweep.dir=t", "sweep.rerun=all").code == 0
    assert leaderboard(tmp_path / "s") == leaderboard(tmp_path / "t")


def test_the_leaderboard_is_written_while_jobs_still_run(audiofw, gate, tmp_path, monkeypatch):
    """The second job is held until a leaderboard has been written; the supervisor is made to look more often."""
    monkeypatch.setattr(supervisor, "REFRESH_SECONDS", 0.05)
    monkeypatch.setenv("HELD", "2")
    seen = []

    def note(folder: Path) -> None:
        seen.append({status for status, _ in statuses(folder).values()})
        if seen.count({"finished", "running"}) == 1:
            arrival(gate).close()

    monkeypatch.setattr("audiofw.report.leaderboard.write_leaderboard_csv", note)
    assert audiofw("-m", *WORDS, "model.depth=1,2", "hydra.sweep.dir=s").code == 0
    assert {"finished", "running"} in seen


def test_ctrl_c_shows_what_there_is_and_exits_with_130(start, gate, tmp_path):
    process = start("model.depth=1,2,3", "hydra.sweep.dir=s", HELD="2")
    with arrival(gate):
        os.killpg(process.pid, signal.SIGINT)
        code, out, err = finish(process)
    assert code == 130
    assert "accuracy" in out
    assert "Traceback" not in err
    assert "stopped by Ctrl-C" in {reason for _, reason in statuses(tmp_path / "s").values()}
    assert fits(tmp_path) == ["well 1", "well 2"]


def test_two_sweeps_at_once_share_their_work_and_agree(sweep, start, gate, tmp_path, monkeypatch):
    words = ("model.depth=1,2", "feature=level,peak", "sweep.rerun=all")
    first = start(*words, "hydra.sweep.dir=a", EXTRACTION_HELD="true")
    extraction = arrival(gate)
    monkeypatch.setattr("audiofw.system.locks.log.info", lambda *said: extraction.close())  # "waiting"
    second = sweep(*words, "hydra.sweep.dir=b")
    assert finish(first)[0] == second.code == 0, second.err
    assert leaderboard(tmp_path / "a") == leaderboard(tmp_path / "b")
    runs = [json.loads(file.read_text()) for file in tmp_path.glob("[ab]/*/metrics.json")]
    assert len(runs) == 8
    assert sum(run["n_clips"] - run["n_from_cache"] for run in runs) == 12 * 2  # each clip once for each feature


PARALLEL = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")


def test_a_job_killed_under_joblib_costs_itself_alone(audiofw, tmp_path):
    assert audiofw("-m", *WORDS, "model.how=kill,well", "hydra.sweep.dir=s", *PARALLEL).code != 0
    assert {how: status for how, (status, _) in ends(tmp_path / "s").items()} == {"kill": "failed", "well": "finished"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["hydra.sweep.dir=s", "hydra.sweep.subdir=same"], "hydra.sweep.subdir=same: would be the folder of every job"),
        (["hydra.sweep.dir=s", "hydra.sweep.subdir=../${hydra.job.num}"], "must be inside the sweep's folder"),
        (["hydra.sweep.dir=s", "hydra.sweep.subdir=/tmp/${hydra.job.num}"], "must be inside the sweep's folder"),
        (["hydra.sweep.dir=run"], "run: is the folder of a run; choose another with hydra.sweep.dir=FOLDER"),
    ],
)
def test_a_sweep_that_would_overwrite_results_is_refused(sweep_here, tmp_path, words, said):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "result.json").write_text("{}")
    outcome = sweep_here("data.source=sounds", "model.depth=1,2", *words)
    assert outcome.code == 2
    (line,) = outcome.err.splitlines()
    assert said in line
    assert not list(tmp_path.rglob("leaderboard.csv"))


def test_two_jobs_of_a_sweep_never_share_a_folder(audiofw, tmp_path):
    outcome = audiofw("-m", *WORDS, "model.how=well,fail", "hydra.sweep.dir=s", "hydra.sweep.subdir=${seed}")
    assert outcome.code == 1
    assert "is also the folder of job" in outcome.err
    assert "hydra.sweep.subdir=${hydra.job.num}" in outcome.err
    assert {how: status for how, (status, _) in ends(tmp_path / "s").items()} == {"well": "finished"}
