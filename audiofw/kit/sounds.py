"""Synthesised clips to test plugins on, including edge cases, and recordings for a whole run."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile

SR = 22050
RATES = (1, 100, 1000, 8000, 16000, 44100, 96000, 192000, 384000)  # Hz
LONG_SECONDS = 300
CLASSES = {"low": 300, "high": 3000}  # Hz
CLIPS_PER_CLASS = 6


class Sound(NamedTuple):
    """One clip: mono float32 samples ``(n,)``, and their rate in Hz."""

    y: np.ndarray
    sr: int


def make_clips() -> dict[str, Sound]:
    """Make the clips that a feature or an augmentation has to take, by name; the same ones at each call."""
    rng = np.random.default_rng(0)
    samples = {
        "noise": rng.standard_normal(SR) / 10,
        "tone": np.sin(np.arange(3 * SR) / 10),
        "silence": np.zeros(SR),
        "one sample": np.ones(1),
        "a hundred samples": rng.standard_normal(100),
        "clipped": np.sign(rng.standard_normal(SR)),
    }
    return {name: Sound(y.astype(np.float32), SR) for name, y in samples.items()}


def make_long_clip() -> Sound:
    """Make a clip of five minutes."""
    return Sound(np.sin(np.arange(LONG_SECONDS * SR) / 10).astype(np.float32), SR)


def write_recordings(folder: Path, seconds: float = 0.6) -> Path:
    """Write recordings that are easy to tell apart: a folder for each of two classes, with six files of 16 bit.

    The names ``0.wav`` to ``5.wav`` may serve as groups or folds: ``data.pattern=(?P<group>\\d)``.
    """
    t = np.arange(round(seconds * SR)) / SR
    for label, frequency in CLASSES.items():
        (folder / label).mkdir(parents=True, exist_ok=True)
        for i in range(CLIPS_PER_CLASS):
            noise = np.random.default_rng(i).standard_normal(t.size) / 20
            y = 0.5 * np.sin(2 * np.pi * frequency * (1 + i / 50) * t) + noise
            soundfile.write(folder / label / f"{i}.wav", y, SR, subtype="PCM_16")
    return folder
