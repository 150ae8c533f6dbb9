"""Choose window, hop and rule of timelines inside the training recordings: ``timeline.tune=true``."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from audiofw.audio.parts import Gap
from audiofw.data.dataset import Annotated, Clip
from audiofw.data.select import spread_evenly
from audiofw.data.stretches import StretchOptions, windows_of
from audiofw.errors import ConfigError, DataError
from audiofw.evaluation.detection import average
from audiofw.evaluation.fit import Sample, fit_clips
from audiofw.evaluation.rules import Track, choose_rule
from audiofw.evaluation.timelines import Heard
from audiofw.experiment.timelines import (
    Listening,
    TimelineFold,
    TimelineRule,
    Timelines,
    hearing,
    summed_up,
    table_of,
    tracks_of,
    window_scores,
)
from audiofw.extraction.recording import Unit
from audiofw.system.progress import counting

log = logging.getLogger(__name__)

INNER = 3  # folds
FINEST = 4  # windows begin every quarter of their length, and then every half; training takes every half
STEPS = (1, 2)
LENGTHS = (0.25, 0.5, 1.0)  # windows to try, in shares of the events' median length
SHARE_OF_MEMORY = 0.5


class WindowTable(NamedTuple):
    """The rows of one recording's windows, which begin every quarter of their length."""

    X: np.ndarray | None  #: of the usable windows
    usable: np.ndarray  #: [shape=(windows,), dtype=bool]
    ends: np.ndarray  #: [shape=(windows,)], seconds
    labels: np.ndarray  #: [shape=(windows,)], class of each; -1 for one that is not trained on

    def every(self, step: int) -> WindowTable:
        """Take every second window, or all."""
        keep = np.arange(len(self.usable)) % step == 0
        X = None if self.X is None else self.X[keep[self.usable]]
        return WindowTable(X, self.usable[keep], self.ends[keep], self.labels[keep])


class TimelineChoice(NamedTuple):
    """The best way so far to make the timelines of one part's test recordings, and these."""

    value: float
    way: TimelineRule
    tracks: list[Track]


class Tuned(NamedTuple):
    """What was chosen."""

    timelines: Timelines | None
    whole: tuple[TimelineRule, Sample] | None
    """What all recordings together choose, and their windows, for the bundle; None if none is saved."""


def tune_timelines(
    run: Listening, unit: Unit, parts: Sequence[TimelineFold], clips: Sequence[Clip], make_model: Callable[[], Any]
) -> Tuned:
    """Choose how timelines are made, for each fold and for all recordings, and score the folds' test recordings.

    Parameters
    ----------
    run : Listening
    unit : Unit
    parts : sequence of Part
        One for each fold.
    clips : sequence of Clip
        For the groups of recordings.
    make_model : callable
        Returns an unfitted classifier.

    Raises
    ------
    ConfigError
        If there are too few recordings, or no window that fits in memory.
    """
    groups = {clip.recording: clip.group or clip.recording for clip in clips}
    every = TimelineFold(list(range(len(run.recordings))), [])
    chosen_for = [*parts, every] if run.config.bundle.enabled else [*parts]
    best: list[TimelineChoice | None] = [None] * len(chosen_for)
    sample: Sample | None = None
    windows = windows_to_try(run)
    with counting("tune timelines", len(windows) * len(best)) as advance:
        for window in windows:
            run, unit = _with_window(run, unit, window)
            tables = read_tables(run, unit, window)
            for number, part in enumerate(chosen_for):
                way, value = _choose(run, window, tables, part.train, groups, make_model)
                known = best[number]
                if known is None or value > known.value:
                    train = _sample(run, tables, part.train, groups)
                    model = fit_clips(make_model, train, np.arange(len(train.y))) if part.test else None
                    best[number] = TimelineChoice(value, way, _tracks(run, tables, part.test, way, model))
                    sample = train if part is every else sample
                advance()
    folds = [choice for choice in best[: len(parts)] if choice is not None]
    whole = best[-1] if sample is not None else None
    heard = [Heard(track, one.way.rule, i) for i, one in enumerate(folds, 1) for track in one.tracks]
    timelines = summed_up(run, heard, [one.way for one in folds], tuned=True) if heard else None
    return Tuned(timelines, None if whole is None or sample is None else (whole.way, sample))


def _with_window(run: Listening, unit: Unit, window: float) -> tuple[Listening, Unit]:
    """Set the length of the unit's segments, and with it the width of a row."""
    unit = replace(unit, segments=replace(unit.segments, duration=window, hop=None))
    return replace(run, width=None if unit.pooling.learns else unit.try_out()), unit


def windows_to_try(run: Listening) -> list[float]:
    """List the lengths of windows to choose among: those configured, or shares of the events' median length."""
    if run.config.timeline.windows:
        return sorted(set(run.config.timeline.windows))
    rows = [row for one in run.recordings for row in one.rows if row.label in run.classes]
    lengths = [row.end - row.start for row in rows if row.start is not None and row.end is not None]
    if not lengths:
        raise ConfigError("timeline.tune=true: no annotation has a start and an end to take the window's length from")
    return sorted({float(f"{share * float(np.median(lengths)):.2g}") for share in LENGTHS})


