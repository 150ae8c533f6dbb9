"""A run's outcome on stdout: the score first, then what limits it, then what to do next."""

from __future__ import annotations

import json
import logging
import math
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from audiofw.bundle.files import FACTS, FOLDER
from audiofw.config.overrides import command_line
from audiofw.contract.hookspecs import RESULT_KINDS
from audiofw.contract.plugin import Choice
from audiofw.data.dataset import Dataset
from audiofw.errors import printable
from audiofw.evaluation.scores import OF_TASK, OF_TIMELINES
from audiofw.extraction.failures import Failure
from audiofw.results.advice import advise_on_metrics
from audiofw.results.folder import REPORT, TEST
from audiofw.system.logs import is_quiet, note_printed
from audiofw.system.paths import from_here
from audiofw.system.tables import new_table, open_console, show_time

log = logging.getLogger(__name__)

NAMES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "f1": "F1",
    "f1_macro": "F1 macro",
    "f1_weighted": "F1 weighted",
    "mcc": "MCC",
    "log_loss": "log loss",
    "roc_auc": "ROC AUC",
    "map": "mAP",
    "f1_micro": "F1 micro",
    "subset_accuracy": "subset accuracy",
    "event_f1": "event F1 (IoU 0.5)",
    "event_f1_macro": "event F1 macro",
    "event_f1_collar": "event F1 (collars)",
    "segment_f1": "segment F1 (1 s)",
    "frame_accuracy": "frame accuracy",
    "psds": "PSDS",
}
MOST_CLASSES = 40
MOST_ADVICE = 3  # the report has all
MOST_FAILURES = 3  # failures.csv has all


def print_summary(
    metrics: Mapping[str, Any],
    dataset: Dataset,
    failures: Sequence[Failure],
    choices: Mapping[str, Choice],
    folder: Path,
) -> None:
    """Print the scores and the baseline's, the scores by class, what limits them, and what to do next.

    With ``-q`` it is the main score only. What is printed is in the log file, too.
    """
    console = open_console(record=True)
    if is_quiet():
        console.print(_headline(metrics), soft_wrap=True)
    else:
        _print_all(console, metrics, dataset, failures, choices, folder)
    note_printed(log, console.export_text().rstrip())


def _print_all(
    console: Console,
    metrics: Mapping[str, Any],
    dataset: Dataset,
    failures: Sequence[Failure],
    choices: Mapping[str, Choice],
    folder: Path,
) -> None:
    console.print(_headline(metrics), _setup(metrics, choices), sep="\n", soft_wrap=True)
    console.print("", _score_table(metrics), "", sep="\n")
    if len(metrics["classes"]) <= MOST_CLASSES:
        console.print(_class_table(metrics), "", sep="\n")
    if metrics.get("timeline"):
        console.print(*_timelines(metrics["timeline"]), "", sep="\n")
    if metrics["robustness"]:
        console.print(_robustness_table(metrics), "", sep="\n")
    blocks = [
        _by_group(metrics),
        _confidence(metrics),
        _unknown(metrics),
        _advice(metrics, folder),
        _skipped(dataset, failures),
    ]
    for block in filter(None, blocks):
        console.print(*block, "", sep="\n", soft_wrap=True)
    print_test_set(folder)
    console.print(*_next_steps(choices, folder), sep="\n", soft_wrap=True)


def print_test_set(folder: Path, chosen: Path | None = None) -> None:
    """Print the scores on ``data.test`` that a folder has, if any; of a sweep, those of the chosen run."""
    file = folder / TEST / "metrics.json"
    if not file.is_file():
        return
    metrics, console = json.loads(file.read_text(encoding="utf-8")), open_console()
    of = f"the chosen run, {from_here(chosen)}" if chosen else "the saved model"
    line = f"test set {metrics['evaluated']['source']}, {metrics['n_tested']} clips, scored once with {of}:"
    console.print(line, f"  {_headline(metrics)}", sep="\n", soft_wrap=True)
    console.print(*(f"  {line}" for line in _advice(metrics, folder / TEST)), "", sep="\n", soft_wrap=True)


