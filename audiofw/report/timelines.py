"""Recordings as a whole: what is true and what was found over their spectrogram, and the worst errors to listen to."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from audiofw.audio.load import load_stretch
from audiofw.audio.stretch import Stretch
from audiofw.data.dataset import Clip
from audiofw.evaluation.events import by_overlap, make_events
from audiofw.parallel.executors import Lost
from audiofw.parallel.workers import outcomes
from audiofw.report import media
from audiofw.report.facts import Facts
from audiofw.results.folder import TIMELINES

LONGEST = 60.0  # seconds of a recording that are shown
SHOWN = 2  # recordings
WIDE = 1200  # frames of their spectrogram, at most
WORST = 4  # false alarms, and misses
AROUND = 0.5  # seconds before and after an error
MOST = 6.0  # seconds of an error that are played
COLOURS = 8


class Mark(NamedTuple):
    """An event on the page."""

    start: float  #: seconds in its recording
    end: float
    label: str
    share: float | None  #: confidence of a detection
    right: bool  #: found, or true
    colour: int  #: of its class, from 1

    def box(self, begin: float, seconds: float) -> tuple[float, float]:
        """Give the left end and the width, in percent of a stretch."""
        left, right = (min(max(at - begin, 0.0), seconds) / seconds * 100 for at in (self.start, self.end))
        return round(left, 3), round(max(right - left, 0.2), 3)


class ShownTrack(NamedTuple):
    """A recording, or what is known of it, with its events."""

    name: str
    begin: float  #: seconds, as are the next and all events
    end: float
    truth: list[Mark]
    found: list[Mark]

    @property
    def errors(self) -> int:
        """Number of misses and false alarms."""
        return sum(not mark.right for mark in (*self.truth, *self.found))


class ShownStretch(NamedTuple):
    """A stretch of a recording as shown on the page."""

    name: str
    begin: float
    seconds: float
    sr: int
    picture: media.Picture
    waveform: str
    sound: str | None
    truth: list[Mark]
    found: list[Mark]


class Section(NamedTuple):
    """The page's section on timelines."""

    recordings: list[ShownStretch]
    false_alarms: list[tuple[Mark, str, ShownStretch | None]]  #: with the name of the recording
    misses: list[tuple[Mark, str, ShownStretch | None]]
    n_false: int
    n_missed: int
    legend: list[tuple[str, int]]


def collect_timelines(facts: Facts, clips: Iterable[Clip], *, audio: bool, n_jobs: int) -> Section | None:
    """Collect what the page shows; None for a run without timelines.

    Parameters
    ----------
    facts : Facts
    clips : iterable of Clip
        By which the recordings are found.
    audio : bool
        Whether to embed sounds.
    n_jobs : int
        Number of workers.
    """
    tracks = read_tracks(facts)
    if not tracks:
        return None
    paths = {clip.recording: clip.path for clip in clips if clip.path.is_file()}
    some = [_busiest(track) for track in choose_tracks(tracks)]
    false = _worst([(mark, t) for t in tracks for mark in t.found if not mark.right], lambda mark: mark.share or 0.0)
    missed = _worst([(m, t) for t in tracks for m in t.truth if not m.right], lambda mark: mark.end - mark.start)
    errors = [_around(mark, track) for mark, track in (*false, *missed)]
    made = outcomes(partial(_show, paths=paths, audio=audio), [*some, *errors], n_jobs=n_jobs)
    shown = [None if isinstance(one, Lost) else one for one in made]
    wide, rest = shown[: len(some)], shown[len(some) :]
    listed = [(mark, track.name, one) for (mark, track), one in zip((*false, *missed), rest, strict=True)]
    names = _names(facts)
    return Section(
        [one for one in wide if one],
        listed[: len(false)],
        listed[len(false) :],
        sum(not mark.right for track in tracks for mark in track.found),
        sum(not mark.right for track in tracks for mark in track.truth),
        [(name, _colour(names, name)) for name in names],
    )


