"""Run annotated recordings through models that were not trained on them, as timelines."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from audiofw.audio.parts import Gap
from audiofw.config.options import Config
from audiofw.data.dataset import Annotated, Clip
from audiofw.data.labels import JOINT
from audiofw.data.splits import Fold
from audiofw.data.stretches import known_stretches
from audiofw.errors import DataError
from audiofw.evaluation.cross_validate import Evaluation
from audiofw.evaluation.detection import PLAIN, Rule, WindowMeans, average
from audiofw.evaluation.events import Events, make_events
from audiofw.evaluation.fit import predict, thresholds_of
from audiofw.evaluation.rules import Track
from audiofw.evaluation.timelines import Heard, found_in, summarise_timelines
from audiofw.extraction.over_time import WindowFeatures, recipe_over_time, rows_over_time
from audiofw.extraction.padding import make_gatherer
from audiofw.extraction.recording import Unit
from audiofw.extraction.table import open_recipe_cache
from audiofw.parallel.executors import Lost
from audiofw.system.progress import counting

log = logging.getLogger(__name__)

TOGETHER = 256  # windows that a model predicts at once


@dataclass(frozen=True)
class Listening:
    """What timelines need of a run."""

    config: Config
    recordings: Sequence[Annotated]
    classes: Sequence[str]
    width: int | None  #: of a row; None for a pooling that learns
    groups: Mapping[str, Mapping[str, str | None]] = field(default_factory=dict)  #: by way, then by recording

    @property
    def background(self) -> str | None:
        """The class that stands for none."""
        named = self.config.data.background
        return named if named in self.classes else None

    @property
    def exclusive(self) -> bool:
        """Whether one class is active at a time."""
        return self.config.task == "single"

    def labels_of(self, label: str) -> list[str]:
        """List the labels that a row names: several only with ``task=multilabel``."""
        if self.exclusive:
            return [label]
        return [part.strip() for part in label.split(self.config.data.separator or JOINT)]

    @property
    def plain(self) -> Rule:
        """The rule where none was chosen."""
        return PLAIN if self.exclusive else Rule(dict.fromkeys(self.classes, 0.5))

    def rule_of(self, model: Any) -> Rule:
        """The rule where none was chosen, with the thresholds that a model of several labels has."""
        own = None if self.exclusive else thresholds_of(model)
        return self.plain if own is None else Rule(dict(zip(self.classes, own.tolist(), strict=True)))


class TimelineRule(NamedTuple):
    """How timelines are made."""

    window: float  #: seconds
    hop: float
    rule: Rule


class Timelines(NamedTuple):
    """The timelines of a run."""

    metrics: dict[str, Any]  #: for ``metrics.json``
    recordings: list[dict[str, Any]]  #: for ``timelines.json``


class TimelineFold(NamedTuple):
    """Recordings to train on and to test, by their positions."""

    train: list[int]
    test: list[int]


def annotated_recordings(dataset_recordings: Sequence[Annotated], clips: Sequence[Clip]) -> list[Annotated]:
    """List the annotated recordings of which the run uses clips."""
    used = {clip.recording for clip in clips}
    return [one for one in dataset_recordings if one.name in used]


def parts_of(recordings: Sequence[Annotated], clips: Sequence[Clip], folds: Sequence[Fold]) -> list[TimelineFold]:
    """Divide recordings as their clips are divided; one that is tested several times counts in the first fold."""
    places, seen, parts = {one.name: i for i, one in enumerate(recordings)}, set[int](), []
    for fold in folds:
        train, test = ({places[clips[i].recording] for i in side if clips[i].recording in places} for side in fold)
        parts.append(TimelineFold(sorted(train - test), sorted(test - train - seen)))
        seen |= test
    return parts


def score_timelines(
    run: Listening, unit: Unit, parts: Sequence[TimelineFold], evaluation: Evaluation
) -> Timelines | None:
    """Score the timelines that each fold's model makes of the recordings that it tests.

    Parameters
    ----------
    run : Listening
    unit : Unit
    parts : sequence of Part
        One for each fold.
    evaluation : Evaluation
        With the models of all folds.

    Returns
    -------
    Timelines or None
        None if no recording could be heard.
    """
    way, heard = untuned(run), list[Heard]()
    with (
        hearing(run, unit, way.window, way.hop) as hear,
        counting("timelines", sum(len(part.test) for part in parts)) as advance,
    ):
        for number, (part, model) in enumerate(zip(parts, evaluation.models, strict=True), 1):
            rule = run.rule_of(model)
            for one in (run.recordings[i] for i in part.test):
                heard += [Heard(track, rule, number) for track in _tracks(run, unit, one, hear(one), way, model)]
                advance()
    return summed_up(run, heard, [way] * len(parts), tuned=False) if heard else None


def untuned(run: Listening) -> TimelineRule:
    """Windows as those that the clips were cut into."""
    window = run.config.audio.duration
    assert window is not None
    return TimelineRule(window, run.config.windows.hop or window / 2, run.plain)


def summed_up(run: Listening, heard: Sequence[Heard], ways: Sequence[TimelineRule], *, tuned: bool) -> Timelines:
    """Score what was heard, and list it by recording."""
    metrics = summarise_timelines(
        heard, run.classes, background=run.background, exclusive=run.exclusive, groups=run.groups
    )
    described = [{"window": way.window, "hop": way.hop, "rule": asdict(way.rule)} for way in ways]
    metrics |= {"tuned": tuned, "background": run.background, "by_fold": described}
    return Timelines(metrics, [_listed(run, one) for one in heard])


def _listed(run: Listening, one: Heard) -> dict[str, Any]:
    found, truth = found_in(one, run.classes, background=run.background, exclusive=run.exclusive), one.track.truth
    sure = [round(float(share), 4) for share in found.confidence]
    return {
        "recording": one.track.name,
        "fold": one.fold,
        "start": round(one.track.offset, 6),
        "seconds": round(one.track.seconds, 6),
        "truth": _rows(run, one, truth),
        "found": [[*row, share] for row, share in zip(_rows(run, one, found.events), sure, strict=True)],
    }


def _rows(run: Listening, one: Heard, events: Events) -> list[list[Any]]:
    at = one.track.offset
    rows = zip(*(column.tolist() for column in events), strict=True)
    return [[round(at + start, 6), round(at + end, 6), run.classes[of]] for start, end, of in rows]


Hear = Callable[[Annotated], Generator[WindowFeatures | Gap, None, None]]


@contextmanager
def hearing(run: Listening, unit: Unit, window: float, hop: float) -> Iterator[Hear]:
    """Open the cache, and give what extracts the rows of a recording's windows."""
    clips = [Clip(one.path, one.name, "") for one in run.recordings]
    with open_recipe_cache(run.config, recipe_over_time(unit, window, hop), clips) as cache:
        stored = None if unit.pooling.learns else cache
        yield lambda one: rows_over_time(one.path, unit, window, hop, n_jobs=run.config.n_jobs, recipe_cache=stored)


