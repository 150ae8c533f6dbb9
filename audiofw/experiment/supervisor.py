"""Watch over a sweep from outside its process, so that a job that kills it costs that job alone.

The sweep runs in a child process. When it dies, what it was running is noted as failed and the sweep is
started again: finished jobs are found by their identity and not run twice. Whatever happens, Ctrl-C too, the
leaderboard is shown at the end.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from audiofw.errors import AudiofwError

NOTE = "AUDIOFW_SWEEP_NOTE"  # names the file in which the child says where its sweep's folder is
REFRESH_SECONDS = 30.0  # how often the leaderboard is written while the sweep runs
START = "AUDIOFW_SWEEP_START"  # when the sweep was begun: what failed since is not tried again


def is_sweep(words: Sequence[str]) -> bool:
    """Whether a command line runs a sweep, as against printing a config or help."""
    shows = {"--help", "-h", "--hydra-help", "--cfg", "-c", "--info", "-i", "--shell-completion", "-sc"}
    asks = {"-m", "--multirun", "hydra.mode=MULTIRUN"}
    return bool(asks & set(words)) and not any(word.partition("=")[0] in shows for word in words)


def supervise(words: Sequence[str]) -> int:
    """Run a sweep in a child process until it has ended in order, then show its leaderboard.

    Returns
    -------
    int
        The child's exit code; 1 if it was 0 and a job failed.
    """
    os.environ[START] = datetime.now().astimezone().isoformat()
    with tempfile.TemporaryDirectory() as scratch:
        note = Path(scratch) / "sweep"
        code = _run_child(words, note)
        while code and note.exists() and (lost := _lost(note)):
            code = _run_child(_again(words, note, lost, code), note)
        failures = _show(Path(note.read_text())) if note.exists() else 0
    return 128 - code if code < 0 else code or int(failures > 0)


def _lost(note: Path) -> list[Path]:
    """Find what the sweep had in its hands when it died."""
    from audiofw.results.record import interrupted_jobs  # numpy, which this process needs only now

    return interrupted_jobs(Path(note.read_text()))


def _again(words: Sequence[str], note: Path, lost: Sequence[Path], code: int) -> list[str]:
    """Settle what is lost, and give the command that goes on.

    One job that was under way when the sweep died is to blame. Of several, which a launcher ran side by side, any may
    be: they are run again one by one.
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
    """Run the sweep; its standard input is a pipe whose end tells it that this process is gone."""
    command = [sys.executable, "-m", "audiofw", *words]
    environment = {**os.environ, NOTE: str(note)}
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE) as child:
        while True:
            try:
                return child.wait(REFRESH_SECONDS)
            except subprocess.TimeoutExpired:
                _refresh(note)
            except KeyboardInterrupt:  # the terminal has sent it to the child, too, which ends in its own way
                continue


def _refresh(note: Path) -> None:
    """Write ``leaderboard.csv`` as it stands, once there is something to rank."""
    if note.exists() and any((folder := Path(note.read_text())).rglob("metrics.json")):
        from audiofw.report.leaderboard import write_leaderboard_csv

        with suppress(AudiofwError, OSError):  # a full disk: it is written again at the end, which says so
            write_leaderboard_csv(folder)


def _show(folder: Path) -> int:
    from audiofw.report.leaderboard import show_leaderboard

    return show_leaderboard(folder) if any(folder.rglob("result.json")) else 0  # else it was refused before any job


def is_supervised() -> bool:
    """Whether this process is the child of `supervise`."""
    return NOTE in os.environ


def session_start() -> str:
    """Give the time when the supervised sweep was begun, in ISO 8601; without one, a time that never comes."""
    return os.environ.get(START, "9999")


def report_folder(folder: Path) -> None:
    """Tell the supervisor where the sweep's folder is, and end with it: it may be killed, too."""
    Path(os.environ[NOTE]).write_text(str(folder.resolve()))
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    while os.read(0, 1024):
        pass
    os._exit(1)
