"""From the annotations of a recording to the stretches that a model is trained on: its events, or windows along it."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from audiofw.data.annotations.rows import Annotation

TOUCH = 1e-6  # seconds: an overlap below it is due to rounding


class StretchOptions(NamedTuple):
    """How recordings with labels in time become clips: the options of ``data``, ``audio`` and ``windows``."""

    unit: Literal["event", "windows"] = "event"
    widen: bool = True  #: events shorter than ``duration`` are widened to it
    annotated: str | None = None  #: the label of stretches outside which nothing is known
    background: str | None = "background"  #: the class of windows without a label; None leaves them out
    unlabelled: Literal["skip", "background"] = "skip"
    duration: float | None = 3.0  #: of a window, seconds
    hop: float | None = None  #: between windows; None: half of ``duration``
    min_overlap: float = 0.5  #: of the shorter of window and event
    background_ratio: float | None = None  #: background windows per labelled one, at most; None: all


class LabelledStretch(NamedTuple):
    """A stretch of a recording with its labels; the longest in it first. Without any, it is background."""

    start: float | None  #: None, like ``end``: the whole recording
    end: float | None
    labels: tuple[str, ...]
    rows: tuple[Annotation, ...] = ()  #: that it was made of, if it is an event


def events_of(rows: Sequence[Annotation], seconds: float, cut: StretchOptions) -> list[LabelledStretch]:
    """Make each annotation a stretch; one that is listed twice is one.

    Parameters
    ----------
    rows : sequence of Annotation
        Of one recording.
    seconds : float
        Its length.
    cut : Cut
    """
    found: dict[tuple[float | None, float | None, str], LabelledStretch] = {}
    for row in rows:
        if row.label and row.label != cut.annotated:
            start, end = _widened(row, seconds, cut.duration) if cut.widen else (row.start, row.end)
            found.setdefault((start, end, row.label), LabelledStretch(start, end, (row.label,), (row,)))
    return list(found.values())


def _widened(row: Annotation, seconds: float, duration: float | None) -> tuple[float | None, float | None]:
    """Widen an event around its middle, within its recording."""
    if row.start is None or row.end is None or duration is None or row.end - row.start >= duration:
        return row.start, row.end
    start = min(max((row.start + row.end - duration) / 2, 0.0), max(seconds - duration, 0.0))
    return round(start, 6), round(min(start + duration, seconds), 6)


def windows_of(rows: Sequence[Annotation], seconds: float, cut: StretchOptions) -> tuple[list[LabelledStretch], int]:
    """Cut a recording into windows.

    A window has the labels of which an event overlaps it by ``min_overlap`` of the shorter of the two. If it has none,
    but an event, or something without a label, reaches into it, it is left out; and so is one without labels outside
    the annotated stretches.

    Returns
    -------
    parts : list of Part
    scraps : int
        Number of windows left out because they barely overlap a label.
    """
    assert cut.duration is not None
    starts = window_starts(seconds, cut.duration, cut.hop or cut.duration / 2)
    size = min(cut.duration, seconds)
    overlaps: list[dict[str, float]] = [{} for _ in starts]
    scraps = [False] * len(starts)
    for label, spans in _spans(rows, seconds, cut.annotated).items():
        for start, end in spans:
            for i in range(bisect_right(starts, start - size), bisect_left(starts, end)):
                overlap = min(end, starts[i] + size) - max(start, starts[i])
                if label and overlap >= cut.min_overlap * min(size, end - start) - TOUCH:
                    overlaps[i][label] = overlaps[i].get(label, 0.0) + overlap
                elif overlap > TOUCH:
                    scraps[i] = True
    known = known_stretches(rows, seconds, cut.annotated)
    parts = []
    for start, found, scrap in zip(starts, overlaps, scraps, strict=True):
        end = round(start + size, 6)
        if found or (not scrap and any(low <= start + TOUCH and end - TOUCH <= high for low, high in known)):
            parts.append(LabelledStretch(start, end, tuple(sorted(found, key=lambda label: (-found[label], label)))))
    return parts, sum(scrap and not found for scrap, found in zip(scraps, overlaps, strict=True))


def window_starts(seconds: float, duration: float, hop: float) -> list[float]:
    """Give the starts of windows along a recording; a last one reaches its end."""
    last = seconds - duration
    if last <= TOUCH:
        return [0.0]
    starts = [round(i * hop, 6) for i in range(math.floor(last / hop + TOUCH) + 1)]
    return starts if last - starts[-1] <= TOUCH else [*starts, round(last, 6)]


def _spans(rows: Iterable[Annotation], seconds: float, annotated: str | None) -> dict[str, list[tuple[float, float]]]:
    """Merge the overlapping events of each label."""
    spans: dict[str, list[tuple[float, float]]] = {}
    for row in rows:  # sorted by their starts
        if row.label == annotated:
            continue
        start, end = row.start or 0.0, seconds if row.end is None else row.end
        of_label = spans.setdefault(row.label, [])
        if of_label and start < of_label[-1][1]:
            of_label[-1] = (of_label[-1][0], max(end, of_label[-1][1]))
        else:
            of_label.append((start, end))
    return spans


def known_stretches(rows: Iterable[Annotation], seconds: float, annotated: str | None) -> list[tuple[float, float]]:
    """List the stretches in which everything is labelled: all, unless some are declared."""
    if annotated is None:
        return [(0.0, seconds)]
    return _spans([row._replace(label="") for row in rows if row.label == annotated], seconds, None).get("", [])
