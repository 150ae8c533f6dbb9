"""The plot of score over training time: round ticks, and labels that can be read."""

from __future__ import annotations

import itertools

import pytest

from audiofw.report.scatter import BOTTOM, LETTER, LINE, RADIUS, TOP, place_labels, round_numbers, scatter


@pytest.mark.parametrize(
    ("low", "high", "values"),
    [
        (0.26, 1.0, [0.4, 0.6, 0.8, 1.0]),
        (0.9, 0.95, [0.9, 0.91, 0.92, 0.93, 0.94, 0.95]),
        (0.0, 14.7, [0.0, 5.0, 10.0]),
        (-1.0, 1.0, [-1.0, -0.5, 0.0, 0.5, 1.0]),
        (0.5, 0.5, [0.5]),
    ],
)
def test_ticks_are_at_round_numbers(low, high, values):
    assert round_numbers(low, high) == values


def boxes(places, spots, texts):
    for (x, y), (label_x, label_y), text in zip(places, spots, texts, strict=True):
        half = LETTER * len(text) / 2
        yield label_x - half, label_y - LINE + 2, label_x + half, label_y + 1
        yield x - RADIUS, y - RADIUS, x + RADIUS, y + RADIUS


def test_labels_hide_neither_each_other_nor_dots():
    places = [(100.0, 100.0), (104.0, 100.0), (112.0, 104.0), (100.0, 114.0), (370.0, 20.0), (372.0, 30.0)]
    texts = ["1", "2", "13", "4", "5", "ensemble"]
    spots = place_labels(places, texts)
    labels = list(boxes(places, spots, texts))[::2]
    for (left, top, right, bottom), (l, t, r, b) in itertools.combinations(labels, 2):  # noqa: E741
        assert right <= l or r <= left or bottom <= t or b <= top
    assert spots[0] == (100.0, 92.0)  # above, if nothing is in the way


def row(rank: int | None, at: float | None, seconds: float | None):
    return {"rank": rank, "at": at, "fit_seconds": seconds}


def test_a_run_is_placed_by_score_and_logarithm_of_time():
    plot = scatter([row(1, 100, 0.1), row(2, 50, 1.0), row(3, 0, 10.0), row(4, None, 1.0)], (0.5, 1.0))
    assert [dot.y for dot in plot.dots] == [TOP, (TOP + BOTTOM) / 2, BOTTOM]
    first, second, third = (dot.x for dot in plot.dots)
    assert second == pytest.approx((first + third) / 2)
    assert plot.ticks[-1] == (TOP, "1.0")


def test_where_lower_is_better_the_lower_tick_is_higher_up():
    plot = scatter([row(i, 50, 1.0) for i in range(3)], (2.0, 0.0))
    heights = {text: y for y, text in plot.ticks}
    assert (heights["0.0"], heights["2.0"]) == (TOP, BOTTOM)


def test_two_runs_are_no_plot():
    assert scatter([row(1, 1, 1.0), row(2, 2, 2.0)], (0.0, 1.0)) is None
