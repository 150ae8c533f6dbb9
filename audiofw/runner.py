"""The story of one experiment, top to bottom."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from audiofw import leaks
from audiofw.audit import Finding, refuse
from audiofw.cache import Cache, Shelf, recipe_digest
from audiofw.config import Config
from audiofw.dataset import Clip, Dataset, find_clips
from audiofw.errors import DataError
from audiofw.evaluate import Evaluation, FoldResult, cross_validate
from audiofw.features import Failure, Table, Unit, tabulate
from audiofw.locks import alone
from audiofw.metrics import main_value, summarise
from audiofw.places import cache_root
from audiofw.plugin import Choice
from audiofw.progress import counting
from audiofw.results import save
from audiofw.scores import check_score
from audiofw.splits import Fold, make_splits, warn_of_shared_groups

log = logging.getLogger(__name__)

Choices = Mapping[str, Choice]
Watch = Callable[[FoldResult, int], None]


@dataclass(frozen=True)
class Result:
    """What a run gave."""

    score: float
    metrics: Mapping[str, Any]
    failures: Sequence[Failure]
    folder: Path


def run(config: Config, choices: Choices, dataset: Dataset, folder: Path, watch: Watch | None = None) -> Result:
    """Run one experiment and leave its results in a folder.

    Parameters
    ----------
    config : Config
    dataset : Dataset
        What `find` has found.
    choices : mapping of str to Choice
        A plugin for each kind: ``feature``, ``pooling``, ``model``, ``split``.
    folder : Path
        Where ``metrics.json``, ``predictions.csv``, pictures and the rest go.
    watch : callable, optional
        Called with each fold's result as soon as it is there, and the number of folds.

    Raises
    ------
    AudiofwError
        For what the user can mend: data, options, plugins.
    """
    planned, _, _ = split(dataset.clips, choices["split"], config.seed)  # refused here, it has cost no time
    findings = look_for_leaks(dataset.clips, planned, config)

    started = perf_counter()
    table = extract(dataset.clips, config, choices)
    seconds = perf_counter() - started
    clips = [dataset.clips[i] for i in table.kept]
    folds, classes, y = split(clips, choices["split"], config.seed)
    if not config.audit:  # which says the same, and more
        warn_of_shared_groups(folds, known(clips, "group"))
    make_model = partial(choices["model"].build, config.seed, config.n_jobs)
    evaluation = evaluate(make_model, folds, table.X, y, clips, classes, config, watch)

    findings = leaks.measure_effects(findings, len(dataset.clips), table.kept, evaluation, folds)
    metrics = {
        **summarise(evaluation, classes=classes, score=config.score, seed=config.seed),
        "n_failures": len(table.failures),
        "n_from_cache": table.cached,
        "n_columns": table.X.shape[1],
        "audit": [leaks.as_record(finding) for finding in findings],
        "extract_seconds": seconds,
        "model_bytes": size_of(evaluation.models[-1]),
    }
    save(folder, config, choices, clips, table.failures, evaluation, metrics)
    if config.plots:
        draw(folder, clips, metrics, config)
    return Result(main_value(metrics), metrics, table.failures, folder)


def rehearse(config: Config, choices: Choices) -> None:
    """Refuse a score or a model's option that does not exist, before any work."""
    check_score(config.score)
    choices["model"].build(config.seed, config.n_jobs)


def find(config: Config) -> Dataset:
    """Find the labelled clips that the config names."""
    options = asdict(config.data)
    del options["on_error"]  # what to do with bad clips is settled where they are read
    return find_clips(**options)


def encode(clips: Sequence[Clip]) -> tuple[list[str], np.ndarray]:
    """Number the labels in sorted order: the classes, and ``y`` of shape ``(clips,)``."""
    classes, y = np.unique([clip.label for clip in clips], return_inverse=True)
    return classes.tolist(), y


def split(clips: Sequence[Clip], choice: Choice, seed: int) -> tuple[list[Fold], list[str], np.ndarray]:
    """Split clips by the chosen plugin: the folds, the classes, and the clips' classes as numbers."""
    classes, y = encode(clips)
    groups, folds = known(clips, "group"), known(clips, "fold")
    for asked, values in (("groups", groups), ("folds", folds)):
        if asked in choice.plugin.asks and (values is None or (asked == "folds" and None in values)):
            raise DataError(_lacking(choice.name, asked, clips))
    splitter = choice.build(seed, groups, folds)
    made = make_splits(splitter, y, groups=groups, classes=classes, names=[clip.name for clip in clips])
    return made, classes, y


