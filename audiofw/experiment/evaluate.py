"""Score a saved model on labelled recordings that it was not trained on, and save the results."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from omegaconf import OmegaConf

from audiofw.audit.findings import Finding, find_flaws, refuse
from audiofw.audit.overlap import Known, find_overlap, overlap_findings
from audiofw.audit.run import finding_record, probe_all, used_part_of
from audiofw.bundle.files import read_bundle
from audiofw.bundle.load import read_model
from audiofw.bundle.model import Model
from audiofw.bundle.training import read_training
from audiofw.config.options import Audio, Config, Pad, Windows, build_section
from audiofw.data.dataset import Clip, Dataset
from audiofw.data.labels import listing, name_prediction
from audiofw.errors import ConfigError, DataError
from audiofw.evaluation.by_group import score_groups
from audiofw.evaluation.cross_validate import Evaluation
from audiofw.evaluation.fit import predict
from audiofw.evaluation.saved import encode_known, evaluate_predictions, measure_coverage
from audiofw.evaluation.scores import OF_TASK, check_score, positive_classes
from audiofw.evaluation.summary import summarise
from audiofw.experiment.hydra_app import compose
from audiofw.extraction.clips import find
from audiofw.extraction.failures import Failure
from audiofw.extraction.joined import JoinedUnit
from audiofw.extraction.table import extract
from audiofw.report.build import write_report
from audiofw.report.facts import read_run_facts
from audiofw.report.recordings import Recordings, find_again
from audiofw.results.files import prediction_rows, versions, write_json, write_rows, write_text
from audiofw.results.folder import EVALUATION, RESULTS, claimed_for_evaluation

OWN = ("data.", "audit", "cache", "report", "score", "coverage", "n_jobs", "min_score")
"""The options that an evaluation has; all others are those of the model."""


@dataclass(frozen=True)
class Evaluated:
    """A saved model's results on a test set."""

    metrics: Mapping[str, Any]
    evaluation: Evaluation
    clips: Sequence[Clip]  #: that were scored
    failures: Sequence[Failure]
    dataset: Dataset
    config: Config


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
    facts, files = read_bundle(run.expanduser())
    known = read_training(files, str(run))
    model = read_model(facts, files, str(run))
    config = config_of(facts, source, overrides)
    dataset = find(config)
    with claimed_for_evaluation(folder):
        found = evaluate_model(model, known, dataset, config, training_recordings(run))
        metrics = {**found.metrics, "evaluated": {**found.metrics["evaluated"], "model": str(run)}}
        found = replace(found, metrics=metrics)
        _save(folder, found, config, model)
    return found


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
    kept = {name: value for name, value in reading.items() if f"data.{name}" not in named and name != "columns"}
    columns = {
        name: value for name, value in (reading.get("columns") or {}).items() if f"data.columns.{name}" not in named
    }
    data = replace(config.data, **kept, columns=replace(config.data.columns, **columns))
    return replace(
        config,
        data=data,
        audio=build_section(Audio, "audio", facts["audio"]),
        windows=build_section(Windows, "windows", facts["windows"]),
        pad=build_section(Pad, "pad", facts["pad"]),
    )


def training_recordings(run: Path) -> Mapping[str, Clip]:
    """Find the recordings that a run was trained on, by name, if its folder says where they are."""
    for folder in (run, run.parent):
        if (folder / "config.yaml").is_file() and (folder / "metrics.json").is_file():
            return find_again(read_run_facts(folder)).clips
    return {}


def evaluate_model(
    model: Model, known: Sequence[Known], dataset: Dataset, config: Config, recordings: Mapping[str, Clip]
) -> Evaluated:
    """Score a model on clips, and compare these with its training clips.

    Parameters
    ----------
    model : Model
    known : sequence of Known
        The clips that it was trained on.
    dataset : Dataset
        The clips to test.
    config : Config
        With the options of extraction that the model was trained with.
    recordings : mapping of str to Clip
        The training clips that are still available, by name.

    Raises
    ------
    DataError
        If the model knows none of the labels, no clip can be used, or ``audit=raise`` and there is a warning.
    """
    classes, clips = [str(name) for name in model.classes_], dataset.clips
    _check_labels(clips, classes, config.task)
    probes = probe_all(clips, config, n_jobs=config.n_jobs) if config.audit else []
    unit, started = model.unit, perf_counter()
    width = unit.widths if isinstance(unit, JoinedUnit) else model.width
    table = extract(clips, unit, config, width=width, progress="evaluate")
    seconds, started = perf_counter() - started, perf_counter()
    predictions, probabilities = predict(model.classifier, table.X, table.clip_of, len(classes))
    took = perf_counter() - started
    usable = [clips[i] for i in table.kept]
    labelled = encode_known([clip.label for clip in usable], classes, config.task)
    if not labelled.places:
        raise DataError(f"{config.data.source}: no clip of a class that the model knows can be used")
    scored = [usable[i]._replace(label=text) for i, text in zip(labelled.places, labelled.texts, strict=True)]
    evaluation = evaluate_predictions(
        labelled.y,
        predictions[labelled.places],
        None if probabilities is None else probabilities[labelled.places],
        n_classes=len(classes),
        clips=scored,
        trained=encode_known([one.label for one in known], classes, config.task).y,
        positive=positive_classes(classes, config.data.background),
        thresholds=model.thresholds,
        seconds=took,
    )
    findings = []
    if config.audit:
        places = {clip.name: i for i, clip in enumerate(clips)}
        of_scored = [places[clip.name] for clip in scored]
        findings = _compare(clips, probes, known, recordings, config, evaluation, of_scored)
    metrics = {
        **summarise(evaluation, classes=classes, score=config.score, coverage=config.coverage),
        "by_group": score_groups(evaluation, scored),
        "n_failures": len(table.failures),
        "n_from_cache": table.cached,
        "audit": [finding_record(finding) for finding in findings],
        "extract_seconds": seconds,
        "robustness": [],
        "unknown": None,
        "evaluated": {
            "source": config.data.source,
            "fitted_on": model.facts.get("fitted_on", {}).get("description"),
            "unknown_classes": _unknown_classes(labelled.unknown, usable, predictions, classes, config.task),
        },
    }
    _measure_sets(metrics, evaluation, model, config.coverage)
    return Evaluated(metrics, evaluation, scored, table.failures, dataset, config)


