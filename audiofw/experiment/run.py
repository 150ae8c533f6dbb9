"""Run one experiment, from clips to saved results."""

from __future__ import annotations

import inspect
import pickle
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from audiofw.audit.findings import Finding, refuse
from audiofw.audit.probe import Probe
from audiofw.audit.run import find_leaks, finding_record, measure_effects, probe_all
from audiofw.bundle.finished import Finished
from audiofw.bundle.save import leave_bundle
from audiofw.config.options import Config
from audiofw.contract.combined import Combined
from audiofw.contract.plugin import Choice
from audiofw.data.dataset import Clip, Dataset
from audiofw.data.inputs import find_sounds
from audiofw.data.splits import Fold, warn_of_shared_groups
from audiofw.errors import ConfigError, DataError
from audiofw.evaluation.by_group import score_groups
from audiofw.evaluation.cross_validate import Evaluation, FoldResult, cross_validate
from audiofw.evaluation.fit import pool_matrices
from audiofw.evaluation.foreign import measure_unknown
from audiofw.evaluation.operating import Goal, summarise_operating
from audiofw.evaluation.robustness import measure_robustness
from audiofw.evaluation.scores import check_score, positive_classes
from audiofw.evaluation.summary import main_value, summarise
from audiofw.experiment.evaluate import check_test_set, score_test_set
from audiofw.experiment.memory import warn_of_memory
from audiofw.experiment.timed import (
    check_timeline_options,
    clip_score,
    is_timed,
    make_timelines,
    prepared,
    save_timelines,
    with_timelines,
)
from audiofw.extraction.clips import known, split
from audiofw.extraction.columns import name_columns
from audiofw.extraction.extract import Rows, Table, join
from audiofw.extraction.failures import Failure
from audiofw.extraction.recording import Unit
from audiofw.extraction.table import extract, extract_copies, settled, spill_of, units_of, width_of
from audiofw.results.clips import save_clips
from audiofw.results.files import save_results
from audiofw.results.folder import TEST
from audiofw.system.progress import counting
from audiofw.system.sourcecode import digest_code

Choices = Mapping[str, Choice]
Watch = Callable[[FoldResult, int], None]

LONGEST_NOISE = 5.0  # seconds of noise that a model is asked about
NOISE_RATE = 44_100  # Hz, if the model has no rate of its own


@dataclass(frozen=True)
class Result:
    """The results of a run."""

    score: float
    metrics: Mapping[str, Any]
    failures: Sequence[Failure]
    folder: Path
    missing: Sequence[str] = ()  #: what was wanted but could not be saved, and why