def _tracks(
    run: Listening,
    unit: Unit,
    one: Annotated,
    rows: Generator[WindowFeatures | Gap, None, None],
    way: TimelineRule,
    model: Any,
) -> list[Track]:
    """Predict all windows of a recording, a few at a time."""
    scores, ends = [np.zeros((0, len(run.classes)))], list[float]()
    try:
        with closing(rows):
            windows = (row for row in rows if not isinstance(row, Gap))
            while some := list(islice(windows, TOGETHER)):
                ends += [row.end for row in some]
                scores.append(window_scores(model, *table_of(run, unit, [row.made for row in some]), len(run.classes)))
    except DataError as error:
        log.warning("timelines: %s: left out: %s", one.name, error)
        return []
    return tracks_of(run, one, average(np.concatenate(scores), np.array(ends), way.window, way.hop))


def table_of(run: Listening, unit: Unit, made: Sequence[np.ndarray | Lost]) -> tuple[np.ndarray | None, np.ndarray]:
    """Stack rows into a table, None if there are none, and tell which could be used."""
    gather = make_gatherer(len(made), run.width, run.config.pad.value, matrices=unit.pooling.learns)
    usable = np.array([not isinstance(row, Lost) and gather.add(row, "") is None for row in made], bool)
    return gather.stack() if usable.any() else None, usable


def window_scores(model: Any, X: np.ndarray | None, usable: np.ndarray, n_classes: int) -> np.ndarray:
    """Predict the class probabilities of windows, or 1 and 0; NaN for those that cannot be used."""
    scores = np.full((len(usable), n_classes), np.nan)
    if X is not None:
        predictions, probabilities = predict(model, X, np.arange(len(X)), n_classes)
        scores[usable] = np.eye(n_classes)[predictions] if probabilities is None else probabilities
    return scores


# --- what is true -------------------------------------------------------------------------------------------------


def tracks_of(run: Listening, one: Annotated, moments: WindowMeans) -> list[Track]:
    """Put scores beside the true events: of the whole recording, or of each stretch that was labelled completely."""
    data, index = run.config.data, {name: i for i, name in enumerate(run.classes)}
    rows = [
        (row.start or 0.0, one.seconds if row.end is None else row.end, index[label])
        for row in one.rows
        for label in run.labels_of(row.label)
        if label in index and label != run.background
    ]
    if data.annotated is None:
        return [Track(one.name, moments, make_events(rows), one.seconds)]
    stretches = known_stretches(one.rows, one.seconds, data.annotated)
    return [_within(one.name, moments, rows, start, end) for start, end in stretches]


def _within(
    name: str, moments: WindowMeans, rows: Iterable[tuple[float, float, int]], start: float, end: float
) -> Track:
    inside = (moments.starts < end - 1e-6) & (moments.ends > start + 1e-6)
    cut = WindowMeans(
        np.clip(moments.starts[inside], start, end) - start,
        np.clip(moments.ends[inside], start, end) - start,
        moments.scores[inside],
    )
    truth = [(max(a, start) - start, min(b, end) - start, of) for a, b, of in rows if a < end and b > start]
    return Track(name, cut, make_events(truth), end - start, start)
