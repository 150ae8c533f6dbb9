"""Classify uploaded recordings within limits, one at a time; recordings that cannot be used get a reason."""

from __future__ import annotations

import io
import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile

from audiofw.audio.decode import Reader
from audiofw.audio.load import load, opened
from audiofw.audio.sound import BLOCK
from audiofw.bundle.model import Model
from audiofw.bundle.prediction import UNKNOWN
from audiofw.errors import AudiofwError, ClipError, ConfigError, DataError, PluginError
from audiofw.serve.turns import Turns
from audiofw.system.atomic import write_whole
from audiofw.system.scratch import scratch_folder

log = logging.getLogger(__name__)

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
        self.limits.check_size(path.stat().st_size)
        seconds = self.limits.check_length(path)
        try:
            with self._turn:
                return self._answer(path, seconds)
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
    return error.reason.removeprefix(f"{path}: ").partition(" (audio.")[0]
