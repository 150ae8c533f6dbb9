"""The mel scale, the mel filter bank and other cached matrices."""

from __future__ import annotations

import logging
import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from audiofw.spectral.fourier import fft_frequencies
from audiofw.spectral.frames import whole

logger = logging.getLogger(__name__)

# 128 filters make 8 groups: larger groups multiply more zeros, smaller ones need more calls
FILTERS_PER_GROUP = 16

# Slaney's scale is linear up to 1 kHz (15 mels); above, 27 mels span a factor of 6.4
HZ_PER_MEL, KNEE_HZ, KNEE_MEL, LOG_STEP = 200 / 3, 1000.0, 15.0, math.log(6.4) / 27


class Band(NamedTuple):
    """A group of adjacent filters, the bins where they are non-zero, and their weights ``(bins, filters)``."""

    filters: slice
    bins: slice
    weights: NDArray[np.float32]


def hz_to_mel(hz: ArrayLike, *, htk: bool = False) -> NDArray[np.float64]:
    """Convert Hz to mels on Slaney's or HTK's scale, as ``librosa.hz_to_mel``.

    Examples
    --------
    >>> from audiofw import spectral
    >>> spectral.hz_to_mel(1000.0).item()
    15.0
    """
    hz = np.asarray(hz, np.float64)
    if htk:
        return 2595.0 * np.log10(1.0 + hz / 700.0)
    above = KNEE_MEL + np.log(np.maximum(hz, KNEE_HZ) / KNEE_HZ) / LOG_STEP
    return np.where(hz >= KNEE_HZ, above, hz / HZ_PER_MEL)


def mel_to_hz(mels: ArrayLike, *, htk: bool = False) -> NDArray[np.float64]:
    """Convert mels to Hz, the inverse of :func:`hz_to_mel`.

    Examples
    --------
    >>> from audiofw import spectral
    >>> spectral.mel_to_hz(15.0).item()
    1000.0
    """
    mels = np.asarray(mels, np.float64)
    if htk:
        return 700.0 * (10.0 ** (mels / 2595.0) - 1.0)
    above = KNEE_HZ * np.exp(LOG_STEP * (np.maximum(mels, KNEE_MEL) - KNEE_MEL))
    return np.where(mels >= KNEE_MEL, above, mels * HZ_PER_MEL)


def mel_frequencies(
    n_mels: int = 128, *, fmin: float = 0.0, fmax: float = 11025.0, htk: bool = False
) -> NDArray[np.float64]:
    """``n_mels`` frequencies in Hz, evenly spaced in mels from ``fmin`` to ``fmax``, as ``librosa.mel_frequencies``.

    Examples
    --------
    >>> from audiofw import spectral
    >>> spectral.mel_frequencies(5, fmax=4000.0).round().tolist()
    [0.0, 586.0, 1194.0, 2186.0, 4000.0]
    """
    whole("n_mels", n_mels, 1)
    return mel_to_hz(np.linspace(hz_to_mel(fmin, htk=htk), hz_to_mel(fmax, htk=htk), n_mels), htk=htk)


@lru_cache(maxsize=16)
def mel_filterbank(
    *,
    sr: float,
    n_fft: int,
    n_mels: int = 128,
    fmin: float = 0.0,
    fmax: float | None = None,
    htk: bool = False,
    norm: str | float | None = "slaney",
) -> NDArray[np.float32]:
    """Triangular filters, evenly spaced in mels, as ``librosa.filters.mel``.

    Parameters
    ----------
    sr : float
        Sampling rate in Hz.
    n_fft : int
        FFT size.
    n_mels : int
        Number of filters. If there are too many for ``n_fft``, some are empty and a warning is logged.
    fmin, fmax : float
        Frequency range in Hz; ``fmax=None`` means half the sampling rate.
    htk : bool
        Use the HTK mel formula instead of Slaney's.
    norm : "slaney", float or None
        Equal area, unit norm of the given order, or a peak of 1.

    Returns
    -------
    np.ndarray [shape=(n_mels, 1 + n_fft // 2)]
        Cached and therefore read-only.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Examples
    --------
    >>> from audiofw import spectral
    >>> spectral.mel_filterbank(sr=22050, n_fft=2048, n_mels=64).shape
    (64, 1025)
    """
    whole("n_mels", n_mels, 1)
    bins = fft_frequencies(sr=sr, n_fft=n_fft)
    top = _checked_range(sr, fmin, fmax)
    edges = mel_frequencies(n_mels + 2, fmin=fmin, fmax=top, htk=htk)
    weights = _normalized(_triangles(edges, bins), edges, norm)
    if not np.all((edges[:-2] == 0) | (weights.max(axis=1) > 0)):
        logger.warning("n_mels=%d leaves empty filters at n_fft=%d and sr=%g: reduce it", n_mels, n_fft, sr)
    return frozen(weights)


