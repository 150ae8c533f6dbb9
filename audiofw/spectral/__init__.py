"""Spectral features in plain NumPy, with the names, arguments and results of librosa's functions, but faster.

Every function takes a mono signal ``y`` of shape ``(n,)`` or, where librosa does, a spectrogram ``S`` of shape
``(bins, frames)``, so that several features can share one STFT; :func:`feature_set` computes the usual twelve that way.
Results are float32, except for the complex64 :func:`stft`. The FFT uses float64 unless ``dtype="float32"`` is given,
which is faster and differs by up to 0.001 dB. An empty, non-finite or multichannel signal and an argument out of range
raise a ``ValueError`` with a one-line message.

The functions are thread-safe: scratch buffers are per thread, and no result shares memory with them.

Reference: librosa 0.11, https://librosa.org. The tests compare the results with librosa's. Functions that librosa lacks
cite their own source.
"""

from __future__ import annotations

from audiofw.spectral.chroma import chroma_filterbank, chroma_stft
from audiofw.spectral.combined import feature_set
from audiofw.spectral.decibels import amplitude_to_db, power_to_db
from audiofw.spectral.descriptors import (
    octaves_below_half,
    spectral_bandwidth,
    spectral_centroid,
    spectral_contrast,
    spectral_flatness,
    spectral_rolloff,
)
from audiofw.spectral.filterbanks import hz_to_mel, mel_filterbank, mel_frequencies, mel_to_hz
from audiofw.spectral.fourier import fft_frequencies, spectrogram, stft
from audiofw.spectral.frames import Framing, check_overlap
from audiofw.spectral.mel import dct, melspectrogram, mfcc, onset_strength
from audiofw.spectral.modulation import ripple_kinds, ripples
from audiofw.spectral.temporal import delta, rms, spectral_flux, zero_crossing_rate

__all__ = [
    "Framing",
    "amplitude_to_db",
    "check_overlap",
    "chroma_filterbank",
    "chroma_stft",
    "dct",
    "delta",
    "feature_set",
    "fft_frequencies",
    "hz_to_mel",
    "mel_filterbank",
    "mel_frequencies",
    "mel_to_hz",
    "melspectrogram",
    "mfcc",
    "octaves_below_half",
    "onset_strength",
    "power_to_db",
    "ripple_kinds",
    "ripples",
    "rms",
    "spectral_bandwidth",
    "spectral_centroid",
    "spectral_contrast",
    "spectral_flatness",
    "spectral_flux",
    "spectral_rolloff",
    "spectrogram",
    "stft",
    "zero_crossing_rate",
]
