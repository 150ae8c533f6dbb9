"""Means of a feature's rows in consecutive segments of a clip as an ONNX graph, see ``pooling=functionals``."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from audiofw.bundle.onnx.graph import Graph
from audiofw.bundle.onnx.statistics import change


def segment_means(graph: Graph, frames: str, parts: Sequence[int], by_change: float, scaled: str) -> list[str]:
    """Mean of each row in each of the segments: vectors ``(rows,)``, for each number of segments in ``parts``.

    Parameters
    ----------
    frames : value
        ``(rows, frames)``.
    parts : sequence of int
        Numbers of segments.
    by_change : float
        Whether segments have equal spectral change (1), equal duration (0), or a mixture.
    scaled : value
        The frames whose change counts.
    """
    time = _clock(graph, scaled, by_change)
    means = [graph.Reshape(_means(graph, frames, time, count), [-1]) for count in parts]
    return [str(each) for each in means]


def _clock(graph: Graph, frames: str, by_change: float) -> str:
    """Frame boundaries on a time axis from 0 to 1 that advances with spectral change, ``(frames + 1,)``."""
    apart = change(graph, frames)  # zeros for a single frame
    steps = graph.Sqrt(graph.cast(graph.ReduceSum(graph.Mul(apart, apart), [0], keepdims=0), np.float64))
    n = graph.size(frames, 1)
    steps = graph.part(steps, 0, graph.Sub(n, 1))
    half = graph.Mul(steps, np.float64(0.5))
    each = graph.Add(graph.Pad(half, [0, 1]), graph.Pad(half, [1, 0]))  # a difference counts half for either frame
    total = graph.ReduceSum(each, [0], keepdims=1)
    still = graph.Equal(total, np.float64(0))
    even = graph.Div(np.ones(1), graph.cast(n, np.float64))
    moved = graph.Div(each, graph.Where(still, np.ones(1), total))
    mixed = graph.Add(graph.Mul(even, np.float64(1 - by_change)), graph.Mul(moved, np.float64(by_change)))
    share = graph.Where(still, graph.Expand(even, graph.Shape(each)), mixed)
    passed = graph.CumSum(share, 0)
    return str(graph.Pad(graph.Div(passed, graph.ReduceSum(share, [0], keepdims=1)), [1, 0]))


def _means(graph: Graph, frames: str, time: str, count: int) -> str:
    """Means ``(segments, rows)``: each frame counts by its overlap with the segment."""
    edges = np.linspace(0, 1, count + 1)[:, None]
    n = graph.size(time)
    begin, end = (graph.Unsqueeze(part, [0]) for part in (graph.part(time, 0, graph.Sub(n, 1)), graph.part(time, 1, n)))
    inside = graph.Sub(graph.Min(end, edges[1:]), graph.Max(begin, edges[:-1]))
    weights = graph.Mul(graph.Max(inside, np.float64(0)), np.float64(count))
    rows = graph.Transpose(graph.cast(frames, np.float64), perm=[1, 0])
    return str(graph.cast(graph.MatMul(weights, rows), np.float32))
