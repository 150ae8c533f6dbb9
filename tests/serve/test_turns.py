"""Recordings are classified one by one, nobody waits for ever, and a server ends whatever hangs."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading

import pytest
from gates import PATIENCE, PYTHONPATH, arrival, opened_gate, port_of

from audiofw.serve.turns import BusyError, Turns


@pytest.fixture
def held():
    """Turns of which the first is taken until ``let_go`` is set."""
    turns, let_go = Turns(0.001), threading.Event()
    yield turns, let_go
    let_go.set()
    turns.close()


def test_work_is_done_one_after_the_other():
    turns, inside = Turns(PATIENCE), threading.Lock()

    def alone(n: int) -> int:
        assert inside.acquire(blocking=False)
        inside.release()
        return n

    async def ask() -> list[int]:
        return await asyncio.gather(*(turns.run(alone, n) for n in range(8)))

    assert asyncio.run(ask()) == list(range(8))
    assert asyncio.run(ask()) == list(range(8))  # from another event loop
    turns.close()


def test_an_error_of_the_work_is_passed_on():
    turns = Turns(PATIENCE)
    with pytest.raises(ZeroDivisionError):
        asyncio.run(turns.run(lambda: 1 / 0))
    turns.close()


def test_nobody_waits_for_what_hangs_and_what_waits_behind_it_is_not_begun(held):
    turns, let_go = held
    begun = []
    with pytest.raises(BusyError, match=r"not answered within 0\.001 s"):
        asyncio.run(turns.run(let_go.wait, PATIENCE))
    with pytest.raises(BusyError):
        asyncio.run(turns.run(begun.append, 1))
    let_go.set()
    turns.close()
    assert begun == []


def test_work_that_takes_longer_than_anyone_waits_is_stuck():
    now, began, let_go = [0.0], threading.Event(), threading.Event()
    turns = Turns(5, clock=lambda: now[0])

    def hang() -> None:
        began.set()
        let_go.wait(PATIENCE)

    assert not turns.stuck
    worker = threading.Thread(target=lambda: asyncio.run(turns.run(hang)))
    worker.start()
    assert began.wait(PATIENCE)
    assert not turns.stuck
    now[0] = 6.0
    assert turns.stuck
    let_go.set()
    worker.join(PATIENCE)
    assert not turns.stuck
    turns.close()


HANGS = """
import re, signal, sys
from pathlib import Path
from gates import arrive
from audiofw.serve.stopping import ended_in_time

signal.signal(signal.SIGTERM, lambda *_: None)
with ended_in_time(Path(sys.argv[1]), seconds=0):
    arrive(sys.argv[2])
    re.match(r"(a+)+$", "a" * 60 + "b")  # holds the GIL for ages, so that no thread and no handler of Python runs
"""
STOPS = HANGS.replace("    re.match", "    sys.exit(3)  # ")


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize(("code", "returned"), [(HANGS, -signal.SIGKILL), (STOPS, 3)], ids=["hangs", "stops"])
def test_a_process_that_hangs_is_killed_after_a_signal_and_its_uploads_deleted(tmp_path, code, returned):
    folder = tmp_path / "uploads"
    folder.mkdir()
    (folder / "sound").write_bytes(b"")
    with opened_gate() as gate:
        words = [sys.executable, "-c", code, str(folder), port_of(gate)]
        with subprocess.Popen(words, env={"PYTHONPATH": PYTHONPATH}, stderr=subprocess.PIPE) as process:
            visitor = arrival(gate)
            if code == HANGS:
                process.send_signal(signal.SIGTERM)
            visitor.close()
            process.communicate(timeout=PATIENCE)  # until the watcher has closed its stderr, too
    assert process.returncode == returned
    assert not folder.exists()
