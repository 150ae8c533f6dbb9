"""system.logs: a few warnings of each kind on the terminal."""

from __future__ import annotations

import io
import logging
from collections import Counter
from pathlib import Path

import soundfile
from conftest import tone

from audiofw.system.logs import SHOWN, Terminal


def cut_files(folder: Path, n: int) -> None:
    for i in range(n):
        for label, frequency in (("low", 200), ("high", 2000)):
            path = folder / label / f"{i}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, tone(frequency, 1.0, 8000, seed=i), 8000)
            path.write_bytes(path.read_bytes()[: 9000 + 2 * i])


def test_of_many_warnings_alike_a_few_are_shown_and_the_log_has_all(audiofw, tmp_path):
    cut_files(tmp_path / "sounds", 10)
    done = audiofw("data.source=sounds", "hydra.run.dir=run", "audit=false", "report=false", "bundle=false")
    assert done.code == 0
    assert done.err.count("cut short") == SHOWN
    assert done.err.count("further files with this warning are not shown here") == 1
    assert (tmp_path / "run/audiofw.log").read_text().count("cut short") == 20


def test_each_kind_of_warning_is_shown_and_what_names_no_file_always():
    stream = io.StringIO()
    terminal = Terminal(stream)
    make = logging.getLogger("audiofw").makeRecord
    path = Path("x.wav")
    said = [("%s: %d s are missing", (path, 3)), ("%s: no sound", (path,)), ("plain", ()), ("%s: text", ("x",))]
    for _ in range(SHOWN + 3):
        for msg, args in said:
            terminal.emit(make("audiofw", logging.WARNING, "", 0, msg, args, None))
    lines = Counter(stream.getvalue().splitlines())
    assert lines == {
        "x.wav: 3 s are missing": SHOWN,
        "x.wav: no sound": SHOWN,
        "further files with this warning are not shown here": 2,
        "plain": SHOWN + 3,
        "x: text": SHOWN + 3,
    }
