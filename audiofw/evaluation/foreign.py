"""What a model says of sounds that are of none of its classes: noise, hum, silence, the user's own recordings."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from audiofw.audio.effects import noise
from audiofw.data.dataset import Clip
from audiofw.data.labels import name_prediction
from audiofw.errors import AudiofwError
from audiofw.evaluation.cross_validate import Evaluation
from audiofw.evaluation.fit import predict
from audiofw.evaluation.unknown import (
    Reference,
    make_reference,
    measure_distances,
    measure_losses,
    surprise,
    typicality,
)
from audiofw.extraction.extract import Table
from audiofw.system.scratch import scratch_folder

log = logging.getLogger(__name__)

Extract = Callable[[Sequence[Clip]], Table]

SHARE = 0.05  # of the known clips, to be lost by rejecting clips below that typicality
LEVELS = (-20.0, -40.0)  # dB of full scale, root mean square
MAINS = 50.0  # Hz
OVERTONES = 8


def measure_unknown(
    evaluation: Evaluation,
    classes: Sequence[str],
    extract: Extract,
    *,
    sr: int,
    seconds: float,
    foreign: Sequence[Clip] = (),
) -> dict[str, Any] | None:
    """Measure what the last fold's model says of noise, hum and silence, and of the user's foreign sounds.

    Parameters
    ----------
    evaluation : Evaluation
    classes : sequence of str
    extract : callable
        Extracts the features of clips, leaving out those that cannot be used.
    sr : int
        Sampling rate of the sounds that are made.
    seconds : float
        Their length.
    foreign : sequence of Clip
        Recordings that belong to no class.

    Returns
    -------
    dict or None
        Ready for JSON. ``share``: the intended share of known clips lost; ``lost``: the measured one, by the typicality
        among the test clips of other folds; ``sounds``: a line for each kind of sound, see `_line`; ``foreign``: the
        same for the foreign sounds, with their ``auroc`` against the test clips. None if no distances were measured.
    """
    if evaluation.distances is None:
        return None
    distances, proba = known_clips(evaluation)
    tested, groups = evaluation.tested, evaluation.groups
    parts = evaluation.fold_of[tested]
    reference = make_reference(distances, proba)
    lines: list[dict[str, Any]] = []
    try:
        with scratch_folder() as folder:
            made = list(write_sounds(folder, sr, seconds))
            lines = _lines(made, evaluation, classes, extract, reference, auroc=False)
    except (OSError, soundfile.SoundFileError) as error:  # a full disk
        log.debug("sounds of no class: not measured, %s", error)  # what the user asked for needs no space there
    found = _lines(foreign, evaluation, classes, extract, reference, auroc=True) if foreign else [None]
    return {
        "share": SHARE,
        "lost": measure_losses(distances, proba, parts, None if groups is None else groups[tested], SHARE),
        "n_known": len(distances),
        "sounds": lines,
        "foreign": found[0],
    }


def known_clips(evaluation: Evaluation) -> tuple[np.ndarray, np.ndarray | None]:
    """Give the distances and probabilities of the test clips; with several labels per clip, only the distances.

    A clip with none of several labels is no stranger for it, so low probabilities say nothing there.
    """
    tested, proba = evaluation.tested, evaluation.probabilities
    assert evaluation.distances is not None
    return evaluation.distances[tested], None if proba is None or evaluation.y.ndim == 2 else proba[tested]


def write_sounds(folder: Path, sr: int, seconds: float, seed: int = 0) -> Iterator[Clip]:
    """Write noise and hum at several levels, and silence; the label of each is its kind."""
    rng, n = np.random.default_rng(seed), round(seconds * sr)
    for kind, y in {"white noise": noise(n, rng), "pink noise": noise(n, rng, 1.0), "hum": _hum(n, sr, rng)}.items():
        for level in LEVELS:
            scaled = y / np.sqrt(np.mean(y**2)) * 10 ** (level / 20)
            yield _write(folder, f"{kind}, {level:g} dB", kind, scaled, sr)
    yield _write(folder, "silence", "silence", np.zeros(n), sr)


def _hum(n: int, sr: int, rng: np.random.Generator) -> np.ndarray:
    """The hum of a power line: its frequency and overtones."""
    t = np.arange(n) / sr
    tones = [np.sin(2 * np.pi * (k * MAINS * t + rng.random())) / k for k in range(1, OVERTONES + 1)]
    return np.sum(tones, axis=0) + 1e-3 * noise(n, rng)


def _write(folder: Path, name: str, kind: str, y: np.ndarray, sr: int) -> Clip:
    path = folder / f"{name}.wav"
    soundfile.write(path, np.clip(y, -1, 1), sr, subtype="PCM_16")
    return Clip(path, name, kind)


def _lines(
    clips: Sequence[Clip],
    evaluation: Evaluation,
    classes: Sequence[str],
    extract: Extract,
    reference: Reference,
    *,
    auroc: bool,
) -> list[dict[str, Any]]:
    """Describe the answers for each kind of sound, in the order of the clips."""
    kinds, model = list(dict.fromkeys(clip.label for clip in clips)), evaluation.models[-1]
    counts = Counter(clip.label for clip in clips)
    try:
        table = extract(clips)
        said, proba = predict(model, table.X, table.clip_of, len(classes))
        distances = measure_distances(evaluation.novelty, model, table.X, table.clip_of)
    except AudiofwError as error:  # none can be used, or a plugin fails on what it was not made for
        log.debug("sounds of no class: %s", error)
        return [_line(kind, counts[kind], [], classes, None, np.empty(0)) for kind in kinds]
    numbers = np.array([kinds.index(clips[i].label) for i in table.kept])
    confidences = None if proba is None or said.ndim == 2 else proba.max(axis=1)
    typical = typicality(reference, distances, confidences)
    lines = []
    for number, kind in enumerate(kinds):
        own = numbers == number
        sure = None if confidences is None else confidences[own]
        line = _line(kind, counts[kind], said[own], classes, sure, typical[own])
        lines.append({**line, "auroc": _auroc(evaluation, reference, distances, confidences)} if auroc else line)
    return lines


def _line(
    kind: str,
    n: int,
    said: Sequence[Any] | np.ndarray,
    classes: Sequence[str],
    confidences: np.ndarray | None,
    typical: np.ndarray,
) -> dict[str, Any]:
    """Describe the answers for one kind of sound.

    ``n`` clips, of which ``n_used`` could be used; ``answers``: how often each label was predicted, the most frequent
    first; ``confidence``: the mean probability; ``accepted``: the share that is not rejected as unknown.
    """
    names = Counter(name_prediction(each, classes) for each in said)
    return {
        "sound": kind,
        "n": n,
        "n_used": len(typical),
        "answers": dict(names.most_common()),
        "confidence": float(confidences.mean()) if confidences is not None and len(confidences) else None,
        "accepted": float((typical > SHARE).mean()) if len(typical) else None,
    }


def _auroc(
    evaluation: Evaluation, reference: Reference, distances: np.ndarray, confidences: np.ndarray | None
) -> float:
    """Area under the ROC curve of telling foreign sounds from test clips."""
    from sklearn.metrics import roc_auc_score

    own, proba = known_clips(evaluation)
    known = surprise(reference, own, None if proba is None else proba.max(axis=1))
    strange = surprise(reference, distances, confidences)
    return float(roc_auc_score(np.repeat([0, 1], [len(known), len(strange)]), np.concatenate([known, strange])))
