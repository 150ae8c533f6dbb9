"""Summarise how well timelines of annotated recordings match what is true in them, for ``metrics.json``."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from audiofw.evaluation.by_group import listed
from audiofw.evaluation.detection import Found, Rule, detect
from audiofw.evaluation.events import (
    NONE,
    Compared,
    by_collar,
    by_overlap,
    event_counts,
    f1_of,
    frame_accuracy,
    score_event_counts,
    segment_counts,
)
from audiofw.evaluation.psds import psds
from audiofw.evaluation.rules import Track, compare_tracks

RECALLS = (0.5, 0.8, 0.9)  # at which false alarms are counted
POINTS = np.concatenate([[0.001, 0.003], np.linspace(0.01, 0.99, 50), [0.997, 0.999]])  # thresholds tried for that


Measure = Callable[[Sequence[Compared]], float]


class Heard(NamedTuple):
    """One recording, as a model that was not trained on it hears it."""

    track: Track
    rule: Rule
    fold: int


def summarise_timelines(
    heard: Sequence[Heard],
    classes: Sequence[str],
    *,
    background: str | None,
    exclusive: bool = True,
    groups: Mapping[str, Mapping[str, str | None]] | None = None,
) -> dict[str, Any]:
    """Score timelines as plain Python values, ready for JSON.

    Parameters
    ----------
    heard : sequence of Heard
    classes : sequence of str
        Of the columns of the scores.
    background : str, optional
        The class that stands for none; it has no scores of its own.
    exclusive : bool
        Whether only one class can be active at a time.
    groups : mapping of str to mapping
        Ways of grouping recordings, see `audiofw.evaluation.by_group`: the group of each, by name.

    Returns
    -------
    dict
        ``scores``: of each of `audiofw.evaluation.scores.OF_TIMELINES`, its ``value`` (events of all classes together,
        apart from ``event_f1_macro``), ``interval``, ``folds`` and ``background``: what finding nothing scores.
        ``per_class``:
        scores of each class, and ``false_alarms`` an hour at the least threshold that reaches each recall; None if none
        does.
    """
    compared = [_compared(one, classes, background, exclusive) for one in heard]
    folds = sorted({one.fold for one in heard})
    of_fold = [[c for c, one in zip(compared, heard, strict=True) if one.fold == fold] for fold in folds]
    nothing = [one._replace(found=NONE) for one in compared]
    values, n = measures(classes, background), len(classes)
    scores: dict[str, dict[str, Any]] = {
        name: {
            "value": measure(compared),
            "interval": _interval(measure, compared),
            "folds": [measure(some) for some in of_fold],
            "background": measure(nothing),
        }
        for name, measure in values.items()
    }
    tracks = [(one.track.moments, one.track.truth, one.track.seconds) for one in heard]
    missing = {"interval": None, "folds": [None] * len(folds), "background": 0.0}
    scores["psds"] = {"value": psds(tracks, classes, background), **missing}
    counts = {
        "": event_counts(compared, n, by_overlap),
        "collar_": event_counts(compared, n, by_collar),
        "segment_": segment_counts(compared, n),
    }
    alarms = _false_alarms(heard, classes, background, exclusive)
    return {
        "scores": scores,
        "per_class": [
            {
                "class": name,
                **score_event_counts(counts[""][i])._asdict(),
                **{f"{kind}f1": score_event_counts(counts[kind][i]).f1 for kind in ("collar_", "segment_")},
                "false_alarms": alarms[name],
            }
            for i, name in enumerate(classes)
            if name != background
        ],
        "by_group": [
            _by_group(way, compared, [of.get(one.track.name) for one in heard], values["event_f1"])
            for way, of in (groups or {}).items()
        ],
        "n_recordings": len(heard),
        "n_events": int(sum(len(one.truth.starts) for one in compared)),
        "hours": sum(one.seconds for one in compared) / 3600,
    }


def _by_group(way: str, compared: Sequence[Compared], labels: Sequence[str | None], measure: Measure) -> dict[str, Any]:
    """Score the recordings of each group that have events."""
    used = [label if len(one.truth.starts) else None for one, label in zip(compared, labels, strict=True)]

    def score(of: np.ndarray) -> tuple[float, list[float] | None]:
        some = [compared[i] for i in of]
        return measure(some), _interval(measure, some)

    return listed(way, "event_f1", used, score)


def _compared(one: Heard, classes: Sequence[str], background: str | None, exclusive: bool) -> Compared:
    return compare_tracks([one.track], one.rule, classes, background=background, exclusive=exclusive)[0]


def measures(classes: Sequence[str], background: str | None) -> dict[str, Measure]:
    """Give the scores that follow from events, by name: all of timelines but ``psds``."""
    n, of = len(classes), [i for i, name in enumerate(classes) if name != background]

    def macro(recordings: Sequence[Compared]) -> float:
        counts = event_counts(recordings, n, by_overlap)[of]
        return float(np.mean([score_event_counts(row).f1 for row in counts if row.any()] or [0.0]))

    return {
        "event_f1": lambda recordings: f1_of(event_counts(recordings, n, by_overlap)),
        "event_f1_macro": macro,
        "event_f1_collar": lambda recordings: f1_of(event_counts(recordings, n, by_collar)),
        "segment_f1": lambda recordings: f1_of(segment_counts(recordings, n)),
        "frame_accuracy": lambda recordings: frame_accuracy(recordings, n),
    }


MOST_LEFT_OUT = 200  # recordings; of more, the jackknife leaves out several at a time


def _interval(measure: Measure, recordings: Sequence[Compared], level: float = 0.95) -> list[float] | None:
    """Estimate an interval by the jackknife over recordings, on the logit scale as for other scores; None for one."""
    parts = [list(range(i, len(recordings), MOST_LEFT_OUT)) for i in range(min(len(recordings), MOST_LEFT_OUT))]
    value = measure(recordings)
    if len(parts) < 2 or not 0 < value < 1:
        return None
    from scipy.stats import t

    without = [measure([one for i, one in enumerate(recordings) if i not in part]) for part in map(set, parts)]
    k = len(parts)
    error = math.sqrt((k - 1) / k * float(np.sum((np.array(without) - np.mean(without)) ** 2)))
    reach, middle = float(t.ppf((1 + level) / 2, k - 1)) * error / (value * (1 - value)), math.log(value / (1 - value))
    return [1 / (1 + math.exp(-(middle + side * min(reach, 30.0)))) for side in (-1, 1)]


def _false_alarms(
    heard: Sequence[Heard], classes: Sequence[str], background: str | None, exclusive: bool
) -> dict[str, dict[str, float | None]]:
    """Count the fewest false alarms an hour with which each recall is reached, over the thresholds of a class."""
    names = [name for name in classes if name != background]
    hours = sum(one.track.seconds for one in heard) / 3600
    counts = []
    for point in POINTS:
        at = [replace(one.rule, thresholds=dict.fromkeys(names, float(point)), activity=None) for one in heard]
        found = [
            Compared(
                one.track.truth,
                detect(one.track.moments, rule, classes, background=background, exclusive=exclusive).events,
                one.track.seconds,
            )
            for one, rule in zip(heard, at, strict=True)
        ]
        counts.append(event_counts(found, len(classes), by_overlap))
    curve = np.array(counts)  # (points, classes, 3)
    return {name: _fewest(curve[:, list(classes).index(name)], hours) for name in names}


def _fewest(curve: np.ndarray, hours: float) -> dict[str, float | None]:
    recall = curve[:, 0] / np.maximum(curve[:, 0] + curve[:, 2], 1)
    reached = {least: curve[recall >= least, 1] for least in RECALLS}
    return {f"{least:g}": float(some.min() / hours) if len(some) else None for least, some in reached.items()}


def found_in(one: Heard, classes: Sequence[str], *, background: str | None, exclusive: bool = True) -> Found:
    """Find the events of a recording by its rule."""
    return detect(one.track.moments, one.rule, classes, background=background, exclusive=exclusive)
