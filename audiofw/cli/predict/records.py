"""The results of ``audiofw predict``: one record per recording, or one per segment of a recording."""

from __future__ import annotations

import argparse
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from audiofw.bundle.labelling import Unread
from audiofw.bundle.model import Model
from audiofw.bundle.prediction import UNKNOWN, Prediction
from audiofw.bundle.timeline import Segment
from audiofw.cache.store import RecipeCache
from audiofw.cli.predict.formats import Record
from audiofw.data.headers import read_recorder
from audiofw.data.inputs import STDIN, InputRecording, find_sounds
from audiofw.data.recorder import Recorded
from audiofw.errors import AudiofwError, ConfigError, DataError
from audiofw.parallel.executors import Lost, Ready
from audiofw.parallel.workers import outcomes

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


def tells_time(words: Sequence[str]) -> bool:
    """Whether the first recording says, in name or header, when it was made: if so, results get a column for it."""
    named = find_sounds([word for word in words if word != STDIN])
    return bool((first := next(named, None)) and first.path and read_recorder(first.path).time)


def check_unknown(model: Model, options: argparse.Namespace) -> None:
    """Refuse ``--unknown`` if the model cannot do it."""
    if options.unknown is not None:
        try:
            model.check_unknown(options.unknown)
        except ConfigError as error:
            raise ConfigError(f"--{error}") from error


def _operating_point(model: Model, options: argparse.Namespace) -> np.ndarray | None:
    """Find the thresholds for ``--precision`` or ``--recall``."""
    if options.precision is options.recall is None:
        return None
    try:
        return model.operating_thresholds(precision=options.precision, recall=options.recall)
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
        self._point = _operating_point(model, options)
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
            *(["labels"] if options.coverage is not None or self._point is not None else []),
        ]
        self._timed, self._last = options.timed, ["time", "error"] if options.timed else ["error"]
        self.columns = [*self._head, *(best if self._top else shares), *self._last]

    @property
    def heard_of_each(self) -> float | None:
        """Seconds of each recording that the model hears; None for all."""
        segments = self._model.unit.segments
        if segments.duration is None or segments.hop is None:
            return segments.duration
        return segments.duration + (segments.most - 1) * segments.hop

    def records(self, sounds: Iterable[InputRecording], *, alone: bool) -> Generator[Record, None, None]:
        """Predict the recordings in parallel; a single one needs no workers."""
        read = deque[InputRecording]()

        def paths() -> Iterator[Path | Ready]:
            for sound in sounds:
                read.append(sound)
                yield sound.path or Ready(Lost.by(DataError(sound.reason)))

        model, n_jobs = self._model, 1 if alone else self._n_jobs
        with closing(
            outcomes(model.unit, paths(), n_jobs=n_jobs, processes=model.unit.holds_gil and not alone)
        ) as made:
            yield from refuse_hopeless(self._said(read.popleft(), prediction) for prediction in model.stream(made))

    def _said(self, sound: InputRecording, prediction: Prediction | Lost) -> Said:
        name = sound.name
        if isinstance(prediction, Lost):
            prediction.error.clip = name
            return {"path": name, "error": prediction.reason}, prediction.error
        time = read_recorder(sound.path).at(0) if self._timed and sound.path else None
        return {**self._record(name, prediction), **({"time": time} if time else {})}, None

    def _record(self, name: str, prediction: Prediction) -> Record:
        if self._point is not None:
            prediction = self._model.at(prediction, self._point)
        label, shares = prediction.label_or_unknown(self._unknown), prediction.probabilities
        typical = {"typicality": round(prediction.typicality, 6)} if self._unknown and prediction.typicality else {}
        if shares is None:
            return {"path": name, "predicted": label, **typical}
        confidence = float(shares.max())
        order = (-shares).argsort(kind="stable")[: self._top] if self._top else range(len(shares))
        labels = {} if self._least is None else {"labels": self._model.labels(shares, self._least)}
        if self._point is not None:
            labels = {"labels": self._model.detected(shares, self._point)}
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
        given += [""] * (len(self.columns) - len(self._head) - len(self._last) - len(given))
        head = [record.get(key, "") for key in self._head]
        labels = [";".join(value) if isinstance(value, list) else value for value in head]
        return [*labels, *given, *(record.get(key, "") for key in self._last)]


def _unread_record(stretch: Unread) -> Record:
    bounds = {"start": stretch.start, "end": stretch.end}
    return {key: round(at, 6) for key, at in bounds.items() if at is not None} | {"error": stretch.reason}


def _as_record(segment: Segment) -> Record:
    if segment.error:
        return _unread_record(Unread(segment.start, segment.end, segment.error))
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

    def __init__(self, model: Model, options: argparse.Namespace, cache: RecipeCache | None = None) -> None:
        self._timed = options.timed
        self.columns = ["path", "start", "end", "label", "confidence", *(["time"] if self._timed else []), "error"]
        self._labeller = model.labeller(options.way, n_jobs=options.n_jobs, cache=cache, keeps_windows=options.scores)
        self.classes = self._labeller.names
        self.window_scores = self._labeller.window_scores
        self.length = 0.0  #: of the last recording, seconds
        self.highest = (model.unit.sample_rate or 44100) / 2  #: frequency that the model can hear, Hz
        check_unknown(model, options)

    def records(self, sounds: Iterable[InputRecording], *, alone: bool) -> Generator[Record, None, None]:
        """Predict one recording after the other, its windows in parallel."""
        yield from self.hopeful(said for sound in sounds for said in self.said(sound))

    def hopeful(self, said: Iterable[Said]) -> Iterator[Record]:
        """Pass records on, see `refuse_hopeless`."""
        return refuse_hopeless(said)

    def said(self, sound: InputRecording) -> Iterator[Said]:
        """Predict one recording: a record for each segment, and for each stretch that could not be used."""
        self.length = 0.0
        unread = [] if sound.path else [Unread(None, None, sound.reason)]
        bugs: list[AudiofwError] = []
        if sound.path:
            recorded = read_recorder(sound.path) if self._timed else Recorded()
            for segment in self._labeller.label(sound.path, unread, bugs):
                record = {"path": sound.name, **_as_record(segment)}
                if not segment.error and (time := recorded.at(segment.start)):
                    record["time"] = time
                yield record, _error(sound.name, segment.error, bugs)
            self.length = self._labeller.length
        for stretch in unread:
            yield {"path": sound.name, **_unread_record(stretch)}, _error(sound.name, stretch.reason, bugs)

    def flatten(self, record: Record) -> list[Any]:
        """Give a record's values for the columns."""
        return [record.get(key, "") for key in self.columns]
