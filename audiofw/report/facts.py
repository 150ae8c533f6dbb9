"""The facts of a run, read from the files in its folder, so that a report can be written long after the run."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from audiofw.config.overrides import command_line
from audiofw.data.labels import encode_several, split_labels
from audiofw.errors import DataError
from audiofw.leaderboard.runs import Predictions, Run, read_json, read_predictions
from audiofw.results.folder import IMPORTANCE, REPORT
from audiofw.system.reading import read_yaml
from audiofw.system.spreadsheet import read_records

FILE = REPORT


@dataclass(frozen=True, eq=False)
class Facts:
    """Everything that a run has written, without the recordings."""

    folder: Path
    metrics: Mapping[str, Any]
    config: Mapping[str, Any]  # as config.yaml nests it
    predictions: Predictions | None
    failures: Sequence[Mapping[str, str]]
    versions: Mapping[str, Any]
    importance: Mapping[str, Any] | None
    overrides: Sequence[str] | None  # None if they are not known
    started: str
    cwd: Path | None  # where it was started

    @property
    def classes(self) -> list[str]:
        """The classes, in the order of their indices."""
        return list(self.metrics["classes"])

    @cached_property
    def truth(self) -> np.ndarray:
        """The index of each test clip's true class, [shape=(tested,)]; of several labels, an indicator matrix."""
        return self._numbers(self.predictions.labels if self.predictions else ())

    @cached_property
    def predicted(self) -> np.ndarray:
        """The index of each test clip's predicted class, [shape=(tested,)]; of several labels, an indicator matrix."""
        return self._numbers(self.predictions.predicted if self.predictions else ())

    @cached_property
    def wrong(self) -> np.ndarray:
        """Mask of the test clips that were not classified correctly, with all their labels."""
        differ = self.truth != self.predicted
        return differ.any(axis=1) if differ.ndim == 2 else differ

    @property
    def several(self) -> bool:
        """Whether clips may have several labels."""
        return bool(self.metrics.get("task") == "multilabel")

    def classes_of(self, label: str) -> list[str]:
        """List the classes that a clip's label names."""
        return split_labels(label) if self.several else [label]

    def has(self, k: int) -> np.ndarray:
        """Mask of the test clips of a class."""
        return np.asarray(self.truth[:, k] > 0 if self.several else self.truth == k)

    @property
    def probabilities(self) -> np.ndarray | None:
        """The probability of each class for each test clip; None if the model gave none."""
        return self.predictions.probabilities if self.predictions else None

    @property
    def command(self) -> str | None:
        """The command that repeats the run."""
        return None if self.overrides is None else command_line(self.overrides, owners(self.versions))

    def _numbers(self, labels: Sequence[str]) -> np.ndarray:
        if self.several:
            return encode_several(labels, self.classes)[1]
        place = {name: i for i, name in enumerate(self.classes)}
        return np.array([place[label] for label in labels], dtype=int)


def read_run_facts(folder: Path) -> Facts:
    """Read a finished run's folder.

    Raises
    ------
    DataError
        If ``metrics.json`` is missing or damaged. Other missing files only shorten the report.
    """
    metrics = read_json(folder / "metrics.json")
    if not metrics or "classes" not in metrics or "scores" not in metrics:
        raise DataError(f"{folder}: metrics.json is missing or damaged, so no report can be written")
    record, hydra = read_json(folder / "result.json") or {}, _read_yaml(folder / ".hydra" / "hydra.yaml") or {}
    overrides = record.get("overrides")
    if not isinstance(overrides, list):
        overrides = _read_yaml(folder / ".hydra" / "overrides.yaml")
    cwd = dig(hydra, "hydra", "runtime", "cwd")
    run = Run(folder, "", "finished", 0.0, metrics=metrics)
    return Facts(
        folder=folder,
        metrics=metrics,
        config=_read_yaml(folder / "config.yaml") or {},
        predictions=read_predictions(run, probabilities=True),
        failures=_read_rows(folder / "failures.csv"),
        versions=read_json(folder / "versions.json") or {},
        importance=read_json(folder / IMPORTANCE),
        overrides=overrides if isinstance(overrides, list) else None,
        started=re.sub(r"(\d\d:\d\d):.*", r"\1", str(record.get("started", "")).replace("T", " ")),
        cwd=Path(cwd) if isinstance(cwd, str) else None,
    )


def owners(versions: Mapping[str, Any]) -> list[str]:
    """List the owners of a run's plugins, from its ``versions.json``."""
    return [str(plugin.get("owner")) for plugin in (versions.get("plugins") or {}).values()]


def _read_yaml(file: Path) -> Any:
    try:
        return read_yaml(file)
    except (OSError, ValueError):
        return None


def _read_rows(file: Path) -> list[dict[str, str]]:
    try:
        with file.open(encoding="utf-8", newline="") as lines:
            return read_records(lines)
    except (OSError, ValueError, csv.Error):
        return []


def dig(values: Any, *keys: str) -> Any:
    """Give what nested values hold at these keys; None where there is nothing."""
    for key in keys:
        values = values.get(key) if isinstance(values, dict) else None
    return values
