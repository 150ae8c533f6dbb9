"""Statistics over the whole clip, and means of its consecutive segments."""

from typing import Annotated, Literal

from annotated_types import Interval, MaxLen

from audiofw import hookimpl

Statistic = Literal["mean", "std", "min", "max"]


@hookimpl
def register_poolings(register):
    register(functionals, names=names, onnx=onnx)


def functionals(
    frames,
    *,
    statistics: Annotated[list[Statistic], MaxLen(4)] = ("mean", "std", "max"),
    quantiles: Annotated[list[Annotated[float, Interval(ge=0, le=1)]], MaxLen(100)] = (),
    delta: bool = False,
    parts: Annotated[list[Annotated[int, Interval(ge=1, le=100)]], MaxLen(16)] = (3,),
    by_change: Annotated[float, Interval(ge=0, le=1)] = 1.0,
    squash: Annotated[float, Interval(ge=1e-6, le=1_000_000)] | None = 0.5,
):
    """Statistics of each row over the whole clip, plus the row's mean in consecutive segments of the clip.

    Segment boundaries follow the spectral change: each segment holds an equal share of it. Silence and sustained
    sounds therefore take up little of the result, and a slowly spoken word falls into the same segments as a fast one.

    Parameters
    ----------
    statistics
        Statistics over the whole clip: any of mean, std, min and max.
    quantiles
        Quantiles over the whole clip, from 0 to 1; 0.5 is the median.
    delta
        Also compute them for the frame-to-frame differences.
    parts
        Numbers of segments: [2, 4] gives the means of two halves and of four quarters.
    by_change
        Segments of equal spectral change (1), of equal duration (0), or a mixture (in between).
    squash
        Log compression, sign(x) · log(1 + |x| / squash), of features without negative values, such as magnitudes.
        Features with negative values, such as dB, are left as they are; null: no compression.
    """
    import numpy as np

    if not (statistics or quantiles or parts):
        raise _nothing_chosen()
    squash = None if frames.min() < 0 else squash  # dB values are logarithms already
    numbers = [*_whole(np, frames, statistics, quantiles)]
    if delta:
        change = np.diff(frames, axis=1) if frames.shape[1] > 1 else np.zeros_like(frames)
        numbers += _whole(np, change, statistics, quantiles)
    if parts:
        time = _clock(np, _squashed(np, frames, squash), by_change)
        numbers += [means for count in parts for means in _means(np, frames, time, count)]
    return _squashed(np, np.concatenate(numbers), squash)


def names(rows, d, *, statistics, quantiles, delta, parts, **_):
    """Name the columns: ``mfcc3.std``, ``mfcc3.delta.p95``, ``mfcc3.mean@2/5``, …"""
    measures = [*statistics, *(f"p{100 * quantile:g}" for quantile in quantiles)]
    whole = [f"{kind}{measure}" for kind in ("", "delta.")[: 1 + delta] for measure in measures]
    within = [f"mean@{part}/{count}" for count in parts for part in range(1, count + 1)]
    return [f"{row}.{what}" for what in [*whole, *within] for row in rows]


def onnx(graph, frames, *, statistics, quantiles, delta, parts, by_change, squash):
    """Compute the same in ONNX."""
    numbers = graph.statistics(frames, statistics, quantiles)
    if delta:
        numbers += graph.statistics(graph.change(frames), statistics, quantiles)
    is_level = graph.Less(graph.ReduceMin(frames, keepdims=0), 0.0)  # dB values are logarithms already

    def squashed(x):
        if squash is None:
            return x
        size = graph.Log(graph.Add(graph.Div(graph.Abs(x), squash), 1.0))
        return graph.Where(is_level, x, graph.Mul(graph.Sign(x), size))

    if parts:
        numbers += graph.segment_means(frames, parts, by_change, squashed(frames))
    return squashed(graph.Concat(*numbers, axis=0))


def _nothing_chosen():
    from audiofw import ConfigError

    return ConfigError("pooling.statistics, .quantiles and .parts are all empty: choose at least one")


def _whole(np, frames, statistics, quantiles):
    measures = [getattr(frames, name)(axis=1) for name in statistics]
    return [*measures, *np.quantile(frames, quantiles, axis=1)] if quantiles else measures


def _squashed(np, numbers, squash):
    return numbers if squash is None else np.sign(numbers) * np.log1p(np.abs(numbers) / squash)


def _clock(np, frames, by_change):
    """Frame boundaries on a warped time axis from 0 to 1, ``(frames + 1,)``.

    Time advances with spectral change, as in trace segmentation (Kuhn and Tomaschewski, 1983).
    """
    n = frames.shape[1]
    share = np.full(n, 1 / n)
    steps = np.sqrt(np.square(np.diff(frames, axis=1)).sum(axis=0, dtype=float))
    if steps.sum() > 0:
        change = np.convolve(steps, [0.5, 0.5])  # each difference counts half for either frame
        share = (1 - by_change) * share + by_change * change / change.sum()
    return np.append(0, np.cumsum(share) / share.sum())


def _means(np, frames, time, count):
    """Mean of each of ``count`` equal segments of warped time; a frame across a boundary counts in proportion."""
    edges = np.linspace(0, 1, count + 1)
    sums = np.zeros((len(frames), len(time)))
    np.cumsum(frames * np.diff(time), axis=1, out=sums[:, 1:])
    return [*(np.diff(_interpolated(np, edges, time, sums), axis=1) * count).T]


def _interpolated(np, x, xp, rows):
    """Interpolate every row, as ``np.interp`` does one."""
    left = np.clip(np.searchsorted(xp, x, side="right") - 1, 0, len(xp) - 2)
    low, high = rows[:, left], rows[:, left + 1]
    with np.errstate(invalid="ignore"):  # the last frames may have no width, but nothing is taken from within them
        slope = (high - low) / (xp[left + 1] - xp[left])
    return np.where(x >= xp[-1], rows[:, -1:], slope * (x - xp[left]) + low)