def _check_labels(clips: Sequence[Clip], classes: Sequence[str], task: str) -> None:
    """Refuse a test set before any work if the model knows none of its labels."""
    labels = [clip.label for clip in clips]
    known = encode_known(labels, classes, task)
    if not known.places or (task == "multilabel" and known.unknown and not known.y.any()):
        raise DataError(
            f"none of these labels is a class of the model: {listing(known.unknown, 5)}; its classes: "
            f"{listing(classes, 8)}"
        )


def _compare(
    clips: Sequence[Clip],
    probes: Sequence[Any],
    known: Sequence[Known],
    recordings: Mapping[str, Clip],
    config: Config,
    evaluation: Evaluation,
    of_scored: Sequence[int],
) -> list[Finding]:
    """Audit the test clips: what they share with the training clips, and recordings that are damaged."""
    overlap = find_overlap(clips, probes, known, read=used_part_of(config).read, recordings=recordings)
    y, predictions = np.full((2, len(clips)), -1)
    if evaluation.y.ndim == 1:
        y[of_scored], predictions[of_scored] = evaluation.y, evaluation.predictions
    found = [*overlap_findings(clips, known, overlap, y, predictions), *find_flaws(clips, probes)]
    findings = sorted(found, key=lambda finding: finding.severity != "warning")
    if config.audit == "raise":
        refuse(findings)
    return findings


def _unknown_classes(
    unknown: Mapping[str, int], clips: Sequence[Clip], predictions: np.ndarray, classes: Sequence[str], task: str
) -> list[dict[str, Any]]:
    """Say for each class that the model does not know what it answers."""
    rows = []
    for label, n in unknown.items():
        of = [i for i, clip in enumerate(clips) if clip.label == label] if task == "single" else []
        answers = Counter(name_prediction(predictions[i], classes) for i in of)
        rows.append({"class": label, "clips": n, "answers": dict(answers.most_common(3))})
    return rows


def _measure_sets(metrics: dict[str, Any], evaluation: Evaluation, model: Model, coverage: float) -> None:
    """Measure the prediction sets that the model gives, in place of those that the test set would calibrate."""
    if not metrics["confidence"] or evaluation.probabilities is None:
        return
    conformity = model.facts.get("conformity")
    sets = conformity and measure_coverage(evaluation.y, evaluation.probabilities, conformity, coverage)
    metrics["confidence"] = {**metrics["confidence"], "sets": sets or None}


def _save(folder: Path, found: Evaluated, config: Config, model: Model) -> None:
    """Write the results, ``metrics.json`` last."""
    config_file, versions_file, predictions_file, failures_file, metrics_file = (folder / name for name in RESULTS)
    choices, facts = {"feature": model.unit.feature, "pooling": model.unit.pooling}, model.facts
    chosen = {kind: {"name": choice.name, **choice.options} for kind, choice in choices.items()}
    of_model = {"name": facts["model"]["name"], **facts["model"]["options"]}
    values = {**asdict(config), **chosen, "model": of_model, "split": {"name": "none"}}
    write_json(folder / EVALUATION, found.metrics["evaluated"])
    write_text(config_file, OmegaConf.to_yaml(values))
    write_json(versions_file, versions(choices))
    write_rows(predictions_file, prediction_rows(found.clips, found.evaluation, found.metrics["classes"]))
    flaws = [Failure(flaw.where, str(flaw.source), flaw.reason) for flaw in found.dataset.flaws]
    write_rows(failures_file, [Failure._fields, *flaws, *found.failures])
    write_json(metrics_file, found.metrics)
    if config.report.enabled:
        recordings = Recordings({clip.name: clip for clip in found.dataset.clips}, config)
        write_report(folder, recordings, audio=config.report.audio)
