"""Load a file as ``y, sr``: decoded, mixed to mono, resampled, and limited to the requested seconds.

The samples are bit-identical to those of ``librosa.load``, without importing librosa.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import soundfile
import soxr

from audiofw.audio.decode import MP3_LEAD, NoHeaderError, Reader
from audiofw.audio.discover import READABLE
from audiofw.audio.formats import HEAD, RAW, conversion, raw_conversion, unread_format
from audiofw.audio.sound import message
from audiofw.audio.stretch import Stretch, as_stretch
from audiofw.errors import DataError

log = logging.getLogger(__name__)

Channel = Literal["mix", "loudest"] | int
"""The channel to use of a multichannel recording; see `load`."""

CANCELLED = 10 ** (-20 / 10)  # power of a mix relative to its loudest channel; two uncorrelated channels give -3 dB
LOUDEST = 1e12  # of a sample: far beyond 32-bit integers written as floats, and squared spectra do not overflow
CANCELLING = (
    "its channels cancel each other (one may have inverted polarity); using the loudest channel instead of the mix, "
    "see audio.channel"
)


def load(
    path: Path,
    *,
    sample_rate: int | None = 22050,
    duration: float | None = 3.0,
    offset: float = 0.0,
    silence: Literal["refuse", "keep"] = "refuse",
    channel: Channel = "mix",
    lead: int = 0,
) -> tuple[np.ndarray, int]:
    """Read one recording as mono.

    Parameters
    ----------
    path : Path
        Any file that libsndfile decodes: wav, flac, ogg, opus, mp3, aiff, au, caf, …
    sample_rate : int or None
        Target sampling rate in Hz; None keeps the file's own.
    duration : float or None
        Maximum duration in seconds; None reads to the end.
    offset : float
        Start position in seconds.
    silence : {"refuse", "keep"}
        Whether a recording whose samples are all zero is an error.
    channel : {"mix", "loudest"} or int
        For multichannel recordings: the mean of the channels, the channel with the most energy, or a channel number,
        counted from 0. If the channels of a mix cancel each other, the loudest is used, with a warning.
    lead : int
        See `audiofw.audio.decode.Reader.blocks`. Without one, the first 0.3 s after an offset into an MP3 file may be
        wrong, as those of librosa are.

    Returns
    -------
    y : np.ndarray [shape=(n,), dtype=float32]
        Samples.
    sr : int
        Sampling rate in Hz.

    Raises
    ------
    DataError
        If the file cannot be used. The message does not name the file, which the caller adds.
    """
    try:
        y, sr = _decode(Path(path), offset, duration, channel, lead)
        check_samples(y, silence)
        if sample_rate is not None:
            y, sr = resample(y, sr, sample_rate), sample_rate
    except MemoryError as error:
        raise DataError("too long to fit in memory: set audio.duration") from error
    return y, sr


@contextmanager
def opened(path: Path) -> Iterator[Reader]:
    """Open a recording; what the decoder or the system refuses becomes a DataError with the reason.

    Raises
    ------
    DataError
        If it cannot be opened or read. The message does not name the file.
    """
    try:
        with Reader(path) as reader:
            yield reader
    except (soundfile.SoundFileError, OSError) as error:
        raise DataError(diagnose(Path(path), error)) from error


def seconds_of(path: Path) -> float:
    """Find the length of a recording in seconds, mostly without decoding it.

    Raises
    ------
    DataError
        If it cannot be read; the message does not name the file.
    """
    with opened(path) as reader:
        return reader.length() / reader.samplerate


def _decode(path: Path, offset: float, duration: float | None, channel: Channel, lead: int) -> tuple[np.ndarray, int]:
    with opened(path) as sound:
        sr = sound.samplerate
        y = sound.read(int(offset * sr), None if duration is None else int(duration * sr), lead)
    y, cancel = to_mono(y, channel)
    for note in [*sound.notes, *([CANCELLING] if cancel else [])]:
        log.warning("%s: %s", path, note)
    return y, sr


def load_stretch(
    sound: Path | Stretch, most: float | None = None, offset: float = 0.0, **options: Any
) -> tuple[np.ndarray, int]:
    """Read a stretch of a recording, or at most ``most`` seconds of it after an ``offset``; see `load`."""
    sound = as_stretch(sound)
    begin, duration = sound.to_read(offset, most)
    return load(sound.path, offset=begin, duration=duration, lead=MP3_LEAD if sound.key else 0, **options)


def load_whole(sound: Path | Stretch, channel: Channel = "mix") -> tuple[np.ndarray, int, Reader, bool]:
    """Read a whole recording, or a whole stretch, at its own sampling rate; silence is allowed.

    Returns
    -------
    y : np.ndarray [shape=(n,), dtype=float32]
    sr : int
        Sampling rate in Hz.
    reader : Reader
        Closed; its attributes report problems of the file.
    cancel : bool
        See `to_mono`.

    Raises
    ------
    DataError
        As for `load`.
    """
    try:
        sound = as_stretch(sound)
        offset, duration = sound.to_read()
        with opened(sound.path) as reader:
            sr = reader.samplerate
            frames = None if duration is None else int(duration * sr)
            y, cancel = to_mono(reader.read(int(offset * sr), frames, MP3_LEAD), channel)
    except MemoryError as error:
        raise DataError("too long to fit in memory: set audio.duration") from error
    check_samples(y, "keep")
    return y, sr, reader, cancel


def to_mono(y: np.ndarray, channel: Channel = "mix") -> tuple[np.ndarray, bool]:
    """Convert to mono; a mono signal is returned unchanged.

    Parameters
    ----------
    y : np.ndarray [shape=(n,) or (n, channels)]
    channel : {"mix", "loudest"} or int
        See `load`.

    Returns
    -------
    y : np.ndarray [shape=(n,)]
    cancel : bool
        Whether the loudest channel replaces a mix in which the channels cancel each other.

    Raises
    ------
    DataError
        If the recording does not have the channel.
    """
    n_channels = 1 if y.ndim == 1 else y.shape[1]
    if isinstance(channel, int):
        if channel >= n_channels:
            counted = f"{n_channels} channel{'s' * (n_channels > 1)}"
            raise DataError(f"has {counted}, numbered from 0, but not audio.channel={channel}")
        return (y if y.ndim == 1 else np.ascontiguousarray(y[:, channel])), False
    if y.ndim == 1:
        return y, False
    with np.errstate(all="ignore"):  # non-finite samples are reported by check_samples
        mix = y.T.mean(axis=0)
        if channel == "mix" and not (cancel := _cancels(mix, y)):
            return mix, False
        loudest = int(np.argmax(_energies(y)))
    return np.ascontiguousarray(y[:, loudest]), channel == "mix" and cancel


def _cancels(mix: np.ndarray, y: np.ndarray) -> bool:
    """Whether a mix is so much quieter than its loudest channel that the channels must cancel each other."""
    return bool(_energies(mix[:, None])[0] < CANCELLED * _energies(y).max(initial=0.0))


def _energies(y: np.ndarray) -> np.ndarray:
    """Energy of each channel, ``(channels,)``, without its DC offset, which is not heard and does not cancel."""
    squares = np.einsum("nc,nc->c", y, y, dtype=np.float64)
    return np.maximum(squares - y.sum(axis=0, dtype=np.float64) ** 2 / max(len(y), 1), 0.0)


def check_samples(y: np.ndarray, silence: str) -> None:
    """Reject unusable samples; see `load`."""
    if not y.size:
        raise DataError("contains no samples")
    peak = max(float(y.max()), -float(y.min()))
    if not math.isfinite(peak):
        raise DataError("contains NaN or infinite samples")
    if peak > LOUDEST:
        raise DataError(f"contains samples of up to {peak:.1g}, where full scale is 1: damaged, or not plain samples")
    if silence == "refuse" and not y.any():
        raise DataError("silent: every sample is zero (audio.silence=keep accepts it)")


def resample(y: np.ndarray, sr: int, target: int) -> np.ndarray:
    """Resample like librosa: the length is rounded up, and samples missing from soxr's output are zero."""
    if sr == target:
        return y
    size = math.ceil(y.size * (float(target) / sr))
    out = np.zeros(size, dtype=np.float32)
    resampled = soxr.resample(y, sr, target, quality="HQ")[:size]
    out[: resampled.size] = resampled
    return out


def diagnose(path: Path, error: Exception) -> str:
    """Explain why libsndfile cannot read a file, with a remedy."""
    if path.is_fifo():
        return "a pipe, not a file: save it first, or predict it from standard input, as '-'"
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
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
        return f"raw samples without a header: {raw_conversion(path)}"
    if unread := unread_format(path, head):
        return f"libsndfile cannot read {unread}: {conversion(path)}"
    if path.suffix.lower().lstrip(".") in RAW:
        return f"probably raw samples without a header: {raw_conversion(path)}"
    said = f"not audio, or damaged: {message(error)}"
    return f"{said}; if another program plays it, {conversion(path)}" if _is_foreign(path, said) else said


def _is_foreign(path: Path, said: str) -> bool:
    """Whether a file seems to have a format or a codec that libsndfile does not know."""
    unnamed = "not recognised" in said and path.suffix and path.suffix.lower() not in READABLE
    return bool(unnamed) or "unimplemented" in said or "unsupported" in said.lower() or "unknown" in said.lower()
