"""Many features of one transform."""

from __future__ import annotations

import math
from typing import Unpack

import numpy as np
from numpy.typing import NDArray

from audiofw.spectral.chroma import chroma_filterbank
from audiofw.spectral.decibels import power_to_db
from audiofw.spectral.descriptors import (
    centroid_of,
    mass_of,
    moments_of,
    octaves,
    peaks_and_valleys,
    rolloff_bins,
    row,
    variance_of,
)
from audiofw.spectral.filterbanks import mel_bands, normalize
from audiofw.spectral.fourier import fft_frequencies, fill_powers
from audiofw.spectral.frames import Framing, cut
from audiofw.spectral.mel import gather, mfcc
from audiofw.spectral.temporal import level, zero_crossing_rate


def feature_set(
    y: NDArray[np.floating],
    *,
    sr: float = 22050,
    n_mels: int = 128,
    n_mfcc: int = 20,
    **framing: Unpack[Framing],
) -> dict[str, NDArray[np.float32]]:
    """The nine usual features from one shared transform, several times quicker than one by one.

    Parameters
    ----------
    y : np.ndarray [shape=(n,)]
        Signal.
    sr : float
        Its sampling rate in Hz.
    n_mels, n_mfcc : int
        Rows of the mel spectrogram and of the cepstra.
    **framing
        See :class:`Framing`.

    Returns
    -------
    dict of np.ndarray [shape=(rows, frames)]
        Named after the functions that make them, with their defaults: ``melspectrogram`` (power), ``mfcc``,
        ``chroma_stft``, ``spectral_centroid``, ``spectral_bandwidth``, ``spectral_rolloff``, ``spectral_contrast``
        (as many octaves, up to 6, as begin below half the sampling rate), ``rms`` and ``zero_crossing_rate``.

    Raises
    ------
    ValueError
        If the signal or an argument cannot be used, or ``sr`` is too low for one octave of contrast.
    """
    signal = cut(y, **framing)
    n_fft = signal.frames.n_fft
    freq = fft_frequencies(sr=sr, n_fft=n_fft)
    power = np.empty((signal.n_frames, signal.bins), np.float32)
    fill_powers(power, signal)
    bands = mel_bands(sr, n_fft, n_mels, 0.0, None, False, "slaney")
    mel = gather(bands, power, np.empty((signal.n_frames, n_mels), np.float32)).T
    return {
        "melspectrogram": mel,
        "mfcc": mfcc(S=power_to_db(mel), n_mfcc=n_mfcc),
        "chroma_stft": normalize(chroma_filterbank(sr=sr, n_fft=n_fft) @ power.T, np.inf, axis=0),
        **_of_magnitude(np.sqrt(power, out=power).T, sr, freq),
        "rms": level(signal),
        "zero_crossing_rate": zero_crossing_rate(
            y, frame_length=n_fft, hop_length=signal.frames.hop_length, center=signal.frames.center
        ),
    }


def _of_magnitude(S: NDArray[np.float32], sr: float, freq: NDArray[np.float64]) -> dict[str, NDArray[np.float32]]:
    moments = moments_of(S, freq)
    mass, centroid = mass_of(moments, S.dtype), centroid_of(moments, S.dtype)
    peak, valley = peaks_and_valleys(S, octaves(freq, sr, 200.0, _octaves_below_half(sr)))
    return {
        "spectral_centroid": row(centroid),
        "spectral_bandwidth": row(np.sqrt(variance_of(moments, centroid) / mass)),
        "spectral_rolloff": row(freq[rolloff_bins(S.T, 0.85)]),
        "spectral_contrast": power_to_db(peak) - power_to_db(valley),
    }


def _octaves_below_half(sr: float) -> int:
    """How many octaves from 200 Hz on, up to 6, begin below half the sampling rate."""
    return max(1, min(6, math.ceil(math.log2(sr / 2 / 200))))
