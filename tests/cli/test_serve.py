"""``audiofw serve`` with the model of a run: it prints its address, answers, and exits without leaving files."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import urllib.request
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from bundles import make_run
from conftest import tone, write_wav
from gates import PATIENCE, PYTHONPATH

needs_gradio = pytest.mark.skipif(find_spec("gradio") is None, reason='needs pip install "audiofw[serve]"')


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    return make_run(tmp_path_factory.mktemp("serve"), "model=knn")


def ask(address: str, folder: Path) -> str:
    """Send the sound of a high tone; its label."""
    sound = write_wav(folder / "a.wav", tone(4000)).read_bytes()
    request = urllib.request.Request(f"{address}predict", data=sound)
    with urllib.request.urlopen(request, timeout=PATIENCE) as got:
        return json.load(got)["label"]


def ask_timeline(address: str, folder: Path) -> dict:
    """Send a low tone and then a high one, of half a second each."""
    sound = write_wav(folder / "b.wav", np.concatenate([tone(200, 0.5), tone(4000, 0.5)])).read_bytes()
    request = urllib.request.Request(f"{address}timeline?window=0.5&hop=0.5", data=sound)
    with urllib.request.urlopen(request, timeout=PATIENCE) as got:
        return json.load(got)


@needs_gradio
def test_a_run_is_served_until_ctrl_c(run, tmp_path):
    (tmp_path / "temporary").mkdir()
    command = [sys.executable, "-m", "audiofw", "serve", str(run)]
    environment = {**os.environ, "TMPDIR": str(tmp_path / "temporary"), "PYTHONPATH": PYTHONPATH}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            address = process.stdout.readline().strip()
            assert address.startswith("http://127.0.0.1:"), process.stderr.read()
            assert ask(address, tmp_path) == "high"
            process.send_signal(signal.SIGINT)
            said, warned = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()
    assert (process.returncode, said, warned) == (0, "", "")
    assert list((tmp_path / "temporary").iterdir()) == []


@needs_gradio
def test_a_run_is_served_until_it_is_terminated(audiofw, run, tmp_path, monkeypatch):
    """In this process, which imports Gradio anyway."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    read, write = os.pipe()
    labels, segments = [], []

    def ask_and_terminate() -> None:
        try:
            address = written.readline().strip()
            labels.append(ask(address, tmp_path))
            segments.extend(ask_timeline(address, tmp_path)["segments"])
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    with os.fdopen(read) as written, os.fdopen(write, "w") as out, monkeypatch.context() as here:
        here.setattr(sys, "stdout", out)
        client = threading.Thread(target=ask_and_terminate)
        client.start()
        told = audiofw("serve", str(run))
        client.join()
    assert (told.code, told.err, labels) == (0, "", ["high"])
    assert [(one["start"], one["end"], one["label"]) for one in segments] == [(0.0, 0.5, "low"), (0.5, 1.0, "high")]
    assert list((tmp_path / "temporary").iterdir()) == []


def test_without_gradio_it_is_said_how_to_get_it(audiofw, run, monkeypatch):
    monkeypatch.setitem(sys.modules, "gradio", None)
    monkeypatch.delitem(sys.modules, "audiofw.serve.page", raising=False)
    told = audiofw("serve", str(run))
    assert told.code == 2
    assert told.err.splitlines()[-1] == 'audiofw: audiofw serve needs Gradio: pip install "audiofw[serve]"'


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "RUN"),
        (["nowhere"], "no such file or folder"),
        (["nowhere", "--max-mb", "-1"], "'-1' is not a positive number"),
        (["nowhere", "--max-mb", "1e300"], "'1e300' is not a positive number of at most a million"),
        (["nowhere", "--port", "65536"], "'65536' is not an integer from 0 to 65535"),
        (["nowhere", "--max-seconds", "nan"], "'nan' is not a positive number"),
        (["nowhere", "--timeout", "0"], "'0' is not a positive number of seconds"),
        (["nowhere", "--access-log", "no/such/folder/log"], "create the folder no/such/folder first"),
        (["nowhere", "--min-confidence", "50"], "'50' is not a number between 0 and 1"),
    ],
)
def test_a_wrong_word_is_one_line(audiofw, words, said):
    told = audiofw("serve", *words)
    assert told.code in (1, 2)
    assert told.out == ""
    assert said in told.err
    assert len(told.err.splitlines()) == 1


@needs_gradio
def test_a_port_that_is_taken_says_so(audiofw, run):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as other:
        told = audiofw("serve", str(run), "--port", str(other.getsockname()[1]))
    assert told.code == 2
    assert "Address already in use; without --port, a free one is chosen" in told.err


def test_help_shows_how_to_ask_the_endpoint(audiofw):
    told = audiofw("serve", "--help")
    assert told.code == 0
    assert "curl -F file=@clip.wav" in told.out
