"""A full, read-only, forbidden or broken disk: one line, the right exit code, and nothing half-written.

Where audiofw writes is not listed here: a run without faults is traced, and then each place of the trace gets one.
"""

from __future__ import annotations

import csv
import errno
import json
import logging
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
import yaml
from conftest import Outcome, tone, write_wav
from disks import POSSIBLE, Disk, Place, general, watched

from audiofw.bundle.files import read_bundle
from audiofw.cache import fileindex
from audiofw.system import sourcecode

QUICK = ["feature=mel", "pooling=stats", "model=lda", "n_jobs=1", "report.audio=false"]
EACH = bool(os.environ.get("AUDIOFW_EACH_FAULT"))  # try each error at each place, which takes minutes
CODES = (errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EIO)
CONVENIENCE = re.compile("continuing without storing features|the report cannot show recordings")

Attempt = Callable[[Disk | None], tuple[Outcome, Disk]]


@pytest.fixture(scope="module")
def material(tmp_path_factory) -> Path:
    """An archive of four clips in two classes; the caller may add what a command needs."""
    folder = tmp_path_factory.mktemp("material").resolve()
    for label, frequency in (("low", 200), ("high", 2000)):
        for i in range(4):
            write_wav(folder / "sounds" / label / f"{i}.wav", tone(frequency * (1 + 0.02 * i), 0.2, seed=i))
    shutil.make_archive(str(folder / "sounds"), "zip", folder / "sounds")
    return folder


@pytest.fixture
def attempt(audiofw, tmp_path, monkeypatch) -> Callable[..., Attempt]:
    """Make attempts at one command, each in a new folder with its own cache and temporary folder."""
    root = tmp_path.resolve() / "disk"
    monkeypatch.setattr(fileindex, "QUIET_NS", 0)  # so that indices are written for files that are new

    def make(words: Sequence[str], holds: Path | None = None, run: Callable[..., Outcome] = audiofw) -> Attempt:
        def once(disk: Disk | None = None) -> tuple[Outcome, Disk]:
            shutil.rmtree(root, ignore_errors=True)
            (root / "tmp").mkdir(parents=True)
            if holds:
                shutil.copytree(holds, root / "work")
            else:
                (root / "work").mkdir()
            monkeypatch.chdir(root / "work")
            monkeypatch.setenv("AUDIOFW_CACHE", str(root / "cache"))
            monkeypatch.setattr(tempfile, "tempdir", str(root / "tmp"))
            monkeypatch.setattr("sys.dont_write_bytecode", True)  # what is known of sources is in the cache, too
            sourcecode._index.cache_clear()
            sourcecode._index(root / "cache" / sourcecode.INDEX).look_up(b"new = 1")  # there is something to store
            logging.getLogger().handlers.clear()
            with watched(disk or Disk(str(root))) as disk:
                return run(*words), disk

        return once

    return make


def walk(attempt: Attempt, places: Callable[[Place], bool] = lambda place: True, steps: bool = False) -> None:
    """Put a fault in the way of every place of a fault-free run, and collect complaints.

    With ``steps``, of each step at a file: opening, writing, renaming; else they take turns, as the errors do.
    """
    outcome, disk = attempt(None)
    assert outcome.code == 0, outcome.err
    whole = files(disk.root)
    found = [place for place in disk.places() if places(place)]
    assert found
    complaints = {}
    for place, code, lasts in faults(found if steps or EACH else one_of_each(found)):
        outcome, disk = attempt(Disk(disk.root, code=code, at=place, lasts=lasts))
        assert disk.refused, place
        if said := complain(outcome, disk, whole):
            complaints[place, errno.errorcode[code], lasts] = said, outcome.err
    assert not complaints, "\n".join(f"{key}: {value}" for key, value in complaints.items())


def one_of_each(places: Sequence[Place]) -> list[Place]:
    """Choose one place for each file."""
    of_file: dict[str, list[Place]] = {}
    for place in places:
        of_file.setdefault(re.sub(r"\.([^/]+)\.#\.tmp$", r"\1", place.path), []).append(place)
    return [some[i % len(some)] for i, some in enumerate(of_file.values())]


def faults(places: Sequence[Place]) -> Iterator[tuple[Place, int, bool]]:
    """Choose errors for each place: one of those that are possible there, in turn, here or from here on; or each."""
    for i, place in enumerate(places):
        possible = [code for code in CODES if code in POSSIBLE[place.action]]
        for code in possible if EACH else possible[i % len(possible) :][:1]:
            yield place, code, False
            if code == errno.ENOSPC:  # where nothing can be removed any more, something must stay
                yield place, code, True


def files(root: str) -> set[str]:
    return {general(os.path.relpath(path, root)) for path in Path(root).rglob("*") if path.is_file()}


