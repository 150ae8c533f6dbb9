"""A whole run with a plugin on synthesised recordings: scored, saved, loaded again, and compared."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import chdir, contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

from audiofw.bundle.files import read_bundle
from audiofw.bundle.golden import TOLERANCE, check_golden
from audiofw.bundle.load import read_model
from audiofw.config.options import Config
from audiofw.contract.plugin import Choice
from audiofw.experiment.hydra_app import compose
from audiofw.experiment.job import run_found
from audiofw.experiment.run import Result
from audiofw.experiment.tracking import open_tracker
from audiofw.kit.checks import COMPANIONS, Trial, expect
from audiofw.kit.sounds import CLASSES, CLIPS_PER_CLASS, write_recordings
from audiofw.leaderboard.ranking import rank
from audiofw.leaderboard.runs import read_runs
from audiofw.report.leaderboard import as_json
from audiofw.system.reading import read_yaml

PATTERN = r"data.pattern=(?P<group>\d)"  # each class has one clip of each group


def survives_saving(trial: Trial) -> str:
    """A run with it is scored and saved, and the saved model, loaded again, gives the same probabilities."""
    with _scratch() as scratch:
        folder = scratch / "run"
        result = _run(trial, scratch)
        expect(not result.missing, "; ".join(result.missing))
        expect(not result.failures, f"{len(result.failures)} clips failed: {next(iter(result.failures), '')}")
        clips = CLIPS_PER_CLASS * len(CLASSES)
        expect(result.metrics["n_clips"] == clips, f"{result.metrics['n_clips']} of {clips} clips were used")
        facts, files = read_bundle(folder)
        compared = check_golden(read_model(facts, files, str(folder)), files)
        largest = max((each.difference for each in compared), default=0.0)
        wrong = f"the saved model's probabilities are off by {largest:.2g}"
        expect(largest <= TOLERANCE, wrong, "save everything that is fitted in attributes of the estimator")
    return f"accuracy {result.metrics['scores']['accuracy']['pooled']:.2f}"


def takes_every_event(trial: Trial) -> str:
    """It raises no error for any event: of a run, of a run that fails, and of a sweep."""
    raised: list[BaseException] = []

    def watched(*given: Any, **options: Any) -> None:
        try:
            trial.plugin.function(*given, **options)
        except BaseException as error:
            raised.append(error)
            raise

    tracker = Choice(replace(trial.plugin, function=watched), trial.choice.options)
    with _scratch() as scratch:
        _run(trial, scratch, {trial.plugin.kind.name: tracker})
        values = read_yaml(scratch / "run" / "config.yaml")
        tell = open_tracker(tracker, folder=scratch / "failed", config=values, data={"source": "recordings"})
        tell("run_begins")
        tell("run_fails", reason="a reason")
        tell = open_tracker(tracker, folder=scratch)
        tell("sweep_ends", leaderboard=as_json(rank(read_runs([scratch]))))
    if raised:
        raise raised[0]
    return ""


@contextmanager
def _scratch() -> Iterator[Path]:
    """Work in a temporary folder, with a cache of its own."""
    with (
        TemporaryDirectory() as scratch,
        patch.dict(os.environ, {"AUDIOFW_CACHE": f"{scratch}/cache"}),
        chdir(scratch),
    ):
        yield Path(scratch)


def _run(trial: Trial, scratch: Path, others: Mapping[str, Choice] | None = None) -> Result:
    config, choices = _choose(trial, write_recordings(scratch / "recordings"))
    (scratch / "run").mkdir()
    return run_found(config, {**choices, **(others or {})}, scratch / "run", [])[0]


def _choose(trial: Trial, recordings: Path) -> tuple[Config, dict[str, Choice]]:
    words = [f"data.source={recordings}", "audio.duration=0.6", "audit=false", "report=false", "n_jobs=1"]
    if "folds" in trial.choice.plugin.asks:
        words.append(PATTERN.replace("group", "fold"))
    elif "groups" in trial.choice.plugin.asks:
        words.append(PATTERN)
    kind, name = trial.plugin.kind.name, trial.plugin.name
    chosen = {**COMPANIONS, kind: name}
    words += [f"{each}={chosen[each]}" for each in chosen] + ["split.n_splits=2"] * (kind != "split")
    plain = {key: value for key, value in trial.options.items() if isinstance(value, (str, int, float))}
    words += [f"{kind}.{key}={value}" for key, value in plain.items()]  # which the rest of the config may depend on
    words += ["augmented_copies=1"] * (kind == "augmentation")
    config, choices = compose(words)
    return config, {**choices, kind: trial.choice}
