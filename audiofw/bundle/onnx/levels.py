"""Mel bands, decibels and MFCCs as an ONNX graph, see `audiofw.spectral.mel` and `audiofw.spectral.decibels`."""

from __future__ import annotations

from typing import Any

import numpy as np

from audiofw.bundle.onnx.fourier import Powers, powers, raised
from audiofw.bundle.onnx.graph import Graph
from audiofw.spectral.decibels import DECIBELS_PER_NEPER
from audiofw.spectral.filterbanks import dct_matrix, mel_filterbank
from audiofw.spectral.mel import lifter_weights


def melspectrogram(
    graph: Graph,
    y: str,
    *,
    sr: int,
    n_mels: int = 128,
    fmin: float = 0.0,
    fmax: float | None = None,
    htk: bool = False,
    norm: str | None = "slaney",
    power: float = 2.0,
    **framing: Any,
) -> str:
    """Mel spectrogram, ``(n_mels, frames)``; see `audiofw.spectral.melspectrogram`."""
    found = powers(graph, y, **framing)
    return sum_bands(graph, found, sr=sr, n_mels=n_mels, fmin=fmin, fmax=fmax, htk=htk, norm=norm, power=power)


def sum_bands(graph: Graph, found: Powers, *, power: float = 2.0, **bands: Any) -> str:
    """Apply the mel filters to a power spectrum."""
    bank = mel_filterbank(n_fft=found.frames.n_fft, **bands)
    weights = np.zeros((len(bank), len(found.bin_of)), np.float32)
    weights[:, found.lines] = bank  # of the bins with two lines, one counts
    return str(graph.MatMul(weights, raised(graph, found.value, power)))


def power_to_db(
    graph: Graph, S: str, *, ref: float | str = 1.0, amin: float = 1e-10, top_db: float | None = 80.0
) -> str:
    """Convert power to decibels; see `audiofw.spectral.power_to_db`."""
    kind = np.float32 if amin >= np.finfo(np.float32).tiny else np.float64
    least, loudest = kind(amin), graph.ReduceMax(graph.cast(S, kind), keepdims=0)
    levels = _logarithms(graph, graph.Max(graph.cast(S, kind), least), kind)
    reference = loudest if ref == "max" else kind(abs(float(ref)))
    levels = graph.Sub(levels, _logarithms(graph, graph.Max(reference, least), kind))
    if top_db is not None:
        levels = graph.Max(levels, graph.Sub(graph.ReduceMax(levels, keepdims=0), kind(top_db)))
    return graph.cast(levels, np.float32)


def amplitude_to_db(
    graph: Graph, S: str, *, ref: float | str = 1.0, amin: float = 1e-5, top_db: float | None = 80.0
) -> str:
    """Convert amplitude to decibels; see `audiofw.spectral.amplitude_to_db`."""
    square = ref if isinstance(ref, str) else ref**2
    return power_to_db(graph, str(graph.Mul(S, S)), ref=square, amin=amin**2, top_db=top_db)


def mfcc(
    graph: Graph,
    *,
    S: str,
    n_mels: int,
    n_mfcc: int = 20,
    dct_type: int = 2,
    norm: str | None = "ortho",
    lifter: float = 0,
) -> str:
    """MFCCs of ``n_mels`` mel bands in dB, ``(n_mfcc, frames)``; see `audiofw.spectral.mfcc`."""
    matrix = dct_matrix(n_mels, n_mfcc, dct_type, norm)
    if lifter > 0:
        matrix = matrix * lifter_weights(n_mfcc, lifter)[:, np.newaxis]
    return graph.cast(graph.MatMul(matrix, graph.cast(S, np.float64)), np.float32)


def _logarithms(graph: Graph, values: str, kind: Any) -> str:
    return str(graph.Mul(graph.Log(values), kind(DECIBELS_PER_NEPER)))
