"""Feature importance, prepared for drawing: by frequency, component, statistic and part of the clip."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from audiofw.evaluation.importance import axis_of
from audiofw.report.facts import Facts
from audiofw.report.render import hz
from audiofw.spectral import hz_to_mel

MOST_BARS = 18
LEAST_FOR_CURVE = 12
MOST_BANDS = 32
MARKS_HZ = (0, 500, 1000, 2000, 4000, 8000, 16000)
_HZ = re.compile(r"(.*)_(\d+(?:\.\d+)?)Hz")
WORDS = {
    "std": "standard deviation",
    "min": "minimum",
    "max": "maximum",
    "delta": "change",
    "50th percentile": "median",
}


class Bar(NamedTuple):
    """The importance of one name on an axis; ``length`` is relative to the longest bar, 0 to 1."""

    name: str
    value: float
    length: float


class ImportanceCurve(NamedTuple):
    """Importance by frequency, in the unit square; frequencies are on the mel scale."""

    points: list[tuple[float, float]]
    ticks: list[tuple[str, float]]
    peak: str


class Axis(NamedTuple):
    """One axis along which importance is summed: bars, or a curve for many frequencies."""

    title: str
    bars: list[Bar]
    left_out: int = 0
    curve: ImportanceCurve | None = None
    naming: str = ""  # how the feature names its rows


def view_importance(facts: Facts) -> dict[str, Any] | None:
    """Read ``importance.json``; None if the run has written none."""
    measured = facts.importance
    if not measured:
        return None
    rows, statistics, parts = (axis_of(measured, axis) for axis in ("row", "statistic", "part"))
    over, *components = _of_rows(rows, str(measured.get("naming") or ""))
    axes = [
        _ranked("By feature", axis_of(measured, "member")),
        over,
        _ranked("By statistic over time", [(_say(name), value) for name, value in statistics]),
        _in_order("By part of the clip", parts),
        *components,
    ]
    return {
        "axes": [axis for axis in axes if axis.bars or axis.curve],
        "method": measured.get("method"),
        "unit": measured.get("unit"),
        "n_columns": measured.get("n_columns"),
        "feature": _name(facts.config, "feature"),
    }


def _of_rows(rows: Sequence[tuple[str, float]], naming: str) -> list[Axis]:
    """Sum by frequency, and by component, if the rows are named by both, as ``mel_1200Hz``."""
    found = [match for name, _ in rows if (match := _HZ.fullmatch(name))]
    if len(found) < max(len(rows), 2):
        return [_ranked("By row of the feature", rows)._replace(naming=naming)]
    at: dict[float, float] = {}
    components: dict[str, float] = {}
    for match, (_, value) in zip(found, rows, strict=True):
        at[float(match[2])] = at.get(float(match[2]), 0.0) + value
        components[match[1]] = components.get(match[1], 0.0) + value
    places = sorted(at.items())
    if len(places) < LEAST_FOR_CURVE:
        over = _in_order("By frequency", [(hz(f), value) for f, value in places])
    else:
        over = Axis("By frequency", [], curve=_curve(places))
    if len(components) < 2:
        return [over]
    return [over, _ranked("By component", list(components.items()))._replace(naming=naming)]


def _curve(places: list[tuple[float, float]]) -> ImportanceCurve:
    frequencies, values = zip(*_in_bands(places), strict=True)
    at, marked = hz_to_mel(frequencies), hz_to_mel(MARKS_HZ)
    top, most = at[-1] or 1.0, max(values)
    heights = [max(0.0, value / most) if most > 0 else 0.0 for value in values]
    marks = [(hz(f), x) for f, x in zip(MARKS_HZ, (marked / top).tolist(), strict=True) if x < 0.97]
    points = list(zip((at / top).tolist(), heights, strict=True))
    return ImportanceCurve(points, marks, hz(frequencies[values.index(most)]))


def _in_bands(values: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Sum neighbouring frequencies into at most `MOST_BANDS` bands, so that the curve is smooth."""
    size = -(-len(values) // MOST_BANDS)
    bands = [values[i : i + size] for i in range(0, len(values), size)]
    scaled = [size / len(band) for band in bands]  # the last one may hold fewer
    return [
        (sum(f for f, _ in band) / len(band), scale * sum(value for _, value in band))
        for band, scale in zip(bands, scaled, strict=True)
    ]


def _ranked(title: str, values: Sequence[tuple[str, float]]) -> Axis:
    best = sorted(values, key=lambda pair: -pair[1])[:MOST_BARS]
    return Axis(title, _bars(best), len(values) - len(best))


def _in_order(title: str, values: Sequence[tuple[str, float]]) -> Axis:
    if len(values) <= MOST_BARS:
        return Axis(title, _bars(values))
    # single frames: sum them over tenths of the clip
    stretches = 10
    sums = [0.0] * stretches
    for i, (_, value) in enumerate(values):
        sums[i * stretches // len(values)] += value
    return Axis(title, _bars([(f"{10 * i}–{10 * i + 10} %", value) for i, value in enumerate(sums)]))


def _bars(values: Sequence[tuple[str, float]]) -> list[Bar]:
    longest = max((value for _, value in values), default=0.0)
    return [Bar(name, value, max(0.0, value / longest) if longest > 0 else 0.0) for name, value in values]


def _say(name: str) -> str:
    """Write a statistic in words: ``delta.p90`` is "change, 90th percentile"."""
    *before, last = name.split(".")
    last = re.sub(r"[pq](\d+)", r"\1th percentile", last) if re.fullmatch(r"[pq]\d+", last) else last
    return ", ".join(WORDS.get(word, word) for word in [*before, last])


def _name(config: Mapping[str, Any], kind: str) -> str:
    return str((config.get(kind) or {}).get("name", kind))
