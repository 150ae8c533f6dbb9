"""Sounds, ways to damage the file of one, and a second decoder to compare with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

from audiofw.audio.decode import Reader

SR = 22050


def sweep(seconds: float, sr: int = SR, seed: int = 0) -> np.ndarray:
    """A rising tone with noise: no two passages are equal."""
    t = np.arange(int(seconds * sr)) / sr
    noise = 0.02 * np.random.default_rng(seed).standard_normal(t.size)
    return (0.3 * np.sin(2 * np.pi * (200 * t + 300 * t**2 / seconds)) + noise).astype(np.float32)


def write(path: Path, seconds: float, **options: str) -> np.ndarray:
    """Write a sweep, and return how the whole file is decoded."""
    sr = 48000 if options.get("subtype") == "OPUS" else {"WVE": 8000, "HTK": 20000}.get(options.get("format", ""), SR)
    soundfile.write(path, sweep(seconds, sr), sr, **options)
    y, notes, _ = read(path)
    assert not notes
    return y


def read(path: Path, **options: int) -> tuple[np.ndarray, list[str], Reader]:
    """Read samples, the notes, and the closed reader."""
    with Reader(path) as reader:
        return reader.read(**options), reader.notes, reader


def zeroed(content: bytes, at: float, n: int) -> bytes:
    k = int(len(content) * at)
    return content[:k] + bytes(n) + content[k + n :]


def removed(content: bytes, at: float, n: int) -> bytes:
    k = int(len(content) * at)
    return content[:k] + content[k + n :]


def flipped(content: bytes, at: float, n: int) -> bytes:
    k = int(len(content) * at)
    return content[:k] + bytes(byte ^ 0x55 for byte in content[k : k + n]) + content[k + n :]


DAMAGES: dict[str, Callable[[bytes, float, int], bytes]] = {
    "zeroed": zeroed,
    "removed": removed,
    "flipped": flipped,
}


def damage(path: Path, how: str, at: float = 0.5, n: int = 4000) -> None:
    """Damage some bytes of a file, from a share of its length on."""
    path.write_bytes(DAMAGES[how](path.read_bytes(), at, n))