def run(
    config: Config,
    choices: Choices,
    dataset: Dataset,
    folder: Path,
    watch: Watch | None = None,
    *,
    tests: bool = True,
) -> Result:
    """Run one experiment and save its results in a folder.

    Parameters
    ----------
    config : Config
    dataset : Dataset
        As `audiofw.extraction.clips.find_dataset` returns it.
    choices : mapping of str to Choice
        One plugin per kind: ``feature``, ``pooling``, ``model``, ``split``, and possibly ``augmentation``.
    folder : Path
        For ``metrics.json``, ``predictions.csv``, ``report.html`` and so on.
    watch : callable, optional
        Called with each fold's result when it is done, and the number of folds.
    tests : bool
        Whether the saved model is scored on ``data.test``; not for the jobs of a sweep, among which one is chosen.

    Raises
    ------
    AudiofwError
        For problems that the user can solve: data, options, plugins.
    """
    if config.normalize == "group":
        check_groups(dataset.clips, choices["pooling"])
    check_timeline_options(config, dataset)
    foreign = find_foreign(config)
    planned, planned_classes, _ = split(dataset.clips, choices["split"], config.seed, config.task)  # before any work
    if tests:
        check_test_set(config, planned_classes)
    unit, *changed = units_of(config, choices)
    warn_of_memory(config, partial(make_model, config, choices), unit, len(dataset.clips))
    probes = probe_all(dataset.clips, config, n_jobs=config.n_jobs) if config.audit else []
    findings = look_for_leaks(dataset.clips, probes, planned, config)

    started = perf_counter()
    table = extract(dataset.clips, unit, config)
    unit, make = settled(unit, table), partial(make_model, config, choices, widths=table.widths)
    clips = [dataset.clips[i] for i in table.kept]
    rows = join(table, extract_copies(clips, changed, config, table), spill_of(config))
    if config.report.enabled and not unit.pooling.learns:
        name_columns(unit, rows.X.shape[1])  # before training, in case a plugin fails
    seconds = perf_counter() - started
    folds, classes, y = split(clips, choices["split"], config.seed, config.task)
    if not config.audit:  # which reports this, too
        warn_of_shared_groups(folds, known(clips, "group"))
    timed = is_timed(config, dataset)
    evaluation = evaluate_rows(make, folds, rows, y, clips, classes, config, watch, keeps_models=timed)
    plain = (
        evaluation
        if config.normalize != "group"
        else evaluate_rows(make, folds, rows, y, clips, classes, replace(config, normalize="none"), keeps_models=timed)
    )  # for clips that come alone
    plain_metrics = summarise(plain, classes=classes, score=clip_score(config), coverage=config.coverage)

    findings = measure_effects(findings, len(dataset.clips), table.kept, evaluation, folds)
    timelines = make_timelines(config, dataset, clips, folds, classes, plain, unit, make)
    of_clips = summarise(evaluation, classes=classes, score=clip_score(config), coverage=config.coverage)
    of_clips |= {
        "by_group": score_groups(evaluation, clips),
        "operating": summarise_operating(evaluation, classes, wanted_points(config)),
    }
    metrics = {
        **with_timelines(of_clips, timelines, config.score),
        "n_failures": len(table.failures),
        "n_from_cache": table.cached,
        "n_columns": count_columns(rows.X, evaluation.models[-1]),
        "audit": [finding_record(finding) for finding in findings],
        "extract_seconds": seconds,
        "model_bytes": model_size(evaluation.models[-1]),
        "robustness": try_changes(evaluation, folds, clips, unit, config, table),
        "unknown": try_foreign_sounds(plain, classes, foreign, unit, config, table),
        "ungrouped": None if plain is evaluation else plain_metrics["scores"][clip_score(config)],
    }
    result = Result(main_value(metrics), metrics, table.failures, folder, missing=unmeasured(metrics["robustness"]))
    try:
        bad_rows = [Failure(flaw.where, str(flaw.source), flaw.reason) for flaw in dataset.flaws]
        save_clips(folder, dataset.clips, config)
        save_results(folder, config, choices, clips, [*bad_rows, *table.failures], evaluation, metrics, run_code())
        save_timelines(folder, timelines)
    except DataError as error:  # the scores can still be shown
        return replace(result, missing=[*result.missing, f"results not saved: {error}"])
    missing = [*result.missing]
    if config.bundle.enabled:
        plain_metrics = with_timelines(plain_metrics, timelines, config.score)
        ended = Finished(config, choices, clips, classes, unit, plain, {**metrics, **plain_metrics})
        run_ended = replace(ended, probes=[probes[i] for i in table.kept] if probes else [])
        lost = leave_bundle(folder, prepared(run_ended, timelines), make)
        missing += lost
        if tests and config.data.test and not lost:
            missing += score_test_set(folder, config, folder / TEST)
    if config.report.enabled:
        from audiofw.report import build  # not imported by runs without a report

        X, names, evaluation = seen_by_classifier(unit, table, evaluation)
        naming = explain_names(choices["feature"])
        missing += build.write_after_run(folder, config, dataset.clips, evaluation, X, folds, names, naming)
    return replace(result, missing=missing)


def wanted_points(config: Config) -> Mapping[Goal, float]:
    """Give the operating points to report."""
    return {"precision": config.operating.precision, "recall": config.operating.recall}


