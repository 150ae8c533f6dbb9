"""The plot of score over training time: ticks at round numbers, and dots with numbers that do not hide each other."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

LEFT, RIGHT, TOP, BOTTOM = 56.0, 380.0, 14.0, 234.0  # of the plot, in units of its SVG
RADIUS = 5.0
LETTER, LINE = 6.5, 11.0  # width and height of a label's letter
LEAST, MOST_LABELS = 3, 40  # dots: fewer are no plot, and more have no labels
MOST_TICKS = 6

Box = tuple[float, float, float, float]  # left, top, right, bottom


class Dot(NamedTuple):
    """A run in the plot."""

    x: float
    y: float
    row: dict[str, Any]
    label: str
    label_x: float  #: middle of the label
    label_y: float  #: baseline of the label


class Scatter(NamedTuple):
    """All dots, and the ticks of the vertical axis with their texts."""

    dots: list[Dot]
    ticks: list[tuple[float, str]]


def scatter(rows: Sequence[dict[str, Any]], ends: tuple[float, float]) -> Scatter | None:
    """Place runs by their score, upwards the better, and by the logarithm of their training time; None for too few.

    Parameters
    ----------
    rows : sequence of mapping
        As `audiofw.report.sweep.collect_sweep` shows them: ``at`` is the score's place, in percent.
    ends : tuple of float
        The scores at the bottom and at the top.
    """
    known = [row for row in rows if row["at"] is not None and row["fit_seconds"]]
    if len(known) < LEAST:
        return None
    logs = [math.log10(row["fit_seconds"]) for row in known]
    low, width = min(logs), (max(logs) - min(logs)) or 1.0
    places = [
        (LEFT + (RIGHT - LEFT) * (log - low) / width, BOTTOM - (BOTTOM - TOP) * row["at"] / 100)
        for row, log in zip(known, logs, strict=True)
    ]
    texts = [str(row["rank"] or "ensemble") if len(known) <= MOST_LABELS else "" for row in known]
    spots = place_labels(places, texts)
    placed = zip(places, known, texts, spots, strict=True)
    return Scatter([Dot(*at, row, text, *spot) for at, row, text, spot in placed], _ticks(ends))


def _ticks(ends: tuple[float, float]) -> list[tuple[float, str]]:
    bottom, top = ends
    values = round_numbers(min(ends), max(ends))
    step = values[1] - values[0] if len(values) > 1 else 1.0
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    return [(BOTTOM - (BOTTOM - TOP) * (v - bottom) / ((top - bottom) or 1.0), f"{v:.{digits}f}") for v in values]


def round_numbers(low: float, high: float, most: int = MOST_TICKS) -> list[float]:
    """List multiples of 1, 2 or 5 times a power of ten between two numbers, at most some of them."""
    if high <= low:
        return [low]
    power = 10.0 ** math.floor(math.log10((high - low) / most))
    step = next(power * each for each in (1, 2, 5, 10, 20) if (high - low) / (power * each) <= most - 1)
    first = math.ceil(low / step - 1e-9)
    return [round(i * step, 12) for i in range(first, math.floor(high / step + 1e-9) + 1)]


def place_labels(places: Sequence[tuple[float, float]], texts: Sequence[str]) -> list[tuple[float, float]]:
    """Put each label above, beside or below its dot, where it hides no other dot or label if that is possible."""
    taken: list[Box] = [(x - RADIUS, y - RADIUS, x + RADIUS, y + RADIUS) for x, y in places]
    found = []
    for (x, y), text in zip(places, texts, strict=True):
        half = LETTER * len(text) / 2
        spots = [(x, y - 8), (x + 8 + half, y + 4), (x - 8 - half, y + 4), (x, y + 17), (x, y - 20), (x, y + 29)]
        spot = min(spots, key=_crowding(half, taken))  # the first of equal ones
        taken.append(_box(spot, half))
        found.append(spot)
    return found


def _crowding(half: float, taken: Sequence[Box]) -> Callable[[tuple[float, float]], float]:
    def hidden(spot: tuple[float, float]) -> float:
        left, top, right, bottom = _box(spot, half)
        outside = max(0.0, right - RIGHT - 2 * RADIUS) + max(0.0, TOP - LINE - top)
        return outside + sum(
            max(0.0, min(right, r) - max(left, l)) * max(0.0, min(bottom, b) - max(top, t))
            for l, t, r, b in taken  # noqa: E741
        )

    return hidden


def _box(spot: tuple[float, float], half: float) -> Box:
    return spot[0] - half, spot[1] - LINE + 2, spot[0] + half, spot[1] + 1
