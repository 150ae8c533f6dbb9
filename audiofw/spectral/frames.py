"""Framing and windowing of a signal, one block of frames at a time.

Buffers are reused between blocks and clips, so nearly all the time is spent in the FFT itself, and an hour-long clip
needs no more scratch memory than one of a few seconds.
"""

from __future__ import annotations

import itertools
import math
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any, Literal, NamedTuple, TypedDict, Unpack, get_args

import numpy as np
from numpy.typing import NDArray

PadMode = Literal["constant", "edge", "linear_ramp", "reflect", "symmetric"]
Signal = NDArray[np.floating] | None
Precision = Literal["float64", "float32"]
Window = str | float | tuple[Any, ...] | Sequence[float] | NDArray[np.floating] | Callable[[int], NDArray[np.floating]]

# Samples in one block of frames: 64 frames of 2048 samples, 1 MB. Smaller blocks that fit into the L2 cache were up to
# 25 % slower, because of the Python calls per block and contention for the GIL; larger ones gain nothing and use more
# memory in every thread.
BLOCK_SAMPLES = 2**17
# Larger buffers are freed after use, so that one unusual clip or a huge n_fft does not pin memory.
SCRATCH_BYTES = 4 * 2**20

# Samples in all frames together: any number up to the first, and beyond it at most this multiple of the signal's own
SMALL_WORK, MOST_OVERLAP = 2**29, 16

# Coefficients of the common cosine-sum windows; other names need scipy.signal, whose import takes a second.
COSINE_SUMS = {
    "hann": (0.5, 0.5),
    "hamming": (0.54, 0.46),
    "blackman": (0.42, 0.5, 0.08),
    "boxcar": (1.0,),
}


class OverlapError(ValueError):
    """The frames overlap too much for the length of the signal."""


class Framing(TypedDict, total=False):
    """Framing options with librosa's names and defaults, shared by all functions of a signal.

    Parameters
    ----------
    n_fft : int
        Frame length and FFT size in samples; default 2048.
    hop_length : int, optional
        Samples between successive frames; default 512, except for :func:`stft`. None: a quarter of ``win_length``.
    win_length : int, optional
        Window length in samples, zero-padded to ``n_fft``; None: ``n_fft``.
    window : str, float, tuple, np.ndarray or callable
        "hann", any window specification of ``scipy.signal.get_window``, or an array of ``win_length`` values.
    center : bool
        If True (the default), frame t is centred on sample ``t * hop_length`` and the signal is padded at both ends; if
        False, frame t starts at that sample.
    pad_mode : str
        How the signal is padded: "constant" (zeros), "edge", "linear_ramp", "reflect" or "symmetric".
    dtype : str
        Precision of the FFT: "float64" or "float32".
    """

    n_fft: int
    hop_length: int | None
    win_length: int | None
    window: Window
    center: bool
    pad_mode: PadMode
    dtype: Precision


class Frames(NamedTuple):
    """Validated framing options; ``window`` has ``n_fft`` values in the working precision."""

    n_fft: int
    hop_length: int
    window: NDArray[np.floating]
    center: bool
    pad_mode: PadMode


# -- Checks ----------------------------------------------------------------------------------------------------------


