"""A run's outcome as small tables on stdout."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from audiofw.audit.run import finding_line
from audiofw.bundle.files import FACTS, FOLDER
from audiofw.contract.plugin import Choice
from audiofw.data.dataset import Dataset
from audiofw.extraction.extract import Failure
from audiofw.system.tables import new_table, open_console

NAMES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "f1": "F1",
    "f1_macro": "F1 macro",
    "f1_weighted": "F1 weighted",
    "mcc": "MCC",
    "log_loss": "log loss",
    "roc_auc": "ROC AUC",
}
MOST_CLASSES = 40
MOST_FAILURES = 10


def print_summary(
    metrics: Mapping[str, Any],
    dataset: Dataset,
    failures: Sequence[Failure],
    choices: Mapping[str, Choice],
    folder: Path,
) -> None:
    """Print what was run, the scores beside the baseline's, each class, and what was left out."""
    console = open_console()
    console.print(_headline(metrics, choices), soft_wrap=True)
    console.print("", _score_table(metrics), "", sep="\n")
    if len(metrics["classes"]) <= MOST_CLASSES:
        console.print(_class_table(metrics), "", sep="\n")
    console.print(*_confidence(metrics), "", sep="\n", soft_wrap=True)
    if metrics["robustness"]:
        console.print(_robustness_table(metrics), "", sep="\n")
    if metrics["scores"]["accuracy"]["pooled"] == 1:
        console.print(_flawless(metrics), "", sep="\n", soft_wrap=True)
    findings = [finding_line(finding) for finding in metrics["audit"]]
    for line in [*findings, *_left_out(dataset, failures), *_model_left(folder), f"results in {_short(folder)}"]:
        console.print(line, soft_wrap=True)


def _headline(metrics: Mapping[str, Any], choices: Mapping[str, Choice]) -> str:
    names = {kind: choice.name for kind, choice in choices.items()}
    return (
        f"{names['model']} on {names['feature']} pooled by {names['pooling']}, split by {names['split']}: "
        f"{metrics['n_clips']} clips of {len(metrics['classes'])} classes, {metrics['n_tested']} tested"
    )


def _score_table(metrics: Mapping[str, Any]) -> Table:
    several = metrics["n_folds"] > 1
    spread = [f"mean ± std of {metrics['n_folds']} folds"] if several else []
    level = f"{metrics['interval_level']:.0%} interval"
    table = new_table("score", "value", level, *spread, "most frequent class", right=3 + several)
    names = score_names(metrics)
    for name in sorted(names, key=lambda name: name != metrics["score"]):  # the main one first
        score = metrics["scores"][name]
        folds = [f"{_number(score['mean'])} ± {_number(score['std'])}"] if several else []
        interval = " – ".join(map(_number, score["interval"])) if score["interval"] else "–"
        table.add_row(names[name], _number(score["pooled"]), interval, *folds, _number(metrics["baseline"][name]))
    return table


def score_names(metrics: Mapping[str, Any]) -> dict[str, str]:
    """Name the scores; of two classes F1 is that of one, of more it is the macro one, which then needs no row."""
    if len(metrics["classes"]) == 2:
        return {**NAMES, "f1": f"F1 of {metrics['f1_of']}"}
    double = "f1_macro" if metrics["score"] == "f1" else "f1"
    return {name: label for name, label in NAMES.items() if name != double}


def _class_table(metrics: Mapping[str, Any]) -> Table:
    table = new_table("class", "precision", "recall", "F1", "tested", right=4)
    for row in metrics["per_class"]:
        table.add_row(row["class"], *(_number(row[key]) for key in ("precision", "recall", "f1")), str(row["support"]))
    return table


def _flawless(metrics: Mapping[str, Any]) -> str:
    """Say what resampling cannot where every clip is right: the exact (Clopper and Pearson's) bound."""
    n, level = metrics["n_tested"], metrics["interval_level"]
    least = ((1 - level) / 2) ** (1 / n)
    far = f"of so few as {n}, that of accuracy reaches down to {least:.3f}"
    return f"every tested clip is right, so there is – for an interval; {far}"


def _confidence(metrics: Mapping[str, Any]) -> list[str]:
    """Say what the surest predictions are worth, and how many labels it takes to be nearly sure."""
    if not (confidence := metrics["confidence"]):
        return []
    half, sets = min(confidence["curve"], key=lambda point: abs(point["coverage"] - 0.5)), confidence["sets"]
    sure = (
        f"surest half of the clips: accuracy {_number(half['accuracy'])}, probabilities from {half['threshold']:.2f} up"
    )
    if not sets:
        return [sure]
    if sets["mean_size"] == len(metrics["classes"]):
        return [
            sure,
            f"too few tested clips for sets of labels that hold the true one for {sets['coverage']:.0%} of them",
        ]
    held = f"hold it for {sets['measured']:.1%}, with {sets['mean_size']:.1f} labels on average"
    return [sure, f"sets of labels that are to hold the true one for {sets['coverage']:.0%} of the clips {held}"]


def _robustness_table(metrics: Mapping[str, Any]) -> Table:
    level = f"{metrics['interval_level']:.0%} interval"
    table = new_table("test clips changed by", score_names(metrics)[metrics["score"]], level, "tested", right=3)
    for row in metrics["robustness"]:
        interval = " – ".join(map(_number, row["interval"])) if row["interval"] else "–"
        table.add_row(row["change"], _number(row["value"]), interval, str(row["n_tested"]))
    return table


def _left_out(dataset: Dataset, failures: Sequence[Failure]) -> list[str]:
    lines = [f"passed over: {count} {reason}" for reason, count in dataset.passed_over.items()]
    if failures:
        lines.append(f"left out: {len(failures)} of {len(dataset.clips)} clips could not be used (failures.csv)")
        lines += [f"  {failure.name}: {failure.reason}" for failure in failures[:MOST_FAILURES]]
        lines += [f"  … and {len(failures) - MOST_FAILURES} more"] if len(failures) > MOST_FAILURES else []
    return lines


def _model_left(folder: Path) -> list[str]:
    """Say what the model in the run's folder was fitted on, and what to do with it."""
    file = folder / FOLDER / FACTS
    if not file.is_file():
        return []
    said = json.loads(file.read_text(encoding="utf-8"))["fitted_on"]["said"]
    return [f"model fitted on {said}: audiofw predict {_short(folder)} SOUND"]


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _short(folder: Path) -> str:
    return str(folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder)
