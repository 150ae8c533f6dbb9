"""The results of ``audiofw predict``: one record per recording, or one per segment of a recording."""

from __future__ import annotations

import argparse
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from audiofw.bundle.model import UNKNOWN, Model, Prediction
from audiofw.bundle.timeline import Segment, cells, segments, shares_of
from audiofw.cache.store import RecipeCache
from audiofw.cli.predict.formats import Record
from audiofw.data.inputs import Sound
from audiofw.errors import AudiofwError, ConfigError, DataError
from audiofw.evaluation.detection import PLAIN, Found, Moments, Rule, average, detect
from audiofw.extraction.over_time import Gap, rows_over_time
from audiofw.parallel.executors import Lost, Ready
from audiofw.parallel.workers import outcomes

Heard = tuple[int, float, Prediction | Lost]
"""A window's number, its end in seconds, and its prediction."""

Said = tuple[Record, AudiofwError | None]
"""A record, and why it has no answer, if so."""

HOPELESS = 32  # recordings at the start: a plugin that fails on all of them will on the others


def refuse_hopeless(said: Iterable[Said]) -> Iterator[Record]:
    """Pass records on, unless a plugin fails on every recording, or on the first `HOPELESS`: that ends the command.

    Records of a plugin's failures are held back until a recording has an answer.

    Raises
    ------
    AudiofwError
        The first error that is not a recording's own.
    """
    held: list[Record] = []
    bug: AudiofwError | None = None
    hope = False
    for record, error in said:
        hope = hope or error is None
        held.append(record)
        if error and not error.costs_a_clip:
            bug = bug or error
        if hope or not bug:
            yield from held
            held.clear()
        elif len(held) == HOPELESS:
            break
    if bug and not hope:
        raise bug


def check_unknown(model: Model, options: argparse.Namespace) -> None:
    """Refuse ``--unknown`` if the model cannot do it."""
    if options.unknown is not None:
        try:
            model.check_unknown(options.unknown)
        except ConfigError as error:
            raise ConfigError(f"--{error}") from error


class Clips:
    """One record per recording: its label and the class probabilities."""

    def __init__(self, model: Model, options: argparse.Namespace) -> None:
        self._model = model
        self._n_jobs = options.n_jobs
        self._top = min(options.top or 0, len(model.classes_))
        self._min_confidence, self._unknown = options.min_confidence, options.unknown
        check_unknown(model, options)
        self._least = model.least_probability(options.coverage) if options.coverage is not None else None
        classes = [str(name) for name in model.classes_]
        shares = [f"p({name})" for name in classes]
        best = [word for i in range(1, self._top + 1) for word in (f"label{i}", f"p{i}")]
        self._several = model.thresholds is not None
        if self._several and self._min_confidence:
            raise ConfigError("--min-confidence: this model predicts several labels, each with its own threshold")
        sure = [] if self._several else ["confidence"]
        self._head = [
            "path",
            "predicted",
            *sure,
            *(["typicality"] if self._unknown else []),
            *(["labels"] if options.coverage is not None else []),
        ]
        self.columns = [*self._head, *(best if self._top else shares), "error"]

    @property
    def heard_of_each(self) -> float | None:
        """Seconds of each recording that the model hears; None for all."""
        segments = self._model.unit.segments
        if segments.duration is None or segments.hop is None:
            return segments.duration
        return segments.duration + (segments.most - 1) * segments.hop

    def records(self, sounds: Iterable[Sound], *, alone: bool) -> Generator[Record, None, None]:
        """Predict the recordings in parallel; a single one needs no workers."""
        names: deque[str] = deque()

        def paths() -> Iterator[Path | Ready]:
            for sound in sounds:
                names.append(sound.name)
                yield sound.path or Ready(Lost.by(DataError(sound.reason)))

        model, n_jobs = self._model, 1 if alone else self._n_jobs
        with closing(
            outcomes(model.unit, paths(), n_jobs=n_jobs, processes=model.unit.holds_gil and not alone)
        ) as made:
            yield from refuse_hopeless(self._said(names.popleft(), prediction) for prediction in model.stream(made))

    def _said(self, name: str, prediction: Prediction | Lost) -> Said:
        if isinstance(prediction, Lost):
            prediction.error.clip = name
            return {"path": name, "error": prediction.reason}, prediction.error
        return self._record(name, prediction), None

    def _record(self, name: str, prediction: Prediction) -> Record:
        label, shares = prediction.label_or_unknown(self._unknown), prediction.probabilities
        typical = {"typicality": round(prediction.typicality, 6)} if self._unknown and prediction.typicality else {}
        if shares is None:
            return {"path": name, "predicted": label, **typical}
        confidence = float(shares.max())
        order = (-shares).argsort(kind="stable")[: self._top] if self._top else range(len(shares))
        labels = {} if self._least is None else {"labels": self._model.labels(shares, self._least)}
        return {
            "path": name,
            "predicted": label if confidence >= self._min_confidence else UNKNOWN,
            **({} if self._several else {"confidence": round(confidence, 6)}),
            **typical,
            **labels,
            "probabilities": {str(self._model.classes_[i]): round(float(shares[i]), 6) for i in order},
        }

    def flatten(self, record: Record) -> list[Any]:
        """Give a record's values for the columns."""
        shares = record.get("probabilities", {})
        given = [word for pair in shares.items() for word in pair] if self._top else list(shares.values())
        given += [""] * (len(self.columns) - len(self._head) - 1 - len(given))
        head = [record.get(key, "") for key in self._head]
        labels = [";".join(value) if isinstance(value, list) else value for value in head]
        return [*labels, *given, record.get("error", "")]


