"""Run commands alternately, A B A B …, and measure their time and peak memory.

Imports only the standard library: Linux counts the parent's memory towards the child's peak until the child has
started its own program, so the parent must be small.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

MISSING = 3  # exit code of a child whose peer library cannot be imported


class MissingPeerError(Exception):
    """A peer library cannot be imported; the message says why."""


class Ran(NamedTuple):
    """One run of a command: wall time, CPU time, peak memory, and its last line of output if that is JSON."""

    seconds: float
    cpu_seconds: float
    peak_mb: float
    said: dict[str, Any]


class Command(NamedTuple):
    """A command line with its environment and working directory."""

    words: Sequence[str]
    env: Mapping[str, str]
    folder: Path


def run(command: Command) -> Ran:
    """Run one command.

    Raises
    ------
    MissingPeerError
        If the command reports that its library is not installed.
    RuntimeError
        If the command fails; the message has the end of its stderr.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        started = time.perf_counter()
        process = subprocess.Popen(command.words, env=command.env, cwd=command.folder, stdout=out, stderr=err)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        said, complaint = _text(out), _text(err)
    last = said.strip().splitlines()[-1:] or [""]
    if process.returncode == MISSING:
        raise MissingPeerError(last[0])
    if process.returncode:
        raise RuntimeError(f"{' '.join(command.words)} exited with {process.returncode}:\n{complaint[-2000:]}")
    cpu_seconds = usage.ru_utime + usage.ru_stime
    return Ran(seconds, cpu_seconds, usage.ru_maxrss / 1024, json.loads(last[0]) if last[0].startswith("{") else {})


def _text(file: Any) -> str:
    file.seek(0)
    return str(file.read().decode(errors="replace"))


def in_turn(commands: Mapping[str, Any], repeats: int) -> dict[str, list[Ran]]:
    """Run all commands once, then all again, and so on, so that load on the machine affects them equally.

    Parameters
    ----------
    commands : mapping of str to callable
        Each returns a new `Command` for every run.
    """
    ran: dict[str, list[Ran]] = {name: [] for name in commands}
    for _ in range(repeats):
        for name, make in commands.items():
            ran[name].append(run(make()))
    return ran


def ratios(theirs: Sequence[float], ours: Sequence[float]) -> list[float]:
    """Ratio of each round."""
    return [a / b for a, b in zip(theirs, ours, strict=True)]


def spread(values: Sequence[float], digits: str = ".1f") -> str:
    """Format as median (minimum–maximum)."""
    middle = format(statistics.median(values), digits)
    return f"{middle} ({min(values):{digits}}–{max(values):{digits}})" if len(values) > 1 else middle


median = statistics.median
