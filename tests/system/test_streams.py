"""system.streams: stdout that is full, closed or no longer read."""

import errno
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import tone, write_wav

QUICK = ["feature=mel", "pooling=stats", "model=lda", "n_jobs=1", "audit=false", "report=false"]


class Failing(io.StringIO):
    """A stream that takes a number of characters, as a pipe or a disk may."""

    def __init__(self, code: int, room: int = 0) -> None:
        super().__init__()
        self.code, self.room = code, room

    def write(self, text: str) -> int:
        self.room -= len(text)
        if self.room < 0:
            raise OSError(self.code, os.strerror(self.code))
        return super().write(text)


@pytest.fixture
def run(audiofw, tmp_path):
    for label, frequency in (("low", 200), ("high", 2000)):
        for i in range(4):
            write_wav(tmp_path / "sounds" / label / f"{i}.wav", tone(frequency, 0.2, seed=i))
    assert audiofw("data.source=sounds", *QUICK, "hydra.run.dir=run").code == 0
    return tmp_path / "run"


COMMANDS = [
    ("plugins",),
    ("plugins", "show", "mel"),
    ("--help",),
    ("--version",),
    ("cache",),
    ("verify", "run"),
    ("leaderboard", "run"),
    ("leaderboard", "run", "--json"),
    ("predict", "run", "sounds"),
    ("predict", "run", "sounds", "--format", "json"),
    ("predict", "--help"),
    ("audit", "data.source=sounds"),
    ("--plan", "data.source=sounds", *QUICK),
    ("data.source=sounds", *QUICK, "hydra.run.dir=other"),
]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EPIPE], ids=lambda code: errno.errorcode[code])
@pytest.mark.parametrize("room", [0, 20])
def test_stdout_that_takes_no_more(audiofw, run, monkeypatch, code, room):
    for words in COMMANDS:
        with monkeypatch.context() as patched:
            patched.setattr(sys, "stdout", Failing(code, 4 if words == ("--version",) else room))
            outcome = audiofw(*words)
        if code == errno.EPIPE:
            assert (outcome.code, outcome.err) == (0, ""), words
        else:
            assert outcome.code == 1, words
            said = [line for line in outcome.err.splitlines() if not line.startswith("jobs:")]
            assert said == [said[0]], words
            assert said[0].startswith(f"audiofw: standard output: {os.strerror(code)}; "), words
            assert said[0].endswith("write to another file"), words
    assert Path("other/model/bundle.json").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux")
@pytest.mark.parametrize(
    ("end", "code", "said"),
    [(">/dev/full", 1, "No space left on device"), (">&-", 0, ""), ("<&-", 0, ""), ("2>&-", 0, "")],
)
def test_at_the_shell(end, code, said):
    done = subprocess.run(
        f"{sys.executable} -m audiofw --version {end}", shell=True, capture_output=True, text=True, check=False
    )
    assert (done.returncode, len(done.stderr.splitlines())) == (code, code)
    assert said in done.stderr


def test_a_working_folder_that_is_gone_is_one_line(audiofw, tmp_path, monkeypatch):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    outcome = audiofw("data.source=demo")
    assert outcome.code == 1
    assert outcome.err == (
        "audiofw: the working folder cannot be used: No such file or directory; change to another one (cd)\n"
    )
    monkeypatch.chdir(tmp_path)
