"""Which parts of a recording are looked at: its beginning, its loudest moment, or windows all along it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from audiofw.spectral import rms

FRAME_LENGTH, HOP_LENGTH = 2048, 512  # librosa.effects.trim's
SEARCHED = 60.0  # seconds in which the event is looked for: a recording of hours is not read for it


@dataclass(frozen=True)
class Segments:
    """Cuts a recording's samples into those that become rows.

    Parameters
    ----------
    duration : float or None
        Length of a part in seconds; None takes all.
    trim : float or None
        Leave out both ends as far as they are quieter than this many dB below the loudest; None leaves them.
    focus : {"start", "event"}
        Where the part is taken in a longer recording: at the start, or where there is most energy in its first minute.
    hop : float or None
        Seconds from one window to the next; None takes one part alone.
    most : int
        At most so many windows, from the start.
    """

    duration: float | None = 3.0
    trim: float | None = None
    focus: Literal["start", "event"] = "start"
    hop: float | None = None
    most: int = 30

    @property
    def to_read(self) -> float | None:
        """Seconds that have to be read of a file; None for all of it."""
        if self.duration is None or self.trim is not None:
            return None
        if self.hop is not None:
            return self.duration + (self.most - 1) * self.hop
        return max(self.duration, SEARCHED) if self.focus == "event" else self.duration

    def cut(self, y: np.ndarray, sr: int) -> list[np.ndarray]:
        """Cut samples ``(n,)`` at ``sr`` Hz into parts of one length; what is shorter than one is a part by itself."""
        if self.trim is not None:
            y = trimmed(y, self.trim)
        size = self._size(y, sr)
        if y.size <= size + 1:  # resampling may round a length up
            return [y]
        return [y[start : start + size].copy() for start in self._starts(y, size, sr)]  # windows overlap

    def shortened(self, y: np.ndarray, sr: int) -> np.ndarray:
        """Take off what a changed part, played slower, is longer than a part may be."""
        return y[: self._size(y, sr) + 1]

    def _size(self, y: np.ndarray, sr: int) -> int:
        return y.size if self.duration is None else math.ceil(self.duration * sr)

    def _starts(self, y: np.ndarray, size: int, sr: int) -> list[int]:
        if self.hop is None:
            return [0 if self.focus == "start" else loudest(y, size)]
        step = max(1, round(self.hop * sr))
        starts = list(range(0, y.size - size + 1, step))
        if starts[-1] + size < y.size:  # the end is heard, too
            starts.append(y.size - size)
        return starts[: self.most]


def trimmed(y: np.ndarray, top_db: float) -> np.ndarray:
    """Leave out both ends where they are more than ``top_db`` below the loudest frame, as ``librosa.effects.trim``.

    Silence is given back as it is: nothing in it is louder than the rest.
    """
    level = rms(y, frame_length=FRAME_LENGTH, hop_length=HOP_LENGTH)[0]
    heard = np.flatnonzero(level > level.max() * 10 ** (-top_db / 20))
    if not heard.size:
        return y
    return y[heard[0] * HOP_LENGTH : min(y.size, (heard[-1] + 1) * HOP_LENGTH)]


def loudest(y: np.ndarray, size: int) -> int:
    """Find where the ``size`` samples with most energy begin, to the nearest `HOP_LENGTH`."""
    energy = np.concatenate([[0.0], np.cumsum(np.square(y, dtype=np.float64))])
    starts = np.append(np.arange(0, y.size - size, HOP_LENGTH), y.size - size)
    return int(starts[np.argmax(energy[starts + size] - energy[starts])])
