"""Ripples of a spectrogram: how strongly its levels rise and fall along time, along frequency, and along both."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import product

import numpy as np
from numpy.typing import NDArray

from audiofw.spectral.filterbanks import frozen
from audiofw.spectral.frames import positive, whole

RATES = (3.0, 6.0, 12.0, 24.0)
SCALES = (16.0, 8.0, 4.0)
FASTEST = 2.2  # frames in a cycle: a ripple that has fewer is beyond what frames can show
CYCLES = 0.75  # of a ripple to each side of a filter's middle: long enough to tell ripples an octave apart


def ripples(
    S: NDArray[np.floating],
    *,
    frame_rate: float,
    rates: Sequence[float] = RATES,
    scales: Sequence[float] = SCALES,
    group: int = 8,
) -> NDArray[np.float32]:
    """Strength of a spectrogram's ripples at every place and moment.

    The picture is filtered by complex wavelets in one and two dimensions. Of each answer the magnitude is kept, which
    says that there is such a ripple and not where its crests lie, and averaged over neighbouring bands: a sound that
    comes a little later, or a voice that is a little higher, gives nearly the same.

    Parameters
    ----------
    S : np.ndarray [shape=(bands, frames)]
        Levels of bands evenly spaced in pitch: dB, or a root of the power.
    frame_rate : float
        Frames in a second.
    rates : sequence of float
        Cycles in a second of ripples along time; of those too quick for the frame rate the strength is 0.
    scales : sequence of float
        Bands in a cycle of ripples along frequency.
    group : int
        Bands that are averaged; the last group may have fewer.

    Returns
    -------
    np.ndarray [shape=(kinds * groups, frames)]
        float32. The kinds are those of :func:`ripple_kinds`; of each there is a row for every group of bands.

    Raises
    ------
    ValueError
        If the spectrogram or an argument cannot be used.

    Notes
    -----
    The first layers of joint time-frequency scattering (Andén, Lostanlen and Mallat, 2015), and near to the cortical
    model of Chi, Ru and Shamma (2005).
    """
    S = np.asarray(S, np.float32)
    if S.ndim != 2 or not S.size or not np.isfinite(S).all():
        raise ValueError(f"S must be finite, of shape (bands, frames), not {S.shape}")
    frames_per_cycle = [positive("frame_rate", frame_rate) / positive("rates", rate) for rate in rates]
    step = max(1, whole("group", group, 1) // 4)  # the filters are wide: a few places in each group will do
    kinds = [_averaged(S, group)]
    kinds += [_averaged(strength, group // step) for strength in _strengths(S, frames_per_cycle, scales, step)]
    return np.concatenate(kinds)


def ripple_kinds(rates: Sequence[float] = RATES, scales: Sequence[float] = SCALES) -> list[tuple[float, float]]:
    """Cycles a second and bands a cycle of each kind of ripple: 0 for none, below 0 for falling in pitch."""
    kinds = [(0.0, 0.0), *((0.0, scale) for scale in scales)]
    for rate in rates:
        kinds += [(rate, 0.0), *product([rate, -rate], scales)]
    return kinds


def _strengths(
    S: NDArray[np.float32], frames_per_cycle: Sequence[float], scales: Sequence[float], step: int
) -> Iterator[NDArray[np.float32]]:
    """Give the strength of each kind of ripple, but for plain levels, at every ``step``-th band."""
    import scipy.fft

    margin = max((_reach(cycle) for cycle in frames_per_cycle), default=0)
    padded = np.pad(S, ((0, 0), (margin, margin)), mode="edge")
    inside = slice(margin, margin + S.shape[1])
    n = scipy.fft.next_fast_len(padded.shape[1])
    across = [_along_frequency(len(S), scale, step) @ padded for scale in scales]
    yield from (np.abs(answer[:, inside]) for answer in across)
    level, *spectra = (scipy.fft.fft(picture, n, axis=1) for picture in (_averaged(padded, step), *across))
    for cycle in frames_per_cycle:
        rising = _along_time(n, cycle)
        falling = np.roll(rising[::-1], 1)  # the same ripple, turning the other way
        for spectrum, response in [(level, rising), *((s, r) for r in (rising, falling) for s in spectra)]:
            yield np.abs(scipy.fft.ifft(spectrum * response, axis=1)[:, inside])


def _reach(cycle: float) -> int:
    """Points to each side of the middle of a filter for ripples of so many points."""
    return max(2, round(CYCLES * cycle))


def _wavelet(cycle: float) -> NDArray[np.complex128]:
    """A complex ripple under a Hann window, which answers to nothing that stays as it is."""
    reach = _reach(cycle)
    window = np.hanning(2 * reach + 3)[1:-1]
    wave = window / window.sum() * np.exp(2j * np.pi / cycle * np.arange(-reach, reach + 1))
    return wave - window * (wave.sum() / window.sum())


@lru_cache(maxsize=64)
def _along_frequency(bands: int, cycle: float, step: int) -> NDArray[np.complex64]:
    """A wavelet around every ``step``-th band as a matrix ``(places, bands)``; the outermost bands go on and on."""
    wave, reach = _wavelet(positive("scales", cycle)), _reach(cycle)
    places = np.arange(step // 2, max(bands, step // 2 + 1), step)
    matrix = np.zeros((len(places), bands), np.complex64)
    seen = np.clip(places[:, np.newaxis] + np.arange(-reach, reach + 1), 0, bands - 1)
    np.add.at(matrix, (np.arange(len(places))[:, np.newaxis], seen), wave)
    return frozen(matrix)


@lru_cache(maxsize=64)
def _along_time(n: int, cycle: float) -> NDArray[np.complex64]:
    """Answer of a wavelet to each frequency of a transform of ``n`` frames, ``(n,)``; to what is too quick, 0."""
    import scipy.fft

    wave, reach = _wavelet(cycle), _reach(cycle)
    if cycle < FASTEST or len(wave) > n:
        return frozen(np.zeros(n, np.complex64))
    kernel = np.zeros(n, np.complex128)
    kernel[np.arange(-reach, reach + 1) % n] = wave
    return frozen(scipy.fft.fft(kernel).astype(np.complex64))


def _averaged(rows: NDArray[np.floating], group: int) -> NDArray[np.floating]:
    """Mean of every ``group`` rows; the last has what is left."""
    starts = np.arange(0, len(rows), group)
    counts = np.diff(np.append(starts, len(rows))).astype(rows.dtype)
    return np.add.reduceat(rows, starts, axis=0) / counts[:, np.newaxis]
