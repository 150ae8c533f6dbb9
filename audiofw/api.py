"""audiofw from Python: run experiments, load models, and compute features for other libraries."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from audiofw.bundle.load import load_model
from audiofw.bundle.model import Model
from audiofw.data.dataset import Clip
from audiofw.data.inputs import find_sounds
from audiofw.errors import ConfigError, DataError
from audiofw.experiment.hydra_app import compose
from audiofw.experiment.job import run_found
from audiofw.experiment.supervisor import is_sweep
from audiofw.extraction.columns import name_columns
from audiofw.extraction.table import extract, units_of
from audiofw.results.folder import claimed, remove_hydras
from audiofw.system.spreadsheet import read_records

log = logging.getLogger(__name__)

Overrides = Sequence[str]
Paths = str | PathLike[str] | Sequence[str | PathLike[str]]


@dataclass(frozen=True)
class RunResult:
    """Results of a run, read from its folder.

    Attributes
    ----------
    path : Path
        The folder.

    Examples
    --------
    >>> from pathlib import Path
    >>> from audiofw.api import RunResult
    >>> result = RunResult(Path("run"))
    >>> result.score == result.metrics["scores"]["accuracy"]["pooled"]
    True
    >>> sorted({row["label"] for row in result.predictions})
    ['cat', 'dog']
    """

    path: Path

    def __repr__(self) -> str:
        from audiofw.report.notebook import run_line

        return run_line(self.path, self._metrics_if_any())

    def _repr_html_(self) -> str:
        """Draw the results in a notebook."""
        from audiofw.report.notebook import run_card

        return run_card(self.path, self._metrics_if_any())

    def _metrics_if_any(self) -> Mapping[str, Any] | None:
        try:
            return self.metrics
        except (OSError, ValueError):
            return None

    @cached_property
    def metrics(self) -> Mapping[str, Any]:
        """Contents of ``metrics.json``: scores with intervals, baseline, classes, audit."""
        return dict(json.loads((self.path / "metrics.json").read_text(encoding="utf-8")))

    @cached_property
    def predictions(self) -> list[dict[str, Any]]:
        """One row for each tested clip, out of fold; for ``pandas.DataFrame(result.predictions)``."""
        with (self.path / "predictions.csv").open(encoding="utf-8", newline="") as file:
            return [_typed(row) for row in read_records(file)]

    @cached_property
    def model(self) -> Model:
        """The model that the run saved; see `load_model`."""
        return load_model(self.path)

    @property
    def score(self) -> float:
        """The main score."""
        return float(self.metrics["value"])


def _typed(row: dict[str, str]) -> dict[str, Any]:
    typed: dict[str, Any] = dict(row)
    typed["fold"] = int(row["fold"])
    typed["group"] = row["group"] or None
    return typed | {key: float(value) for key, value in row.items() if key.startswith("p(")}


def run(overrides: Overrides = (), *, path: str | PathLike[str] | None = None) -> RunResult:
    """Run one experiment, as the command ``audiofw`` does with these arguments.

    Parameters
    ----------
    overrides : sequence of str
        ``["data.source=pets.zip", "feature=mfcc", "model=xgboost"]``.
    path : path, optional
        Folder for the results; by default a new folder ``outputs/<date>/<time>``. The results of an earlier run in it
        are replaced; a folder that holds anything else is refused.

    Returns
    -------
    RunResult
        With ``metrics``, ``predictions``, ``model``, ``path`` and ``score``.

    Raises
    ------
    AudiofwError
        For errors in data, options or plugins; its message is one line.

    Examples
    --------
    The folder ``pets`` has one folder of recordings for each class.

    >>> import audiofw
    >>> result = audiofw.run(["data.source=pets", "feature=mfcc", "model=svm"])
    >>> result.score
    1.0
    >>> result.metrics["baseline"]["accuracy"]  # of always predicting the most frequent class
    0.5
    >>> [row["path"] for row in result.predictions if row["predicted"] != row["label"]]
    []
    """
    config, choices = compose(_words(overrides))
    folder = Path(path) if path is not None else _new_folder("outputs")
    with claimed(folder, "path=FOLDER"):
        remove_hydras(folder)
        result, _ = run_found(config, choices, folder, list(overrides))
    for one in result.missing:
        log.warning("%s: %s", folder, one)
    return RunResult(folder)


def evaluate(
    run: str | PathLike[str] | RunResult,
    source: str | PathLike[str],
    overrides: Overrides = (),
    *,
    path: str | PathLike[str] | None = None,
) -> RunResult:
    """Score the model of a run on labelled recordings that it was not trained on, as ``audiofw evaluate`` does.

    Parameters
    ----------
    run : path or RunResult
        A run's folder, its ``model/`` folder, or a zip of either.
    source : path
        A folder, an archive or a CSV manifest, as ``data.source``.
    overrides : sequence of str
        ``["data.pattern=…", "score=f1_macro"]``: options of ``data`` (by default, labels are read as the run read its
        own), ``score``, ``coverage``, ``audit``, ``cache``, ``report`` and ``n_jobs``.
    path : path, optional
        Folder for the results; by default a new folder ``evaluations/<date>/<time>``.

    Returns
    -------
    RunResult
        With ``metrics``, ``predictions``, ``path`` and ``score``; ``metrics["audit"]`` lists what the test clips share
        with the training clips, ``metrics["evaluated"]`` the classes that the model does not know.

    Raises
    ------
    AudiofwError
        For errors in the model, data or options; its message is one line.

    Examples
    --------
    >>> import audiofw
    >>> result = audiofw.evaluate("run", "more_pets", ["report=false"])
    >>> result.metrics["scores"]["accuracy"]["pooled"]
    1.0
    >>> result.metrics["n_tested"]
    6
    """
    from audiofw.experiment.evaluation import evaluate_saved

    place = run.path if isinstance(run, RunResult) else Path(run)
    folder = Path(path) if path is not None else _new_folder("evaluations")
    evaluate_saved(place, str(source), _words(overrides), folder)
    return RunResult(folder)


def _new_folder(kind: str) -> Path:
    return Path(kind) / datetime.now().strftime("%Y-%m-%d/%H-%M-%S-%f")


def features(paths: Paths, overrides: Overrides = ()) -> np.ndarray:
    """Compute the features of recordings, pooled into one row each, for use in scikit-learn.

    Parameters
    ----------
    paths : path, or sequence of paths
        Files; a folder stands for all recordings below it, sorted by name.
    overrides : sequence of str
        ``["feature=mel", "pooling=stats", "audio.duration=5"]``.

    Returns
    -------
    np.ndarray [shape=(files, d), dtype=float32]
        With ``windows.hop``, one row for each window of each file.

    Raises
    ------
    DataError
        For a file that cannot be used, with its name.
    PluginError
        For a plugin that fails on a file, or returns NaN or nothing for it.

    Examples
    --------
    >>> import audiofw
    >>> X = audiofw.features(["pets/cat/0.wav", "pets/dog/0.wav"], ["feature=mfcc", "pooling=stats"])
    >>> X.shape
    (2, 360)
    """
    config, choices = compose(_words(overrides))
    config = replace(config, data=replace(config.data, on_error="raise", on_plugin_error="raise"))
    return extract(_clips(paths), units_of(config, choices)[0], config, progress="").X


def feature_names(overrides: Overrides = ()) -> list[str]:
    """Name the columns that `features` returns with these overrides.

    Examples
    --------
    >>> import audiofw
    >>> names = audiofw.feature_names(["feature=mfcc", "pooling=stats"])
    >>> len(names), names[0], names[-1]
    (360, 'mfcc0.mean', 'mfcc19.delta.p95')
    """
    config, choices = compose(_words(overrides))
    unit = units_of(config, choices)[0]
    if unit.pooling.learns:
        raise ConfigError(f"pooling={unit.pooling.name} is fitted on clips; its columns have no names before that")
    return name_columns(unit, unit.pool(*unit.hiss()).size)


def _words(overrides: Overrides) -> list[str]:
    if isinstance(overrides, str):
        raise ConfigError(f"overrides must be a list: [{overrides!r}]")
    if is_sweep(overrides):
        raise ConfigError(
            "sweeps are only available on the command line (audiofw -m …); from Python, call audiofw.run in a loop"
        )
    return list(overrides)


def _clips(paths: Paths) -> list[Clip]:
    words = [paths] if isinstance(paths, (str, PathLike)) else paths
    sounds = list(find_sounds([str(word) for word in words]))
    for sound in sounds:
        if sound.path is None:
            raise DataError(sound.reason, clip=sound.name)
    return [Clip(sound.path, sound.name, "") for sound in sounds if sound.path]
