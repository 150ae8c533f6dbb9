"""Supervise a sweep from another process, so that a job that kills its process affects only itself.

The sweep runs in a child process. If that dies, the job that was running is recorded as failed and the sweep is
restarted: finished jobs are recognised and not repeated. The leaderboard is shown at the end in any case, even after
Ctrl-C.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from audiofw.errors import AudiofwError
from audiofw.system.atomic import write_whole
from audiofw.system.scratch import scratch_folder

NOTE = "AUDIOFW_SWEEP_NOTE"  # names the file into which the child writes its sweep's folder
REFRESH_SECONDS = 30.0  # between updates of leaderboard.csv while the sweep runs
START = "AUDIOFW_SWEEP_START"  # when the sweep was started: jobs that failed since are not repeated


def is_sweep(words: Sequence[str]) -> bool:
    """Check whether a command line runs a sweep, rather than printing a config or help."""
    shows = {"--help", "-h", "--hydra-help", "--cfg", "-c", "--info", "-i", "--shell-completion", "-sc"}
    asks = {"-m", "--multirun", "hydra.mode=MULTIRUN"}
    return bool(asks & set(words)) and not any(word.partition("=")[0] in shows for word in words)


def supervise(words: Sequence[str]) -> int:
    """Run a sweep in a child process, restart it if it dies, and finally show its leaderboard.

    Returns
    -------
    int
        The child's exit code; 1 if it was 0 and a job failed.

    Raises
    ------
    ScoreError
        If the best score is worse than ``min_score``.
    """
    os.environ[START] = datetime.now().astimezone().isoformat()
    with scratch_folder() as scratch:
        note = scratch / "sweep"
        code = _run_child(words, note)
        while code and note.exists() and (lost := _lost(note)):
            code = _run_child(_again(words, note, lost, code), note)
        failures = _show(Path(note.read_text())) if note.exists() else 0
        code = 128 - code if code < 0 else code or int(failures > 0)
        if code in (0, 1) and note.exists():  # not after Ctrl-C
            code = _score_test_set(Path(note.read_text())) or code
        if code == 0 and note.exists():
            _refuse_low(Path(note.read_text()))
    return code


def _lost(note: Path) -> list[Path]:
    """Find the jobs that were running when the sweep died."""
    from audiofw.results.record import interrupted_jobs  # numpy, which this process needs only now

    return interrupted_jobs(Path(note.read_text()))


def _again(words: Sequence[str], note: Path, lost: Sequence[Path], code: int) -> list[str]:
    """Record the lost jobs, and return the command that continues the sweep.

    If a single job was running when the sweep died, it is the cause. If a launcher ran several in parallel, any may be:
    they are repeated one by one.
    """
    from audiofw.results.record import end_failed_job

    here = f"hydra.sweep.dir={note.read_text()}"
    if len(lost) == 1:
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"its process ended with exit code {code}"
        end_failed_job(lost[0], [], how)
        return [*words, here]
    for folder in lost:
        (folder / "result.json").unlink()
    return [*(word for word in words if not re.match(r"\+*hydra[./]launcher", word)), here]


def _run_child(words: Sequence[str], note: Path) -> int:
    """Run the sweep; its standard input is a pipe, which is closed when this process dies."""
    command = [sys.executable, "-m", "audiofw", *words]
    environment = {**os.environ, NOTE: str(note)}
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE) as child:
        while True:
            try:
                return child.wait(REFRESH_SECONDS)
            except subprocess.TimeoutExpired:
                _refresh(note)
            except KeyboardInterrupt:  # the child has received it, too, and stops by itself
                continue


def _refresh(note: Path) -> None:
    """Write an intermediate ``leaderboard.csv``, once there is something to rank."""
    if note.exists() and any((folder := Path(note.read_text())).rglob("metrics.json")):
        from audiofw.report.leaderboard import write_leaderboard_csv

        with suppress(AudiofwError, OSError):  # e.g. a full disk: it is written again at the end, which reports errors
            write_leaderboard_csv(folder)


def _show(folder: Path) -> int:
    """Print a sweep's leaderboard, tell its tracker, and count the jobs that failed."""
    if not any(folder.rglob("result.json")):  # it was rejected before any job
        return 0
    from audiofw.experiment.tracking import track_sweep
    from audiofw.report.leaderboard import as_json, count_failures, present_leaderboard

    board = present_leaderboard(folder)
    track_sweep(folder)("sweep_ends", leaderboard=as_json(board))
    return count_failures(board)


def _score_test_set(folder: Path) -> int:
    """Score the run that a sweep or search has chosen on ``data.test``, if there is one, and print it."""
    from audiofw.experiment.tracking import read_config_of_sweep

    if not (source := (read_config_of_sweep(folder).get("data") or {}).get("test")):
        return 0
    from audiofw.experiment.chosen import score_chosen  # which imports what jobs import

    return score_chosen(folder, source)


def _refuse_low(folder: Path) -> None:
    from audiofw.evaluation.scores import refuse_low
    from audiofw.experiment.tracking import read_config_of_sweep
    from audiofw.leaderboard.ranking import rank
    from audiofw.leaderboard.runs import read_runs

    least = read_config_of_sweep(folder).get("min_score")
    board = rank(read_runs([folder]), ensemble=False) if least is not None else None
    if board and board.rows and board.rows[0].value is not None:
        refuse_low(board.score, board.rows[0].value, least)


def is_supervised() -> bool:
    """Check whether this process is the child of `supervise`."""
    return NOTE in os.environ


def session_start() -> str:
    """Return the start time of the supervised sweep in ISO 8601; without one, a time in the far future."""
    return os.environ.get(START, "9999")


def report_folder(folder: Path) -> None:
    """Report the sweep's folder to the supervisor, and exit with it, in case it is killed."""
    write_whole(os.environ[NOTE], str(folder.resolve()).encode())
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    while os.read(0, 1024):
        pass
    os._exit(1)
