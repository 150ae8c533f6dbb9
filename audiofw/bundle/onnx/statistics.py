"""Statistics of a feature's rows over time as an ONNX graph; frames are ``(rows, frames)``."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from audiofw.bundle.onnx.graph import Graph


def statistics(graph: Graph, frames: str, names: Sequence[str], quantiles: Sequence[float] = ()) -> list[str]:
    """Each statistic of all rows, then each quantile: vectors ``(rows,)``; the names are numpy's."""
    measures = {"mean": _mean, "std": _std, "min": _min, "max": _max}
    made = [measures[name](graph, frames) for name in names]
    return [*made, *_quantiles(graph, frames, quantiles)] if quantiles else made


def change(graph: Graph, frames: str) -> str:
    """Frame-to-frame differences; zeros for a single frame."""
    n = graph.size(frames, 1)
    last = graph.Max(graph.Sub(n, 1), 1)
    first = graph.Min(graph.Sub(n, 1), 1)
    return str(graph.Sub(graph.part(frames, first, n, 1), graph.part(frames, 0, last, 1)))


def _mean(graph: Graph, frames: str) -> str:
    return str(graph.ReduceMean(frames, axes=[1], keepdims=0))


def _std(graph: Graph, frames: str) -> str:
    apart = graph.Sub(frames, graph.ReduceMean(frames, axes=[1], keepdims=1))
    return str(graph.Sqrt(graph.ReduceMean(graph.Mul(apart, apart), axes=[1], keepdims=0)))


def _min(graph: Graph, frames: str) -> str:
    return str(graph.ReduceMin(frames, axes=[1], keepdims=0))


def _max(graph: Graph, frames: str) -> str:
    return str(graph.ReduceMax(frames, axes=[1], keepdims=0))


def _quantiles(graph: Graph, frames: str, quantiles: Sequence[float]) -> list[str]:
    """Quantiles of each row by numpy's linear method."""
    n = graph.size(frames, 1)
    ordered = graph.TopK(frames, graph.vector(n), axis=1, largest=0, sorted=1, outputs=2)[0]
    last = graph.Sub(n, 1)
    at = graph.Mul(np.array(quantiles, np.float64), graph.cast(last, np.float64))
    left = graph.Floor(at)
    low = graph.cast(left, np.int64)
    weight = graph.Sub(at, left)
    below = graph.cast(graph.Gather(ordered, low, axis=1), np.float64)  # (rows, quantiles)
    above = graph.cast(graph.Gather(ordered, graph.Min(graph.Add(low, 1), last), axis=1), np.float64)
    found = graph.Add(below, graph.Mul(graph.Sub(above, below), weight))
    columns = graph.Transpose(graph.cast(found, np.float32), perm=[1, 0])
    return [graph.Reshape(columns, [-1])]
