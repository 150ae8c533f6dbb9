"""Spectro-temporal modulation as an ONNX graph, see `audiofw.spectral.modulation`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from audiofw.bundle.onnx.graph import Graph
from audiofw.spectral.modulation import FASTEST, along_scales, averaged, reach_of, wavelet


def ripples(
    graph: Graph,
    S: str,
    *,
    bands: int,
    frame_rate: float,
    rates: Sequence[float],
    scales: Sequence[float],
    group: int,
) -> str:
    """Strength of the modulation of ``(bands, frames)``; see `audiofw.spectral.ripples`."""
    step, n = max(1, group // 4), graph.size(S, 1)
    few = group // step  # places in a group
    cycles = [frame_rate / rate for rate in rates]
    margin = max(map(reach_of, cycles), default=0)
    wide = graph.Pad(S, [0, margin, 0, margin], mode="edge")
    thin, waves = _averages(bands, step), _waves(cycles)
    kinds, of_rate = [graph.MatMul(_averages(bands, group), S)], []
    if rates:
        moving = _convolved(graph, graph.MatMul(thin, wide), waves)
        of_rate.append(_grouped(graph, _lengths(graph, *moving), 1, len(thin), few))
    if scales:
        matrix = along_scales(bands, tuple(scales), step)
        sizes = len(scales), len(matrix) // len(scales), few
        across = [graph.MatMul(part, wide) for part in (matrix.real, matrix.imag)]
        still = (graph.part(part, margin, graph.Add(n, margin), 1) for part in across)
        kinds.append(_grouped(graph, graph.Unsqueeze(_lengths(graph, *still), [0]), *sizes))
        if rates:
            parts = _turned(graph, *_convolved(graph, across[0], waves), *_convolved(graph, across[1], waves))
            of_rate += [_grouped(graph, _lengths(graph, *part), *sizes) for part in parts]
    kinds += [graph.Concat(*of_rate, axis=1)] if rates else []
    return str(graph.Concat(*(graph.Reshape(kind, graph.vector(-1, n)) for kind in kinds), axis=0))


def _waves(cycles: Sequence[float]) -> np.ndarray:
    """The wavelets along time, real parts and imaginary parts ``(2 * rates, taps)``; zeros where one is too fast."""
    longest = max(map(reach_of, cycles), default=0)
    waves = np.zeros((len(cycles), 2 * longest + 1), complex)
    for line, cycle in zip(waves, cycles, strict=True):
        if cycle >= FASTEST:
            reach = reach_of(cycle)
            line[longest - reach : longest + reach + 1] = wavelet(cycle)[::-1]  # ONNX's Conv does not reverse it
    return np.concatenate([waves.real, waves.imag]).astype(np.float32)


def _convolved(graph: Graph, rows: str, waves: np.ndarray) -> tuple[str, str]:
    """Convolve every row with the waves' real parts, and with the imaginary ones: two of ``(rates, rows, frames)``."""
    found = graph.Squeeze(graph.Conv(graph.Unsqueeze(rows, [0, 1]), waves[:, None, None, :]), [0])
    real, imag = graph.Split(found, axis=0, outputs=2)
    return real, imag


def _turned(graph: Graph, real_cos: str, real_sin: str, imag_cos: str, imag_sin: str) -> list[tuple[str, str]]:
    """Responses of complex rows to the waves, for rising ripples, and to the conjugate waves, for falling ones."""
    rising = graph.Sub(real_cos, imag_sin), graph.Add(real_sin, imag_cos)
    falling = graph.Add(real_cos, imag_sin), graph.Sub(imag_cos, real_sin)
    return [rising, falling]


def _lengths(graph: Graph, real: str, imag: str) -> str:
    return str(graph.Sqrt(graph.Add(graph.Mul(real, real), graph.Mul(imag, imag))))


def _grouped(graph: Graph, strengths: str, kinds: int, places: int, group: int) -> str:
    """Average neighbouring places of each kind in ``(rates, kinds * places, frames)``."""
    matrix = _averages(places, group)
    apart = graph.Reshape(strengths, [0, kinds, places, -1])
    return str(graph.Reshape(graph.MatMul(matrix, apart), [0, kinds * len(matrix), -1]))


def _averages(places: int, group: int) -> np.ndarray:
    """Matrix ``(groups, places)`` that averages neighbouring places."""
    return averaged(np.eye(places, dtype=np.float32), group)
