"""Several features from one STFT."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import cached_property
from typing import Unpack

import numpy as np
from numpy.typing import NDArray

from audiofw.spectral.chroma import chroma_filterbank
from audiofw.spectral.decibels import power_to_db
from audiofw.spectral.descriptors import (
    centroid_of,
    flatness_of,
    mass_of,
    moments_of,
    octaves,
    octaves_below_half,
    peaks_and_valleys,
    rolloff_bins,
    row,
    variance_of,
)
from audiofw.spectral.filterbanks import mel_bands, normalize
from audiofw.spectral.fourier import fft_frequencies, fill_powers
from audiofw.spectral.frames import Cut, Framing, cut, one_of
from audiofw.spectral.mel import mfcc, onset_strength, sum_bands
from audiofw.spectral.temporal import level, rise_of, zero_crossing_rate

Feature = NDArray[np.float32]


def feature_set(
    y: NDArray[np.floating],
    *,
    sr: float = 22050,
    n_mels: int = 128,
    n_mfcc: int = 20,
    only: Collection[str] | None = None,
    **framing: Unpack[Framing],
) -> dict[str, Feature]:
    """Compute the usual features from one shared STFT, several times faster than one by one.

    Parameters
    ----------
    y : np.ndarray [shape=(n,)]
        Signal.
    sr : float
        Its sampling rate in Hz.
    n_mels : int
        Number of mel bands, which are also used for the MFCCs and the onset strength.
    n_mfcc : int
        Number of MFCCs.
    only : collection of str, optional
        Names of the features to compute, from the list below; None for all. Others cost no time.
    **framing
        See :class:`Framing`.

    Returns
    -------
    dict of np.ndarray [shape=(rows, frames)]
        Keyed by the name of the function that computes the feature with its defaults: ``melspectrogram`` (power),
        ``mfcc``, ``chroma_stft``, ``spectral_centroid``, ``spectral_bandwidth``, ``spectral_rolloff``,
        ``spectral_flatness``, ``spectral_contrast`` (up to 6 octaves, those that start below half the sampling rate),
        ``spectral_flux``, ``onset_strength`` (with shape ``(1, frames)``), ``rms`` and ``zero_crossing_rate``. All
        have the same number of frames.

    Raises
    ------
    ValueError
        If the signal or an argument cannot be used, or ``sr`` is too low for one octave of contrast.

    Examples
    --------
    >>> import numpy as np
    >>> from audiofw import spectral
    >>> y = np.sin(2 * np.pi * 440 * np.arange(22050) / 22050)  # one second of A4, at 22 050 Hz
    >>> features = spectral.feature_set(y, only=["mfcc", "spectral_centroid"])
    >>> {name: values.shape for name, values in features.items()}
    {'mfcc': (20, 44), 'spectral_centroid': (1, 44)}
    """
    for name in only or ():
        one_of("only", name, [*FEATURES])
    shared = _Shared(cut(y, **framing), y, sr, n_mels, n_mfcc)
    return {name: make(shared) for name, make in FEATURES.items() if only is None or name in only}


class _Shared:
    """Intermediate results shared by several features, each computed on first use."""

    def __init__(self, signal: Cut, y: NDArray[np.floating], sr: float, n_mels: int, n_mfcc: int) -> None:
        self.signal, self.y, self.sr, self.n_mels, self.n_mfcc = signal, y, sr, n_mels, n_mfcc
        self.freq = fft_frequencies(sr=sr, n_fft=signal.frames.n_fft)

    @cached_property
    def power(self) -> NDArray[np.float32]:
        """``(frames, bins)``."""
        power = np.empty((self.signal.n_frames, self.signal.bins), np.float32)
        fill_powers(power, self.signal)
        return power

    @cached_property
    def magnitude(self) -> NDArray[np.float32]:
        """``(frames, bins)``."""
        return np.sqrt(self.power)

    @cached_property
    def mel(self) -> Feature:
        bands = mel_bands(self.sr, self.signal.frames.n_fft, self.n_mels, 0.0, None, False, "slaney")
        return sum_bands(bands, self.power, np.empty((self.signal.n_frames, self.n_mels), np.float32)).T

    @cached_property
    def decibels(self) -> Feature:
        """The mel bands."""
        return power_to_db(self.mel)

    @cached_property
    def moments(self) -> NDArray[np.float64]:
        return moments_of(self.magnitude.T, self.freq)

    @cached_property
    def centroid(self) -> NDArray[np.float64]:
        return centroid_of(self.moments, np.float32)


def _chroma(shared: _Shared) -> Feature:
    bank = chroma_filterbank(sr=shared.sr, n_fft=shared.signal.frames.n_fft)
    return normalize(bank @ shared.power.T, np.inf, axis=0)


def _bandwidth(shared: _Shared) -> Feature:
    variance = variance_of(shared.moments, shared.centroid) / mass_of(shared.moments, np.float32)
    return row(np.sqrt(variance))


def _contrast(shared: _Shared) -> Feature:
    bands = octaves(shared.freq, shared.sr, 200.0, octaves_below_half(shared.sr))
    peak, valley = peaks_and_valleys(shared.magnitude.T, bands)
    return power_to_db(peak) - power_to_db(valley)


def _onset(shared: _Shared) -> Feature:
    frames = shared.signal.frames
    return row(onset_strength(S=shared.decibels, n_fft=frames.n_fft, hop_length=frames.hop_length))


def _zero_crossings(shared: _Shared) -> Feature:
    n_fft, hop_length, _, center, _ = shared.signal.frames
    return zero_crossing_rate(shared.y, frame_length=n_fft, hop_length=hop_length, center=center)


FEATURES: dict[str, Callable[[_Shared], Feature]] = {
    "melspectrogram": lambda shared: shared.mel,
    "mfcc": lambda shared: mfcc(S=shared.decibels, n_mfcc=shared.n_mfcc),
    "chroma_stft": _chroma,
    "spectral_centroid": lambda shared: row(shared.centroid),
    "spectral_bandwidth": _bandwidth,
    "spectral_rolloff": lambda shared: row(shared.freq[rolloff_bins(shared.magnitude, 0.85)]),
    "spectral_flatness": lambda shared: row(flatness_of(shared.power.copy())),
    "spectral_contrast": _contrast,
    "spectral_flux": lambda shared: rise_of(shared.magnitude),
    "onset_strength": _onset,
    "rms": lambda shared: level(shared.signal),
    "zero_crossing_rate": _zero_crossings,
}
"""The features of :func:`feature_set` and how they are computed, in output order."""
