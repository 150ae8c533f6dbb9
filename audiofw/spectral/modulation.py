"""Spectro-temporal modulation: how strongly a spectrogram fluctuates along time, along frequency and along both."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache, reduce
from itertools import product

import numpy as np
from numpy.typing import NDArray

from audiofw.spectral.filterbanks import frozen
from audiofw.spectral.frames import positive, whole

RATES = (3.0, 6.0, 12.0, 24.0)
SCALES = (16.0, 8.0, 4.0)
LARGEST_UNROLLED = 8  # rows that numpy adds one after the other
FASTEST = 2.2  # frames per cycle of the fastest modulation that the frame rate can represent
CYCLES = 0.75  # half-length of a wavelet in cycles: long enough to separate modulations an octave apart


def ripples(
    S: NDArray[np.floating],
    *,
    frame_rate: float,
    rates: Sequence[float] = RATES,
    scales: Sequence[float] = SCALES,
    group: int = 8,
) -> NDArray[np.float32]:
    """Strength of a spectrogram's modulation ("ripples") in every group of bands and every frame.

    The spectrogram is filtered with complex wavelets in one and two dimensions. The magnitude of each response is kept,
    which measures how strong a modulation is but not its phase, and averaged over neighbouring bands. A sound that
    starts slightly later, or a slightly higher voice, therefore gives nearly the same values.

    Parameters
    ----------
    S : np.ndarray [shape=(bands, frames)]
        Levels of bands with constant spacing in pitch (such as mel bands): dB, or a root of the power.
    frame_rate : float
        Frames per second.
    rates : sequence of float
        Temporal modulation rates in Hz; the strength of a rate too fast for the frame rate is 0.
    scales : sequence of float
        Spectral modulation scales in bands per cycle.
    group : int
        Number of bands averaged into one row; the last group may have fewer.

    Returns
    -------
    np.ndarray [shape=(kinds * groups, frames)]
        float32. For each kind of modulation, see :func:`ripple_kinds`, one row per group of bands.

    Raises
    ------
    ValueError
        If the spectrogram or an argument cannot be used.

    Notes
    -----
    Equivalent to the first layers of joint time-frequency scattering (Andén, Lostanlen and Mallat, 2015), and similar
    to the cortical model of Chi, Ru and Shamma (2005).

    Examples
    --------
    >>> import numpy as np
    >>> from audiofw import spectral
    >>> y = np.sin(2 * np.pi * 440 * np.arange(22050) / 22050)  # one second of A4, at 22 050 Hz
    >>> levels = spectral.power_to_db(spectral.melspectrogram(y, n_mels=64), ref=np.max)
    >>> spectral.ripples(levels, frame_rate=22050 / 512).shape  # 32 kinds of modulation, 8 groups of bands
    (256, 44)
    """
    S = np.asarray(S, np.float32)
    if S.ndim != 2 or not S.size or not np.isfinite(S).all():
        raise ValueError(f"S must be finite, with shape (bands, frames), got {S.shape}")
    frames_per_cycle = [positive("frame_rate", frame_rate) / positive("rates", rate) for rate in rates]
    step = max(1, whole("group", group, 1) // 4)  # the wavelets are wide: a few positions per group suffice
    kinds = [averaged(S, group)]
    for strengths in _strengths(S, frames_per_cycle, scales, step):
        kinds += [*averaged(strengths, group // step)]
    return np.concatenate(kinds)


def ripple_kinds(rates: Sequence[float] = RATES, scales: Sequence[float] = SCALES) -> list[tuple[float, float]]:
    """List ``(rate in Hz, scale in bands per cycle)`` of each kind: 0 for no modulation, rate < 0 for falling pitch.

    Examples
    --------
    >>> from audiofw import spectral
    >>> spectral.ripple_kinds(rates=[4.0], scales=[8.0])
    [(0.0, 0.0), (0.0, 8.0), (4.0, 0.0), (4.0, 8.0), (-4.0, 8.0)]
    """
    kinds = [(0.0, 0.0), *((0.0, scale) for scale in scales)]
    for rate in rates:
        kinds += [(rate, 0.0), *product([rate, -rate], scales)]
    return kinds


def _strengths(
    S: NDArray[np.float32], frames_per_cycle: Sequence[float], scales: Sequence[float], step: int
) -> Iterator[NDArray[np.float32]]:
    """Yield the strengths of each kind except (0, 0), at every ``step``-th band: those of one rate at a time."""
    import scipy.fft

    margin = max((reach_of(cycle) for cycle in frames_per_cycle), default=0)
    padded = np.pad(S, ((0, 0), (margin, margin)), mode="edge")
    inside = slice(margin, margin + S.shape[1])
    n = scipy.fft.next_fast_len(padded.shape[1])
    level = scipy.fft.fft(averaged(padded, step)[np.newaxis], n, axis=-1)
    spectra = level[:0]
    if scales:  # all at once, as most of the time for small arrays is that for calls
        across = (along_scales(len(S), tuple(scales), step) @ padded).reshape(len(scales), -1, padded.shape[1])
        yield np.abs(across[..., inside])
        spectra = scipy.fft.fft(across, n, axis=-1)
    for cycle in frames_per_cycle:
        rising = _along_time(n, cycle)
        falling = np.roll(rising[::-1], 1)  # the conjugate response selects the opposite direction
        for responses in (level * rising, np.concatenate([spectra * rising, spectra * falling])):
            yield np.abs(scipy.fft.ifft(responses, axis=-1, overwrite_x=True)[..., inside])


def reach_of(cycle: float) -> int:
    """Half-length of the wavelet for modulations with a period of ``cycle`` points."""
    return max(2, round(CYCLES * cycle))


def wavelet(cycle: float) -> NDArray[np.complex128]:
    """A complex exponential under a Hann window, corrected to a zero response to constant input."""
    reach = reach_of(cycle)
    window = np.hanning(2 * reach + 3)[1:-1]
    wave = window / window.sum() * np.exp(2j * np.pi / cycle * np.arange(-reach, reach + 1))
    return wave - window * (wave.sum() / window.sum())


@lru_cache(maxsize=64)
def _along_frequency(bands: int, cycle: float, step: int) -> NDArray[np.complex64]:
    """Matrix ``(positions, bands)`` of the wavelet centred on every ``step``-th band, with edge padding."""
    wave, reach = wavelet(positive("scales", cycle)), reach_of(cycle)
    places = np.arange(step // 2, max(bands, step // 2 + 1), step)
    matrix = np.zeros((len(places), bands), np.complex64)
    seen = np.clip(places[:, np.newaxis] + np.arange(-reach, reach + 1), 0, bands - 1)
    np.add.at(matrix, (np.arange(len(places))[:, np.newaxis], seen), wave)
    return frozen(matrix)


@lru_cache(maxsize=64)
def along_scales(bands: int, cycles: tuple[float, ...], step: int) -> NDArray[np.complex64]:
    """One matrix for several scales, whose positions follow each other."""
    return frozen(np.concatenate([_along_frequency(bands, cycle, step) for cycle in cycles]))


@lru_cache(maxsize=64)
def _along_time(n: int, cycle: float) -> NDArray[np.complex64]:
    """Frequency response ``(n,)`` of the wavelet for an FFT of ``n`` frames; 0 for a modulation that is too fast."""
    import scipy.fft

    wave, reach = wavelet(cycle), reach_of(cycle)
    if cycle < FASTEST or len(wave) > n:
        return frozen(np.zeros(n, np.complex64))
    kernel = np.zeros(n, np.complex128)
    kernel[np.arange(-reach, reach + 1) % n] = wave
    return frozen(scipy.fft.fft(kernel).astype(np.complex64))


def averaged(rows: NDArray[np.floating], group: int) -> NDArray[np.floating]:
    """Mean of every ``group`` rows of the last but one axis; the last group may have fewer."""
    length = rows.shape[-2]
    starts = np.arange(0, length, group)
    if group > LARGEST_UNROLLED or length % group:
        counts = np.diff(np.append(starts, length)).astype(rows.dtype)
        return np.add.reduceat(rows, starts, axis=-2) / counts[:, np.newaxis]
    others = [rows[..., i::group, :] for i in range(1, group)]
    # several times as quick, and the sums are rounded as reduceat rounds them: the first comes last
    total = rows[..., ::group, :] + reduce(np.add, others) if others else rows
    return total / rows.dtype.type(group)
