"""Find a run's recordings again, and choose which of them a report shows."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from audiofw.audio.load import load_stretch
from audiofw.audio.segments import Segments
from audiofw.audio.stretch import Stretch
from audiofw.config.options import Config, read_config
from audiofw.data.dataset import Clip
from audiofw.data.select import spread_evenly
from audiofw.errors import AudiofwError
from audiofw.extraction.recording import DECODING
from audiofw.report.facts import Facts
from audiofw.system.faults import find_fault
from audiofw.system.paths import bundled
from audiofw.system.reading import read_yaml

log = logging.getLogger(__name__)

MOST_CLASSES = 12  # whose sounds are shown
MOST_EXAMPLES = 24  # in all
NO_LABEL = "no label"
MOST_WRONG, MOST_DOUBTFUL = 8, 4


class RunRecordings(NamedTuple):
    """The clips of a run by their names; if they cannot be found, `unavailable` is the reason."""

    clips: Mapping[str, Clip]
    config: Config | None
    unavailable: str | None = None


class Mistake(NamedTuple):
    """A test clip and its prediction; several labels are separated by commas."""

    name: str
    label: str
    predicted: str
    confidence: float | None  # probability of the predicted class
    shares: Sequence[tuple[str, float]]  # the most probable classes, and the true one
    fold: int = 1
    true: Sequence[str] = ()  # the classes that the clip has
    false: Sequence[str] = ()  # those that it does not have, but were predicted


def find_again(facts: Facts) -> RunRecordings:
    """Find a run's recordings by its ``config.yaml``, as the run did."""
    from audiofw.extraction.clips import find_dataset

    if "data" not in facts.config:
        return RunRecordings({}, None, "config.yaml, which says where they are, is missing")
    try:
        config = read_config(completed(facts.config))
        with inside(facts.cwd):
            found = find_dataset(replace(config, data=replace(config.data, skip=None)) if _no_list(config) else config)
    except AudiofwError as error:
        if find_fault(error):  # rather than that they are gone
            log.warning("the report cannot show recordings: %s", error)
        return RunRecordings({}, None, str(error))
    return RunRecordings({clip.name: clip for clip in found.clips}, config)


def completed(values: Mapping[str, Any]) -> dict[str, Any]:
    """Complete a config of any version of audiofw: options that it lacks get their defaults."""
    defaults = read_yaml(bundled("conf") / "config.yaml")
    return {field.name: _updated(defaults[field.name], values.get(field.name, ...)) for field in fields(Config)}


def _updated(default: Any, value: Any) -> Any:
    if isinstance(default, dict):
        return {
            key: _updated(one, value.get(key, ...)) if isinstance(value, dict) else one for key, one in default.items()
        }
    return default if value is ... else value


def _no_list(config: Config) -> bool:
    return config.data.skip is not None and not Path(config.data.skip).exists()


@contextlib.contextmanager
def inside(folder: Path | None) -> Iterator[None]:
    """Change to the folder where the run was started, since its source may be a relative path."""
    here = Path.cwd()
    if folder and folder.is_dir():
        os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(here)


def read_used_part(sound: Path | Stretch, config: Config | None, most: float) -> tuple[np.ndarray, int]:
    """Read the part of a clip that a run used first.

    Parameters
    ----------
    sound : Path or Stretch
    config : Config, optional
    most : float
        Largest number of seconds to return.

    Returns
    -------
    y : np.ndarray [shape=(n,)]
    sr : int

    Raises
    ------
    DataError
        If it can no longer be read.
    """
    if config is None:
        return load_stretch(sound, most, silence="keep")
    audio, windows = config.audio, config.windows.hop is not None
    part = Segments(most if windows else audio.duration, audio.trim, "start" if windows else audio.focus)
    read = most if part.duration is None and part.trim is None else part.to_read
    heard_as = replace(audio, silence="keep")
    y, sr = load_stretch(sound, read, **{name: getattr(heard_as, name) for name in DECODING})
    return part.cut(y, sr)[0][: round(most * sr)], sr


def choose_classes(facts: Facts, most: int = MOST_CLASSES) -> list[str]:
    """Choose the classes to show: all, or those with the lowest F1, in their usual order."""
    rows = [row for row in facts.metrics["per_class"] if row["support"]] or facts.metrics["per_class"]
    worst = {row["class"] for row in sorted(rows, key=lambda row: row["f1"])[:most]}
    return [name for name in facts.classes if name in worst]


def choose_examples(
    by_class: Mapping[str, Sequence[Clip]], classes: Sequence[str], most: int = MOST_EXAMPLES
) -> dict[str, list[Clip]]:
    """Choose up to three clips of each class, spread evenly over its clips in the order of their names."""
    each = max(1, min(3, most // max(1, len(classes))))
    return {name: list(spread_evenly(by_class.get(name, []), each)) for name in classes}


def most_wrong(facts: Facts, most: int = MOST_WRONG) -> list[Mistake]:
    """List the wrong predictions, the most confident first."""
    return _mistakes(facts, np.flatnonzero(facts.wrong), -1, most)


def most_doubtful(facts: Facts, most: int = MOST_DOUBTFUL) -> list[Mistake]:
    """List the correct predictions, the least confident first; none without probabilities."""
    if facts.probabilities is None:
        return []
    return _mistakes(facts, np.flatnonzero(~facts.wrong), 1, most)


def _mistakes(facts: Facts, places: np.ndarray, sign: int, most: int) -> list[Mistake]:
    if facts.predictions is None:
        return []
    if facts.probabilities is not None:
        confidence = _confidence(facts)[places]
        places = places[np.argsort(sign * confidence, kind="stable")]
    return [_mistake(facts, int(i)) for i in places[:most]]


def _confidence(facts: Facts) -> np.ndarray:
    """Probability of each clip's prediction; with several labels, that of the least certain or most wrong one."""
    proba, predicted = facts.probabilities, facts.predicted
    assert proba is not None
    if not facts.several:
        return np.asarray(proba[np.arange(len(predicted)), predicted])
    of_predicted = np.where(predicted > 0, proba, 1 - proba)
    wrong = predicted != facts.truth
    return np.where(facts.wrong, np.where(wrong, of_predicted, 0).max(axis=1), of_predicted.min(axis=1))


def _mistake(facts: Facts, i: int) -> Mistake:
    tested, proba = facts.predictions, facts.probabilities
    assert tested is not None
    name, true, predicted = tested.paths[i], facts.classes_of(tested.labels[i]), facts.classes_of(tested.predicted[i])
    texts = (", ".join(true) or NO_LABEL, ", ".join(predicted) or NO_LABEL)
    false = [one for one in predicted if one not in true]
    if proba is None:
        return Mistake(name, *texts, None, (), tested.folds[i], true, false)
    likely = [facts.classes[k] for k in np.argsort(-proba[i], kind="stable")[:3]]
    missing = [one for one in (*true, *false) if one not in likely]
    shown = likely if not missing else [*likely[: max(2, 3 - len(missing))], *missing]
    shares = tuple((one, float(proba[i, facts.classes.index(one)])) for one in shown)
    return Mistake(name, *texts, float(_confidence(facts)[i]), shares, tested.folds[i], true, false)
