"""Several features from one STFT as an ONNX graph, see `audiofw.spectral.combined`."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import cached_property
from typing import Any

import numpy as np

from audiofw.bundle.onnx.fourier import Powers, powers
from audiofw.bundle.onnx.graph import Graph
from audiofw.bundle.onnx.levels import mfcc, power_to_db, sum_bands
from audiofw.spectral.chroma import chroma_filterbank
from audiofw.spectral.descriptors import octaves, octaves_below_half
from audiofw.spectral.fourier import fft_frequencies

TINY = np.finfo(np.float32).tiny
ROLLED = 0.85  # share of the magnitude below the roll-off
EXTREME = 0.02  # share of a band's bins that make its peak, and its valley
LEAST_POWER = np.float32(1e-10)
STILL = -np.nextafter(np.float32(1e-10), np.float32(0))  # samples below this are negative


def feature_set(
    graph: Graph, y: str, *, sr: int, n_mels: int = 128, n_mfcc: int = 20, only: Collection[str], **framing: Any
) -> dict[str, str]:
    """Compute features ``(rows, frames)`` by their names; see `audiofw.spectral.feature_set`."""
    shared = Shared(graph, y, sr, n_mels, n_mfcc, framing)
    return {name: str(make(shared)) for name, make in FEATURES.items() if name in only}


class Shared:
    """Values that several features need, each computed on first use."""

    def __init__(self, graph: Graph, y: str, sr: int, n_mels: int, n_mfcc: int, framing: dict[str, Any]) -> None:
        self.graph, self.y, self.sr, self.n_mels, self.n_mfcc = graph, y, sr, n_mels, n_mfcc
        self.found: Powers = powers(graph, y, **framing)
        self.freq = fft_frequencies(sr=sr, n_fft=self.found.frames.n_fft)

    @cached_property
    def power(self) -> str:
        """``(bins, frames)``."""
        return str(self.graph.Gather(self.found.value, self.found.lines, axis=0))

    @cached_property
    def magnitude(self) -> str:
        """``(bins, frames)``."""
        return str(self.graph.Sqrt(self.power))

    @cached_property
    def double(self) -> str:
        """The magnitude in double precision."""
        return self.graph.cast(self.magnitude, np.float64)

    @cached_property
    def mel(self) -> str:
        return sum_bands(self.graph, self.found, sr=self.sr, n_mels=self.n_mels)

    @cached_property
    def decibels(self) -> str:
        """The mel bands."""
        return power_to_db(self.graph, self.mel)

    @cached_property
    def moments(self) -> tuple[str, str, str]:
        """Sums of the magnitude, and of it times the frequency and its square: ``(1, frames)`` each."""
        weights = np.array([np.ones_like(self.freq), self.freq, self.freq**2])
        mass, first, second = self.graph.Split(self.graph.MatMul(weights, self.double), axis=0, outputs=3)
        return mass, first, second

    @cached_property
    def mass(self) -> str:
        """The first moment as a divisor: 1 for a silent frame."""
        return _divisor(self.graph, self.moments[0], np.float64)

    @cached_property
    def centroid(self) -> str:
        return str(self.graph.Div(self.moments[1], self.mass))

    def row(self, value: str) -> str:
        """Give one number per frame as ``(1, frames)``."""
        return str(self.graph.Reshape(self.graph.cast(value, np.float32), [1, -1]))


def _divisor(graph: Graph, values: str, kind: Any) -> str:
    return str(graph.Where(graph.Less(values, kind(TINY)), kind(1), values))


def _chroma(shared: Shared) -> str:
    graph = shared.graph
    bank = chroma_filterbank(sr=shared.sr, n_fft=shared.found.frames.n_fft)
    energy = graph.MatMul(bank, shared.power)
    return str(graph.Div(energy, _divisor(graph, graph.ReduceMax(energy, axes=[0]), np.float32)))


def _bandwidth(shared: Shared) -> str:
    graph, centre, (mass, first, second) = shared.graph, shared.centroid, shared.moments
    off = graph.Mul(graph.Mul(centre, first), np.float64(2))
    spread = graph.Add(graph.Sub(second, off), graph.Mul(graph.Mul(centre, centre), mass))
    return shared.row(graph.Sqrt(graph.Div(graph.Max(spread, np.float64(0)), shared.mass)))


def _rolloff(shared: Shared) -> str:
    graph = shared.graph
    upto = graph.CumSum(shared.double, 0)
    target = graph.Mul(graph.part(upto, -1, len(shared.freq)), np.float64(ROLLED))
    below = graph.ReduceSum(graph.cast(graph.Less(upto, target), np.int64), [0], keepdims=1)
    return graph.cast(graph.Gather(shared.freq, graph.Min(below, len(shared.freq) - 1)), np.float32)


def _flatness(shared: Shared) -> str:
    graph = shared.graph
    energy = graph.Max(shared.power, LEAST_POWER)
    logs = graph.cast(graph.Log(energy), np.float64)  # in single precision, a sum of so many is off in the fifth digit
    geometric = graph.Exp(graph.ReduceMean(logs, axes=[0]))
    return shared.row(graph.Div(geometric, graph.ReduceMean(graph.cast(energy, np.float64), axes=[0])))


def _contrast(shared: Shared) -> str:
    graph, bands = shared.graph, octaves(shared.freq, shared.sr, 200.0, octaves_below_half(shared.sr))
    means = [_extremes(shared, band, max(int(np.rint(EXTREME * count)), 1)) for band, count in bands]
    peaks, valleys = (graph.Concat(*each, axis=0) for each in zip(*means, strict=True))
    return str(graph.Sub(power_to_db(graph, peaks), power_to_db(graph, valleys)))


def _extremes(shared: Shared, band: slice, few: int) -> tuple[str, str]:
    """Mean of the highest and of the lowest bins of a band."""
    graph = shared.graph
    bins = graph.part(shared.magnitude, band.start, band.stop)
    ends = (graph.TopK(bins, [few], axis=0, largest=largest, outputs=2)[0] for largest in (1, 0))
    peak, valley = (graph.ReduceMean(end, axes=[0]) for end in ends)
    return peak, valley


def _flux(shared: Shared) -> str:
    return str(shared.graph.Pad(_rise(shared.graph, shared.magnitude), [0, 1, 0, 0]))


def _onset(shared: Shared) -> str:
    graph, (n_fft, hop_length, *_) = shared.graph, shared.found.frames
    late = graph.Pad(_rise(graph, shared.decibels), [0, 1 + n_fft // (2 * hop_length), 0, 0])
    return graph.part(late, 0, graph.size(shared.decibels, 1), 1)


def _rise(graph: Graph, rows: str) -> str:
    """Mean increase from each frame to the next, ``(1, frames - 1)``."""
    n = graph.size(rows, 1)
    steps = graph.Sub(graph.part(rows, 1, n, 1), graph.part(rows, 0, graph.Sub(n, 1), 1))
    return str(graph.ReduceMean(graph.Max(steps, np.float32(0)), axes=[0]))


def _rms(shared: Shared) -> str:
    graph, found = shared.graph, shared.found
    energy = graph.ReduceSumSquare(graph.cast(found.samples, np.float64), axes=[1], keepdims=0)
    return shared.row(graph.Sqrt(graph.Div(energy, np.float64(found.frames.n_fft))))


def _zero_crossings(shared: Shared) -> str:
    graph, (n_fft, hop_length, *_), y = shared.graph, shared.found.frames, shared.y
    n, n_frames = graph.size(y), graph.size(shared.found.value, 1)
    negative = graph.cast(graph.Less(y, STILL), np.int64)
    turns = graph.Abs(graph.Sub(graph.part(negative, 1, n), graph.part(negative, 0, graph.Sub(n, 1))))
    upto = graph.CumSum(graph.Pad(turns, [2, 0]), 0)  # at each sample and the end: crossings before it
    starts = graph.Sub(graph.Mul(graph.arange(n_frames), hop_length), n_fft // 2)
    ends = [graph.Min(graph.Max(graph.Add(starts, offset), 0), n) for offset in (n_fft, 1)]
    counts = graph.Sub(*(graph.Gather(upto, end) for end in ends))
    return shared.row(graph.Div(graph.cast(counts, np.float64), np.float64(n_fft)))


FEATURES: dict[str, Callable[[Shared], str]] = {
    "melspectrogram": lambda shared: shared.mel,
    "mfcc": lambda shared: mfcc(shared.graph, S=shared.decibels, n_mels=shared.n_mels, n_mfcc=shared.n_mfcc),
    "chroma_stft": _chroma,
    "spectral_centroid": lambda shared: shared.row(shared.centroid),
    "spectral_bandwidth": _bandwidth,
    "spectral_rolloff": _rolloff,
    "spectral_flatness": _flatness,
    "spectral_contrast": _contrast,
    "spectral_flux": _flux,
    "onset_strength": _onset,
    "rms": _rms,
    "zero_crossing_rate": _zero_crossings,
}