def print_evaluation(metrics: Mapping[str, Any], dataset: Dataset, failures: Sequence[Failure], folder: Path) -> None:
    """Print the scores of a saved model on a test set, and what limits them."""
    console = open_console()
    if is_quiet():
        console.print(_headline(metrics), soft_wrap=True)
        return
    evaluated, tested = metrics["evaluated"], f"{metrics['n_tested']} clips of {metrics['evaluated']['source']}"
    fitted = f", trained on {evaluated['fitted_on']}" if evaluated["fitted_on"] else ""
    console.print(
        _headline(metrics),
        f"{tested}{_groups(metrics)}; the model of {evaluated['model']}{fitted}",
        soft_wrap=True,
        sep="\n",
    )
    console.print("", _score_table(metrics), "", sep="\n")
    if len(metrics["classes"]) <= MOST_CLASSES:
        console.print(_class_table(metrics), "", sep="\n")
    for block in filter(None, [_confidence(metrics), _advice(metrics, folder), _skipped(dataset, failures)]):
        console.print(*block, "", sep="\n", soft_wrap=True)
    if (folder / REPORT).is_file():
        console.print(f"report:   {shlex.quote(from_here(folder / REPORT))}", soft_wrap=True)
    console.print(f"results:  {shlex.quote(from_here(folder))}", soft_wrap=True)


def _headline(metrics: Mapping[str, Any]) -> str:
    name = score_names(metrics)[metrics["score"]]
    interval, baseline = metrics["scores"][metrics["score"]]["interval"], metrics["baseline"][metrics["score"]]
    level = f"{metrics['interval_level']:.0%} interval"
    spread = f", {level} {_number(interval[0])}–{_number(interval[1])}" if interval else ""
    of = "class frequencies" if has_several(metrics) else "most frequent class"
    return f"{name} {_number(metrics['value'])}{spread}; baseline ({of}) {_number(baseline)}"


def has_several(metrics: Mapping[str, Any]) -> bool:
    """Whether a run's clips may have several labels each."""
    return metrics.get("task") == "multilabel"


def _setup(metrics: Mapping[str, Any], choices: Mapping[str, Choice]) -> str:
    names = {kind: choice.name for kind, choice in choices.items()}
    folds = f", {metrics['n_folds']} folds" if metrics["n_folds"] > 1 else ""
    classes = f"{len(metrics['classes'])} classes{_groups(metrics)}"
    return (
        f"{names['model']} on {names['feature']} + {names['pooling']}; split={names['split']}{folds}: "
        f"{metrics['n_tested']} of {metrics['n_clips']} clips tested, {classes}"
    )


def _groups(metrics: Mapping[str, Any]) -> str:
    return f", intervals over {metrics['n_interval_over']} groups" if metrics["interval_over"] == "groups" else ""


def _score_table(metrics: Mapping[str, Any]) -> Table:
    several = metrics["n_folds"] > 1
    spread = [f"mean ± std of {metrics['n_folds']} folds"] if several else []
    level = f"{metrics['interval_level']:.0%} interval"
    table = new_table("score", "value", level, *spread, "baseline", right=3 + several)
    names = score_names(metrics)
    for name in sorted(names, key=lambda name: name != metrics["score"]):  # the main one first
        score = metrics["scores"][name]
        folds = [f"{_number(score['mean'])} ± {_number(score['std'])}"] if several else []
        interval = " – ".join(map(_number, score["interval"])) if score["interval"] else "–"
        table.add_row(names[name], _number(score["pooled"]), interval, *folds, _number(metrics["baseline"][name]))
    return table


