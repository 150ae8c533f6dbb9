"""What timelines of annotated recordings add to a run: scores, a file, and how its model is saved."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from audiofw.bundle.finished import Finished
from audiofw.config.options import Config, main_score
from audiofw.data.dataset import Clip, Dataset
from audiofw.data.splits import Fold
from audiofw.errors import ConfigError
from audiofw.evaluation.by_group import ways_of_grouping
from audiofw.evaluation.cross_validate import Evaluation
from audiofw.evaluation.scores import OF_TIMELINES
from audiofw.experiment.timeline_choice import Tuned, tune_timelines
from audiofw.experiment.timelines import (
    Listening,
    TimelineRule,
    Timelines,
    annotated_recordings,
    parts_of,
    score_timelines,
    untuned,
)
from audiofw.extraction.recording import Unit
from audiofw.results.files import write_text
from audiofw.results.folder import TIMELINES


class Timed(NamedTuple):
    """The timelines of a run, and how its model is to make others."""

    run: Listening
    timelines: Timelines | None  #: None if no recording was tested
    way: TimelineRule | None  #: None for a model that was trained on events
    tuned: Tuned | None


def is_timed(config: Config, dataset: Dataset) -> bool:
    """Whether recordings are annotated and wanted as timelines."""
    return config.timeline.enabled and bool(dataset.recordings) and config.audio.duration is not None


def check_timeline_options(config: Config, dataset: Dataset) -> None:
    """Refuse options that need annotated recordings where there are none.

    Raises
    ------
    ConfigError
        With the remedy.
    """
    asked = "timeline.tune=true" if config.timeline.tune else f"score={config.score}"
    wanted = config.timeline.tune or config.score in OF_TIMELINES
    if wanted and not is_timed(config, dataset):
        raise ConfigError(
            f"{asked} needs recordings with label tables (data.annotations), timeline.enabled=true and audio.duration"
        )
    if config.timeline.tune and config.task == "multilabel":
        raise ConfigError("timeline.tune=true is for task=single; task=multilabel has thresholds of its own")
    if config.timeline.tune and not config.bundle.refit:
        raise ConfigError(
            "timeline.tune=true needs bundle.refit=true: the saved model has windows of the chosen length"
        )


def clip_score(config: Config) -> str:
    """Return the main score of clips, if that of the run is one of timelines."""
    return main_score("auto", config.task) if config.score in OF_TIMELINES else config.score


def make_timelines(
    config: Config,
    dataset: Dataset,
    clips: Sequence[Clip],
    folds: Sequence[Fold],
    classes: Sequence[str],
    evaluation: Evaluation,
    unit: Unit,
    make_model: Callable[[], Any],
) -> Timed | None:
    """Make and score the timelines of a run; None if it has no annotated recordings, or none are wanted."""
    if not is_timed(config, dataset):
        return None
    X = evaluation.sample.X
    recordings = annotated_recordings(dataset.recordings, clips)
    run = Listening(config, recordings, classes, X.shape[1] if X.ndim > 1 else None, groups_of_recordings(clips))
    parts = parts_of(recordings, clips, folds)
    if config.timeline.tune:
        tuned = tune_timelines(run, unit, parts, clips, make_model)
        return Timed(run, tuned.timelines, tuned.whole[0] if tuned.whole else None, tuned)
    way = untuned(run) if config.data.unit == "windows" else None
    return Timed(run, score_timelines(run, unit, parts, evaluation), way, None)


def groups_of_recordings(clips: Sequence[Clip]) -> dict[str, dict[str, str | None]]:
    """Give each recording's group, site and so on, where these divide the recordings."""
    first = {clip.recording: clip._replace(start=None, end=None) for clip in reversed(clips)}
    ways = ways_of_grouping(first.values())
    return {way: dict(zip(first, labels, strict=True)) for way, labels in ways.items()}


def with_timelines(metrics: Mapping[str, Any], timed: Timed | None, score: str) -> dict[str, Any]:
    """Add the scores of timelines to those of clips, one of them perhaps as the main score.

    Raises
    ------
    ConfigError
        If the main score is one of timelines, and undefined.
    """
    if timed is None or timed.timelines is None:
        if score in OF_TIMELINES:
            raise ConfigError(f"score={score}: undefined, because no annotated recording was tested")
        return dict(metrics)
    found = timed.timelines.metrics
    defined = {name: row for name, row in found["scores"].items() if row["value"] is not None}
    if score in OF_TIMELINES and score not in defined:
        need = "install audiofw[events], and test" if score == "psds" else "test"
        raise ConfigError(f"score={score}: undefined: {need} recordings with events of every class")
    main = {"score": score, "value": defined[score]["value"], "greater_is_better": True} if score in defined else {}
    return {
        **metrics,
        **main,
        "scores": {**metrics["scores"], **{name: _as_score(row) for name, row in defined.items()}},
        "baseline": {**metrics["baseline"], **{name: row["background"] for name, row in defined.items()}},
        "timeline": {key: value for key, value in found.items() if key not in ("scores", "by_group")},
        "by_group": [*metrics.get("by_group", []), *found["by_group"]],
    }


def _as_score(row: Mapping[str, Any]) -> dict[str, Any]:
    of_folds = [value for value in row["folds"] if value is not None]
    return {
        "pooled": row["value"],
        "mean": float(np.mean(of_folds)) if of_folds else None,
        "std": float(np.std(of_folds, ddof=1)) if len(of_folds) > 1 else None,
        "interval": row["interval"],
        "folds": row["folds"],
    }


def save_timelines(folder: Path, timed: Timed | None) -> None:
    """Write what is true and what was found in each recording to ``timelines.json``."""
    if timed is not None and timed.timelines is not None:
        lines = ",\n".join(json.dumps(one, ensure_ascii=False) for one in timed.timelines.recordings)
        write_text(folder / TIMELINES, f"[\n{lines}\n]\n")


def prepared(finished: Finished, timed: Timed | None) -> Finished:
    """Say in the bundle how timelines are made; a tuned one is of a model with windows of the chosen length."""
    if timed is None or timed.way is None:
        return finished
    way = timed.way
    timeline = {
        "window": way.window,
        "hop": way.hop,
        "rule": asdict(way.rule),
        "background": timed.run.background,
        "exclusive": timed.run.exclusive,
    }
    if timed.tuned is None or timed.tuned.whole is None:
        return replace(finished, timeline=timeline)
    config, unit = finished.config, finished.unit
    audio, windows = replace(config.audio, duration=way.window), replace(config.windows, hop=None)
    return replace(
        finished,
        config=replace(config, audio=audio, windows=windows),
        unit=replace(unit, segments=replace(unit.segments, duration=way.window, hop=None)),
        evaluation=replace(finished.evaluation, sample=timed.tuned.whole[1]),
        timeline=timeline,
    )
