"""Modifications of recordings for robustness tests: noise, gain, bandwidth, lossy encoding, reverberation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from audiofw.audio import effects
from audiofw.extraction.recording import Copy, Unit
from audiofw.system.sourcecode import digest_code

CHANGES: Mapping[str, Callable[[np.ndarray, int, np.random.Generator], np.ndarray]] = {
    "white noise, SNR 20 dB": lambda y, sr, rng: effects.noisy(y, 20, rng),
    "white noise, SNR 10 dB": lambda y, sr, rng: effects.noisy(y, 10, rng),
    "white noise, SNR 0 dB": lambda y, sr, rng: effects.noisy(y, 0, rng),
    "pink noise, SNR 20 dB": lambda y, sr, rng: effects.noisy(y, 20, rng, fall=1),
    "pink noise, SNR 10 dB": lambda y, sr, rng: effects.noisy(y, 10, rng, fall=1),
    "pink noise, SNR 0 dB": lambda y, sr, rng: effects.noisy(y, 0, rng, fall=1),
    "12 dB quieter": lambda y, sr, rng: effects.amplified(y, -12),
    "8 kHz": lambda y, sr, rng: effects.band_limited(y, sr, 8000),
    "mp3, low bit rate": lambda y, sr, rng: effects.encoded(y, sr, "mp3"),
    "ogg, low bit rate": lambda y, sr, rng: effects.encoded(y, sr, "ogg"),
    "reverberation, 0.5 s": lambda y, sr, rng: effects.reverberant(y, sr, 0.5, rng),
}
"""All modifications, by the name that is shown."""


@dataclass(frozen=True)
class Changed:
    """One modification, in the form of an augmentation."""

    name: str
    holds_gil: bool = False
    learns: bool = False

    def __call__(self, *given: Any) -> np.ndarray:
        return CHANGES[self.name](*given)

    @property
    def identity(self) -> dict[str, Any]:
        """Everything that the modified samples depend on."""
        return {"name": self.name, "code": digest_code([Path(__file__)])}


def changed_units(unit: Unit, seed: int) -> dict[str, Unit]:
    """For each modification, create a unit that extracts features like ``unit`` from modified recordings."""
    return {name: replace(unit, copy=Copy(Changed(name), 1, seed)) for name in CHANGES}
