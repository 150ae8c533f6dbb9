"""Plugins and units as small as can be, and recordings for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from audiofw.audio.segments import Segments
from audiofw.contract.blame import blame
from audiofw.data.dataset import Clip
from audiofw.extraction.recording import Unit

SR = 8000


@dataclass(frozen=True)
class Tiny:
    """A plugin with its options bound."""

    function: Callable[..., Any]
    holds_gil: bool = False
    learns: bool = False
    kind: str = "feature"
    options: Mapping[str, Any] = field(default_factory=dict)
    min_duration: float = 0.0

    def __call__(self, *given: Any) -> Any:
        with blame(f"{self.kind}={self.name}", self.function):
            return self.function(*given, **self.options)

    @property
    def name(self) -> str:
        return self.function.__name__

    @property
    def identity(self) -> dict[str, Any]:
        return {"name": self.name, "options": dict(self.options)}


def levels(y, sr, hop=100):
    """Two rows: the mean level of each complete frame, and its peak."""
    frames = np.abs(y[: y.size // hop * hop].reshape(-1, hop))
    return np.stack([frames.mean(axis=1), frames.max(axis=1)])


def flat(frames):
    return frames.T.ravel()


def ends(frames):
    return np.array([frames.min(), frames.max()])


def make_unit(feature=levels, pooling=flat, holds_gil=False, *, duration=0.5, **audio: Any) -> Unit:
    options = {"sample_rate": SR, "offset": 0.0, "silence": "refuse", **audio}
    return Unit(
        **options, feature=Tiny(feature, holds_gil), pooling=Tiny(pooling, kind="pooling"), segments=Segments(duration)
    )


def clip(path: Path) -> Clip:
    return Clip(path, path.name, label="")


def write_noise(path: Path, seconds: float = 0.5, sr: int = SR, scale: float = 0.1) -> Clip:
    """Write a recording of noise, of its own for each name, and give its clip."""
    y = scale * np.random.default_rng(list(path.name.encode())).standard_normal(round(seconds * sr))
    soundfile.write(path, y, sr, subtype="FLOAT")
    return clip(path)
