"""Read runs and their predictions from their files: of one or more sweeps, whether finished, failed or running."""

from __future__ import annotations

import csv
import io
import json
import logging
import math
import operator
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple, get_args

import numpy as np

from audiofw.data.labels import split_labels
from audiofw.errors import DataError, first_line
from audiofw.evaluation.scores import HIGHER_IS_BETTER
from audiofw.results.folder import EVALUATION
from audiofw.results.record import Status
from audiofw.system.atomic import is_alive
from audiofw.system.paths import HELD_OUT
from audiofw.system.reading import flatten, read_yaml
from audiofw.system.spreadsheet import unescape

log = logging.getLogger(__name__)

STOPPED = "stopped before it finished"


@dataclass(frozen=True, eq=False)
class Run:
    """One run, as its folder describes it."""

    folder: Path
    job: str
    status: Status
    started: float  # seconds since 1970
    reason: str = ""
    missing: str = ""  # what was asked for, but could not be written, and why
    seconds: float | None = None
    overrides: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)  # of the whole config, by dotted key
    metrics: Mapping[str, Any] = field(default_factory=dict)

    @property
    def several(self) -> bool:
        """Whether its clips may have several labels."""
        return self.metrics.get("task") == "multilabel"


class Predictions(NamedTuple):
    """The predictions for a run's test clips, sorted by path."""

    paths: tuple[str, ...]
    labels: tuple[str, ...]
    predicted: tuple[str, ...]
    folds: tuple[int, ...]
    groups: tuple[str, ...]
    probabilities: np.ndarray | None  # (clips, classes)
    contributions: np.ndarray | None = None  # (clips,), what each adds to the score that is ranked by

    @property
    def right(self) -> np.ndarray:
        """Mask of the clips that were classified correctly."""
        return np.fromiter(map(operator.eq, self.labels, self.predicted), bool)


# --- reading ----------------------------------------------------------------------------------------------


def read_runs(folders: Iterable[Path]) -> list[Run]:
    """Read every run below some folders, oldest first.

    If a job has several runs, only the newest finished one counts, or if there is none, the newest. A file that
    cannot be read is ignored with a warning.

    Parameters
    ----------
    folders : iterable of Path
        Folders of sweeps or of single runs, at any depth.

    Raises
    ------
    DataError
        If a folder does not exist, or none contains a run.
    """
    folders = list(folders)
    places = dict.fromkeys(place for folder in folders for place in _find(folder))
    runs = [run for place in places if (run := read_run(place)) is not None]
    if not runs:
        where = ", ".join(map(str, folders))
        raise DataError(f"{where}: no runs found (no result.json or metrics.json written by audiofw)")
    return _newest(runs)


def _find(folder: Path) -> Iterator[Path]:
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; give the folder of a sweep, e.g. multirun/2026-01-31/12-00-00")
    for place, below, files in os.walk(folder.resolve()):
        below[:] = sorted(set(below) - {HELD_OUT})  # scored on other clips than the trials, so it has no rank
        if EVALUATION not in files and ("result.json" in files or "metrics.json" in files):
            yield Path(place)


def _newest(runs: Sequence[Run]) -> list[Run]:
    newest = {run.job: run for run in sorted(runs, key=lambda run: (run.status == "finished", run.started))}
    return sorted(newest.values(), key=lambda run: (run.started, run.folder))


def read_run(folder: Path) -> Run | None:
    """Read the run in a folder; None if there is none."""
    record, metrics = read_json(folder / "result.json"), read_json(folder / "metrics.json")
    if record is not None and record.get("status") not in get_args(Status):
        _pass_over(folder / "result.json", "it was not written by audiofw")
        record = None
    if metrics is not None and not _are_metrics(metrics):
        _pass_over(folder / "metrics.json", "it was not written by audiofw")
        metrics = None
    if record is None and metrics is None:
        return None
    return _make_run(folder, record or {"status": "finished"}, metrics)


def _make_run(folder: Path, record: Mapping[str, Any], metrics: Mapping[str, Any] | None) -> Run:
    status, reason = record["status"], first_line(str(record.get("reason") or ""))
    if status == "running" and not _runs_on(record.get("pid")):
        status, reason = "failed", STOPPED
    if status == "finished" and metrics is None:
        status, reason = "failed", "metrics.json is missing or damaged"
    overrides = record.get("overrides")
    return Run(
        folder=folder,
        job=str(record.get("job") or folder),
        status=status,
        started=_when(record.get("started"), folder),
        reason=reason if status != "failed" else reason or "no reason was recorded",
        missing=first_line(str(record.get("missing") or "")) if status == "finished" else "",
        seconds=as_number(record.get("seconds")),
        overrides=tuple(map(str, overrides)) if isinstance(overrides, list) else (),
        options=_read_options(folder / "config.yaml") if status == "finished" else {},
        metrics=metrics if metrics and status == "finished" else {},
    )


def _runs_on(pid: Any) -> bool:
    return isinstance(pid, int) and pid > 0 and is_alive(pid)


