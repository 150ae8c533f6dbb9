"""Features with one or a few values per frame."""

from __future__ import annotations

import itertools
import math
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from audiofw.spectral.decibels import power_to_db
from audiofw.spectral.fourier import fft_frequencies, n_fft_of, spectrogram
from audiofw.spectral.frames import Framing, Signal, even_blocks, positive, scratch, whole

# Frames converted to float64 at a time, and bins summed at a time.
MOMENT_FRAMES = 64
ROLLOFF_GROUP = 32


def _with_frequencies(
    y: Signal, S: Signal, sr: float, freq: Any, framing: Framing
) -> tuple[NDArray[np.floating], NDArray[np.float64]]:
    """Return the magnitude spectrogram, computed or given, and the frequency of each of its rows."""
    S = spectrogram(y, S=S, **framing)
    freq = fft_frequencies(sr=sr, n_fft=n_fft_of(S, **framing)) if freq is None else np.asarray(freq, np.float64)
    if freq.shape != (len(S),):
        raise ValueError(f"freq has shape {freq.shape}: it needs one value per row of S, {len(S)}")
    return S, freq


# -- Distribution over frequency -------------------------------------------------------------------------------------


def spectral_centroid(
    y: Signal = None, *, sr: float = 22050, S: Signal = None, freq: Any = None, **framing: Unpack[Framing]
) -> NDArray[np.float32]:
    """Mean frequency of each frame, weighted by magnitude, as ``librosa.feature.spectral_centroid``.

    Parameters
    ----------
    y : np.ndarray [shape=(n,)], optional
        Signal.
    sr : float
        Its sampling rate in Hz.
    S : np.ndarray [shape=(bins, frames)], optional
        Magnitude spectrogram, used instead of ``y``.
    freq : np.ndarray [shape=(bins,)], optional
        Frequency of each row in Hz; None for the FFT frequencies.
    **framing
        See :class:`audiofw.spectral.Framing`.

    Returns
    -------
    np.ndarray [shape=(1, frames)]
        In Hz; 0 for a silent frame.

    Raises
    ------
    ValueError
        If the signal, the spectrogram or an argument cannot be used.

    Examples
    --------
    >>> import numpy as np
    >>> from audiofw import spectral
    >>> y = np.sin(2 * np.pi * 440 * np.arange(22050) / 22050)  # one second of A4, at 22 050 Hz
    >>> spectral.spectral_centroid(y)[0, 20].round().item()
    440.0
    """
    S, freq = _with_frequencies(y, S, sr, freq, framing)
    return row(centroid_of(moments_of(S, freq), S.dtype))


def spectral_bandwidth(
    y: Signal = None,
    *,
    sr: float = 22050,
    S: Signal = None,
    freq: Any = None,
    centroid: Any = None,
    norm: bool = True,
    p: float = 2.0,
    **framing: Unpack[Framing],
) -> NDArray[np.float32]:
    """Spread of each frame around its centroid, in Hz, as ``librosa.feature.spectral_bandwidth``.

    ``p`` is the exponent of the deviation (2: a standard deviation); ``norm=False`` does not normalise the magnitudes.
    Other parameters, the return value ``(1, frames)`` and errors are those of :func:`spectral_centroid`.

    Examples
    --------
    >>> import numpy as np
    >>> from audiofw import spectral
    >>> y = np.sin(2 * np.pi * 440 * np.arange(22050) / 22050)  # one second of A4, at 22 050 Hz
    >>> spectral.spectral_bandwidth(y).shape
    (1, 44)
    """
    positive("p", p)
    S, freq = _with_frequencies(y, S, sr, freq, framing)
    moments = moments_of(S, freq)
    if centroid is None:
        centre = centroid_of(moments, S.dtype)
    else:
        centre = np.broadcast_to(np.asarray(centroid, np.float64).ravel(), moments.shape[1:])
    spread = variance_of(moments, centre) if p == 2 else _spread(S, freq, centre, p)
    return row((spread / mass_of(moments, S.dtype) if norm else spread) ** (1 / p))


