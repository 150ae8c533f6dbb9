"""Compare an exported graph with its model: on the golden clips, and on shorter, noisy and mixed copies of them."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import soundfile

from audiofw.audio.load import load
from audiofw.bundle.golden import make_rows, read_answers
from audiofw.bundle.model import Model
from audiofw.bundle.prediction import Prediction
from audiofw.errors import DataError
from audiofw.parallel.executors import Lost
from audiofw.system.atomic import write_whole
from audiofw.system.scratch import scratch_folder

NOISE = 0.01  # of the noisy copies, where full scale is 1
NEAR = 1e-4  # difference of probabilities up to which either of two labels is right


def hear(model: Model, files: Mapping[str, bytes]) -> tuple[list[np.ndarray], list[Prediction], int]:
    """Read the golden clips and copies of them as the graph takes them, and classify them as ever.

    Returns
    -------
    samples : list of np.ndarray [shape=(n,)]
        Mono, at the graph's rate.
    predictions : list of Prediction
        What the model says of each.
    n_golden : int
        How many of them, the first, are golden clips themselves.

    Raises
    ------
    DataError
        If none can be used.
    """
    golden = [files[answer.file] for answer in read_answers(files)]
    sounds = [*golden, *(copy for i in range(len(golden)) for copy in _copies(golden[i], golden[i - 1], seed=i))]
    made = [model.fit_width(each) for each in make_rows(model, sounds)]
    fine = [(sound, rows) for sound, rows in zip(sounds, made, strict=True) if not isinstance(rows, Lost)]
    if not fine:
        why = [each.reason for each in made if isinstance(each, Lost)]
        raise DataError(": ".join(["no golden clips to compare the ONNX model on", *why[:1]]))
    n_golden = sum(not isinstance(rows, Lost) for rows in made[: len(golden)])
    return _samples(model, [sound for sound, _ in fine]), model.classify([rows for _, rows in fine]), n_golden


def _copies(sound: bytes, other: bytes, seed: int) -> list[bytes]:
    """A clip that is shorter, one with noise, and one mixed with another, of which the model cannot be certain."""
    y, sr = soundfile.read(io.BytesIO(sound), dtype="float32")
    z = soundfile.read(io.BytesIO(other), dtype="float32")[0][: len(y)]
    noise = np.random.default_rng(seed).standard_normal(len(y), dtype=np.float32)
    mixed = np.concatenate([y[: len(z)] + z, y[len(z) :]]) / 2
    return [_packed(changed, sr) for changed in (y[: max(1, len(y) // 3)], y + NOISE * noise, mixed)]


def _packed(y: np.ndarray, sr: int) -> bytes:
    data = io.BytesIO()
    soundfile.write(data, np.clip(y, -1, 1), sr, format="FLAC", subtype="PCM_16")
    return data.getvalue()


def _samples(model: Model, sounds: Sequence[bytes]) -> list[np.ndarray]:
    """Decode clips as a caller of the graph has to: mono, and resampled."""
    rate = model.unit.parts[0].sample_rate
    with scratch_folder() as scratch:
        made = []
        for sound in sounds:
            write_whole(scratch / "golden.flac", sound)
            made.append(load(scratch / "golden.flac", sample_rate=rate, duration=None, silence="keep")[0])
    return made


def answers(session: Any, samples: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Run the graph on clips, as one batch: labels, and probabilities."""
    lengths = np.array([len(y) for y in samples], np.int64)
    batch = np.zeros((len(samples), lengths.max()), np.float32)
    for line, y in zip(batch, samples, strict=True):
        line[: len(y)] = y
    label, probabilities = session.run(["label", "probabilities"], {"samples": batch, "lengths": lengths})
    return label, probabilities


def differences(
    model: Model, predictions: Sequence[Prediction], labels: np.ndarray, shares: np.ndarray
) -> tuple[np.ndarray, int]:
    """Find the largest difference in a probability of each clip, and the number of clips with another label.

    A label counts only if its probability differs from that of the next one, or from its threshold.
    """
    expected = np.array([prediction.probabilities for prediction in predictions])
    if model.thresholds is not None:
        said = expected >= model.thresholds
        other = ((labels != said) & (np.abs(expected - model.thresholds) > NEAR)).any(axis=1)
    else:
        second, first = np.sort(expected, axis=1)[:, -2:].T
        other = (labels != [prediction.label for prediction in predictions]) & (first - second > NEAR)
    return np.abs(expected - shares).max(axis=1), int(other.sum())
