"""Scores of events in time: how much of the truth was found, and how much of what was found is true.

A recording is scored as a whole: its true events beside those found, over its whole length. Everything that nobody
labelled is background. All scores but `frame_accuracy` follow from counts of each class: true positives, false alarms
and misses. Times are in seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np

ROUNDING = 1e-6  # seconds; so that a distance of exactly the collar still counts as within it
APART = 60.0  # seconds between recordings that are put on one time axis: farther than any collar


class Events(NamedTuple):
    """Events of one recording, sorted by their start."""

    starts: np.ndarray  #: [shape=(n,)]
    ends: np.ndarray  #: [shape=(n,)]
    classes: np.ndarray  #: [shape=(n,), dtype=int], 0 .. n_classes-1

    def of_class(self, number: int) -> Events:
        """Return the events of one class."""
        return Events(*(column[self.classes == number] for column in self))


class Compared(NamedTuple):
    """One recording: what is true, what was found, and its length in seconds."""

    truth: Events
    found: Events
    seconds: float


class Matched(NamedTuple):
    """The events of one class that were found: pairs of positions, in the true and in the detected events."""

    true: np.ndarray  #: [shape=(matches,)]
    found: np.ndarray  #: [shape=(matches,)]


Match = Callable[[Events, Events], Matched]


def make_events(rows: Iterable[tuple[float, float, int]]) -> Events:
    """Sort ``(start, end, class)`` by start and put them into arrays."""
    starts, ends, classes = zip(*sorted(rows), strict=True) if (rows := list(rows)) else ((), (), ())
    return Events(np.array(starts, float), np.array(ends, float), np.array(classes, int))


NONE = make_events(())


# --- moments ------------------------------------------------------------------------------------------------------


def frame_accuracy(recordings: Sequence[Compared], n_classes: int) -> float:
    """Share of the time during which exactly the true classes were found, or rightly none; not cut into frames."""
    right, total = 0.0, 0.0
    for truth, found, seconds in recordings:
        edges = np.unique(np.clip([0.0, seconds, *truth.starts, *truth.ends, *found.starts, *found.ends], 0, seconds))
        alike = (_active(truth, edges, n_classes) == _active(found, edges, n_classes)).all(axis=1)
        right, total = right + float(np.diff(edges)[alike].sum()), total + seconds
    return right / total if total else 0.0


def _active(events: Events, edges: np.ndarray, n_classes: int) -> np.ndarray:
    """Tell which classes are active between neighbouring edges, [shape=(edges - 1, n_classes), dtype=bool]."""
    starts, ends = (np.searchsorted(edges, np.clip(times, edges[0], edges[-1])) for times in events[:2])
    return _counted(starts, ends, events.classes, len(edges) - 1, n_classes)


def _counted(starts: np.ndarray, ends: np.ndarray, classes: np.ndarray, length: int, n_classes: int) -> np.ndarray:
    changes = np.zeros((length + 1, n_classes), np.int32)
    np.add.at(changes, (starts, classes), 1)
    np.add.at(changes, (ends, classes), -1)
    return changes[:-1].cumsum(axis=0) > 0


def segment_counts(recordings: Sequence[Compared], n_classes: int, length: float = 1.0) -> np.ndarray:
    """Count segments of a fixed length, in which a class is active if any part of an event falls into it.

    Parameters
    ----------
    recordings : sequence of Compared
    n_classes : int
    length : float
        Length of a segment, in seconds.

    Returns
    -------
    np.ndarray [shape=(n_classes, 3)]
        True positives, false alarms and misses of each class, as ``sed_eval`` counts them.
    """
    counts = np.zeros((n_classes, 3), int)
    for truth, found, seconds in recordings:
        size = int(np.ceil(seconds / length - ROUNDING))
        true, said = (_segments(events, size, length, n_classes) for events in (truth, found))
        counts += np.stack([(true & said).sum(axis=0), (~true & said).sum(axis=0), (true & ~said).sum(axis=0)], axis=1)
    return counts


def _segments(events: Events, size: int, length: float, n_classes: int) -> np.ndarray:
    starts = np.clip(np.floor(events.starts / length + ROUNDING), 0, size).astype(int)
    ends = np.clip(np.ceil(events.ends / length - ROUNDING), 0, size).astype(int)
    return _counted(starts, np.maximum(starts, ends), events.classes, size, n_classes)


# --- events -------------------------------------------------------------------------------------------------------


def event_counts(recordings: Sequence[Compared], n_classes: int, match: Match) -> np.ndarray:
    """Count events: true positives, false alarms and misses of each class.

    Parameters
    ----------
    recordings : sequence of Compared
    n_classes : int
    match : callable
        `by_overlap` or `by_collar`, with their options bound.

    Returns
    -------
    np.ndarray [shape=(n_classes, 3)]
    """
    counts = np.zeros((n_classes, 3), int)
    truth, found, _ = one_after_the_other(recordings)
    for number in np.union1d(truth.classes, found.classes):
        true, said = truth.of_class(number), found.of_class(number)
        hits = len(match(true, said).true)
        counts[number] = hits, len(said.starts) - hits, len(true.starts) - hits
    return counts


def one_after_the_other(recordings: Sequence[Compared]) -> Compared:
    """Put recordings on one time axis, so far apart that no event of one is near an event of another."""
    if len(recordings) == 1:
        return recordings[0]
    lengths = [max([one.seconds, *one.truth.ends, *one.found.ends]) + APART for one in recordings]
    offsets = np.cumsum([0.0, *lengths])
    truth, found = (
        _joined([one.truth for one in recordings], offsets),
        _joined([one.found for one in recordings], offsets),
    )
    return Compared(truth, found, float(offsets[-1]))


def _joined(several: Sequence[Events], offsets: np.ndarray) -> Events:
    starts, ends = (
        np.concatenate([NONE[side], *(one[side] + offset for one, offset in zip(several, offsets, strict=False))])
        for side in (0, 1)
    )
    return Events(starts, ends, np.concatenate([NONE.classes, *(one.classes for one in several)]))


def by_overlap(truth: Events, found: Events, iou: float = 0.5) -> Matched:
    """Match events of one class whose intersection is at least a share of their union.

    Parameters
    ----------
    truth, found : Events
    iou : float
        Intersection over union, above 0 and at most 1.
    """
    lengths = truth.ends - truth.starts
    reach = lengths * (1 / iou - 1)  # starts that are farther apart cannot overlap so much
    i, j = _near(truth.starts, found.starts, reach)
    inner = np.minimum(truth.ends[i], found.ends[j]) - np.maximum(truth.starts[i], found.starts[j])
    union = lengths[i] + found.ends[j] - found.starts[j] - inner
    return _most(i, j, (inner > 0) & (inner >= iou * union - ROUNDING), truth, found)


def by_collar(truth: Events, found: Events, onset: float = 0.2, offset: float = 0.5) -> Matched:
    """Match events of one class that begin and end at nearly the same time.

    Parameters
    ----------
    truth, found : Events
    onset : float
        Largest distance of the starts, in seconds.
    offset : float
        Largest distance of the ends, as a share of the true event's length; never less than ``onset``.
    """
    reach = np.full(len(truth.starts), onset)
    i, j = _near(truth.starts, found.starts, reach)
    most = np.maximum(reach, offset * (truth.ends - truth.starts))[i]
    return _most(i, j, np.abs(truth.ends[i] - found.ends[j]) <= most + ROUNDING, truth, found)


def _near(starts: np.ndarray, others: np.ndarray, reach: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """List the pairs whose starts are within reach; ``others`` are sorted, so that a day of events takes no time."""
    first = np.searchsorted(others, starts - reach - ROUNDING)
    count = np.searchsorted(others, starts + reach + ROUNDING, side="right") - first
    i = np.repeat(np.arange(len(starts)), count)
    return i, np.arange(len(i)) - np.repeat(np.cumsum(count) - count, count) + np.repeat(first, count)


def _most(i: np.ndarray, j: np.ndarray, fits: np.ndarray, truth: Events, found: Events) -> Matched:
    """Choose among the pairs that fit as many as possible, so that each event is in one pair at most."""
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import maximum_bipartite_matching

    i, j = i[fits], j[fits]
    if len(np.unique(i)) == len(i) and len(np.unique(j)) == len(j):  # nothing to choose
        return Matched(i, j)
    shape = len(truth.starts), len(found.starts)
    partner = maximum_bipartite_matching(csr_matrix((np.ones(len(i), bool), (i, j)), shape), perm_type="column")
    true = np.flatnonzero(partner >= 0)
    return Matched(true, partner[true])


# --- from counts to scores ----------------------------------------------------------------------------------------


class EventScores(NamedTuple):
    """Scores of one class, or of all; a division by zero gives 0."""

    precision: float
    recall: float
    f1: float
    support: int


def score_event_counts(counts: np.ndarray) -> EventScores:
    """Score true positives, false alarms and misses ``(3,)``."""
    hits, false, missed = map(int, counts)
    return EventScores(
        hits / max(hits + false, 1), hits / max(hits + missed, 1), 2 * hits / max(2 * hits + false + missed, 1),
        hits + missed,
    )  # fmt: skip


def f1_of(counts: np.ndarray) -> float:
    """F1 of all events together: micro-averaged over the classes."""
    return score_event_counts(counts.sum(axis=0)).f1