def score_names(metrics: Mapping[str, Any]) -> dict[str, str]:
    """Name the scores to show: F1 is that of one class if there are two, else it equals F1 macro and is left out."""
    of_task = OF_TASK["multilabel" if has_several(metrics) else "single"]
    in_time = [name for name in OF_TIMELINES if name in metrics["scores"]]
    names = {name: NAMES[name] for name in (*of_task, *in_time)}
    if has_several(metrics):
        return names
    if len(metrics["classes"]) == 2:
        return {**names, "f1": f"F1 of {metrics['f1_of']}"}
    if negative := metrics.get("negative"):
        return {**names, "f1": f"F1 without {negative}"}
    double = "f1_macro" if metrics["score"] == "f1" else "f1"
    return {name: label for name, label in names.items() if name != double}


def _class_table(metrics: Mapping[str, Any]) -> Table:
    if has_several(metrics):
        return _label_table(metrics)
    table = new_table("class", "precision", "recall", "F1", "test clips", right=4)
    for row in metrics["per_class"]:
        table.add_row(row["class"], *(_number(row[key]) for key in ("precision", "recall", "f1")), str(row["support"]))
    return table


def _label_table(metrics: Mapping[str, Any]) -> Table:
    heads = ("average precision", "ROC AUC", "precision", "recall", "F1", "threshold")
    table = new_table("class", *heads, "test clips", right=7)
    for row in metrics["per_class"]:
        keys = ("average_precision", "roc_auc", "precision", "recall", "f1", "threshold")
        table.add_row(row["class"], *(_number(row[key]) for key in keys), str(row["support"]))
    return table


def _timelines(timeline: Mapping[str, Any]) -> Iterator[str | Table]:
    """Show each class's events in the recordings as a whole, and how they were found."""
    yield (
        f"{timeline['n_recordings']} recordings as a whole, {show_time(3600 * timeline['hours'])} with "
        f"{timeline['n_events']} events, by models that were not trained on them"
    )
    if len(timeline["per_class"]) <= MOST_CLASSES:
        table = new_table("class", "precision", "recall", "event F1", "events", "false alarms/h at recall 0.8", right=5)
        for row in timeline["per_class"]:
            alarms = row["false_alarms"]["0.8"]
            figures = (_number(row[key]) for key in ("precision", "recall", "f1"))
            table.add_row(row["class"], *figures, str(row["support"]), "–" if alarms is None else f"{alarms:.1f}")
        yield table
    if timeline["tuned"]:
        ways = {f"windows of {way['window']:g} s every {way['hop']:g} s" for way in timeline["by_fold"]}
        yield f"chosen by cross-validation on the training recordings: {', '.join(sorted(ways))}"


def _confidence(metrics: Mapping[str, Any]) -> list[str]:
    """Say how accurate the most confident predictions are, and how large prediction sets are."""
    if has_several(metrics):
        return ["prediction sets (conformal): not available, since clips may have several labels"]
    if not (confidence := metrics["confidence"]):
        return []
    half, sets = min(confidence["curve"], key=lambda point: abs(point["coverage"] - 0.5)), confidence["sets"]
    least = math.floor(100 * half["threshold"]) / 100  # not 1.00 for 0.997
    confident = f"most confident half: accuracy {_number(half['accuracy'])} (probability ≥ {least:.2f})"
    if not sets:
        return [confident]
    kind = f"prediction sets, {sets['coverage']:.0%} coverage (conformal)"
    if sets["mean_size"] == len(metrics["classes"]):
        return [confident, f"{kind}: too few test clips, every set contains all classes"]
    size = f"{sets['mean_size']:.1f} classes on average"
    return [confident, f"{kind}: {size}, {sets['measured']:.1%} contain the true class"]


def _by_group(metrics: Mapping[str, Any]) -> list[str]:
    """Name the group, site and so on that is surely worst, with the range of all."""
    lines = []
    for way in metrics.get("by_group") or []:
        if len(rows := way["groups"]) > 1:
            worst, values = rows[0], [row["value"] for row in rows]
            interval = f" ({'–'.join(map(_number, worst['interval']))})" if worst["interval"] else ""
            where = f"worst: {printable(worst['group'])} {_number(worst['value'])}{interval}"
            spread = f"{NAMES[way['score']]} from {_number(min(values))} to {_number(max(values))}"
            lines.append(f"by {way['by']}: {spread}; {where}")
    return lines


