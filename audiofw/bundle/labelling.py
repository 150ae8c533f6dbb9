"""Label a recording over time with a model: as its run chose, or in windows of a given length."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from audiofw.audio.parts import Gap
from audiofw.bundle.prediction import UNKNOWN, Prediction
from audiofw.bundle.timeline import Segment, cells, segments, shares_of
from audiofw.cache.store import RecipeCache
from audiofw.data.given import NamedFile
from audiofw.errors import AudiofwError, ConfigError, DataError
from audiofw.evaluation.detection import PLAIN, Found, Rule, WindowMeans, average, detect, read_rule
from audiofw.extraction.over_time import rows_over_time
from audiofw.extraction.recording import Unit
from audiofw.parallel.executors import Lost

SHORTEST, LONGEST = 0.001, 86_400.0  # seconds of a window or hop
MOST_WINDOWS = 100  # that contain the same moment

Heard = tuple[int, float, Prediction | Lost]
"""A window's number, its end in seconds, and its prediction."""

Classify = Callable[[Iterable[np.ndarray | Lost]], Iterator[Prediction | Lost]]
"""See `audiofw.bundle.model.Model.stream`."""


class Unread(NamedTuple):
    """A stretch of a recording that could not be read; None for a bound that is not known."""

    start: float | None  #: seconds
    end: float | None
    reason: str


@dataclass(frozen=True)
class LabellingRule:
    """How a recording is labelled over time."""

    window: float  #: seconds
    hop: float  #: seconds from one window to the next
    rule: Rule | None = None  #: how scores become events; None merges neighbouring windows with the same label
    none: str | None = None  #: the background class
    exclusive: bool = True  #: whether events of different classes may not overlap
    background: bool = False  #: also give the segments of the background class
    threshold: float = 0.0  #: without a rule: no segment below this probability
    min_confidence: float = 0.0  #: `UNKNOWN` below this probability
    unknown: float | None = None  #: `UNKNOWN` up to this typicality


def choose_way(
    timeline: Mapping[str, Any] | None,
    classes: Sequence[str],
    thresholds: np.ndarray | None,
    *,
    window: float | None = None,
    hop: float | None = None,
    threshold: float | None = None,
    **options: Any,
) -> LabellingRule | None:
    """Complete the options by what the bundle says about timelines; None if the length of the windows is not known.

    Parameters
    ----------
    timeline : mapping, optional
        From the bundle.
    classes : sequence of str
        Of the model.
    thresholds : np.ndarray [shape=(classes,)], optional
        Of a model of several labels.
    window, hop : float, optional
        In seconds; by default those of the bundle, or without overlap.
    threshold : float, optional
        Of all classes.
    **options
        See `Way`.
    """
    if timeline is None:
        return LabellingRule(window, hop or window, threshold=threshold or 0.0, **options) if window else None
    options |= {"none": timeline["background"], "exclusive": timeline["exclusive"]}
    if window:
        return LabellingRule(window, hop or window, threshold=threshold or 0.0, **options)
    own = None if thresholds is None else dict(zip(classes, thresholds.tolist(), strict=True))
    if threshold is not None:
        own = dict.fromkeys(classes, threshold)
    rule = read_rule(timeline["rule"])
    rule = rule if own is None else replace(rule, thresholds=own)
    return LabellingRule(timeline["window"], hop or timeline["hop"], rule, threshold=threshold or 0.0, **options)


