"""``audiofw serve`` with the model of a run: it prints its address, answers, and exits without leaving files."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from conftest import tone, write_wav

PATIENCE = 60  # seconds


@pytest.fixture
def run(audiofw, sounds, tmp_path) -> Path:
    done = audiofw(
        f"data.source={sounds(clips=6)}", "model=knn", "report=false", f"hydra.run.dir={tmp_path}/run", "n_jobs=1"
    )
    assert done.code == 0, done.err
    return tmp_path / "run"


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_a_run_is_served_until_it_is_stopped(run, tmp_path, ending):
    pytest.importorskip("gradio", reason='needs pip install "audiofw[serve]"')
    (tmp_path / "temporary").mkdir()
    command = [sys.executable, "-m", "audiofw", "serve", str(run)]
    environment = {**os.environ, "TMPDIR": str(tmp_path / "temporary")}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            address = process.stdout.readline().strip()
            assert address.startswith("http://127.0.0.1:"), process.stderr.read()
            sound = write_wav(tmp_path / "a.wav", tone(2000)).read_bytes()
            with urllib.request.urlopen(
                urllib.request.Request(f"{address}predict", data=sound), timeout=PATIENCE
            ) as got:
                assert json.load(got)["label"] == "high"
            process.send_signal(ending)
            said, warned = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()
    assert (process.returncode, said, warned) == (0, "", "")
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
        (["nowhere", "--max-seconds", "nan"], "'nan' is not a positive number"),
        (["nowhere", "--min-confidence", "50"], "'50' is not a number between 0 and 1"),
    ],
)
def test_a_wrong_word_is_one_line(audiofw, words, said):
    told = audiofw("serve", *words)
    assert told.code in (1, 2)
    assert told.out == ""
    assert said in told.err
    assert len(told.err.splitlines()) == 1


def test_a_port_that_is_taken_says_so(audiofw, run):
    import socket

    pytest.importorskip("gradio", reason='needs pip install "audiofw[serve]"')
    with socket.create_server(("127.0.0.1", 0)) as other:
        told = audiofw("serve", str(run), "--port", str(other.getsockname()[1]))
    assert told.code == 2
    assert "Address already in use; without --port a free one is taken" in told.err


def test_help_shows_how_to_ask_the_endpoint(audiofw):
    told = audiofw("serve", "--help")
    assert told.code == 0
    assert "curl -F file=@clip.wav" in told.out
