"""Golden clips: a few short recordings saved with a model and its predictions, to compare on another machine."""

from __future__ import annotations

import io
import json
import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import soundfile

from audiofw.audio.decode import Reader
from audiofw.audio.load import load_stretch
from audiofw.bundle.model import Model
from audiofw.errors import DataError
from audiofw.parallel.executors import Lost, outcome
from audiofw.system.atomic import write_whole
from audiofw.system.scratch import scratch_folder

if TYPE_CHECKING:
    from audiofw.data.dataset import Clip

log = logging.getLogger(__name__)

ANSWERS = "golden.json"
MOST_CLIPS = 8
MOST_SECONDS = 3.0
MOST_BYTES = 300_000  # in total
LARGEST = MOST_BYTES // 3  # of one clip before compression, so that there are always a few
TOLERANCE = 1e-4  # for probabilities: libraries differ in the last digits


class GoldenAnswer(NamedTuple):
    """One golden clip: its file in the bundle, and the prediction of the model that was saved."""

    file: str
    clip: str
    label: str
    predicted: str
    probabilities: list[float] | None
    distance: float | None = None  #: from the training clips; None if the run has not measured it


def make_golden(clips: Sequence[Clip], model: Model) -> dict[str, bytes]:
    """Pack one clip per class, then a second one, until there are enough.

    Returns
    -------
    dict of str to bytes
        Files of the bundle: flac, and ``golden.json`` with the answers of ``model``.
    """
    files: dict[str, bytes] = {}
    answers: list[GoldenAnswer] = []
    for clip in _one_of_each(clips):
        name = f"golden/{len(answers)}.flac"
        data = _shortened(clip, model)
        if data is None or sum(map(len, files.values())) + len(data) > MOST_BYTES:
            continue
        prediction = replay(model, [data])[0]
        if isinstance(prediction, Lost):
            if not prediction.error.costs_a_clip:  # it did well on the whole clip
                log.warning("%s: not among the bundle's golden clips: %s", clip.name, prediction.reason)
            continue
        files[name] = data
        answers.append(
            GoldenAnswer(
                name, clip.name, clip.label, prediction.label, _listed(prediction.probabilities), prediction.distance
            )
        )
        if len(answers) == MOST_CLIPS:
            break
    text = json.dumps([answer._asdict() for answer in answers], indent=1, ensure_ascii=False)
    return {**files, ANSWERS: f"{text}\n".encode()}


def _one_of_each(clips: Sequence[Clip]) -> Iterator[Clip]:
    """Yield the first clip of each class, then the second of each, and so on."""
    of_class: dict[str, list[Clip]] = {}
    for clip in clips:
        of_class.setdefault(clip.label, []).append(clip)
    for turn in range(3):
        yield from (own[turn] for own in of_class.values() if len(own) > turn)


def _shortened(clip: Clip, model: Model) -> bytes | None:
    """Pack the beginning of a clip as FLAC: mono, 16 bit, at its own sample rate; None if that is not possible."""
    unit = model.unit
    try:
        with Reader(clip.path) as reader:
            sr = reader.samplerate
        seconds = min(unit.segments.duration or MOST_SECONDS, MOST_SECONDS, LARGEST / (2 * sr))
        y, sr = load_stretch(clip.stretch, seconds, unit.offset, sample_rate=None, channel=unit.channel, silence="keep")
        data = io.BytesIO()
        soundfile.write(data, np.clip(y, -1, 1), sr, format="FLAC", subtype="PCM_16")
    except (DataError, soundfile.SoundFileError, OSError):
        return None
    return data.getvalue()


def _listed(probabilities: np.ndarray | None) -> list[float] | None:
    return None if probabilities is None else probabilities.tolist()


def replay(model: Model, sounds: Sequence[bytes]) -> list[Any]:
    """Classify golden clips: a Prediction for each, or Lost. They begin at the offset that the run used."""
    made = [model.fit_width(each) for each in make_rows(model, sounds)]
    return [each if isinstance(each, Lost) else model.classify([each])[0] for each in made]


def make_rows(model: Model, sounds: Sequence[bytes]) -> list[Any]:
    """Extract the features of golden clips, like those of any file: an array for each, or Lost."""
    unit = replace(model.unit, offset=0.0, channel="mix")  # they are mono
    with scratch_folder() as scratch:
        file = scratch / "golden.flac"
        made = []
        for sound in sounds:
            write_whole(file, sound)
            made.append(outcome(unit, file))
    return made


class GoldenCheck(NamedTuple):
    """A golden clip with its saved and its present prediction."""

    answer: GoldenAnswer
    now: str
    difference: float  #: the largest in a probability or distance; infinite if it cannot be classified now, or gets
    #: another label


def read_answers(files: Mapping[str, bytes]) -> list[GoldenAnswer]:
    """Read ``golden.json``.

    Raises
    ------
    DataError
        If it is damaged.
    """
    try:
        answers = [GoldenAnswer(**each) for each in json.loads(files[ANSWERS])]
        for missing in (answer.file for answer in answers if answer.file not in files):
            raise LookupError(f"{missing} is missing")
    except (ValueError, TypeError, LookupError) as error:
        raise DataError(f"{ANSWERS}: cannot be read: {error}") from error
    return answers


def check_golden(model: Model, files: Mapping[str, bytes]) -> list[GoldenCheck]:
    """Classify a bundle's golden clips again, and compare with the saved predictions."""
    answers = read_answers(files)
    predictions = replay(model, [files[answer.file] for answer in answers])
    return [_compare(answer, prediction) for answer, prediction in zip(answers, predictions, strict=True)]


def _compare(answer: GoldenAnswer, prediction: Any) -> GoldenCheck:
    if isinstance(prediction, Lost):
        return GoldenCheck(answer, prediction.reason, math.inf)
    now, saved = (prediction.probabilities, prediction.distance), (answer.probabilities, answer.distance)
    if any((a is None) != (b is None) for a, b in zip(now, saved, strict=True)):
        return GoldenCheck(answer, prediction.label, math.inf)
    if answer.probabilities is None and prediction.label != answer.predicted:
        return GoldenCheck(answer, prediction.label, math.inf)
    differences = [np.max(np.abs(np.subtract(a, b))) for a, b in zip(now, saved, strict=True) if b is not None]
    return GoldenCheck(answer, prediction.label, float(max(differences, default=0.0)))
