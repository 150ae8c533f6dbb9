"""system.logs: a few warnings of each kind on the terminal."""

from __future__ import annotations

import io
import logging
import re
from collections import Counter
from pathlib import Path

import soundfile
from conftest import tone

from audiofw.system.logs import SHOWN, Terminal, note_printed


def cut_files(folder: Path, n: int) -> None:
    for i in range(n):
        for label, frequency in (("low", 200), ("high", 2000)):
            path = folder / label / f"{i}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, tone(frequency, 1.0, 8000, seed=i), 8000)
            path.write_bytes(path.read_bytes()[: 9000 + 2 * i])


def test_control_characters_in_names_are_escaped_on_the_terminal():
    stream = io.StringIO()
    record = logging.LogRecord("audiofw", logging.WARNING, "", 0, "%s: odd", (Path("\x1b[2J.wav"),), None)
    Terminal(stream).handle(record)
    assert stream.getvalue() == "\\x1b[2J.wav: odd\n"


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


def test_what_has_been_printed_is_for_the_file_only():
    log, shown, kept = logging.getLogger("audiofw.a_test"), io.StringIO(), io.StringIO()
    log.handlers, log.propagate = [Terminal(shown), logging.StreamHandler(kept)], False
    log.setLevel(logging.DEBUG)
    note_printed(log, "a table")
    assert (shown.getvalue(), kept.getvalue()) == ("", "a table\n")


def test_the_log_of_a_run_has_all_that_was_shown_with_times(audiofw, tmp_path):
    cut_files(tmp_path / "sounds", 10)
    done = audiofw("data.source=sounds", "hydra.run.dir=run", "audit=false", "report=false", "bundle=false")
    log = (tmp_path / "run/audiofw.log").read_text()
    for line in [*done.out.splitlines(), *done.err.splitlines()]:
        assert line.strip() in log or "further files" in line
    headline = done.out.splitlines()[0]
    assert re.search(rf"^\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d,\d{{3}} INFO {re.escape(headline)}$", log, re.MULTILINE)
    assert re.search(r"^\d{4}-.* WARNING .*cut short", log, re.MULTILINE)


QUICK = ("audit=false", "report=false", "bundle=false", "feature=mfcc", "pooling=stats", "n_jobs=1")


def test_a_quiet_run_prints_its_score_and_no_warning(audiofw, tmp_path):
    cut_files(tmp_path / "sounds", 10)
    for words in (["-q", "data.source=sounds", *QUICK], ["data.source=sounds", *QUICK, "--quiet"]):
        done = audiofw(*words, "hydra.run.dir=run")
        assert (done.code, done.err) == (0, "")
        (line,) = done.out.splitlines()
        assert line.startswith("accuracy ")
    assert "cut short" in (tmp_path / "run/audiofw.log").read_text()
    assert len(audiofw("data.source=sounds", *QUICK, "hydra.run.dir=run").out.splitlines()) > 10


def test_a_quiet_run_that_fails_says_why(audiofw):
    done = audiofw("-q", "data.source=nowhere.zip")
    assert done.code == 1
    assert "nowhere.zip" in done.err


def test_a_verbose_run_prints_debug_messages(audiofw, sounds, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/broken.py").write_text("import nonsense\n")
    words = ["--plugins-dir", "mine", f"data.source={sounds(clips=6)}", *QUICK, "hydra.run.dir=run"]
    first, second, verbose = audiofw(*words), audiofw(*words), audiofw("-v", *words)
    assert ["plugin not loaded" in done.err for done in (first, second, verbose)] == [True, False, True]
    assert verbose.out == second.out
    assert verbose.out.splitlines()[0] not in verbose.err  # not twice


def test_a_quiet_sweep_prints_its_best_score(sweep_here, sounds):
    words = [f"data.source={sounds(clips=6)}", *QUICK, "model=lda,knn", "hydra.sweep.dir=sweep"]
    done = sweep_here(*words, "-q")
    assert (done.code, done.err) == (0, "")
    (line,) = done.out.splitlines()
    assert line.startswith("accuracy 1.000, best of 2 runs")


def test_a_command_keeps_flags_of_its_own(audiofw):
    assert "-q" in audiofw("plugins", "-q").err
    assert audiofw("-q", "plugins").code == 0
