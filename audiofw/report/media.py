"""Recordings compressed for a web page: audio as MP3, spectrograms as WebP, waveforms as SVG paths.

Spectrograms are in dB relative to each clip's own maximum, so that quiet clips are as legible as loud ones.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import soundfile
import soxr

from audiofw.spectral import hz_to_mel, melspectrogram, power_to_db

MP3_RATES = (8000, 11025, 12000, 16000, 22050, 24000)  # enough to notice a wrong label
TOP_DB = 80.0
MELS, FRAMES = 80, 280  # of a picture, at most
STRETCHES = 140  # of a waveform
TICKS_HZ = (100, 250, 500, 1000, 2000, 4000, 8000, 16000, 32000, 64000)

# matplotlib's "magma" colour map, by van der Walt and Smith (CC0), every seventeenth of its 256 colours
MAGMA = [
    "000004",
    "0b0924",
    "20114b",
    "3b0f70",
    "57157e",
    "721f81",
    "8c2981",
    "a8327d",
    "c43c75",
    "de4968",
    "f1605d",
    "fa7f5e",
    "fe9f6d",
    "febf84",
    "fddea0",
    "fcfdbf",
]


class Picture(NamedTuple):
    """A spectrogram for the page."""

    uri: str
    width: int
    height: int
    ticks: tuple[tuple[str, float], ...]  # label, and how far up, 0 to 1


def sound_uri(y: np.ndarray, sr: int, quality: float = 0.85) -> str:
    """Encode mono samples as MP3 of variable bit rate, which every browser plays; about 4 kB per second.

    Parameters
    ----------
    y : np.ndarray [shape=(n,)]
    sr : int
    quality : float
        From 0, best and largest, to 1, smallest.
    """
    rate = max((r for r in MP3_RATES if r <= sr), default=MP3_RATES[0])
    y = soxr.resample(y, sr, rate, quality="HQ") if rate != sr else y
    peak = float(np.abs(y).max(initial=0.0))
    file = io.BytesIO()
    soundfile.write(
        file,
        y / max(peak, 1.0),  # resampled and lossy audio may exceed full scale
        rate,
        format="MP3",
        subtype="MPEG_LAYER_III",
        compression_level=quality,
        bitrate_mode="VARIABLE",
    )
    return _uri("audio/mpeg", file.getvalue())


def decibels(y: np.ndarray, sr: int, n_mels: int = MELS, frames: int = FRAMES) -> np.ndarray:
    """Compute a mel spectrogram in dB relative to its maximum, [shape=(n_mels, up to ``frames``)]."""
    n_fft = 2 ** max(5, round(np.log2(0.046 * sr)))
    hop = max(n_fft // 8, -(-len(y) // frames))
    power = melspectrogram(y=y, sr=sr, n_fft=n_fft, hop_length=hop, n_mels=n_mels, dtype="float32")
    # relative to its own maximum, silence would be as bright as any sound
    return power_to_db(power, ref=np.max, top_db=TOP_DB) if power.any() else np.full(power.shape, -TOP_DB)


def mean_decibels(pictures: Sequence[np.ndarray]) -> np.ndarray:
    """Average spectrograms of different length; each counts for its own duration."""
    width = max(picture.shape[1] for picture in pictures)
    total, count = np.zeros((pictures[0].shape[0], width)), np.zeros(width)
    for picture in pictures:
        total[:, : picture.shape[1]] += picture
        count[: picture.shape[1]] += 1
    return total / count


def picture(db: np.ndarray, sr: int, quality: int = 78, width: int = FRAMES) -> Picture:
    """Draw a spectrogram, low frequencies at the bottom, as a WebP image of a few kB."""
    from PIL import Image

    shade = np.clip((db + TOP_DB) / TOP_DB, 0, 1)
    pixels = _colours()[(255 * shade[::-1]).astype(np.uint8)]
    file = io.BytesIO()
    image = Image.fromarray(pixels)
    image.resize((width, image.height), Image.Resampling.BILINEAR).save(file, "WEBP", quality=quality, method=4)
    return Picture(_uri("image/webp", file.getvalue()), width, image.height, ticks(sr))


def ticks(sr: float, most: int = 4) -> tuple[tuple[str, float], ...]:
    """Choose the frequencies to label on a mel spectrogram, with their heights from 0 to 1."""
    heights = hz_to_mel(TICKS_HZ) / hz_to_mel(sr / 2)
    shown = [(_hz(f), float(at)) for f, at in zip(TICKS_HZ, heights, strict=True) if at < 0.93]
    apart: list[tuple[str, float]] = []
    for label, at in reversed(shown):
        if at > 0.06 and (not apart or apart[-1][1] - at > 0.16):
            apart.append((label, at))
    return tuple(apart[:most])


def waveform(y: np.ndarray, height: int = 40) -> str:
    """Draw the envelope of a waveform as an SVG path, ``STRETCHES`` wide and ``height`` high."""
    if not len(y):
        return f"M0 {height // 2}H{STRETCHES}"
    starts = np.unique(np.linspace(0, len(y), min(len(y), STRETCHES), endpoint=False).astype(int))
    peak = float(np.abs(y).max()) or 1.0
    high = height / 2 * (1 - np.maximum.reduceat(y, starts) / peak)
    low = height / 2 * (1 - np.minimum.reduceat(y, starts) / peak)
    x = np.linspace(0, STRETCHES, len(starts))
    up = _points(zip(x, np.minimum(high, height / 2 - 0.3), strict=True))
    back = _points(zip(x[::-1], np.maximum(low, height / 2 + 0.3)[::-1], strict=True))
    return f"M{up}L{back}Z"


def _points(points: Iterable[tuple[float, float]]) -> str:
    return " ".join(f"{x:.4g},{y:.3g}" for x, y in points)


def _colours() -> np.ndarray:
    """Interpolate the colour map, [shape=(256, 3), dtype=uint8]."""
    anchors = np.array([[int(c[i : i + 2], 16) for i in (0, 2, 4)] for c in MAGMA])
    x, at = np.linspace(0, 1, 256), np.linspace(0, 1, len(anchors))
    return np.stack([np.interp(x, at, anchors[:, k]) for k in range(3)], axis=1).round().astype(np.uint8)


def _hz(f: float) -> str:
    return f"{f / 1000:g} kHz" if f >= 1000 else f"{f:g} Hz"


def _uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
