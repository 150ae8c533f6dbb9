"""Write a run's files: scores, predictions, failures, config and versions."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

import soundfile
from omegaconf import OmegaConf

from audiofw.config.options import Config
from audiofw.contract.plugin import Choice
from audiofw.data.dataset import Clip
from audiofw.data.labels import name_prediction
from audiofw.errors import DataError
from audiofw.evaluation.cross_validate import Evaluation
from audiofw.extraction.failures import Failure
from audiofw.results.folder import RESULTS
from audiofw.system.atomic import write_whole
from audiofw.system.faults import reason, remedy
from audiofw.system.spreadsheet import csv_line
from audiofw.system.versions import FIGURES, versions_of
from audiofw.version import __version__

ROWS_AT_ONCE = 5000


def save_results(
    folder: Path,
    config: Config,
    choices: Mapping[str, Choice],
    clips: Sequence[Clip],
    failures: Sequence[Failure],
    evaluation: Evaluation,
    metrics: Mapping[str, Any],
    code: str | None = None,
) -> None:
    """Write a run's results atomically, ``metrics.json`` last: if it exists, the results are complete.

    Raises
    ------
    DataError
        For the first file that cannot be written.
    """
    config_file, versions_file, predictions_file, failures_file, metrics_file = (folder / name for name in RESULTS)
    write_text(config_file, OmegaConf.to_yaml(config_values(config, choices)))
    write_json(versions_file, versions(choices, code))
    write_rows(predictions_file, prediction_rows(clips, evaluation, metrics["classes"]))
    write_rows(failures_file, [Failure._fields, *failures])
    write_json(metrics_file, metrics)


def config_values(config: Config, choices: Mapping[str, Choice]) -> dict[str, Any]:
    """Give the whole config as plain values, with a section for each plugin."""
    chosen = {kind: {"name": choice.name, **choice.options} for kind, choice in choices.items()}
    return {**asdict(config), **chosen}


def prediction_rows(clips: Sequence[Clip], evaluation: Evaluation, classes: Sequence[str]) -> Iterable[Sequence[Any]]:
    """Yield one row per test clip."""
    probabilities = evaluation.probabilities
    columns = [] if probabilities is None else [f"p({name})" for name in classes]
    further = _further_columns(clips)
    yield ["path", "label", "predicted", "fold", "group", *columns, *further]
    for i, clip in enumerate(clips):
        if evaluation.tested[i]:
            shares = [] if probabilities is None else [f"{share:.6g}" for share in probabilities[i]]
            predicted = name_prediction(evaluation.predictions[i], classes)
            more = [value(clip) for value in further.values()]
            yield [clip.name, clip.label, predicted, evaluation.fold_of[i], clip.group or "", *shares, *more]


def _further_columns(clips: Sequence[Clip]) -> dict[str, Callable[[Clip], Any]]:
    """Give the columns for stretches of recordings, and for the time of day if it is known of any."""
    columns: dict[str, Callable[[Clip], Any]] = {}
    if any(clip.is_stretch for clip in clips):
        columns |= {"start": lambda clip: _seconds(clip.start), "end": lambda clip: _seconds(clip.end)}
    if any(clip.recorded.time for clip in clips):
        columns["time"] = lambda clip: clip.recorded.at(clip.start or 0.0) or ""
    return columns


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.6f}".rstrip("0").rstrip(".")


def versions(choices: Mapping[str, Choice], code: str | None = None) -> dict[str, Any]:
    """List the versions that results depend on: of Python, libraries and plugins, and a digest of audiofw's code."""
    return {
        "audiofw": __version__,
        "code": code,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "libraries": versions_of(FIGURES),
        "libsndfile": soundfile.__libsndfile_version__,
        "plugins": {kind: _version(choice) for kind, choice in choices.items()},
    }


def _version(choice: Choice) -> dict[str, Any]:
    own = {part: choice.identity[part] for part in ("name", "owner", "code")}
    parts = [part for part in choice.parts() if part is not choice]
    return {**own, "members": [_version(part) for part in parts]} if parts else own


def write_text(file: Path, text: str) -> None:
    """Write a text file atomically, in UTF-8.

    Raises
    ------
    DataError
        If the folder cannot be written, or the disk is full.
    """
    _write(file, text.encode())


def _write(file: Path, data: bytes | Iterable[bytes]) -> None:
    try:
        write_whole(file, data)
    except OSError as error:
        raise DataError(f"{file}: cannot be written: {reason(error)}; {remedy(error, file)}") from error


def write_json(file: Path, values: Mapping[str, Any]) -> None:
    """Write strict JSON, without NaN."""
    write_text(file, json.dumps(values, indent=2, allow_nan=False, ensure_ascii=False) + "\n")


def write_rows(file: Path, rows: Iterable[Sequence[Any]]) -> None:
    """Write rows as CSV that is safe to open in a spreadsheet, some thousand at a time."""
    lines = map(csv_line, rows)
    _write(file, iter(lambda: "".join(islice(lines, ROWS_AT_ONCE)).encode(), b""))