def known(clips: Sequence[Clip], field: str) -> list[str | None] | None:
    """Gather what is known of each clip; None when nothing is known of any."""
    values = [getattr(clip, field) for clip in clips]
    return values if any(value is not None for value in values) else None


def _lacking(split: str, asked: str, clips: Sequence[Clip]) -> str:
    word = asked.removesuffix("s")
    without = [clip.name for clip in clips if getattr(clip, word) is None]
    return (
        f"split={split} needs the {word} of every clip, and {len(without)} of {len(clips)} have none, as {without[0]}: "
        f"name it in data.pattern, (?P<{word}>…), or in a manifest's column, data.columns.{word}"
    )


def look_for_leaks(clips: Sequence[Clip], folds: Sequence[Fold], config: Config) -> list[Finding]:
    """Audit the clips as they are to be split; a warning ends the run if ``audit=raise``."""
    if not config.audit:
        return []
    with open_shelf(config, leaks.recipe(), clips) as shelf:
        findings = leaks.find_leaks(clips, folds, seed=config.seed, n_jobs=config.n_jobs, shelf=shelf)
    if config.audit == "raise":
        refuse(findings)
    return findings


def extract(clips: Sequence[Clip], config: Config, choices: Choices) -> Table:
    """Turn clips into a table, with what an earlier run has kept."""
    unit = Unit(**asdict(config.audio), feature=choices["feature"], pooling=choices["pooling"])
    with open_shelf(config, unit.recipe(), clips) as shelf:
        return tabulate(
            clips,
            unit,
            n_jobs=config.n_jobs,
            pad_to=config.pad.to,
            pad_value=config.pad.value,
            on_error=config.data.on_error,
            shelf=shelf,
        )


@contextmanager
def open_shelf(config: Config, recipe: Mapping[str, Any], clips: Sequence[Clip]) -> Iterator[Shelf | None]:
    """Open the cache at what was made by this recipe before; None where it is switched off.

    Another process that is making the same of the same clips is waited for: its work is ours, too.
    """
    if not config.cache.enabled:
        yield None
        return
    folder = cache_root() / "features"
    with Cache(folder, max_gb=config.cache.max_gb, verify=config.cache.verify) as cache:
        shelf = cache.shelf(recipe)
        with alone(_lock(folder, recipe, clips), "extracting the same features"):
            yield shelf


def _lock(folder: Path, recipe: Mapping[str, Any], clips: Sequence[Clip]) -> Path:
    name = recipe_digest({"recipe": recipe, "clips": [str(clip.path) for clip in clips]})
    return folder.parent / "locks" / f"{name}.lock"


def evaluate(
    make_model: Callable[[], Any],
    folds: Sequence[Fold],
    X: np.ndarray,
    y: np.ndarray,
    clips: Sequence[Clip],
    classes: Sequence[str],
    config: Config,
    watch: Watch | None = None,
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
            X,
            y,
            n_classes=len(classes),
            groups=known(clips, "group"),
            balance=config.balance,
            on_fold=on_fold,
        )


def size_of(model: Any) -> int | None:
    """Measure a fitted model in bytes, as pickle writes it; None for one that it cannot write."""
    try:
        return len(pickle.dumps(model))
    except (pickle.PicklingError, AttributeError, TypeError):
        return None


def draw(folder: Path, clips: Sequence[Clip], metrics: Mapping[str, Any], config: Config) -> None:
    """Draw the classes, an example of each, and the confusions."""
    from audiofw import plots
    from audiofw.audio import load

    plots.class_distribution([clip.label for clip in clips], folder / "class_distribution.png")
    first = {clip.label: clip for clip in reversed(clips)}
    examples = [(label, *load(first[label].path, **asdict(config.audio))) for label in metrics["classes"]]
    plots.examples(examples, folder / "examples.png")
    plots.confusion_matrix(np.array(metrics["confusion_matrix"]), metrics["classes"], folder / "confusion_matrix.png")