def unmeasured(robustness: Sequence[Mapping[str, Any]]) -> list[str]:
    """List the modifications in which no clip could be tested; the reasons have been logged."""
    return [f"robustness: no score for {row['change']}" for row in robustness if not row["n_tested"]]


def run_code() -> str:
    """Hash audiofw's code that can change a run's result, without plugins.

    The report's code is left out, since a report can be written again, and the version number, which is only a name.
    """
    return digest_code([Path(__file__)], without=("report", "version"))


def rehearse(config: Config, choices: Choices) -> None:
    """Check the score, the model's options, windows, the test set and augmented copies before any work."""
    check_score(config.score, config.task)
    check_test_set(config)
    model = make_model(config, choices)
    if config.task == "multilabel":
        from audiofw.learn.one_vs_rest import one_vs_rest

        one_vs_rest(model, pools=choices["pooling"].learns)  # refuses a model without probabilities
    if config.windows.hop is not None and config.audio.duration is None:
        raise ConfigError(
            f"windows.hop={config.windows.hop:g} needs audio.duration: the length of each window in seconds"
        )
    if config.augmented_copies and "augmentation" not in choices:
        copies = f"augmented_copies={config.augmented_copies}"
        raise ConfigError(f"{copies} needs an augmentation, e.g. augmentation=waveform")


def check_groups(clips: Sequence[Clip], pooling: Choice) -> None:
    """Refuse ``normalize=group`` without groups of several clips, or with a pooling that is fitted on clips."""
    groups = known(clips, "group")
    if groups is None or None in groups:
        raise ConfigError("normalize=group needs the group of every clip: set data.pattern with (?P<group>…)")
    if len(set(groups)) == len(groups):
        raise ConfigError("normalize=group: every group has a single clip, which cannot be normalised by itself")
    if pooling.learns:
        raise ConfigError(f"normalize=group: not with pooling={pooling.name}, which is fitted on clips")


def look_for_leaks(
    clips: Sequence[Clip], probes: Sequence[Probe | None], folds: Sequence[Fold], config: Config
) -> list[Finding]:
    """Audit the clips and their split; raise an error at a warning if ``audit=raise``."""
    if not config.audit:
        return []
    findings = find_leaks(clips, probes, folds, config)
    if config.audit == "raise":
        refuse(findings)
    return findings


def make_model(config: Config, choices: Choices, widths: Sequence[int] = ()) -> Any:
    """Create an unfitted classifier, calibrated if wanted, and preceded by the pooling if that learns.

    With several features, ``widths`` are the numbers of their columns.
    """
    pooling, feature = choices["pooling"], choices["feature"]
    make: Callable[[], Any] = partial(choices["model"], config.seed, config.n_jobs)
    if isinstance(feature, Combined) and widths:
        from audiofw.learn.blocks import in_blocks

        make = partial(in_blocks, make, [member.name for member in feature.members_], widths, feature.join, config.seed)
    if config.normalize == "columns":
        from audiofw.learn.preprocessing import standardised

        make = partial(standardised, make)
    if config.calibration != "none":  # scikit-learn takes its time to import
        from audiofw.learn.calibration import calibrated

        make = calibrated(make, config.calibration, config.seed)
    if not pooling.learns or isinstance(feature, Combined):
        return make()
    from sklearn.pipeline import Pipeline

    return Pipeline([("pooling", pooling(None, config.seed)), ("model", make())])


def evaluate_rows(
    make_model: Callable[[], Any],
    folds: Sequence[Fold],
    rows: Rows,
    y: np.ndarray,
    clips: Sequence[Clip],
    classes: Sequence[str],
    config: Config,
    watch: Watch | None = None,
    keeps_models: bool = False,
) -> Evaluation:
    """Fit and predict every fold, with a progress bar."""

    def on_fold(result: FoldResult) -> None:
        advance()
        if watch:
            watch(result, len(folds))

    with counting("fit", len(folds)) as advance:
        return cross_validate(
            make_model,
            folds,
            rows.X,
            y,
            n_classes=len(classes),
            clip_of=rows.clip_of,
            augmented=rows.augmented,
            groups=known(clips, "group"),
            balance=config.balance,
            by_group=config.normalize == "group",
            positive=positive_classes(classes, config.data.background),
            on_fold=on_fold,
            keep_models=config.robustness or keeps_models,
            novelty=config.unknown.enabled,
        )