def whole(name: str, value: Any, low: int, high: int | None = None) -> int:
    """Return ``value`` if it is an integer within bounds, otherwise raise a ValueError that names it."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise ValueError(f"{name}={value!r} must be a whole number")
    if value < low or (high is not None and value > high):
        raise ValueError(f"{name}={value} is out of range: {_bounds(low, high)}")
    return int(value)


def _bounds(low: float, high: float | None) -> str:
    return f"{low} or more" if high is None else f"from {low} to {high}"


def positive(name: str, value: Any) -> float:
    """Return ``value`` if it is positive and finite, otherwise raise a ValueError that names it."""
    if isinstance(value, str | bool) or value is None or not 0 < value < math.inf:
        raise ValueError(f"{name}={value!r} is out of range: above 0")
    return value


def one_of(name: str, value: Any, choices: Sequence[Any]) -> Any:
    """Return ``value`` if it is one of ``choices``, otherwise raise a ValueError that lists them."""
    if value not in choices:
        raise ValueError(f"{name}={value!r} is unknown: choose one of {', '.join(map(repr, choices))}")
    return value


def checked_signal(y: Any) -> NDArray[np.floating]:
    """Return ``y`` as a contiguous float array; ValueError if empty, not 1-D, not floating-point or not finite."""
    if y is None:
        raise ValueError("no input: pass a signal y or a spectrogram S")
    y = np.asarray(y)
    if y.ndim != 1:
        raise ValueError(f"y must be mono, with shape (n,), got {y.shape}: mix it down first")
    if not y.size:
        raise ValueError("y is empty: a signal needs at least one sample")
    if not np.issubdtype(y.dtype, np.floating):
        raise ValueError(f"y must have floating-point samples from -1 to 1, got {y.dtype}")
    if not np.isfinite(y).all():
        raise ValueError("y is not finite everywhere: it contains NaN or infinity")
    return np.ascontiguousarray(y)


def framing(
    n_fft: int = 2048,
    hop_length: int | None = 512,
    win_length: int | None = None,
    window: Window = "hann",
    center: bool = True,
    pad_mode: PadMode = "constant",
    dtype: Precision = "float64",
) -> Frames:
    """Validate the options of :class:`Framing` and compute the window."""
    whole("n_fft", n_fft, 1)
    length = n_fft if win_length is None else whole("win_length", win_length, 1, n_fft)
    hop = max(1, length // 4) if hop_length is None else whole("hop_length", hop_length, 1)
    one_of("pad_mode", pad_mode, get_args(PadMode))
    one_of("dtype", dtype, get_args(Precision))
    return Frames(int(n_fft), hop, _fft_window(window, length, n_fft, dtype), center, pad_mode)


# -- Windows ---------------------------------------------------------------------------------------------------------


def _fft_window(window: Window, length: int, n_fft: int, dtype: str) -> NDArray[np.floating]:
    if isinstance(window, str | float | int | tuple):
        return _named_window(window, length, n_fft, dtype)
    values = np.asarray(window(length) if callable(window) else window, dtype=np.float64)
    if values.shape != (length,):
        raise ValueError(f"window has shape {values.shape}: it needs {length} values (win_length)")
    return _centred(values, n_fft, dtype)


@lru_cache(maxsize=32)
def _named_window(window: Any, length: int, n_fft: int, dtype: str) -> NDArray[np.floating]:
    terms = COSINE_SUMS.get(window) if isinstance(window, str) else None
    return _centred(_scipy_window(window, length) if terms is None else _cosine_sum(terms, length), n_fft, dtype)


def _cosine_sum(terms: Sequence[float], length: int) -> NDArray[np.floating]:
    """Periodic window of ``length`` values, as scipy.signal's ``general_cosine(length, terms, sym=False)``."""
    if length == 1:
        return np.ones(1)
    phase = np.linspace(-np.pi, np.pi, length + 1)[:-1]
    return np.sum([term * np.cos(k * phase) for k, term in enumerate(terms)], axis=0)


def _scipy_window(window: Any, length: int) -> NDArray[np.floating]:
    from scipy.signal import get_window

    try:
        return get_window(window, length, fftbins=True)
    except (ValueError, TypeError) as error:
        raise ValueError(f"window={window!r} is not accepted by scipy.signal.get_window: {error}") from error


def _centred(values: NDArray[np.floating], n_fft: int, dtype: str) -> NDArray[np.floating]:
    padded = np.zeros(n_fft, dtype)
    start = (n_fft - len(values)) // 2
    padded[start : start + len(values)] = values
    padded.setflags(write=False)
    return padded


# -- Scratch ---------------------------------------------------------------------------------------------------------


class _Scratch(threading.local):
    def __init__(self) -> None:
        self.buffers: dict[str, NDArray[np.uint8]] = {}


_scratch = _Scratch()


