"""What libmpg123 writes to stderr is dropped, and nothing else."""

import ctypes
import os
import sys

import pytest
from broken import damage, read, write

from audiofw.audio.quiet import no_stderr

libc = pytest.importorskip("ctypes") and (ctypes.CDLL(None) if os.name == "posix" else None)
pytestmark = pytest.mark.skipif(libc is None, reason="needs the C library's variable")


def test_a_damaged_mp3_file_is_reported_by_audiofw_alone(tmp_path, capfd):
    write(tmp_path / "a.mp3", 3.0)
    damage(tmp_path / "a.mp3", "zeroed", n=2000)
    damage(tmp_path / "a.mp3", "flipped", 0.2, n=300)
    _, notes, _ = read(tmp_path / "a.mp3")
    assert notes
    assert capfd.readouterr().err == ""


def test_python_and_other_times_are_heard(capfd):
    libc.perror(b"before")
    with no_stderr():
        with no_stderr():
            libc.perror(b"inside")
        libc.perror(b"inside")
        sys.stderr.write("python\n")
        sys.stderr.flush()
    libc.perror(b"after")
    lines = capfd.readouterr().err.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["before", "python", "after"]
