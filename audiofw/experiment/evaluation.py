"""An evaluation as the command asks for it: the options of the saved model, and those given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from audiofw.bundle.files import read_bundle
from audiofw.bundle.save import READING
from audiofw.config.options import Config, Data, build_section
from audiofw.errors import ConfigError, DataError
from audiofw.evaluation.scores import OF_TASK, check_score
from audiofw.experiment.evaluate import Evaluated, evaluate_in, with_options_of
from audiofw.experiment.hydra_app import compose

OWN = ("data.", "audit", "cache", "report", "score", "coverage", "n_jobs", "min_score")
"""The options that an evaluation has; all others are those of the model."""


def evaluate_saved(run: Path, source: str, overrides: Sequence[str], folder: Path) -> Evaluated:
    """Score the model of a run on a data source, and write the results into a folder.

    Parameters
    ----------
    run : Path
        The run's folder, the folder ``model`` in it, or a zip of either.
    source : str
        A folder, an archive or a manifest, as ``data.source``.
    overrides : sequence of str
        Options of ``data`` and the few others that are not the model's; the labels are read as by the run, by default.
    folder : Path
        For ``metrics.json``, ``predictions.csv``, ``report.html`` and so on; new, or of an earlier evaluation.

    Raises
    ------
    AudiofwError
        For a model or data that cannot be used, and for options that are not an evaluation's.
    """
    facts, _ = read_bundle(run.expanduser())
    try:
        config = config_of(facts, source, overrides)
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{run}: bundle.json is damaged, or from another version of audiofw: {error!r}") from error
    return evaluate_in(run, config, folder)


def config_of(facts: Mapping[str, Any], source: str, overrides: Sequence[str]) -> Config:
    """Compose the config of an evaluation: the model's own, as far as it decides, and the options given.

    Raises
    ------
    ConfigError
        For options that the model has decided.
    """
    named = [word.lstrip("+").partition("=")[0] for word in overrides]
    for word, name in zip(overrides, named, strict=True):
        if "=" not in word or not name.startswith(OWN) or name in ("data.source", "data.test"):
            raise ConfigError(
                f"{word}: not an option of an evaluation, which are data.…, score, audit, report, n_jobs, …"
            )
    reading = dict(facts.get("reading") or {})
    task = reading.pop("task", facts.get("task", "single"))
    score, coverage = facts["score"]["name"], reading.pop("coverage", 0.9)
    own = {"score": score if score in OF_TASK[task] else "auto", "coverage": coverage}
    words = [f"task={task}", *(f"{key}={value}" for key, value in own.items() if key not in named)]
    config, _ = compose([f"data.source={source}", *words, *overrides])
    check_score(config.score, task)
    if config.score not in OF_TASK[task]:
        raise ConfigError(f"score={config.score}: a score of timelines, but an evaluation scores clips")
    return with_options_of(facts, replace(config, data=_read_likewise(config.data, reading, named)))


def _read_likewise(data: Data, reading: Mapping[str, Any], named: Sequence[str]) -> Data:
    """Take the options by which a run read its labels, but for those that were given; all of them are checked."""
    values = asdict(data)
    for name in READING:
        if name == "columns":
            columns = {key: value for key, value in reading.get(name, {}).items() if f"data.columns.{key}" not in named}
            values[name] |= columns
        elif name in reading and f"data.{name}" not in named:
            values[name] = reading[name]
    made: Data = build_section(Data, "data", values)
    return made
