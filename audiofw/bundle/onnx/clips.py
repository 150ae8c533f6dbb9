"""Which part of a clip is used, as an ONNX graph, see `audiofw.audio.segments`."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from audiofw.audio.segments import FRAME_LENGTH, HOP_LENGTH, Segments
from audiofw.bundle.onnx.fourier import framed
from audiofw.bundle.onnx.graph import Graph
from audiofw.spectral.frames import framing


class Parts(NamedTuple):
    """The parts of a clip that become rows: where each starts, and how long all of them are."""

    y: str
    starts: str  #: ``(parts,)``
    size: str  #: a scalar


def cut(graph: Graph, y: str, segments: Segments, sr: int) -> Parts:
    """Find the segments of a clip; a shorter one is a single segment."""
    if segments.to_read is not None:
        y = graph.part(y, 0, math.ceil(segments.to_read * sr))
    if segments.trim is not None:
        y = trimmed(graph, y, segments.trim)
    n = graph.size(y)
    if segments.duration is None:
        return Parts(y, graph.value([0]), n)
    size = math.ceil(segments.duration * sr)
    whole = graph.LessOrEqual(n, size + 1)  # resampling may round the length up
    length = graph.Where(whole, n, size)
    return Parts(y, _starts(graph, y, length, segments, sr), length)


def trimmed(graph: Graph, y: str, top_db: float) -> str:
    """Trim both ends where they are quieter than the loudest frame; see `audiofw.audio.segments.trimmed`."""
    frames = framing(n_fft=FRAME_LENGTH, hop_length=HOP_LENGTH)
    blocks = framed(graph, graph.cast(y, np.float64), frames)
    energy = graph.ReduceSum(graph.Mul(blocks, blocks), [1], keepdims=0)
    level = graph.cast(graph.Sqrt(graph.Div(energy, np.float64(FRAME_LENGTH))), np.float32)
    least = graph.Mul(graph.ReduceMax(level, keepdims=0), np.float32(10 ** (-top_db / 20)))
    heard = graph.Greater(level, least)
    known = graph.cast(graph.ReduceMax(graph.cast(heard, np.int64), keepdims=0), np.bool_)
    marks = graph.cast(heard, np.float32)
    first, last = (graph.ArgMax(marks, axis=0, keepdims=0, select_last_index=which) for which in (0, 1))
    n = graph.size(y)
    stop = graph.Min(n, graph.Mul(graph.Add(last, 1), HOP_LENGTH))
    return graph.part(y, graph.Mul(first, HOP_LENGTH), graph.Where(known, stop, n))


def _starts(graph: Graph, y: str, size: str, segments: Segments, sr: int) -> str:
    if segments.hop is None:
        return loudest(graph, y, size) if segments.focus == "event" else graph.value([0])
    step = max(1, round(segments.hop * sr))
    left = graph.Sub(graph.size(y), size)  # beyond the first window
    even = _steps(graph, graph.Add(graph.Div(left, step), 1), step)
    missed = graph.cast(graph.Greater(graph.Mod(left, step), 0), np.int64)  # 1 if none of them reaches the end
    last = graph.part(graph.Unsqueeze(left, [0]), 0, missed)
    return graph.part(graph.Concat(even, last, axis=0), 0, segments.most)


def loudest(graph: Graph, y: str, size: str) -> str:
    """Find the start of the ``size`` samples with the most energy, ``(1,)``; see `audiofw.audio.segments.loudest`."""
    wide = graph.cast(y, np.float64)
    energy = graph.CumSum(graph.Pad(graph.Mul(wide, wide), [1, 0]), 0)
    left = graph.Sub(graph.size(y), size)
    count = graph.Div(graph.Add(left, HOP_LENGTH - 1), HOP_LENGTH)
    starts = graph.Concat(_steps(graph, count, HOP_LENGTH), graph.Unsqueeze(left, [0]), axis=0)
    found = graph.Sub(graph.Gather(energy, graph.Add(starts, size)), graph.Gather(energy, starts))
    return str(graph.Gather(starts, graph.ArgMax(found, axis=0, keepdims=1)))


def _steps(graph: Graph, count: str, step: int) -> str:
    return str(graph.Mul(graph.arange(count), step))
