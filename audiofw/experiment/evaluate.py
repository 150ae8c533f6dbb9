"""Score a saved model on labelled recordings that it was not trained on, and save the results."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

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
from audiofw.data.source import find_source
from audiofw.errors import AudiofwError, ConfigError, DataError
from audiofw.evaluation.by_group import score_groups
from audiofw.evaluation.cross_validate import Evaluation
from audiofw.evaluation.fit import predict
from audiofw.evaluation.saved import encode_known, evaluate_predictions, measure_coverage
from audiofw.evaluation.scores import positive_classes
from audiofw.evaluation.summary import summarise
from audiofw.experiment.timed import clip_score
from audiofw.extraction.clips import find_dataset
from audiofw.extraction.extract import Table
from audiofw.extraction.failures import Failure
from audiofw.extraction.joined import JoinedUnit
from audiofw.extraction.table import extract
from audiofw.report.facts import read_run_facts
from audiofw.report.recordings import RunRecordings, find_again
from audiofw.results.files import prediction_rows, versions, write_json, write_rows, write_text
from audiofw.results.folder import EVALUATION, RESULTS, claimed_for_evaluation


@dataclass(frozen=True)
class Evaluated:
    """A saved model's results on a test set."""

    metrics: Mapping[str, Any]
    evaluation: Evaluation
    clips: Sequence[Clip]  #: that were scored
    failures: Sequence[Failure]
    dataset: Dataset
    config: Config


def evaluate_in(run: Path, config: Config, folder: Path) -> Evaluated:
    """Score the model of a run on ``data.source``, and write the results into a folder.

    Parameters
    ----------
    run : Path
        The run's folder, the folder ``model`` in it, or a zip of either.
    config : Config
        See `with_options_of`.
    folder : Path
        For ``metrics.json``, ``predictions.csv``, ``report.html`` and so on; new, or of an earlier evaluation.

    Raises
    ------
    AudiofwError
        For a model or data that cannot be used.
    """
    facts, files = read_bundle(run.expanduser())
    known = read_training(files, str(run))
    model, dataset = read_model(facts, files, str(run)), find_dataset(config)
    with claimed_for_evaluation(folder):
        found = evaluate_model(model, known, dataset, config, training_recordings(run))
        metrics = {**found.metrics, "evaluated": {**found.metrics["evaluated"], "model": str(run)}}
        found = replace(found, metrics=metrics)
        _save(folder, found, config, model)
    return found


def with_options_of(facts: Mapping[str, Any], config: Config) -> Config:
    """Let a config extract features as the model of a bundle was trained."""
    return replace(
        config,
        audio=build_section(Audio, "audio", facts["audio"]),
        windows=build_section(Windows, "windows", facts["windows"]),
        pad=build_section(Pad, "pad", facts["pad"]),
    )


def of_test_set(config: Config) -> Config:
    """Change the config of a run to that of its test set, ``data.test``."""
    data = replace(config.data, source=config.data.test or "", test=None, limit=None, annotations=None)
    return replace(config, data=data, score=clip_score(config))


def check_test_set(config: Config, classes: Sequence[str] | None = None) -> None:
    """Refuse a test set that cannot be used before any work; with the classes, its labels are checked, too.

    Raises
    ------
    ConfigError
        If no model would be saved.
    DataError
        If it does not exist, or has no labels that the model will know.
    """
    if config.data.test is None:
        return
    if not config.bundle.enabled:
        raise ConfigError(f"data.test={config.data.test}: is scored with the saved model, which needs bundle=true")
    try:
        if classes is None:
            find_source(config.data.test, None)
        else:
            _check_labels(find_dataset(of_test_set(config)).clips, classes, config.task)
    except (DataError, ConfigError) as error:
        error.args = (f"data.test: {str(error.args[0]).removeprefix('data.source').lstrip(': ')}",)
        raise


def score_test_set(run: Path, config: Config, folder: Path) -> list[str]:
    """Score a run's saved model on ``data.test``; returns why there is no score, or nothing."""
    try:
        facts, _ = read_bundle(run)
        evaluate_in(run, with_options_of(facts, of_test_set(config)), folder)
    except AudiofwError as error:
        return [f"test set not scored: {error}"]
    return []


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
    made = _predict(model, clips, config)
    usable = [clips[i] for i in made.table.kept]
    labelled = encode_known([clip.label for clip in usable], classes, config.task)
    if not labelled.places:
        raise DataError(f"{config.data.source}: no clip of a class that the model knows can be used")
    scored = [usable[i]._replace(label=text) for i, text in zip(labelled.places, labelled.texts, strict=True)]
    evaluation = evaluate_predictions(
        labelled.y,
        made.predictions[labelled.places],
        None if made.probabilities is None else made.probabilities[labelled.places],
        n_classes=len(classes),
        clips=scored,
        trained=encode_known([one.label for one in known], classes, config.task).y,
        positive=positive_classes(classes, config.data.background),
        thresholds=model.thresholds,
        seconds=made.seconds,
    )
    findings = []
    if config.audit:
        of_scored = made.table.kept[labelled.places]
        findings = _compare(clips, probes, known, recordings, config, evaluation, of_scored)
    metrics = {
        **summarise(evaluation, classes=classes, score=config.score, coverage=config.coverage),
        "by_group": score_groups(evaluation, scored),
        "n_failures": len(made.table.failures),
        "n_from_cache": made.table.cached,
        "audit": [finding_record(finding) for finding in findings],
        "extract_seconds": made.extract_seconds,
        "robustness": [],
        "unknown": None,
        "evaluated": {
            "source": config.data.source,
            "fitted_on": model.facts.get("fitted_on", {}).get("description"),
            "unknown_classes": _unknown_classes(labelled.unknown, usable, made.predictions, classes, config.task),
        },
    }
    _measure_sets(metrics, evaluation, model, config.coverage)
    return Evaluated(metrics, evaluation, scored, made.table.failures, dataset, config)


class Predicted(NamedTuple):
    """The predictions for the clips of a table."""

    table: Table
    predictions: np.ndarray
    probabilities: np.ndarray | None
    extract_seconds: float
    seconds: float


def _predict(model: Model, clips: Sequence[Clip], config: Config) -> Predicted:
    """Extract the features of clips, through the cache, and predict them."""
    unit, started = model.unit, perf_counter()
    width = unit.widths if isinstance(unit, JoinedUnit) else model.width
    table = extract(clips, unit, config, width=width, progress="evaluate")
    extracted = perf_counter()
    predictions, probabilities = predict(model.classifier, table.X, table.clip_of, len(model.classes_))
    return Predicted(table, predictions, probabilities, extracted - started, perf_counter() - extracted)


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
    of_scored: np.ndarray,
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
        from audiofw.report.build import write_report  # not imported by runs without a report

        recordings = RunRecordings({clip.name: clip for clip in found.dataset.clips}, config)
        write_report(folder, recordings, audio=config.report.audio)