@dataclass(eq=False)
class Labeller:
    """Labels one recording after the other; not for several threads.

    Parameters
    ----------
    unit : Unit
    classify : callable
        Predicts windows by their feature vectors.
    classes : np.ndarray [shape=(classes,)]
    thresholds : np.ndarray [shape=(classes,)] or None
        Of a model of several labels.
    way : Way
    n_jobs : int
        Number of workers.
    cache : RecipeCache, optional
        See `audiofw.extraction.over_time.rows_over_time`.
    keeps_windows : bool
        Whether `window_scores` will be asked for.

    Attributes
    ----------
    length : float
        Of the last recording, in seconds, as far as it could be read.
    """

    unit: Unit
    classify: Classify
    classes: np.ndarray
    thresholds: np.ndarray | None
    way: LabellingRule
    n_jobs: int = -1
    cache: RecipeCache | None = None
    keeps_windows: bool = False
    length: float = field(default=0.0, init=False)
    _windows: list[Heard] = field(default_factory=list, init=False)

    @property
    def names(self) -> list[str]:
        """The classes as text."""
        return [str(name) for name in self.classes]

    def label(self, path: Path, unread: list[Unread], bugs: list[AudiofwError]) -> Iterator[Segment]:
        """Label a recording; a segment with an error is a stretch that could not be used.

        Stretches of which the recording lacks the samples are appended to ``unread``, and the first error of a plugin
        that is not the recording's own to ``bugs``.
        """
        self.length, self._windows = 0.0, []
        with closing(self._heard(path, unread, bugs)) as heard:
            if self.way.rule is None and not self.keeps_windows:
                yield from self._labelled(heard)
                return
            self._windows = list(heard)
        if self.way.rule is None:
            yield from self._labelled(self._windows)
        else:
            lost = (each for each in self._labelled(self._windows) if each.error)
            yield from sorted([*lost, *self._events(self.way.rule)])

    def window_scores(self) -> Iterator[tuple[float, float, np.ndarray]]:
        """Give start, end and class probabilities of each window of the last recording; NaN if there are none."""
        for number, end, prediction in self._windows:
            yield number * self.way.hop, end, self._shares(prediction)

    def _shares(self, prediction: Prediction | Lost) -> np.ndarray:
        if isinstance(prediction, Lost):
            return np.full(len(self.classes), np.nan)
        return shares_of(prediction, self.classes)

    def _labelled(self, heard: Iterable[Heard]) -> Iterator[Segment]:
        """Merge neighbouring stretches with the same label."""
        way = self.way
        found = segments(
            cells(heard, self.classes, way.window, way.hop),
            self.classes,
            threshold=way.threshold,
            min_confidence=way.min_confidence,
            thresholds=self.thresholds,
            unknown=way.unknown,
        )
        return (each for each in found if way.background or each.error or each.label != way.none)

    def _events(self, rule: Rule) -> Iterator[Segment]:
        """Find events as was chosen when the model was trained, and the background between them if it is wanted."""
        if not self._windows:
            return
        way, scores = self.way, np.array([self._shares(prediction) for _, _, prediction in self._windows])
        ends = np.array([end for _, end, _ in self._windows])
        moments = average(scores, ends, way.window, way.hop)
        found = detect(moments, rule, self.names, background=way.none, exclusive=way.exclusive)
        for start, end, of, share in zip(*found.events, found.confidence, strict=True):
            sure = share >= way.min_confidence and not self._is_strange(start, end)
            label = self.names[of] if sure else UNKNOWN
            yield Segment(float(start), float(end), label, float(share))
        if way.background and way.none:
            yield from self._between(moments, found, way.none)

    def _is_strange(self, start: float, end: float) -> bool:
        """Whether the windows over an event are, on average, too unlike the training clips."""
        over = [
            prediction.typicality
            for number, until, prediction in self._windows
            if not isinstance(prediction, Lost) and number * self.way.hop < end and until > start
        ]
        typical, unknown = [each for each in over if each is not None], self.way.unknown
        return unknown is not None and bool(typical) and float(np.mean(typical)) <= unknown

    def _between(self, moments: WindowMeans, found: Found, none: str) -> Iterator[Segment]:
        """Give the stretches outside all events, with the mean probability of the background."""
        of = self.names.index(none)
        inside = np.isnan(moments.scores[:, of])
        for start, end in zip(found.events.starts, found.events.ends, strict=True):
            inside |= (moments.starts < end - 1e-9) & (moments.ends > start + 1e-9)
        shares = np.where(inside, 0.0, 1.0)[:, None]
        quiet = detect(moments._replace(scores=shares), PLAIN, [none])
        for start, end in zip(quiet.events.starts, quiet.events.ends, strict=True):
            within = (moments.starts >= start) & (moments.ends <= end)
            yield Segment(float(start), float(end), none, float(moments.scores[within, of].mean()))

    def _heard(self, path: Path, unread: list[Unread], bugs: list[AudiofwError]) -> Generator[Heard, None, None]:
        """Predict each window in order; unreadable stretches and a plugin's bug are appended to the two lists."""
        ends = deque[float]()

        def each() -> Iterator[np.ndarray | Lost]:
            end = None
            way = self.way
            rows = rows_over_time(path, self.unit, way.window, way.hop, n_jobs=self.n_jobs, recipe_cache=self.cache)
            try:
                with closing(rows):
                    for row in rows:
                        if isinstance(row, Gap):
                            unread.append(Unread(*row))
                        else:
                            self.length = end = row.end
                            ends.append(end)
                            yield row.made
            except DataError as error:
                unread.append(Unread(end, None, str(error)))

        for number, prediction in enumerate(self.classify(each())):
            if isinstance(prediction, Lost) and not prediction.error.costs_a_clip and not bugs:
                bugs.append(prediction.error)
            yield number, ends.popleft(), prediction


def labelled_whole(labeller: Labeller, sound: NamedFile) -> list[Segment]:
    """Label a recording; stretches that it lacks are segments with an error.

    Raises
    ------
    AudiofwError
        If nothing of it can be used, or a plugin fails on it.
    """
    unread: list[Unread] = []
    bugs: list[AudiofwError] = []
    found = list(labeller.label(sound.path, unread, bugs))
    error = bugs[0] if bugs else DataError(unread[0].reason) if unread and not labeller.length else None
    if error:
        error.clip = sound.name
        raise error
    lost = [Segment(each.start or 0.0, each.end or labeller.length, "", 0.0, each.reason) for each in unread]
    return [*found, *lost]


def check_window(window: float | None, hop: float | None) -> None:
    """Refuse windows and hops out of range, which would take all memory or never end."""
    for name, value in (("window", window), ("hop", hop)):
        if value is not None and not SHORTEST <= value <= LONGEST:
            raise ConfigError(f"{name}={value}: must be a number of seconds, from {SHORTEST:g} to {LONGEST:g}")
    if window and hop and hop < window / MOST_WINDOWS:
        raise ConfigError(f"hop={hop:g}: too short for window={window:g}; at least a hundredth of it")