def complain(outcome: Outcome, disk: Disk, whole: set[str]) -> list[str]:
    """List what is wrong with a command's end."""
    now, lines = files(disk.root), outcome.err.splitlines()
    said = [
        line for line in lines if not CONVENIENCE.search(line) and not re.match(r"job \d+|trial \d+|continuing", line)
    ]
    lost = sorted(name for name in whole - now if not name.endswith(".lock"))
    kept = {general(os.path.relpath(path, disk.root)) for action, path in disk.refused if action == "remove"}
    wrong = [f"stray {name}" for name in sorted(now - whole - kept)]
    wrong += [f"not whole: {path}" for path in sorted(Path(disk.root, "work").rglob("*")) if not is_whole(path)]
    if outcome.code not in (0, 1):
        wrong.append(f"exit code {outcome.code}")
    if outcome.code == 0 and lost and not lines:
        wrong.append(f"nothing said of {lost}")
    if outcome.code == 0 and [name for name in lost if name.startswith("work/") and not name.endswith(".log")]:
        wrong.append(f"exit code 0 without {lost}")
    if len(said) > 1 or (len(lines) > 2 and "job" not in outcome.err) or (outcome.code and not said):
        wrong.append(f"{len(lines)} lines")
    if not all(f": {os.strerror(disk.code)}; " in line for line in said):
        wrong.append("no reason or no remedy")
    return wrong


def is_whole(path: Path) -> bool:
    """Whether a file is complete, as far as its kind shows."""
    text = path.read_text(errors="replace") if path.is_file() else ""
    try:
        if path.suffix in (".json", ".yaml"):
            return yaml.safe_load(text) is not None
        if path.suffix == ".jsonl":
            return text.endswith("\n") and bool(list(map(json.loads, text.splitlines())))
        if path.suffix == ".csv":
            return text.endswith("\n") and len(set(map(len, csv.reader(text.splitlines())))) == 1
        if path.suffix == ".html":
            return text.rstrip().endswith("</html>")
        if path.name == "model":
            read_bundle(path)
    except Exception:  # noqa: BLE001  # in whatever way its reader says so
        return False
    return True


@pytest.fixture(scope="module")
def trained(material, tmp_path_factory) -> Path:
    """A folder with a run in it."""
    from audiofw.api import run

    folder = tmp_path_factory.mktemp("trained")
    run([f"data.source={material / 'sounds.zip'}", *QUICK], path=folder / "run")
    return folder


def test_a_run(attempt, material):
    walk(attempt([f"data.source={material / 'sounds.zip'}", *QUICK, "hydra.run.dir=run"]))


def test_a_run_on_the_demo(attempt):
    words = [*QUICK, "data.limit=4", "report=false", "bundle=false", "audit=false", "cache=false", "hydra.run.dir=run"]
    walk(attempt(words), lambda place: "demo" in place.path)


SEVERAL = "report=false", "bundle=false", "audit=false", "cache=false", "hydra.sweep.dir=s"


def is_of_job(place: Place) -> bool:
    """Whether a job writes here what it would write in a run of its own, too."""
    path = place.path.replace("held_out", "#")
    return path.startswith(("cache", "work/s/#/", "tmp/#/sweep")) and "result.json" not in path


def test_a_sweep(attempt, sweep_here, material):
    words = [f"data.source={material / 'sounds.zip'}", *QUICK, *SEVERAL, "seed=1,2"]
    walk(attempt(words, run=sweep_here), lambda place: not is_of_job(place))


def test_a_search(attempt, sweep_here, material):
    pytest.importorskip("optuna")
    search = "hydra/sweeper=optuna", "tune.n_trials=2", "model=lda,knn"
    words = [f"data.source={material / 'sounds.zip'}", *QUICK, *SEVERAL, *search]
    walk(attempt(words, run=sweep_here), lambda place: not is_of_job(place) or "metrics.json" in place.path)


@pytest.mark.parametrize(
    "words",
    [
        ("-o", "p.csv"),
        ("-o", "p.jsonl"),
        ("-o", "p.json"),
        ("-o", "p.txt"),
        ("-o", "p.csv", "--window", "0.1"),
        ("-o", "p/", "--window", "0.1"),
        ("-o", "p.txt", "--window", "0.1", "--format", "table"),
    ],
    ids=" ".join,
)
def test_predictions(attempt, material, trained, words):
    walk(attempt(["predict", "run", str(material / "sounds"), *words], trained), steps=True)


def test_predictions_that_go_on(attempt, material, trained, tmp_path):
    """A killed command has written rows that it has not noted as complete."""
    begun = shutil.copytree(trained, tmp_path / "begun")
    outcome, disk = attempt(["predict", "run", str(material / "sounds/low"), "-o", "p.csv"], trained)(None)
    assert outcome.code == 0
    for name in ("p.csv", "p.csv.resume.jsonl"):
        shutil.copy(Path(disk.root, "work", name), begun)
    journal = begun / "p.csv.resume.jsonl"
    journal.write_text("".join(journal.read_text().splitlines(keepends=True)[:-1]))
    walk(attempt(["predict", "run", str(material / "sounds"), "-o", "p.csv", "--resume"], begun), steps=True)


def test_a_recording_from_stdin(attempt, material, trained, monkeypatch):
    class Stdin:
        @property
        def buffer(self):
            return (material / "sounds/low/0.wav").open("rb")

    monkeypatch.setattr("sys.stdin", Stdin())
    walk(attempt(["predict", "run", "-", "-o", "p.csv"], trained), lambda place: place.path.startswith("tmp"))


@pytest.mark.parametrize(
    "words",
    [
        ("report", "run"),
        ("leaderboard", "run"),
        ("leaderboard", "run", "--csv", "l.csv"),
        ("verify", "run"),
        ("export", "run", "-o", "m.onnx"),
    ],
    ids=" ".join,
)
def test_other_commands(attempt, trained, words):
    walk(attempt(words, trained), steps=True)