def read_tables(run: Listening, unit: Unit, window: float) -> dict[str, WindowTable]:
    """Extract the rows of all recordings, through the cache.

    Raises
    ------
    ConfigError
        If they would not fit in memory.
    """
    _check_size(run, window)
    hop, found = window / FINEST, dict[str, WindowTable]()
    with hearing(run, unit, window, hop) as hear:
        for one in run.recordings:
            try:
                with closing(hear(one)) as rows:
                    heard = [row for row in rows if not isinstance(row, Gap)]
            except DataError as error:
                log.warning("timelines: %s: left out: %s", one.name, error)
                continue
            X, usable = table_of(run, unit, [row.made for row in heard])
            ends = np.array([row.end for row in heard])
            found[one.name] = WindowTable(X, usable, ends, _labels(run, one, window, hop, len(heard)))
    return found


def _check_size(run: Listening, window: float) -> None:
    if run.width is None or not hasattr(os, "sysconf"):
        return
    rows = sum(one.seconds for one in run.recordings) * FINEST / window
    size, memory = 4.0 * rows * run.width, float(os.sysconf("SC_PAGE_SIZE")) * os.sysconf("SC_PHYS_PAGES")
    if size > SHARE_OF_MEMORY * memory:
        fitting = window * size / (SHARE_OF_MEMORY * memory)
        raise ConfigError(
            f"timeline.tune=true: all windows of {window:g} s are {rows:.3g} rows × {run.width} columns, "
            f"{size / 1e9:.0f} GB of {memory / 1e9:.0f} GB of memory; timeline.windows=[{fitting:.2g}] would fit, or "
            "fewer recordings"
        )


def _labels(run: Listening, one: Annotated, window: float, hop: float, n: int) -> np.ndarray:
    """Label windows as clips are labelled; -1 for those with a scrap of a label, or of which nothing is known."""
    data, index, labels = run.config.data, {name: i for i, name in enumerate(run.classes)}, np.full(n, -1)
    cut = StretchOptions(
        "windows", annotated=data.annotated, duration=window, hop=hop, min_overlap=run.config.windows.min_overlap
    )
    for part in windows_of(one.rows, one.seconds, cut)[0]:
        place = round((part.start or 0.0) / hop)
        label = part.labels[0] if part.labels else run.background
        if place < n and abs((part.start or 0.0) - place * hop) < 1e-4 and label in index:
            labels[place] = index[label]
    return labels


def _choose(
    run: Listening,
    window: float,
    tables: Mapping[str, WindowTable],
    train: Sequence[int],
    groups: Mapping[str, str],
    make_model: Callable[[], Any],
) -> tuple[TimelineRule, float]:
    """Find the best rule on recordings that were held out of the training recordings in turn."""
    tracks: dict[int, list[Track]] = {step: [] for step in STEPS}
    for inner, held in _inner(run, tables, train, groups):
        sample = _sample(run, tables, inner, groups)
        model = fit_clips(make_model, sample, np.arange(len(sample.y)))
        for step, found in tracks.items():
            found += _tracks(run, tables, held, TimelineRule(window, step * window / FINEST, run.plain), model)
    chosen = [
        (step, *choose_rule(found, run.classes, background=run.background, exclusive=run.exclusive))
        for step, found in tracks.items()
    ]
    step, rule, value = max(chosen, key=lambda one: one[2])
    return TimelineRule(window, step * window / FINEST, rule), value


def _inner(
    run: Listening, tables: Mapping[str, WindowTable], train: Sequence[int], groups: Mapping[str, str]
) -> Iterator[tuple[list[int], list[int]]]:
    from sklearn.model_selection import GroupKFold

    usable = [i for i in train if run.recordings[i].name in tables]
    of = [groups[run.recordings[i].name] for i in usable]
    if len(set(of)) < 2:
        raise ConfigError("timeline.tune=true needs training recordings of at least two groups: one to choose by")
    splitter = GroupKFold(min(INNER, len(set(of))), shuffle=True, random_state=run.config.seed)
    for inner, held in splitter.split(usable, groups=of):
        yield [usable[i] for i in inner], [usable[i] for i in held]


def _sample(
    run: Listening, tables: Mapping[str, WindowTable], train: Sequence[int], groups: Mapping[str, str]
) -> Sample:
    """Collect the labelled windows of some recordings, which begin every half of their length."""
    names = [run.recordings[i].name for i in train if run.recordings[i].name in tables]
    halves = [tables[name].every(FINEST // 2) for name in names]
    labels = [half.labels[half.usable] for half in halves]
    keep = _thinned(run, np.concatenate(labels))
    X = np.concatenate([half.X for half in halves if half.X is not None])[keep]
    of = np.repeat([groups[name] for name in names], [len(label) for label in labels])[keep]
    return Sample.of(X, np.concatenate(labels)[keep], len(run.classes), groups=of.tolist(), balance=run.config.balance)


def _thinned(run: Listening, labels: np.ndarray) -> np.ndarray:
    """List the windows to train on: all with a label, and background by ``windows.background_ratio``."""
    ratio, none = run.config.windows.background_ratio, -1
    empty = np.flatnonzero(labels == (run.classes.index(run.background) if run.background else none - 1))
    others = np.setdiff1d(np.flatnonzero(labels > none), empty)
    some = empty if ratio is None else np.array(spread_evenly(empty.tolist(), round(ratio * len(others))), int)
    return np.sort(np.concatenate([others, some]))


def _tracks(
    run: Listening, tables: Mapping[str, WindowTable], held: Sequence[int], way: TimelineRule, model: Any
) -> list[Track]:
    found = list[Track]()
    for one in (run.recordings[i] for i in held if run.recordings[i].name in tables):
        table = tables[one.name].every(round(way.hop * FINEST / way.window))
        scores = window_scores(model, table.X, table.usable, len(run.classes))
        found += tracks_of(run, one, average(scores, table.ends, way.window, way.hop))
    return found