def _unknown(metrics: Mapping[str, Any]) -> list[str]:
    """Say which sounds of no class are taken for one of the classes, and how well foreign sounds are told apart."""
    if not (unknown := metrics["unknown"]):
        return []
    lost = "" if unknown["lost"] is None else f", which loses {unknown['lost']:.1%} of known clips"
    lines = [f"sounds of no class, with predict --unknown {unknown['share']:g}{lost}:"]
    lines.append("  " + "; ".join(map(_answer_to, unknown["sounds"])))
    if foreign := unknown["foreign"]:
        auroc = f", AUROC {_number(foreign['auroc'])}" if foreign["n_used"] else ""
        lines.append(f"  {_answer_to(foreign)} ({foreign['n_used']} of {foreign['n']} recordings{auroc})")
    return lines


def _answer_to(row: Mapping[str, Any]) -> str:
    if not row["n_used"]:
        return f"{row['sound']}: cannot be used"
    if not row["accepted"]:
        return f"{row['sound']}: unknown"
    return f"{row['sound']}: {row['accepted']:.0%} accepted, mostly as {next(iter(row['answers'])) or 'none'}"


def _robustness_table(metrics: Mapping[str, Any]) -> Table:
    level = f"{metrics['interval_level']:.0%} interval"
    table = new_table("change to the test clips", score_names(metrics)[metrics["score"]], level, "test clips", right=3)
    for row in metrics["robustness"]:
        interval = " – ".join(map(_number, row["interval"])) if row["interval"] else "–"
        table.add_row(row["change"], _number(row["value"]), interval, str(row["n_tested"]))
    return table


def _advice(metrics: Mapping[str, Any], folder: Path) -> list[str]:
    advice = advise_on_metrics({**metrics, "n_failures": 0})  # unusable clips are listed by name
    lines = [f"{one.level}: {one.text} {one.remedy}" for one in advice[:MOST_ADVICE]]
    if len(advice) > MOST_ADVICE:
        where = REPORT if (folder / REPORT).is_file() else "metrics.json"
        lines.append(f"… and {len(advice) - MOST_ADVICE} more in {where}")
    return lines


def _skipped(dataset: Dataset, failures: Sequence[Failure]) -> list[str]:
    lines = [f"ignored, {reason}: {count}" for reason, count in dataset.passed_over.items()]
    if failures:
        lines.append(f"skipped: {len(failures)} of {len(dataset.clips)} clips could not be used (failures.csv)")
        lines += [f"  {printable(failure.name)}: {failure.reason}" for failure in failures[:MOST_FAILURES]]
        lines += [f"  … and {len(failures) - MOST_FAILURES} more"] if len(failures) > MOST_FAILURES else []
    return lines


def _next_steps(choices: Mapping[str, Choice], folder: Path) -> Iterator[str]:
    """Say how to use the model, if the run has saved one, and where the results are."""
    chosen = [part for kind, choice in choices.items() if kind in RESULT_KINDS for part in choice.parts()]
    owners = [choice.plugin.owner for choice in (*chosen, *choices["model"].members())]
    yield from predict_step(folder, owners)
    if (folder / REPORT).is_file():
        yield f"report:   {shlex.quote(from_here(folder / REPORT))}"
    yield f"results:  {shlex.quote(from_here(folder))}"


def predict_step(folder: Path, owners: Iterable[str], which: str = "model") -> Iterator[str]:
    """Write the command that predicts with a run's model; nothing if the run has saved none.

    Parameters
    ----------
    folder : Path
        The run's folder.
    owners : iterable of str
        Owners of its plugins, see `audiofw.config.overrides.command_line`.
    which : str
        Names the model.
    """
    file, place = folder / FOLDER / FACTS, from_here(folder)
    if file.is_file():
        trained_on = json.loads(file.read_text(encoding="utf-8"))["fitted_on"]["description"]
        words = ["predict", place if not place.startswith("-") else f"./{place}"]
        yield f"predict:  {command_line(words, owners)} FILE   ({which}, trained on {trained_on})"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
