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

from audiofw.audio.decode import NoHeaderError, Reader, message
from audiofw.errors import DataError

log = logging.getLogger(__name__)

Channel = Literal["mix", "loudest"] | int
"""Which channel of several; see `load`."""

CANCELLED = 10 ** (-20 / 10)  # a mix's power in that of its loudest channel; two unrelated channels give -3 dB
CANCELLING = (
    "its channels cancel each other (one may be wired in reverse); the loudest is used in place of their mix: "
    "see audio.channel"
)

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
    channel: Channel = "mix",
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
    channel : {"mix", "loudest"} or int
        Of a recording with several channels: their mean, the one with the most energy, or one by its number from 0.
        Where the channels of a mix cancel each other, the loudest is taken, with a warning.

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
        y, sr = _decode(Path(path), offset, duration, channel)
        check_samples(y, silence)
        if sample_rate is not None:
            y, sr = resample(y, sr, sample_rate), sample_rate
    except MemoryError as error:
        raise DataError("too long for this machine's memory: set audio.duration") from error
    return y, sr


def _decode(path: Path, offset: float, duration: float | None, channel: Channel) -> tuple[np.ndarray, int]:
    try:
        with Reader(path) as sound:
            sr = sound.samplerate
            y = sound.read(int(offset * sr), None if duration is None else int(duration * sr))
    except (soundfile.SoundFileError, OSError) as error:
        raise DataError(diagnose(path, error)) from error
    y, cancel = to_mono(y, channel)
    for note in [*sound.notes, *([CANCELLING] if cancel else [])]:
        log.warning("%s: %s", path, note)
    return y, sr


def load_whole(path: Path, channel: Channel = "mix") -> tuple[np.ndarray, int, Reader, bool]:
    """Read all of a recording at its own rate, silent or not.

    Returns
    -------
    y : np.ndarray [shape=(n,), dtype=float32]
    sr : int
        In Hz.
    reader : Reader
        Closed, with what was wrong with the file.
    cancel : bool
        See `to_mono`.

    Raises
    ------
    DataError
        As `load` does.
    """
    try:
        with Reader(path) as reader:
            y, cancel = to_mono(reader.read(), channel)
    except (soundfile.SoundFileError, OSError) as error:
        raise DataError(diagnose(Path(path), error)) from error
    except MemoryError as error:
        raise DataError("too long for this machine's memory: set audio.duration") from error
    check_samples(y, "keep")
    return y, reader.samplerate, reader, cancel


def to_mono(y: np.ndarray, channel: Channel = "mix") -> tuple[np.ndarray, bool]:
    """Make one channel of several; what is mono stays as it is.

    Parameters
    ----------
    y : np.ndarray [shape=(n,) or (n, channels)]
    channel : {"mix", "loudest"} or int
        See `load`.

    Returns
    -------
    y : np.ndarray [shape=(n,)]
    cancel : bool
        Whether the loudest channel had to stand in for a mix in which the channels cancel each other.

    Raises
    ------
    DataError
        For a channel that the recording does not have.
    """
    n_channels = 1 if y.ndim == 1 else y.shape[1]
    if isinstance(channel, int):
        if channel >= n_channels:
            counted = f"{n_channels} channel{'s' * (n_channels > 1)}"
            raise DataError(f"has {counted}, numbered from 0: audio.channel={channel} is not there")
        return (y if y.ndim == 1 else np.ascontiguousarray(y[:, channel])), False
    if y.ndim == 1:
        return y, False
    with np.errstate(all="ignore"):  # samples that are not finite get a reason of their own
        mix = y.T.mean(axis=0)
        if channel == "mix" and not (cancel := _cancels(mix, y)):
            return mix, False
        loudest = int(np.argmax(np.einsum("nc,nc->c", y, y, dtype=np.float64)))
    return np.ascontiguousarray(y[:, loudest]), channel == "mix" and cancel


def _cancels(mix: np.ndarray, y: np.ndarray) -> bool:
    """Whether a mix is so far below its loudest channel that one must be wired in reverse."""
    power = np.einsum("nc,nc->c", y, y, dtype=np.float64).max(initial=0.0)
    return bool(np.dot(mix, mix) < CANCELLED * power)


def check_samples(y: np.ndarray, silence: str) -> None:
    """Refuse samples that nothing can be made of; see `load`."""
    if not y.size:
        raise DataError("no samples in it")
    if not np.isfinite(y).all():
        raise DataError("NaN or infinite samples in it")
    if silence == "refuse" and not y.any():
        raise DataError("silent: every sample is zero (audio.silence=keep accepts it)")


def resample(y: np.ndarray, sr: int, target: int) -> np.ndarray:
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
    if isinstance(error, NoHeaderError):
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
