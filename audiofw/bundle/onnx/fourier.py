"""The short-time Fourier transform as an ONNX graph, see `audiofw.spectral.fourier`.

The transform is made of matrix products, which every runtime computes fast: one of ``N = N1 * N2`` points is ``N2``
transforms of ``N1`` points, a multiplication with twiddle factors, and ``N1`` transforms of ``N2`` points (Cooley and
Tukey, 1965). The window is in the first matrices, the twiddle factors are in the second.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from audiofw.bundle.onnx.graph import Graph
from audiofw.spectral.frames import Frames, framing

LARGEST = 2**24  # numbers in the matrices of one transform: 128 MB


class Powers(NamedTuple):
    """Power of the FFT bins, float32 ``(lines, frames)``; a line is a bin, and some bins have two lines."""

    value: str
    bin_of: np.ndarray  #: of each line
    frames: Frames
    samples: str  #: of the frames, without the window: ``(frames, n_fft)``

    @property
    def lines(self) -> np.ndarray:
        """The line of each bin."""
        return np.unique(self.bin_of, return_index=True)[1]


def spectrogram(graph: Graph, y: str, *, power: float = 1.0, **options: Any) -> str:
    """``abs(stft(y)) ** power``, ``(bins, frames)``; see `audiofw.spectral.spectrogram`."""
    found = powers(graph, y, **options)
    return raised(graph, str(graph.Gather(found.value, found.lines, axis=0)), power)


def raised(graph: Graph, power_spectrum: str, power: float) -> str:
    """Turn power into another power of the magnitude."""
    if power == 2:
        return power_spectrum
    return str(graph.Sqrt(power_spectrum) if power == 1 else graph.Pow(power_spectrum, power / 2))


def powers(graph: Graph, y: str, **options: Any) -> Powers:
    """Power of the frames of a signal, as `audiofw.spectral.fourier.fill_powers` computes it."""
    frames = framing(**options)
    kind = frames.window.dtype
    n1, n2 = _factors(frames.n_fft)
    first, second, bin_of = _matrices(frames.window.tobytes(), kind.str, n1, n2)
    half = n1 // 2 + 1
    cut = framed(graph, graph.cast(y, kind), frames)
    blocks = graph.Transpose(graph.Reshape(cut, [-1, n1, n2]), perm=[2, 1, 0])  # (n2, n1, frames)
    short = graph.Reshape(graph.MatMul(first, blocks), [n2, 2, half, -1])
    turned = graph.Reshape(graph.Transpose(short, perm=[2, 1, 0, 3]), [half, 2 * n2, -1])
    parts = graph.cast(graph.MatMul(second, turned), np.float32)  # a square has the same relative error
    both = graph.Reshape(graph.Mul(parts, parts), [half, 2, n2, -1])
    return Powers(graph.Reshape(graph.ReduceSum(both, [1], keepdims=0), [half * n2, -1]), bin_of, frames, cut)


def framed(graph: Graph, y: str, frames: Frames) -> str:
    """Cut a signal into frames, ``(frames, n_fft)``."""
    n_fft, hop_length, _, center, pad_mode = frames
    y = padded(graph, y, n_fft // 2, pad_mode) if center else lengthened(graph, y, n_fft)
    last = graph.Div(graph.Sub(graph.size(y), n_fft), hop_length)
    step = math.gcd(n_fft, hop_length)  # whole blocks are copied faster than single samples
    missing = graph.Mod(graph.Neg(graph.size(y)), step)
    blocks = graph.Reshape(graph.Pad(y, graph.vector(0, missing)), [-1, step])
    starts = graph.Mul(graph.Range(0, graph.Add(last, 1), 1), hop_length // step)
    places = graph.Add(graph.Unsqueeze(starts, [1]), np.arange(n_fft // step))
    return str(graph.Reshape(graph.Gather(blocks, places, axis=0), [-1, n_fft]))


def padded(graph: Graph, y: str, margin: int, pad_mode: str) -> str:
    """Pad both ends as `numpy.pad` does."""
    if pad_mode == "constant":
        return str(graph.Pad(y, [margin, margin]))
    n = graph.size(y)
    at = graph.Range(-margin, graph.Add(n, margin), 1)
    if pad_mode == "edge":
        return str(graph.Gather(y, graph.Min(graph.Max(at, 0), graph.Sub(n, 1))))
    if pad_mode not in ("reflect", "symmetric"):
        raise NotImplementedError(f"pad_mode={pad_mode}: use constant, edge, reflect or symmetric")
    twice = int(pad_mode == "symmetric")  # whether the last sample is repeated
    period = graph.Max(graph.Sub(graph.Mul(n, 2), 2 - 2 * twice), 1)
    there = graph.Mod(at, period)
    return str(graph.Gather(y, graph.Min(there, graph.Sub(graph.Sub(period, twice), there))))


def lengthened(graph: Graph, y: str, least: int) -> str:
    """Append zeros to a clip of fewer samples, as is done with clips that a feature refuses: up to a power of two."""
    enough = 1 << (least - 1).bit_length()
    n = graph.size(y)
    missing = graph.Where(graph.Less(n, least), graph.Sub(enough, n), 0)
    return str(graph.Pad(y, graph.vector(0, missing)))


def _factors(n_fft: int) -> tuple[int, int]:
    """Split the transform in two so that the least is computed."""
    pairs = [(n_fft // n2, n2) for n2 in range(1, n_fft + 1) if n_fft % n2 == 0]
    n1, n2 = min(pairs, key=lambda pair: _numbers(*pair))
    if _numbers(n1, n2) > LARGEST:
        raise NotImplementedError(f"n_fft={n_fft} makes too large matrices: use a power of two")
    return n1, n2


def _numbers(n1: int, n2: int) -> int:
    half = n1 // 2 + 1
    return 2 * half * n1 * n2 + 4 * half * n2**2


@lru_cache(maxsize=4)
def _matrices(window: bytes, kind: str, n1: int, n2: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The two stages, ``(n2, 2 * half, n1)`` and ``(half, 2 * n2, 2 * n2)``, and the bins of their results."""
    n, k1, at1, at2 = n1 * n2, np.arange(n1 // 2 + 1), np.arange(n1), np.arange(n2)
    shape = np.frombuffer(window, kind).reshape(n1, n2).T[:, None, :]
    waves = _wave(np.outer(k1, at1), n1)
    first = shape * np.concatenate([waves.real, waves.imag])
    turns = _wave(k1[:, None, None] * at2, n) * _wave(np.outer(at2, at2), n2)
    second = np.block([[turns.real, -turns.imag], [turns.imag, turns.real]])
    k = (k1[:, None] + n1 * at2).ravel()
    return first.astype(kind), second.astype(kind), np.minimum(k, n - k)  # a real signal's bins are mirrored


def _wave(turns: np.ndarray, period: int) -> np.ndarray:
    return np.exp(-2j * np.pi * (turns % period) / period)
