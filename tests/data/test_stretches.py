"""Events and windows of a recording."""

import pytest

from audiofw.data.annotations.rows import Annotation
from audiofw.data.stretches import StretchOptions, events_of, window_starts, windows_of


def rows(*events):
    return [Annotation("", start, end, label) for start, end, label in events]


def spans(parts):
    return [(part.start, part.end, *part.labels) for part in parts]


EVENT = StretchOptions(duration=2.0)
WINDOWS = StretchOptions(unit="windows", duration=2.0, hop=1.0)


@pytest.mark.parametrize(
    ("event", "widened"),
    [
        ((4.0, 5.0), (3.5, 5.5)),
        ((0.2, 0.4), (0.0, 2.0)),  # at the start it is moved, not cut
        ((9.6, 9.8), (8.0, 10.0)),
        ((3.0, 6.0), (3.0, 6.0)),  # a longer one is as it is: audio.focus chooses
        ((None, None), (None, None)),
    ],
)
def test_a_short_event_is_widened_around_its_middle(event, widened):
    (part,) = events_of(rows((*event, "a")), 10.0, EVENT)
    assert (part.start, part.end) == widened
    (part,) = events_of(rows((*event, "a")), 10.0, EVENT._replace(widen=False))
    assert (part.start, part.end) == event


def test_a_recording_shorter_than_the_duration_is_taken_whole():
    (part,) = events_of(rows((0.2, 0.4, "a")), 1.5, EVENT)
    assert (part.start, part.end) == (0.0, 1.5)


def test_an_event_that_is_listed_twice_is_one_and_two_labels_are_two():
    parts = events_of(rows((1.0, 2.0, "a"), (1.0, 2.0, "a"), (1.0, 2.0, "b")), 10.0, StretchOptions(widen=False))
    assert spans(parts) == [(1.0, 2.0, "a"), (1.0, 2.0, "b")]


@pytest.mark.parametrize(
    ("seconds", "starts"),
    [
        (10.0, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]),
        (4.5, [0.0, 1.0, 2.0, 2.5]),  # a last one reaches the end
        (2.0, [0.0]),
        (0.5, [0.0]),
    ],
)
def test_windows_cover_the_recording(seconds, starts):
    assert window_starts(seconds, 2.0, 1.0) == starts


def test_hops_that_are_no_binary_fractions_lose_no_window():
    assert window_starts(1.0, 0.1, 0.1) == pytest.approx([i / 10 for i in range(10)])


def test_a_window_has_the_labels_that_overlap_it_enough():
    parts, scraps = windows_of(rows((3.0, 5.0, "a")), 8.0, WINDOWS)
    # windows 2-4 and 4-6 hold half of the event
    assert spans(parts) == [
        (0.0, 2.0), (1.0, 3.0), (2.0, 4.0, "a"), (3.0, 5.0, "a"), (4.0, 6.0, "a"), (5.0, 7.0), (6.0, 8.0)
    ]  # fmt: skip
    assert scraps == 0


def test_the_overlap_counts_against_the_shorter_of_window_and_event():
    short = rows((3.9, 4.1, "click"))
    parts, scraps = windows_of(short, 8.0, WINDOWS._replace(min_overlap=0.6))
    assert [part.labels for part in parts if part.labels] == [("click",)]  # 3-5 holds all, 2-4 and 4-6 half of it
    assert scraps == 2


def test_a_window_with_a_scrap_of_a_label_is_neither_label_nor_background():
    parts, scraps = windows_of(rows((3.8, 8.0, "a")), 8.0, WINDOWS)
    assert spans(parts) == [
        (0.0, 2.0), (1.0, 3.0), (3.0, 5.0, "a"), (4.0, 6.0, "a"), (5.0, 7.0, "a"), (6.0, 8.0, "a")
    ]  # fmt: skip
    assert scraps == 1


def test_the_label_with_most_in_a_window_comes_first():
    (part,), _ = windows_of(rows((0.0, 0.9, "b"), (0.5, 2.0, "a")), 2.0, WINDOWS)
    assert part.labels == ("a", "b")
    (part,), _ = windows_of(rows((0.0, 1.0, "b"), (1.0, 2.0, "a")), 2.0, WINDOWS)
    assert part.labels == ("a", "b")  # as much of each: by name


def test_overlapping_events_of_one_label_count_once():
    (part,), _ = windows_of(rows((0.0, 1.2, "a"), (0.2, 1.2, "a"), (0.0, 1.5, "b")), 2.0, WINDOWS)
    assert part.labels == ("b", "a")


def test_nothing_outside_the_annotated_stretches_is_background():
    labelled = rows((1.0, 5.0, "checked"), (3.0, 4.0, "a"), (8.0, 9.0, "a"))
    parts, _ = windows_of(labelled, 12.0, WINDOWS._replace(annotated="checked"))
    assert spans(parts) == [
        (1.0, 3.0), (2.0, 4.0, "a"), (3.0, 5.0, "a"), (7.0, 9.0, "a"), (8.0, 10.0, "a")
    ]  # fmt: skip
    assert [part.labels for part in events_of(labelled, 12.0, StretchOptions(annotated="checked"))] == [("a",), ("a",)]


def test_a_recording_without_declared_stretches_has_no_background():
    assert windows_of(rows((3.0, 4.0, "a")), 12.0, WINDOWS._replace(annotated="checked"))[0][0].labels == ("a",)


def test_a_label_of_the_whole_recording_is_that_of_every_window():
    parts, _ = windows_of(rows((None, None, "rain")), 4.0, WINDOWS)
    assert spans(parts) == [(0.0, 2.0, "rain"), (1.0, 3.0, "rain"), (2.0, 4.0, "rain")]


def test_without_a_hop_windows_overlap_by_half():
    parts, _ = windows_of([], 4.0, WINDOWS._replace(hop=None))
    assert [part.start for part in parts] == [0.0, 1.0, 2.0]


def test_what_has_no_label_is_not_background_either():
    parts, scraps = windows_of(rows((3.5, 4.5, ""), (6.0, 8.0, "a")), 8.0, WINDOWS._replace(hop=2.0))
    assert spans(parts) == [(0.0, 2.0), (6.0, 8.0, "a")]
    assert scraps == 2
    assert spans(events_of(rows((3.5, 4.5, ""), (6.0, 8.0, "a")), 8.0, EVENT)) == [(6.0, 8.0, "a")]