def scratch(name: str, shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
    """Uninitialised array in this thread's buffer ``name``; valid until the same name is requested again."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    buffer = _scratch.buffers.get(name)
    if buffer is None or buffer.size < size:
        buffer = np.empty(size, np.uint8)
        if size <= SCRATCH_BYTES:
            _scratch.buffers[name] = buffer
    return np.ndarray(shape, dtype, buffer)


# -- Frames ----------------------------------------------------------------------------------------------------------


class Cut(NamedTuple):
    """A signal, taken as zero beyond its ends, and its frames, of which the first starts at sample ``origin``."""

    y: NDArray[np.floating]
    frames: Frames
    origin: int
    n_frames: int

    @property
    def bins(self) -> int:
        return self.frames.n_fft // 2 + 1

    def blocks(self, first: int, last: int) -> Iterator[tuple[int, int]]:
        """Split frames ``first..last`` into blocks ``(first frame, number of frames)``."""
        return even_blocks(first, last, BLOCK_SAMPLES // max(self.frames.n_fft, self.frames.hop_length))


def cut(y: Any, **options: Unpack[Framing]) -> Cut:
    """Position the frames of a signal as librosa does."""
    frames, y = framing(**options), checked_signal(y)
    if not frames.center and len(y) < frames.n_fft:
        raise ValueError(f"y has {len(y)} samples, fewer than one frame of {frames.n_fft}: use center=True")
    margin = frames.n_fft // 2 if frames.center else 0
    n_frames = 1 + (len(y) + 2 * margin - frames.n_fft) // frames.hop_length
    check_overlap(len(y), frames.n_fft, frames.hop_length)
    if margin and frames.pad_mode != "constant":
        return Cut(np.pad(y, margin, mode=frames.pad_mode), frames, 0, n_frames)
    return Cut(y, frames, -margin, n_frames)


def check_overlap(n: int, n_fft: int, hop_length: int) -> None:
    """Refuse frames that overlap so much that a long signal of ``n`` samples would take minutes and gigabytes.

    Raises
    ------
    OverlapError

    Examples
    --------
    >>> from audiofw.spectral import check_overlap
    >>> check_overlap(3600 * 22050, n_fft=2048, hop_length=512)
    >>> check_overlap(3600 * 22050, n_fft=2048, hop_length=1)
    Traceback (most recent call last):
    audiofw.spectral.frames.OverlapError: hop_length=1 is too short for 79380000 samples with n_fft=2048: use 128 or more, or a shorter signal
    """  # noqa: E501
    if n // hop_length * n_fft > max(SMALL_WORK, MOST_OVERLAP * n):
        raise OverlapError(
            f"hop_length={hop_length} is too short for {n} samples with n_fft={n_fft}: "
            f"use {-(-n_fft // MOST_OVERLAP)} or more, or a shorter signal"
        )


def even_blocks(first: int, last: int, size: int) -> Iterator[tuple[int, int]]:
    """Split ``first..last`` into ``(start, length)`` blocks of at most ``size``, of nearly equal length."""
    # 130 frames become 43 + 43 + 44, rather than 64 + 64 and a costly call for 2
    blocks = math.ceil((last - first) / max(1, size))
    edges = [first + (last - first) * block // max(1, blocks) for block in range(blocks + 1)]
    return ((start, stop - start) for start, stop in itertools.pairwise(edges))


def windowed(signal: Cut, frame: int, rows: int) -> NDArray[np.floating]:
    """Return ``rows`` windowed frames starting at ``frame``, in a scratch buffer that the caller may overwrite."""
    window = signal.frames.window
    out = scratch("windowed", (rows, len(window)), window.dtype)
    return np.multiply(framed(signal, frame, rows), window, out=out)


def framed(signal: Cut, frame: int, rows: int) -> NDArray[np.floating]:
    """Return ``rows`` frames starting at ``frame``, as overlapping views of one scratch buffer: read only."""
    n_fft, hop_length, window, *_ = signal.frames
    segment = scratch("segment", ((rows - 1) * hop_length + n_fft,), window.dtype)
    _copy_with_zeros(segment, signal.y, signal.origin + frame * hop_length)
    step = segment.itemsize
    return np.ndarray((rows, n_fft), segment.dtype, segment, strides=(hop_length * step, step))


def _copy_with_zeros(segment: NDArray[np.floating], y: NDArray[np.floating], start: int) -> None:
    """``segment[:] = y[start:start + len(segment)]``, with zeros beyond the ends of ``y``."""
    begin = max(start, 0)
    end = max(begin, min(start + len(segment), len(y)))
    segment[: begin - start] = 0
    segment[begin - start : end - start] = y[begin:end]
    segment[end - start :] = 0