def read_tracks(facts: Facts) -> list[ShownTrack]:
    """Read ``timelines.json``, and tell which events match; empty if it is missing or damaged."""
    try:
        rows = json.loads((facts.folder / TIMELINES).read_text(encoding="utf-8"))
        return [_track(row, _names(facts)) for row in rows]
    except (OSError, ValueError, LookupError, TypeError):
        return []


def _names(facts: Facts) -> list[str]:
    return [row["class"] for row in (facts.metrics.get("timeline") or {}).get("per_class", [])]


def _track(row: Mapping[str, Any], names: Sequence[str]) -> ShownTrack:
    hits: tuple[set[int], set[int]] = (set(), set())
    for label in names:
        true, found = (
            make_events((event[0], event[1], i) for i, event in enumerate(row[side]) if event[2] == label)
            for side in ("truth", "found")
        )
        matched = by_overlap(true, found)
        hits[0].update(true.classes[matched.true].tolist())  # they hold the places
        hits[1].update(found.classes[matched.found].tolist())
    marks = [
        [_mark(event, i in hits[side], names) for i, event in enumerate(row[key])]
        for side, key in enumerate(("truth", "found"))
    ]
    return ShownTrack(row["recording"], row["start"], row["start"] + row["seconds"], *marks)


def _mark(event: Sequence[Any], right: bool, names: Sequence[str]) -> Mark:
    start, end, label, *share = event
    return Mark(start, end, label, share[0] if share else None, right, _colour(names, label))


def _colour(names: Sequence[str], label: str) -> int:
    return list(names).index(label) % COLOURS + 1 if label in names else COLOURS


def choose_tracks(tracks: Sequence[ShownTrack]) -> list[ShownTrack]:
    """Choose the recordings to show: the one with the most errors, and one in the middle."""
    order = sorted((track for track in tracks if track.truth or track.found), key=lambda track: -track.errors)
    return [order[0], order[len(order) // 2]][: min(SHOWN, len(order))] if order else []


def _busiest(track: ShownTrack) -> ShownTrack:
    """Cut a long recording to the stretch with the most errors, or else events."""
    if track.end - track.begin <= LONGEST:
        return track
    marks = [mark for mark in (*track.truth, *track.found) if not mark.right] or [*track.truth, *track.found]
    starts = np.sort([mark.start for mark in marks])
    inside = np.searchsorted(starts, starts + LONGEST) - np.arange(len(starts))
    begin = min(max(float(starts[inside.argmax()]) - 1.0, track.begin), track.end - LONGEST)
    truth, found = (
        [mark for mark in marks if mark.end > begin and mark.start < begin + LONGEST]
        for marks in (track.truth, track.found)
    )
    return ShownTrack(track.name, begin, begin + LONGEST, truth, found)


def _worst(marks: list[tuple[Mark, ShownTrack]], weight: Callable[[Mark], float]) -> list[tuple[Mark, ShownTrack]]:
    return sorted(marks, key=lambda pair: -weight(pair[0]))[:WORST]


def _around(mark: Mark, track: ShownTrack) -> ShownTrack:
    begin = max(mark.start - AROUND, track.begin)
    return ShownTrack(track.name, begin, min(mark.end + AROUND, begin + MOST, track.end), [], [])


def _show(track: ShownTrack, paths: Mapping[str, Path], audio: bool) -> ShownStretch | None:
    if track.name not in paths:
        return None
    y, sr = load_stretch(Stretch(paths[track.name], track.begin, track.end), None, sample_rate=None, silence="keep")
    frames = WIDE if track.truth or track.found else media.FRAMES
    db, uri = media.decibels(y, sr, frames=frames), media.sound_uri(y, sr) if audio else None
    picture, wave = media.picture(db, sr, width=frames), media.waveform(y)
    return ShownStretch(track.name, track.begin, len(y) / sr, sr, picture, wave, uri, track.truth, track.found)