def _checked_range(sr: float, fmin: float, fmax: float | None) -> float:
    top = sr / 2 if fmax is None else fmax
    if not 0 < top <= sr / 2:
        raise ValueError(f"fmax={fmax} is out of range: above 0, up to {sr / 2:g}, half of sr={sr}")
    if not 0 <= fmin < top:
        raise ValueError(f"fmin={fmin} is out of range: from 0 to below fmax={top:g}")
    return float(top)


def _triangles(edges: NDArray[np.float64], bins: NDArray[np.float64]) -> NDArray[np.float32]:
    ramps = np.subtract.outer(edges, bins)
    widths = np.diff(edges)[:, np.newaxis]
    return np.maximum(0, np.minimum(-ramps[:-2] / widths[:-1], ramps[2:] / widths[1:])).astype(np.float32)


def _normalized(
    weights: NDArray[np.float32], edges: NDArray[np.float64], norm: str | float | None
) -> NDArray[np.float32]:
    if norm != "slaney":
        return normalize(weights, norm, axis=-1)  # type: ignore[arg-type]  # normalize rejects other strings
    weights *= (2.0 / (edges[2:] - edges[:-2]))[:, np.newaxis]
    return weights


@lru_cache(maxsize=16)
def mel_bands(
    sr: float, n_fft: int, n_mels: int, fmin: float, fmax: float | None, htk: bool, norm: str | float | None
) -> tuple[Band, ...]:
    """The mel filter bank in groups of adjacent filters, without most of its zeros."""
    bank = mel_filterbank(sr=sr, n_fft=n_fft, n_mels=n_mels, fmin=fmin, fmax=fmax, htk=htk, norm=norm)
    return tuple(_band(bank, first, first + FILTERS_PER_GROUP) for first in range(0, n_mels, FILTERS_PER_GROUP))


def _band(bank: NDArray[np.float32], first: int, last: int) -> Band:
    used = np.flatnonzero(bank[first:last].any(axis=0))
    bins = slice(used[0], used[-1] + 1) if len(used) else slice(0, 1)
    return Band(slice(first, last), bins, frozen(np.ascontiguousarray(bank[first:last, bins].T)))


@lru_cache(maxsize=16)
def dct_matrix(n_mels: int, n_mfcc: int, dct_type: int, norm: str | None) -> NDArray[np.float64]:
    """First rows of the DCT matrix, ``(n_mfcc, n_mels)``; read-only."""
    import scipy.fft

    identity = np.eye(n_mels)
    return frozen(np.ascontiguousarray(scipy.fft.dct(identity, type=dct_type, norm=norm, axis=0)[:n_mfcc]))


def frozen(array: NDArray[Any]) -> NDArray[Any]:
    array.setflags(write=False)
    return array


def normalize(values: NDArray[Any], norm: float | None, axis: int) -> NDArray[Any]:
    """Divide by the ``norm``-th norm along ``axis``, as ``librosa.util.normalize``; zero vectors stay zero."""
    if norm is None:
        return values
    if isinstance(norm, str) or not norm > 0:
        raise ValueError(f"norm={norm!r} is out of range: above 0, infinity, or None")
    length = np.linalg.norm(np.asarray(values, np.float64), ord=norm, axis=axis, keepdims=True)
    length[length < np.finfo(values.dtype).tiny] = 1.0
    return (values / length).astype(values.dtype)
