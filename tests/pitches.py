"""A model that classifies tones by pitch, for tests of the server."""

from __future__ import annotations

import io
import math
import threading

import numpy as np
import soundfile
from conftest import tone

from audiofw.audio.load import load
from audiofw.bundle.prediction import Prediction
from audiofw.bundle.timeline import Segment
from audiofw.errors import DataError, PluginError

SR = 22050
PITCHES = {"high": 3200, "low": 200, "middle <b>": 800}


class ByPitch:
    """A model with three pitch classes that detects concurrent calls."""

    classes_ = np.array(list(PITCHES))
    facts = {  # noqa: RUF012
        "model": {"name": "pitch"},
        "feature": {"name": "fft"},
        "audio": {"duration": 3.0, "sample_rate": SR},
        "score": {"name": "accuracy", "value": 0.9, "interval": [0.8, 0.95], "level": 0.95, "measured_on": "5 folds"},
        "fitted_on": {"description": "all 30 clips"},
    }
    gives_probabilities = True
    thresholds = None

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.busy = threading.Lock()

    def predict_proba(self, files):
        if not self.gives_probabilities:
            raise PluginError("model=pitch gives no probabilities: use predict")
        assert self.busy.acquire(blocking=False), "asked by two threads at once"
        try:
            self.asked += map(str, files)
            return np.array([self._judge(file) for file in files])
        finally:
            self.busy.release()

    def predict(self, files):
        return np.array([self.classes_[self._judge(file).argmax()] for file in files])

    def predictions(self, files):
        rows = self.predict_proba(files) if self.gives_probabilities else [None] * len(files)
        return [Prediction(str(label), row) for label, row in zip(self.predict(files), rows, strict=True)]

    def timeline(self, file, *, window, hop, **settings):
        self.asked_over_time = {"window": window, "hop": hop, **settings}
        return [[Segment(0.0, hop, "low", 0.9), Segment(hop, 0.5, "", 0.0, "no samples")]]

    def _judge(self, file) -> np.ndarray:
        try:
            y, sr = load(file)
        except DataError as error:
            raise DataError(f"{file}: {error}") from error
        pitch = np.abs(np.fft.rfft(y)).argmax() / len(y) * sr
        far = np.array([abs(math.log(pitch / known)) for known in PITCHES.values()])
        return np.exp(-far) / np.exp(-far).sum()


def wav(frequency: float = 200, seconds: float = 0.5, format: str = "WAV") -> bytes:
    file = io.BytesIO()
    soundfile.write(file, tone(frequency, seconds), SR, format=format)
    return file.getvalue()
