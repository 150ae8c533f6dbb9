"""Locks: one process at a time, no waiting for dead processes, and none without lock support."""

import logging
import signal
import subprocess
import sys
import threading

import filelock
import pytest

from audiofw.system.locks import alone, is_free


def test_the_second_waits_says_so_once_and_is_let_in(tmp_path, caplog, monkeypatch):
    lock, waits = tmp_path / "folder/a.lock", threading.Event()

    def note(record: logging.LogRecord) -> bool:
        waits.set()
        return True

    monkeypatch.setattr(caplog.handler, "filters", [note])
    entered = []

    def enter() -> None:
        with alone(lock, "digging") as held:
            entered.append(held)

    with caplog.at_level(logging.INFO), alone(lock, "digging") as held:
        second = threading.Thread(target=enter)
        second.start()
        assert waits.wait(60)
        assert (held, entered) == (True, [])
        assert not is_free(lock)
    second.join()
    assert entered == [True]
    assert caplog.messages == ["digging: waiting for another process"]
    assert is_free(lock)


def test_a_killed_holder_holds_nothing(tmp_path):
    lock = tmp_path / "a.lock"
    code = (
        "import sys; from pathlib import Path; from audiofw.system.locks import alone\n"
        f"with alone(Path({str(lock)!r}), ''): print('in', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "in\n"
    assert not is_free(lock)
    holder.send_signal(signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
    holder.communicate()
    assert is_free(lock)


@pytest.mark.parametrize("error", [OSError(37, "No locks available"), NotImplementedError("no flock")])
def test_without_locks_everyone_is_let_in_and_nobody_is_known_to_be_dead(tmp_path, monkeypatch, error):
    def refuse(*args, **kwargs):
        raise error

    monkeypatch.setattr(filelock.FileLock, "acquire", refuse)
    with alone(tmp_path / "a.lock", "") as held:
        assert not held
    assert not is_free(tmp_path / "a.lock")


def test_where_no_file_can_be_made_everyone_is_let_in(tmp_path):
    (tmp_path / "file").touch()
    with alone(tmp_path / "file/a.lock", "") as held:
        assert not held
    assert not is_free(tmp_path / "file/a.lock")


def test_what_is_raised_inside_is_raised_on(tmp_path):
    with pytest.raises(OSError, match="of the work"), alone(tmp_path / "a.lock", ""):
        raise OSError("of the work")
    assert is_free(tmp_path / "a.lock")