def moments_of(S: NDArray[np.floating], freq: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sums of S, freq * S and freq² * S over each frame, shape ``(3, frames)``."""
    weights = [np.ones_like(freq), freq, freq**2]
    out = np.empty((3, S.shape[1]))
    for start, rows in even_blocks(0, S.shape[1], MOMENT_FRAMES):
        # the variance is a small difference of large numbers, hence float64
        block = scratch("moments", (rows, len(S)), np.float64)
        np.copyto(block, S.T[start : start + rows])
        for moment, weight in zip(out, weights, strict=True):
            np.matmul(block, weight, out=moment[start : start + rows])
    return out


def mass_of(moments: NDArray[np.float64], dtype: Any) -> NDArray[np.float64]:
    """Divisor of a frame's sums: its total magnitude, or 1 for a silent frame."""
    return np.where(moments[0] < np.finfo(dtype).tiny, 1.0, moments[0])


def centroid_of(moments: NDArray[np.float64], dtype: Any) -> NDArray[np.float64]:
    """Mean frequency of each frame."""
    return moments[1] / mass_of(moments, dtype)


def variance_of(moments: NDArray[np.float64], centre: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum of S times the squared distance from ``centre`` over each frame."""
    return np.maximum(moments[2] - 2 * centre * moments[1] + centre**2 * moments[0], 0.0)


def _spread(
    S: NDArray[np.floating], freq: NDArray[np.float64], centre: NDArray[np.float64], p: float
) -> NDArray[np.float64]:
    out = np.empty(S.shape[1])
    for start, rows in even_blocks(0, S.shape[1], MOMENT_FRAMES):
        part = slice(start, start + rows)
        deviation = np.abs(freq - centre[part, np.newaxis]) ** p
        out[part] = np.einsum("ij,ij->i", S.T[part], deviation)
    return out


def row(values: NDArray[np.floating]) -> NDArray[np.float32]:
    """Reshape one value per frame to float32 ``(1, frames)``."""
    return values.astype(np.float32)[np.newaxis]


def spectral_rolloff(
    y: Signal = None,
    *,
    sr: float = 22050,
    S: Signal = None,
    freq: Any = None,
    roll_percent: float = 0.85,
    **framing: Unpack[Framing],
) -> NDArray[np.float32]:
    """Frequency in Hz below which a fraction of the magnitude lies, as ``librosa.feature.spectral_rolloff``.

    ``roll_percent`` is that fraction, between 0 and 1. The sums are more accurate than librosa's, so a borderline frame
    can differ by one bin. Other parameters, the return value ``(1, frames)`` and errors are those of
    :func:`spectral_centroid`.

    Examples
    --------
    >>> import numpy as np
    >>> from audiofw import spectral
    >>> y = np.sin(2 * np.pi * 440 * np.arange(22050) / 22050)  # one second of A4, at 22 050 Hz
    >>> spectral.spectral_rolloff(y)[0, 20].round().item()
    452.0
    """
    if not 0 < roll_percent < 1:
        raise ValueError(f"roll_percent={roll_percent} is out of range: between 0 and 1")
    S, freq = _with_frequencies(y, S, sr, freq, framing)
    lowest_from = np.minimum.accumulate(freq[::-1])[::-1]
    return row(lowest_from[rolloff_bins(S.T, roll_percent)])


def rolloff_bins(rows: NDArray[np.floating], share: float) -> NDArray[np.intp]:
    """First bin of each row at which the cumulative sum reaches ``share`` of the total."""
    # first the group of bins, then the bin in it: a cumulative sum over all bins takes ten times as long
    bins = rows.shape[1]
    sums = np.add.reduceat(rows, np.arange(0, bins, ROLLOFF_GROUP), axis=1)
    upto = np.cumsum(sums, axis=1, dtype=np.float64)
    target = share * upto[:, -1:]
    group = np.argmax(upto >= target, axis=1)[:, np.newaxis]
    before = np.take_along_axis(upto - sums, group, axis=1)
    columns = np.minimum(group * ROLLOFF_GROUP + np.arange(ROLLOFF_GROUP), bins - 1)
    inside = np.cumsum(np.take_along_axis(rows, columns, axis=1), axis=1, dtype=np.float64)
    reached = before + inside >= target
    reached[:, -1] = True
    return np.take_along_axis(columns, np.argmax(reached, axis=1)[:, np.newaxis], axis=1)[:, 0]


# -- Shape of the spectrum -------------------------------------------------------------------------------------------


def spectral_flatness(
    y: Signal = None,
    *,
    S: Signal = None,
    amin: float = 1e-10,
    power: float = 2.0,
    **framing: Unpack[Framing],
) -> NDArray[np.float32]:
    """Ratio of the geometric to the arithmetic mean of each frame's power: 1 for white noise, near 0 for a tone.

    As ``librosa.feature.spectral_flatness``: ``S`` is a magnitude, which is raised to ``power`` and then clipped to at
    least ``amin``. Other parameters, the return value ``(1, frames)`` and errors are those of
    :func:`spectral_centroid`.

    Examples
    --------
    >>> import numpy as np
    >>> from audiofw import spectral
    >>> y = np.sin(2 * np.pi * 440 * np.arange(22050) / 22050)  # one second of A4, at 22 050 Hz
    >>> noise = np.random.default_rng(0).standard_normal(22050)
    >>> bool(spectral.spectral_flatness(noise).mean() > 100 * spectral.spectral_flatness(y)[0, 20])
    True
    """
    positive("amin", amin)
    rows = spectrogram(y, S=S, **framing).T
    return row(flatness_of(np.square(rows) if power == 2 else rows**power, amin))


def flatness_of(energy: NDArray[np.floating], amin: float = 1e-10) -> NDArray[np.floating]:
    """Ratio of the geometric to the arithmetic mean of each row; overwrites ``energy``."""
    np.maximum(energy, amin, out=energy)
    arithmetic = energy.mean(axis=1)
    return np.exp(np.log(energy, out=energy).mean(axis=1)) / arithmetic


def spectral_contrast(
    y: Signal = None,
    *,
    sr: float = 22050,
    S: Signal = None,
    freq: Any = None,
    fmin: float = 200.0,
    n_bands: int = 6,
    quantile: float = 0.02,
    linear: bool = False,
    **framing: Unpack[Framing],
) -> NDArray[np.float32]:
    """Peak minus valley in each octave above ``fmin``, in dB, as ``librosa.feature.spectral_contrast``.

    ``quantile`` is the fraction of a band's bins averaged for the peak and for the valley; ``linear=True`` returns
    their linear difference. Other parameters and errors are those of :func:`spectral_centroid`. The result has
    ``n_bands + 1`` rows; the first is the band below ``fmin``.

    Examples
    --------
    >>> import numpy as np
    >>> from audiofw import spectral
    >>> y = np.sin(2 * np.pi * 440 * np.arange(22050) / 22050)  # one second of A4, at 22 050 Hz
    >>> spectral.spectral_contrast(y).shape  # below 200 Hz, and six octaves
    (7, 44)
    """
    if not 0 < quantile < 1:
        raise ValueError(f"quantile={quantile} is out of range: between 0 and 1")
    whole("n_bands", n_bands, 1)
    positive("fmin", fmin)
    S, freq = _with_frequencies(y, S, sr, freq, framing)
    peak, valley = peaks_and_valleys(S, octaves(freq, sr, fmin, n_bands), quantile)
    if linear:
        return (peak - valley).astype(np.float32)
    return power_to_db(peak) - power_to_db(valley)


def peaks_and_valleys(
    S: NDArray[np.floating], bands: list[tuple[slice, int]], quantile: float = 0.02
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Mean of the highest and of the lowest bins of each band: two arrays ``(bands, frames)``."""
    means = [_peak_and_valley(S.T[:, band], count, quantile) for band, count in bands]
    peak, valley = np.stack(means, axis=1)
    return peak, valley


def octaves(freq: NDArray[np.float64], sr: float, fmin: float, n_bands: int) -> list[tuple[slice, int]]:
    """Bins of each band, and the count that the quantile refers to (librosa includes the bin that it drops)."""
    edges = np.concatenate([[0.0], fmin * 2.0 ** np.arange(n_bands + 1)])
    if edges[-2] >= sr / 2:
        raise ValueError(f"n_bands={n_bands} octaves above fmin={fmin} exceed half of sr={sr}: reduce one of them")
    bands = []
    for k, (low, high) in enumerate(itertools.pairwise(edges)):
        inside = np.flatnonzero((freq >= low) & (freq <= high))
        last = k == n_bands
        if len(inside) < 1 + (not last and k == 0):
            raise ValueError(f"n_fft={2 * len(freq) - 2} has no bin from {low:g} to {high:g} Hz: use a larger n_fft")
        start, stop = max(inside[0] - (k > 0), 0), len(freq) if last else inside[-1] + 1
        bands.append((slice(start, stop - (not last)), stop - start))
    return bands


def octaves_below_half(sr: float) -> int:
    """Number of octaves above 200 Hz, from 1 to 6, that start below half the sampling rate.

    Examples
    --------
    >>> from audiofw import spectral
    >>> spectral.octaves_below_half(22050)
    6
    """
    return max(1, min(6, math.ceil(math.log2(positive("sr", sr) / 2 / 200))))


def _peak_and_valley(
    band: NDArray[np.floating], count: int, quantile: float
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    ordered = np.sort(band, axis=1)
    few = max(int(np.rint(quantile * count)), 1)
    return ordered[:, -few:].mean(axis=1), ordered[:, :few].mean(axis=1)