def _when(started: Any, folder: Path) -> float:
    try:
        return datetime.fromisoformat(started).timestamp()
    except (TypeError, ValueError):
        return folder.stat().st_mtime


def read_json(file: Path) -> dict[str, Any] | None:
    """Read an object from a JSON file; None where it is missing or, with a warning, damaged."""
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        _pass_over(file, error)
        return None
    if isinstance(values, dict):
        return values
    _pass_over(file, "it was not written by audiofw")
    return None


def _are_metrics(metrics: Mapping[str, Any]) -> bool:
    scores, classes = metrics.get("scores"), metrics.get("classes")
    return (
        metrics.get("score") in HIGHER_IS_BETTER
        and isinstance(classes, list)
        and all(isinstance(name, str) for name in classes)
        and isinstance(scores, dict)
        and all(isinstance(parts, dict) for parts in scores.values())
    )


def _read_options(file: Path) -> dict[str, Any]:
    try:
        return dict(flatten(read_yaml(file)))
    except (OSError, ValueError, AttributeError) as error:
        _pass_over(file, error)
        return {}


def _pass_over(file: Path, why: str | Exception) -> None:
    log.warning("ignored: %s: %s", file, first_line(why))


def read_predictions(run: Run, *, probabilities: bool = False) -> Predictions | None:
    """Read ``predictions.csv`` of a finished run; None, with a warning, if it is missing or damaged.

    Parameters
    ----------
    run : Run
    probabilities : bool
        Whether to read them, too, which takes longer; they are None if the model gave none.
    """
    file, classes = run.folder / "predictions.csv", run.metrics["classes"]
    try:
        head, rows = _read_rows(file.read_bytes().decode())  # as it is: a cell may hold a line end
        _check_whole(head, rows, run.metrics.get("n_tested"))
        rows.sort()
        paths, labels, predicted, folds, groups, *shares = zip(*rows, strict=True)
        texts = _sets_of({*labels, *predicted}, classes) if run.several else classes
        known = {name: name for name in texts}  # one string for all its clips: there may be thousands of runs
        labels, predicted = (tuple(map(known.get, column)) for column in (labels, predicted))
        if None in labels or None in predicted:
            raise ValueError("it has classes that metrics.json does not have")
        wanted = probabilities and head[5 : 5 + len(classes)] == [f"p({name})" for name in classes]
        proba = _read_probabilities(shares[0], len(classes), sum_to_1=not run.several) if wanted else None
        return Predictions(paths, labels, predicted, tuple(map(int, folds)), groups, proba)
    except (OSError, ValueError, csv.Error) as error:
        _pass_over(file, error)
        return None


def _sets_of(texts: Iterable[str], classes: Sequence[str]) -> list[str]:
    """Select the texts whose labels are all known."""
    return [text for text in texts if set(split_labels(text)) <= {*classes}]


def _check_whole(head: Sequence[str], rows: Sequence[Sequence[str]], n_tested: int | None) -> None:
    if list(head[:5]) != ["path", "label", "predicted", "fold", "group"]:
        raise ValueError("it was not written by audiofw")
    if not rows or len(rows) != (n_tested or len(rows)) or set(map(len, rows)) != {min(len(head), 6)}:
        raise ValueError("it is incomplete")


def _read_rows(text: str) -> tuple[list[str], list[list[str]]]:
    """Read five columns, and the others as one text."""
    head, rows = _split_rows(text)
    return head, [list(map(unescape, row)) for row in rows] if "'" in text else rows


def _split_rows(text: str) -> tuple[list[str], list[list[str]]]:
    if '"' in text:
        head, *rows = csv.reader(io.StringIO(text, newline=""))
        return head, [[*row[:5], ",".join(row[5:])] if len(row) > 5 else row for row in rows]
    first, *lines = text.split("\n")  # several times as quick as the csv module
    return first.split(","), [line.split(",", 5) for line in lines if line]


def _read_probabilities(rows: Sequence[str], n_classes: int, *, sum_to_1: bool) -> np.ndarray:
    shares = np.loadtxt(rows, delimiter=",", comments=None, ndmin=2, usecols=range(n_classes))  # start and end follow
    if not sum_to_1:
        if not ((shares >= 0) & (shares <= 1)).all():
            raise ValueError("its probabilities are not between 0 and 1")
        return shares.astype(np.float32)
    sums = shares.sum(axis=1, keepdims=True)
    if not np.isfinite(shares).all() or (shares < 0).any() or not np.allclose(sums, 1, atol=1e-3):
        raise ValueError("its probabilities do not sum to 1")
    return (shares / sums).astype(np.float32)


# --- scores by fold


def fold_scores(run: Run, score: str) -> list[float | None]:
    """List a run's scores by fold; None for an undefined one."""
    folds = run.metrics["scores"].get(score, {}).get("folds")
    return [as_number(value) for value in folds] if isinstance(folds, list) else []


def as_number(value: Any) -> float | None:
    """Read a value from a file as a number; None for anything else, including NaN."""
    usable = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    return value if usable else None
