"""Shared fixtures: sounds, the command line in this process, and a separate cache for each test."""

from __future__ import annotations

import gc
import logging
import os
import wave
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

import numpy as np
import pytest
from gates import heed_ctrl_c

from audiofw.cli.main import main
from audiofw.experiment import supervisor
from audiofw.experiment.hydra_app import run_app

gc.set_threshold(20_000, 20, 20)  # by default a tenth of the time goes into walking over what imports have made
heed_ctrl_c()
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command line does: busy-waiting threads slow others down


@pytest.fixture(autouse=True)
def own_surroundings(tmp_path_factory: pytest.TempPathFactory):
    """Isolate each test's cache, plugin folders and environment."""
    with patch.dict(os.environ, {"AUDIOFW_CACHE": str(tmp_path_factory.mktemp("cache")), "COLUMNS": "200"}):
        os.environ.pop("AUDIOFW_PLUGINS_PATH", None)
        os.environ.pop("HYDRA_FULL_ERROR", None)
        yield


@pytest.fixture(autouse=True, scope="session")
def one_machine(tmp_path_factory: pytest.TempPathFactory):
    """Let all tests be run on the same machine: models that one saves are not strangers to another."""
    folder = tmp_path_factory.mktemp("known")
    with patch("audiofw.bundle.known.cache_root", lambda: folder):
        yield


@pytest.fixture
def new_workers():
    """Give a test joblib workers of its own: those that stay from another have that one's environment."""
    from joblib.externals import loky

    loky.get_reusable_executor(2).shutdown(wait=True)
    yield
    loky.get_reusable_executor(2).shutdown(wait=True)


class Outcome(NamedTuple):
    """Exit code and output of a command."""

    code: int
    out: str
    err: str


@pytest.fixture
def audiofw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]):
    """Run ``audiofw`` with the given arguments, in this process and an empty folder."""
    monkeypatch.chdir(tmp_path)

    root, ours = logging.getLogger(), logging.getLogger("audiofw")
    handlers, levels = list(root.handlers), (root.level, ours.level)

    def run(*words: str) -> Outcome:
        capfd.readouterr()
        try:
            code = main(list(words))
        except SystemExit as stop:  # argparse's and Hydra's --help
            code = int(stop.code or 0)
        return Outcome(code, *capfd.readouterr())

    yield run
    root.handlers[:] = handlers  # Hydra has replaced it
    root.setLevel(levels[0])
    ours.setLevel(levels[1])


@pytest.fixture
def sweep_here(audiofw, monkeypatch):
    """Run a sweep in this process, as its supervisor runs one in another."""

    def run_child(words: Sequence[str], note: Path) -> int:
        (folder,) = (word.partition("=")[2] for word in words if word.startswith("hydra.sweep.dir="))
        note.write_text(str(Path(folder).resolve()))
        return run_app(words)

    def run(*words: str) -> Outcome:
        with monkeypatch.context() as here:
            here.setattr(supervisor, "_run_child", run_child)
            return audiofw("-m", *words)

    return run


def write_wav(path: Path, y: np.ndarray, sr: int = 22050) -> Path:
    """Write a mono 16-bit file, creating its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(sr)
        file.writeframes((np.clip(y, -1, 1) * 32767).astype("<i2").tobytes())
    return path


def tone(frequency: float, seconds: float = 0.5, sr: int = 22050, noise: float = 0.05, seed: int = 0) -> np.ndarray:
    """Make a sine in noise, float64 ``(n,)``."""
    t = np.arange(round(seconds * sr)) / sr
    return 0.5 * np.sin(2 * np.pi * frequency * t) + noise * np.random.default_rng(seed).standard_normal(t.size)


@pytest.fixture
def sounds(tmp_path: Path) -> Callable[..., Path]:
    """Create one folder of tones per class: ``sounds(low=200, high=2000, clips=10)``."""

    def make(clips: int = 10, seconds: float = 0.5, folder: str = "sounds", **classes: float) -> Path:
        for label, frequency in (classes or {"low": 200, "high": 2000}).items():
            for i in range(clips):
                y = tone(frequency * (1 + 0.02 * i), seconds, seed=i)
                write_wav(tmp_path / folder / label / f"{i}.wav", y)
        return tmp_path / folder

    return make