class Unread(NamedTuple):
    """A stretch of a recording that could not be read; None for a bound that is not known."""

    start: float | None  #: seconds
    end: float | None
    reason: str

    def as_record(self) -> Record:
        bounds = {"start": self.start, "end": self.end}
        return {key: round(at, 6) for key, at in bounds.items() if at is not None} | {"error": self.reason}


def _as_record(segment: Segment) -> Record:
    if segment.error:
        return Unread(segment.start, segment.end, segment.error).as_record()
    start, end, label, confidence, _ = segment
    return {"start": round(start, 6), "end": round(end, 6), "label": label, "confidence": round(confidence, 6)}


def _error(name: str, reason: str, bugs: Sequence[AudiofwError]) -> AudiofwError | None:
    """Give the error behind a stretch without a label: a plugin's bug if one was met in the recording."""
    if not reason:
        return None
    error = bugs[0] if bugs else DataError(reason)
    error.clip = name
    return error


class Timeline:
    """One record per segment of a recording: a stretch with one label."""

    columns = ("path", "start", "end", "label", "confidence", "error")

    def __init__(self, model: Model, options: argparse.Namespace, cache: RecipeCache | None = None) -> None:
        self._model = model
        self._options = options
        self._cache = cache
        self._seconds, self._hop = options.window, options.hop or options.window
        self._windows: list[Heard] = []
        self.classes = [str(name) for name in model.classes_]
        self.length = 0.0  #: of the last recording, seconds
        self.highest = (model.unit.sample_rate or 44100) / 2  #: frequency that the model can hear, Hz
        check_unknown(model, options)

    def records(self, sounds: Iterable[Sound], *, alone: bool) -> Generator[Record, None, None]:
        """Predict one recording after the other, its windows in parallel."""
        yield from self.hopeful(said for sound in sounds for said in self.said(sound))

    def hopeful(self, said: Iterable[Said]) -> Iterator[Record]:
        """Pass records on, see `refuse_hopeless`."""
        return refuse_hopeless(said)

    def window_scores(self) -> Iterator[tuple[float, float, np.ndarray]]:
        """Give start, end and class probabilities of each window of the last recording; NaN if there are none."""
        for number, end, prediction in self._windows:
            yield number * self._hop, end, self._shares(prediction)

    def _shares(self, prediction: Prediction | Lost) -> np.ndarray:
        if isinstance(prediction, Lost):
            return np.full(len(self.classes), np.nan)
        return shares_of(prediction, self._model.classes_)

    def said(self, sound: Sound) -> Iterator[Said]:
        """Predict one recording: a record for each segment, and for each stretch that could not be used."""
        self.length = 0.0
        unread = [] if sound.path else [Unread(None, None, sound.reason)]
        bugs: list[AudiofwError] = []
        if sound.path:
            for segment in self._segments(sound.path, unread, bugs):
                yield {"path": sound.name, **_as_record(segment)}, _error(sound.name, segment.error, bugs)
        for stretch in unread:
            yield {"path": sound.name, **stretch.as_record()}, _error(sound.name, stretch.reason, bugs)

    def _segments(self, path: Path, unread: list[Unread], bugs: list[AudiofwError]) -> Iterator[Segment]:
        options = self._options
        with closing(self._heard(path, unread, bugs)) as heard:
            if options.rule is None and not options.scores:
                yield from self._labelled(heard)
                return
            self._windows = list(heard)
        if options.rule is None:
            yield from self._labelled(self._windows)
        else:
            lost = (each for each in self._labelled(self._windows) if each.error)
            yield from sorted([*lost, *self._events(options.rule)])

    def _labelled(self, heard: Iterable[Heard]) -> Iterator[Segment]:
        """Merge neighbouring stretches with the same label."""
        options, classes = self._options, self._model.classes_
        found = segments(
            cells(heard, classes, self._seconds, self._hop),
            classes,
            threshold=options.threshold or 0.0,
            min_confidence=options.min_confidence,
            thresholds=self._model.thresholds,
            unknown=options.unknown,
        )
        return (each for each in found if self._is_wanted(each.label))

    def _is_wanted(self, label: str) -> bool:
        return self._options.background or label != self._options.none

    def _events(self, rule: Rule) -> Iterator[Segment]:
        """Find events as was chosen when the model was trained, and the background between them if it is wanted."""
        if not self._windows:
            return
        options, scores = self._options, np.array([self._shares(prediction) for _, _, prediction in self._windows])
        ends = np.array([end for _, end, _ in self._windows])
        moments = average(scores, ends, self._seconds, self._hop)
        found = detect(moments, rule, self.classes, background=options.none, exclusive=options.exclusive)
        for start, end, of, share in zip(*found.events, found.confidence, strict=True):
            sure = share >= options.min_confidence and not self._is_strange(start, end)
            label = self.classes[of] if sure else UNKNOWN
            yield Segment(float(start), float(end), label, float(share))
        if options.background and options.none:
            yield from self._between(moments, found)

    def _is_strange(self, start: float, end: float) -> bool:
        """Whether the windows over an event are, on average, too unlike the training clips."""
        over = [
            prediction.typicality
            for number, until, prediction in self._windows
            if not isinstance(prediction, Lost) and number * self._hop < end and until > start
        ]
        typical = [each for each in over if each is not None]
        unknown = self._options.unknown
        return unknown is not None and bool(typical) and float(np.mean(typical)) <= unknown

    def _between(self, moments: Moments, found: Found) -> Iterator[Segment]:
        """Give the stretches outside all events, with the mean probability of the background."""
        of = self.classes.index(self._options.none)
        inside = np.isnan(moments.scores[:, of])
        for start, end in zip(found.events.starts, found.events.ends, strict=True):
            inside |= (moments.starts < end - 1e-9) & (moments.ends > start + 1e-9)
        shares = np.where(inside, 0.0, 1.0)[:, None]
        quiet = detect(moments._replace(scores=shares), PLAIN, [self._options.none])
        for start, end in zip(quiet.events.starts, quiet.events.ends, strict=True):
            within = (moments.starts >= start) & (moments.ends <= end)
            yield Segment(float(start), float(end), self._options.none, float(moments.scores[within, of].mean()))

    def _heard(self, path: Path, unread: list[Unread], bugs: list[AudiofwError]) -> Generator[Heard, None, None]:
        """Predict each window in order; unreadable stretches and a plugin's bug are appended to the two lists."""
        ends = deque[float]()

        def each() -> Iterator[np.ndarray | Lost]:
            end = None
            rows = rows_over_time(
                path,
                self._model.unit,
                self._seconds,
                self._hop,
                n_jobs=self._options.n_jobs,
                recipe_cache=self._cache,
            )
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

        for number, prediction in enumerate(self._model.stream(each())):
            if isinstance(prediction, Lost) and not prediction.error.costs_a_clip and not bugs:
                bugs.append(prediction.error)
            yield number, ends.popleft(), prediction

    def flatten(self, record: Record) -> list[Any]:
        """Give a record's values for the columns."""
        return [record.get(key, "") for key in self.columns]
