"""Spectra of a signal: librosa's functions, names and results, faster, and in plain NumPy.

Every function takes one channel ``y`` of shape ``(n,)`` or, where librosa does, a spectrogram ``S`` of shape
``(bins, frames)``, so that one transform can serve many features; :func:`feature_set` does so for the usual twelve.
Results are float32, that of :func:`stft` complex64. The FFT works in float64 unless ``dtype="float32"`` asks for
speed, at differences of up to a thousandth of a dB. A signal that is empty, not finite or not one channel, and an
argument out of range, is a ``ValueError`` of one line.

Buffers are kept per thread, so the functions may run in many threads at once; no result shares memory with them.

Source: librosa 0.11, https://librosa.org, with whose results the tests compare these; what it lacks names its own.
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
from audiofw.spectral.frames import Framing
from audiofw.spectral.mel import dct, melspectrogram, mfcc, onset_strength
from audiofw.spectral.modulation import ripple_kinds, ripples
from audiofw.spectral.temporal import delta, rms, spectral_flux, zero_crossing_rate

__all__ = [
    "Framing",
    "amplitude_to_db",
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
