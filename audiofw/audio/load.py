"""One file to ``y, sr``: decoded, mono, resampled, and only the seconds that are asked for.

The samples equal ``librosa.load``'s to the bit, without librosa's import.
"""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import Literal

import numpy as np
import soundfile
import soxr

from audiofw.audio.decode import Reader, message
from audiofw.errors import DataError

log = logging.getLogger(__name__)

UNREAD = {
    "3gp",
    "aac",
    "ac3",
    "amr",
    "ape",
    "dsf",
    "m4a",
    "m4b",
    "mka",
    "mkv",
    "mov",
    "mp4",
    "tta",
    "webm",
    "wma",
    "wv",
}
"""Suffixes of formats that libsndfile cannot decode."""

UNREAD_MARKS = ((4, b"ftyp", "mp4/m4a"), (0, b"\x30\x26\xb2\x75", "wma"), (0, b"\x1a\x45\xdf\xa3", "webm/mkv"))
"""What such files begin with, whatever their name says: offset, bytes, format."""


def load(
    path: Path,
    *,
    sample_rate: int | None = 22050,
    duration: float | None = 3.0,
    offset: float = 0.0,
    silence: Literal["refuse", "keep"] = "refuse",
) -> tuple[np.ndarray, int]:
    """Read one recording as mono.

    Parameters
    ----------
    path : Path
        Any file that libsndfile decodes: wav, flac, ogg, opus, mp3, aiff, au, caf, …
    sample_rate : int or None
        Rate to resample to, in Hz; None keeps the file's own.
    duration : float or None
        How much to read, in seconds; None reads to the end.
    offset : float
        Where to begin, in seconds.
    silence : {"refuse", "keep"}
        Whether a recording whose samples are all zero is an error.

    Returns
    -------
    y : np.ndarray [shape=(n,), dtype=float32]
        The samples.
    sr : int
        Their rate, in Hz.

    Raises
    ------
    DataError
        When the file cannot be used. The message is the reason alone; the caller names the file.
    """
    try:
        y, sr = _decode(Path(path), offset, duration)
        check_samples(y, silence)
        if sample_rate is not None:
            y, sr = _resample(y, sr, sample_rate), sample_rate
    except MemoryError as error:
        raise DataError("too long for this machine's memory: set audio.duration") from error
    return y, sr


def _decode(path: Path, offset: float, duration: float | None) -> tuple[np.ndarray, int]:
    try:
        with Reader(path) as sound:
            sr = sound.samplerate
            y = sound.read(int(offset * sr), None if duration is None else int(duration * sr))
    except (soundfile.SoundFileError, TypeError) as error:  # TypeError: a .raw file tells no sample rate
        raise DataError(diagnose(path, error)) from error
    for note in sound.notes:
        log.warning("%s: %s", path, note)
    return mono(y), sr


def mono(y: np.ndarray) -> np.ndarray:
    """Mix channels ``(n, channels)`` down to ``(n,)``; what is mono stays as it is."""
    if y.ndim == 1:
        return y
    with np.errstate(all="ignore"):  # samples that are not finite get a reason of their own
        return y.T.mean(axis=0)


def check_samples(y: np.ndarray, silence: str) -> None:
    """Refuse samples that nothing can be made of; see `load`."""
    if not y.size:
        raise DataError("no samples in it")
    if not np.isfinite(y).all():
        raise DataError("NaN or infinite samples in it")
    if silence == "refuse" and not y.any():
        raise DataError("silent: every sample is zero (audio.silence=keep accepts it)")


def _resample(y: np.ndarray, sr: int, target: int) -> np.ndarray:
    """Resample as librosa does: the length is rounded up, and what soxr leaves out at the end is zero."""
    if sr == target:
        return y
    size = math.ceil(y.size * (float(target) / sr))
    out = np.zeros(size, dtype=np.float32)
    resampled = soxr.resample(y, sr, target, quality="HQ")[:size]
    out[: resampled.size] = resampled
    return out


def diagnose(path: Path, error: Exception) -> str:
    """Say why libsndfile refused a file, and what would help."""
    try:
        with path.open("rb") as file:
            head = file.read(64)
    except FileNotFoundError:
        return "no such file"
    except IsADirectoryError:
        return "a folder, not a file"
    except OSError as refusal:
        return f"cannot be opened: {refusal.strerror}"
    if not head:
        return "empty file (0 bytes)"
    if head.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer, not the recording: run 'git lfs pull'"
    if isinstance(error, TypeError):
        return f"raw samples without a header: {_REMEDY}"
    if unread := _unread_format(path, head):
        return f"{unread} is not read by libsndfile: {_REMEDY}"
    return f"not audio, or damaged: {message(error)}"


_REMEDY = "convert to wav or flac, e.g. with ffmpeg"


def _unread_format(path: Path, head: bytes) -> str | None:
    for at, mark, name in UNREAD_MARKS:
        if head[at:].startswith(mark):
            return name
    suffix = path.suffix.lower().lstrip(".")
    return suffix if suffix in UNREAD else None
