"""Which segments of a recording are used: its start, its loudest part, or windows over its whole length."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from audiofw.spectral import rms

FRAME_LENGTH, HOP_LENGTH = 2048, 512  # as in librosa.effects.trim
SEARCHED = 60.0  # seconds searched for the event, so that recordings of hours need not be read completely


@dataclass(frozen=True)
class Segments:
    """Cuts a recording into the segments from which rows are computed.

    Parameters
    ----------
    duration : float or None
        Length of a segment in seconds; None uses the whole recording.
    trim : float or None
        Trim both ends where they are more than this many dB below the loudest frame; None does not trim.
    focus : {"start", "event"}
        Position of the segment in a longer recording: its start, or the part of its first minute with the most energy.
    hop : float or None
        Hop between successive windows in seconds; None takes a single segment.
    most : int
        Maximum number of windows, counted from the start.
    """

    duration: float | None = 3.0
    trim: float | None = None
    focus: Literal["start", "event"] = "start"
    hop: float | None = None
    most: int = 30

    @property
    def to_read(self) -> float | None:
        """Number of seconds that have to be read from a file; None for the whole file."""
        if self.duration is None or self.trim is not None:
            return None
        if self.hop is not None:
            return self.duration + (self.most - 1) * self.hop
        return max(self.duration, SEARCHED) if self.focus == "event" else self.duration

    def cut(self, y: np.ndarray, sr: int) -> list[np.ndarray]:
        """Cut samples ``(n,)`` at ``sr`` Hz into segments of equal length; a shorter recording is a single segment."""
        if self.trim is not None:
            y = trimmed(y, self.trim)
        size = self._size(y, sr)
        if y.size <= size + 1:  # resampling may round the length up
            return [y]
        return [y[start : start + size].copy() for start in self._starts(y, size, sr)]  # windows overlap

    def shortened(self, y: np.ndarray, sr: int) -> np.ndarray:
        """Truncate an augmented segment that became longer than the duration."""
        return y[: self._size(y, sr) + 1]

    def _size(self, y: np.ndarray, sr: int) -> int:
        return y.size if self.duration is None else math.ceil(self.duration * sr)

    def _starts(self, y: np.ndarray, size: int, sr: int) -> list[int]:
        if self.hop is None:
            return [0 if self.focus == "start" else loudest(y, size)]
        step = max(1, round(self.hop * sr))
        starts = list(range(0, y.size - size + 1, step))
        if starts[-1] + size < y.size:  # a last window that reaches the end
            starts.append(y.size - size)
        return starts[: self.most]


def trimmed(y: np.ndarray, top_db: float) -> np.ndarray:
    """Trim both ends where they are more than ``top_db`` below the loudest frame, as ``librosa.effects.trim``.

    A completely silent signal is returned unchanged.
    """
    level = rms(y, frame_length=FRAME_LENGTH, hop_length=HOP_LENGTH)[0]
    heard = np.flatnonzero(level > level.max() * 10 ** (-top_db / 20))
    if not heard.size:
        return y
    return y[heard[0] * HOP_LENGTH : min(y.size, (heard[-1] + 1) * HOP_LENGTH)]


def loudest(y: np.ndarray, size: int) -> int:
    """Find the start of the ``size`` samples with the most energy, in steps of `HOP_LENGTH`."""
    energy = np.concatenate([[0.0], np.cumsum(np.square(y, dtype=np.float64))])
    starts = np.append(np.arange(0, y.size - size, HOP_LENGTH), y.size - size)
    return int(starts[np.argmax(energy[starts + size] - energy[starts])])