def try_changes(
    evaluation: Evaluation, folds: Sequence[Fold], clips: Sequence[Clip], unit: Unit, config: Config, table: Table
) -> list[dict[str, Any]]:
    """Score the folds' models on modified test clips if ``robustness=true``."""
    if not config.robustness:
        return []

    def extract_some(numbers: np.ndarray, changed: Unit) -> Table:
        some, width = [clips[i] for i in numbers], width_of(table)
        return extract(some, changed, config, on_error="skip", width=width, progress="robustness")

    return measure_robustness(evaluation, folds, unit, extract_some, score=clip_score(config), seed=config.seed)


def find_foreign(config: Config) -> list[Clip]:
    """List the recordings of ``unknown.source``, which belong to no class.

    Raises
    ------
    ConfigError
        If there are none, or nothing would be measured on them.
    """
    if not (source := config.unknown.source):
        return []
    if not config.unknown.enabled:
        raise ConfigError(f"unknown.source={source}: not with unknown.enabled=false, which measures nothing")
    sounds = list(find_sounds([source]))
    lost = [sound.reason or "no such file or folder" for sound in sounds if not (sound.path and sound.path.exists())]
    if lost:
        raise ConfigError(f"unknown.source={source}: {lost[0]}")
    return [Clip(sound.path, sound.name, source) for sound in sounds if sound.path]


def try_foreign_sounds(
    evaluation: Evaluation, classes: Sequence[str], foreign: Sequence[Clip], unit: Unit, config: Config, table: Table
) -> dict[str, Any] | None:
    """Ask the last fold's model about noise and foreign sounds; see `measure_unknown`."""

    def extract_usable(clips: Sequence[Clip]) -> Table:
        lenient = {"on_error": "skip", "on_plugin_error": "skip", "progress": ""}
        return extract(clips, unit, config if clips is foreign else uncached, width=width_of(table), **lenient)

    uncached = replace(config, cache=replace(config.cache, enabled=False))
    seconds = min(config.audio.duration or LONGEST_NOISE, LONGEST_NOISE)
    sr = getattr(unit, "sample_rate", None) or NOISE_RATE
    return measure_unknown(evaluation, classes, extract_usable, sr=sr, seconds=seconds, foreign=foreign)


def count_columns(X: np.ndarray, model: Any) -> int:
    """Count the features that a classifier is fitted on, after its pooling if that learns."""
    return int((X if X.ndim > 1 else pool_matrices(model[0], X[:1])).shape[1])


def model_size(model: Any) -> int | None:
    """Measure the pickled size of a fitted model in bytes; None if it cannot be pickled."""
    try:
        return len(pickle.dumps(model))
    except (pickle.PicklingError, AttributeError, TypeError):
        return None


def explain_names(feature: Choice) -> str:
    """Quote how the docstring of a feature's ``names`` describes these, on one line; empty if it gives none."""
    doc = inspect.getdoc(feature.plugin.names) if feature.plugin.names else None
    return " ".join((doc or "").replace("``", "").split())


def seen_by_classifier(unit: Unit, table: Table, evaluation: Evaluation) -> tuple[np.ndarray, list[str], Evaluation]:
    """Return the features of each clip's first row for the last classifier, their names, and that classifier."""
    first = np.flatnonzero(np.diff(table.clip_of, prepend=-1))
    X, model = table.X if len(first) == len(table.X) else table.X[first], evaluation.models[-1]
    if evaluation.sample.by_group:
        X = evaluation.sample.take(first)  # it begins with the rows of the table
    if unit.pooling.learns:
        pooling, model = model
        X = pool_matrices(pooling, X)
    return X, name_columns(unit, X.shape[1]), replace(evaluation, models=(model,))
