"""Classify uploaded recordings within limits, one at a time; recordings that cannot be used get a reason."""

from __future__ import annotations

import io
import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile

from audiofw.audio.decode import Reader
from audiofw.audio.load import load, opened
from audiofw.audio.sound import BLOCK
from audiofw.bundle.labelling import check_window
from audiofw.bundle.model import Model
from audiofw.bundle.prediction import UNKNOWN
from audiofw.errors import AudiofwError, ClipError, ConfigError, DataError, PluginError
from audiofw.serve.turns import Turns
from audiofw.system.atomic import write_whole
from audiofw.system.scratch import scratch_folder

log = logging.getLogger(__name__)

MOST_WINDOWS = 5000  # of one recording
MOST_SAMPLES_A_SECOND = 2 * 192_000  # of all channels: a small FLAC of silence can contain many GB


class TooMuchError(DataError):
    """A recording that exceeds the limits of size or length."""


@dataclass(frozen=True)
class UploadLimits:
    """The limits of uploads, and the lowest probability of an answer."""

    megabytes: float = 25.0
    seconds: float = 120.0
    confidence: float = 0.0  #: below this probability, the answer is "unknown"
    unknown: float | None = None  #: up to this typicality, the answer is "unknown"
    patience: float = 60.0  #: seconds for an upload to arrive, and then for its answer

    @property
    def bytes(self) -> int:
        return int(self.megabytes * 2**20)

    def check_size(self, size: int) -> None:
        """Raise TooMuchError if a number of bytes exceeds the limit."""
        if size > self.bytes:
            raise TooMuchError(f"larger than {self.megabytes:g} MB, this server's limit")

    def check_length(self, path: Path) -> float:
        """Measure a recording's length in seconds by its samples.

        Raises
        ------
        TooMuchError
            For a recording that is too long.
        DataError
            For a file that is not a recording. The message is only the reason.
        """
        with opened(path) as reader:
            return self._length(reader)

    def _length(self, reader: Reader) -> float:
        """Count the frames block by block up to the limit, since the length in a header is only a hint."""
        rate, channels = reader.samplerate, reader.channels
        frames = 0
        for block in reader.blocks(max(BLOCK // channels, 1), frames=int(self.seconds * rate) + 1):
            frames += len(block)
            if frames > self.seconds * rate:
                raise TooMuchError(f"longer than {self.seconds:g} s, this server's limit")
            if frames * channels > self.seconds * MOST_SAMPLES_A_SECOND:
                raise TooMuchError(f"too many samples: {channels} channels at {rate} Hz")
        return frames / rate


class ServedAnswer(NamedTuple):
    """The prediction for one recording."""

    label: str  #: the most probable class, `UNKNOWN` if it is improbable or the sound strange, or several labels
    likeliest: str
    confidence: float | None  #: its probability; None if the model gives none
    probabilities: dict[str, float] | None  #: of all classes, the most probable first
    duration: float  #: of the recording, in seconds
    typicality: float | None = None  #: see `audiofw.evaluation.unknown`; None if the model has not learnt it


class WindowsAsked(NamedTuple):
    """How a recording is to be labelled over time; see `audiofw.bundle.model.Model.timeline`."""

    window: float | None = None
    hop: float | None = None
    threshold: float | None = None

    @classmethod
    def read(cls, query: Mapping[str, str]) -> WindowsAsked:
        """Read a request's query.

        Raises
        ------
        ConfigError
            For another word, or a value that is not a number.
        """
        for name, text in query.items():
            if name not in cls._fields:
                raise ConfigError(f"{name}: not known, only {', '.join(cls._fields)}")
            if not text.replace(".", "", 1).isdecimal():
                raise ConfigError(f"{name}={text}: not a positive number")
        return cls(**{name: float(text) for name, text in query.items()})


@dataclass(eq=False)
class Service:
    """Classifies uploaded files; may be called from any number of threads.

    Only one of them uses the model at a time: a classifier, or a plugin's feature, need not be thread-safe.
    """

    model: Model
    limits: UploadLimits = field(default_factory=UploadLimits)
    gives_probabilities: bool = True
    turns: Turns = field(init=False, repr=False)  #: where requests wait for each other
    _turn: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def __post_init__(self) -> None:
        self.turns = Turns(self.limits.patience)

    @property
    def audit_warnings(self) -> Sequence[str] | None:
        """What the audit warned of in the data that the model's score was measured on; None if it is not known."""
        score = self.model.facts.get("score") or {}
        return score.get("audit_warnings")

    def describe(self) -> dict[str, object]:
        """Describe the model for programs: its classes, and its score with what makes that doubtful."""
        facts, limits = self.model.facts, self.limits
        plugins = {kind: (facts.get(kind) or {}).get("name") for kind in ("model", "feature", "pooling")}
        return {
            **plugins,
            "classes": [str(name) for name in self.model.classes_],
            "score": facts.get("score"),
            "trained_on": (facts.get("fitted_on") or {}).get("description"),
            "limits": {"megabytes": limits.megabytes, "seconds": limits.seconds},
        }

    def __call__(self, path: Path) -> ServedAnswer:
        """Classify one recording.

        Raises
        ------
        TooMuchError
            For a recording beyond the limits.
        DataError
            For one that cannot be used. The message is only the reason.
        PluginError
            If a plugin fails on it.
        """
        seconds = self._check(path)
        with self._use_of_model(path):
            return self._answer(path, seconds)

    def timeline(self, path: Path, way: WindowsAsked) -> dict[str, object]:
        """Label one recording over time.

        Raises
        ------
        ConfigError
            For windows that cannot be used.
        TooMuchError, DataError, PluginError
            As for a single label.
        """
        seconds, limits = self._check(path), self.limits
        window, hop = self._complete(way)
        check_window(window, hop)
        if seconds / hop > MOST_WINDOWS:
            raise TooMuchError(
                f"more than {MOST_WINDOWS} windows, this server's limit: {seconds:.3g} s every {hop:g} s"
            )
        as_trained = way.window is None and bool(self.model.facts.get("timeline"))  # with its rule for events
        with self._use_of_model(path):
            (found,) = self.model.timeline(
                path,
                window=None if as_trained else window,
                hop=hop,
                threshold=way.threshold,
                min_confidence=limits.confidence,
                unknown=limits.unknown,
                n_jobs=1,
            )
        told = [one._replace(error=_for_users(one.error))._asdict() for one in found]
        segments = [{key: value for key, value in one.items() if value != ""} for one in told]
        return {"duration": seconds, "window": window, "hop": hop, "segments": segments}

    def _complete(self, way: WindowsAsked) -> tuple[float, float]:
        """Give window and hop: as asked, as the model was trained, or the length of its clips."""
        trained = self.model.facts.get("timeline")
        if trained and way.window is None:
            return trained["window"], trained["hop"] if way.hop is None else way.hop
        window = self.model.facts.get("audio", {}).get("duration") if way.window is None else way.window
        if window is None:
            raise ConfigError("the model uses the whole of each clip; give the length of windows, e.g. ?window=1")
        return window, window if way.hop is None else way.hop

    def _check(self, path: Path) -> float:
        self.limits.check_size(path.stat().st_size)
        return self.limits.check_length(path)

    @contextmanager
    def _use_of_model(self, path: Path) -> Iterator[None]:
        try:
            with self._turn:
                yield
        except (DataError, ClipError) as error:
            raise DataError(_reason(error, path)) from error

    def _answer(self, path: Path, seconds: float) -> ServedAnswer:
        prediction = self.model.predictions([path])[0]
        row, typical, label = (
            prediction.probabilities,
            prediction.typicality,
            prediction.label_or_unknown(self.limits.unknown),
        )
        if row is None:
            return ServedAnswer(label, prediction.label, None, None, seconds, typical)
        order = np.argsort(-row, kind="stable")
        probabilities = {str(self.model.classes_[i]): float(row[i]) for i in order}
        likeliest, confidence = next(iter(probabilities.items()))
        if self.model.thresholds is None and label != UNKNOWN:
            label = likeliest if confidence >= self.limits.confidence else UNKNOWN
        return ServedAnswer(label, likeliest, confidence, probabilities, seconds, typical)

    def load(self, path: Path) -> tuple[np.ndarray, int]:
        """Load a whole recording, ``y`` and ``sr``, at the model's sample rate."""
        rate = self.model.facts.get("audio", {}).get("sample_rate")
        return load(path, sample_rate=rate, duration=self.limits.seconds, silence="keep")

    def warm(self) -> None:
        """Classify a second of noise, to import libraries and to find out whether the model gives probabilities.

        Raises
        ------
        ConfigError
            If a minimum confidence is set, and the model has no probabilities; or if ``limits.unknown`` cannot be used.
        PluginError
            If a plugin fails, which would fail on every recording.
        """
        with scratch_folder() as folder:
            noise = folder / "noise.wav"
            sound = io.BytesIO()  # libsndfile would not say why it cannot write a file
            soundfile.write(sound, 0.1 * np.random.default_rng(0).standard_normal(22050), 22050, format="WAV")
            write_whole(noise, sound.getvalue())
            try:
                self.model.predict_proba([noise])
            except (DataError, ClipError) as error:
                log.debug("noise cannot be used: %s", error)
            except PluginError:
                self.model.predict([noise])  # raises the error again, unless only probabilities are missing
                self.gives_probabilities = False
        if self.limits.unknown is not None:
            self.model.check_unknown(self.limits.unknown)
        if self.limits.confidence and self.model.thresholds is not None:
            raise ConfigError("--min-confidence: this model predicts several labels, each with its own threshold")
        if self.limits.confidence and not self.gives_probabilities:
            raise ConfigError("--min-confidence: this model gives no probabilities")


def _reason(error: AudiofwError, path: Path) -> str:
    """Remove the path of the upload, and remedies that only apply to training."""
    return _for_users(error.reason.removeprefix(f"{path}: "))


def _for_users(reason: str) -> str:
    return reason.partition(" (audio.")[0]
