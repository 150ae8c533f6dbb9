"""One uploaded sound to one answer: within limits, one at a time, and with a reason where there is no answer."""

from __future__ import annotations

import logging
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile

from audiofw.audio.decode import BLOCK, Reader
from audiofw.audio.load import diagnose, load
from audiofw.bundle.model import Model
from audiofw.bundle.timeline import UNKNOWN
from audiofw.errors import AudiofwError, ClipError, ConfigError, DataError, PluginError

log = logging.getLogger(__name__)

MOST_SAMPLES_A_SECOND = 2 * 192_000  # of all channels: a small flac of silence can hold many GB


class TooMuchError(DataError):
    """A sound beyond the limits of size or length."""


@dataclass(frozen=True)
class Limits:
    """What is listened to, and what is taken for an answer."""

    megabytes: float = 25.0
    seconds: float = 120.0
    confidence: float = 0.0  #: a probability below this is "not sure"

    @property
    def bytes(self) -> int:
        return int(self.megabytes * 2**20)

    def check_size(self, size: int) -> None:
        """Raise TooMuchError for so many bytes."""
        if size > self.bytes:
            raise TooMuchError(f"larger than {self.megabytes:g} MB, the most that this server takes")

    def check_length(self, path: Path) -> float:
        """Give a recording's length in seconds, by its samples.

        Raises
        ------
        TooMuchError
            For a recording that is too long.
        DataError
            For a file that is no recording. The message is the reason alone.
        """
        try:
            with Reader(path) as reader:
                return self._length(reader)
        except (soundfile.SoundFileError, OSError) as error:
            raise DataError(diagnose(path, error)) from error

    def _length(self, reader: Reader) -> float:
        """Count the frames block by block, as a header's length is a hint, up to the first that is too many."""
        rate, channels = reader.samplerate, reader.channels
        frames = 0
        for block in reader.blocks(max(BLOCK // channels, 1), frames=int(self.seconds * rate) + 1):
            frames += len(block)
            if frames > self.seconds * rate:
                raise TooMuchError(f"longer than {self.seconds:g} s, the most that this server takes")
            if frames * channels > self.seconds * MOST_SAMPLES_A_SECOND:
                raise TooMuchError(f"too many samples: {channels} channels at {rate} Hz")
        return frames / rate


class ServedAnswer(NamedTuple):
    """What the model says of one recording."""

    label: str  #: the likeliest class, or `UNKNOWN` where that is not sure enough
    likeliest: str
    confidence: float | None  #: probability of the likeliest; None for a model that gives none
    probabilities: dict[str, float] | None  #: of each class, the likeliest first
    seconds: float  #: length of the recording


@dataclass(eq=False)
class Listener:
    """Answers for uploaded files; may be called by any number of threads.

    The model is asked by one of them at a time: a classifier, or a plugin's feature, need not be thread-safe.
    """

    model: Model
    limits: Limits = field(default_factory=Limits)
    gives_probabilities: bool = True
    _turn: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def __call__(self, path: Path) -> ServedAnswer:
        """Say what one recording is.

        Raises
        ------
        TooMuchError
            For a recording beyond the limits.
        DataError
            For one that cannot be used. The message is the reason alone.
        PluginError
            For a plugin that fails on it.
        """
        self.limits.check_size(path.stat().st_size)
        seconds = self.limits.check_length(path)
        try:
            with self._turn:
                return self._answer(path, seconds)
        except (DataError, ClipError) as error:
            raise DataError(_reason(error, path)) from error

    def _answer(self, path: Path, seconds: float) -> ServedAnswer:
        if not self.gives_probabilities:
            label = str(self.model.predict([path])[0])
            return ServedAnswer(label, label, None, None, seconds)
        row = self.model.predict_proba([path])[0]
        order = np.argsort(-row, kind="stable")
        probabilities = {str(self.model.classes_[i]): float(row[i]) for i in order}
        likeliest, confidence = next(iter(probabilities.items()))
        sure = confidence >= self.limits.confidence
        return ServedAnswer(likeliest if sure else UNKNOWN, likeliest, confidence, probabilities, seconds)

    def hear(self, path: Path) -> tuple[np.ndarray, int]:
        """Load a recording that was answered, ``y`` and ``sr``, as the model hears it but in whole."""
        rate = self.model.facts.get("audio", {}).get("sample_rate")
        return load(path, sample_rate=rate, duration=self.limits.seconds, silence="keep")

    def warm(self) -> None:
        """Ask the model about a second of noise: libraries are imported, and it shows whether it gives probabilities.

        Raises
        ------
        ConfigError
            For a least confidence that is asked of a model without probabilities.
        PluginError
            For a plugin that fails: it would fail on every sound.
        """
        with tempfile.TemporaryDirectory() as folder:
            noise = Path(folder) / "noise.wav"
            soundfile.write(noise, 0.1 * np.random.default_rng(0).standard_normal(22050), 22050)
            try:
                self.model.predict_proba([noise])
            except (DataError, ClipError) as error:
                log.debug("noise is refused: %s", error)
            except PluginError:
                self.model.predict([noise])  # raises it again, if it is not about probabilities
                self.gives_probabilities = False
        if self.limits.confidence and not self.gives_probabilities:
            raise ConfigError("--min-confidence: this model gives no probabilities")


def _reason(error: AudiofwError, path: Path) -> str:
    """Take off where the upload lies, and the remedy for those who train: it is none for those who upload."""
    return error.reason.removeprefix(f"{path}: ").partition(" (audio.")[0]
