"""Hyperparameter search: run trials with the options that the study suggests, then score the best on held-out clips."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import BrokenExecutor
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn, JobStatus
from hydra.errors import HydraException
from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from audiofw.config.options import Tune, effect_of, main_score
from audiofw.contract.schema import check, section_options
from audiofw.errors import AudiofwError, first_line
from audiofw.evaluation.scores import HIGHER_IS_BETTER, check_score
from audiofw.experiment.tune.part import Pruned
from audiofw.experiment.tune.report import report
from audiofw.experiment.tune.study import (
    claim,
    count_begun,
    import_optuna,
    make_sampler,
    open_study,
    own_trials,
    reasons,
    resume_study,
)
from audiofw.results.record import read_record
from audiofw.system.atomic import write_whole
from audiofw.system.paths import HELD_OUT

if TYPE_CHECKING:
    import optuna

    from audiofw.experiment.tune.space import Word

log = logging.getLogger(__name__)

GIVE_UP_AFTER = 3  # trials, if all of them failed for the same reason


@dataclass(frozen=True, eq=False)
class Search:
    """The state of a search."""

    config: DictConfig
    loader: ConfigLoader
    launcher: Launcher
    tune: Tune
    folder: Path
    space: Sequence[Word]
    study: optuna.Study


def search(words: Sequence[str], config: DictConfig, loader: ConfigLoader, launcher: Launcher) -> None:
    """Run trials up to ``tune.n_trials``, then score the best on the held-out clips.

    Parameters
    ----------
    words : sequence of str
        Arguments of the command line, with search ranges in Hydra's sweep syntax.
    config : DictConfig
        Composed without the search ranges.
    loader : ConfigLoader
        Hydra's.
    launcher : Launcher
        Hydra's; it runs ``tune.n_jobs`` trials in parallel if it supports that.

    Raises
    ------
    AudiofwError
        If all trials fail, or the best cannot be scored on the held-out clips.
    ConfigError
        For an invalid search space, option of ``tune`` or study.
    """
    hunt = _prepare(words, config, loader, launcher)
    while (missing := hunt.tune.n_trials - len(own_trials(hunt.study))) > 0:
        _run_batch(hunt, min(missing, hunt.tune.n_jobs))
        _check_hope(hunt.study)
    if not any(trial.value is not None for trial in own_trials(hunt.study)):
        raise AudiofwError(f"all {hunt.tune.n_trials} trials failed; the last: {reasons(own_trials(hunt.study))[-1]}")
    held_out = _run_winner(hunt)
    report(hunt.study, hunt.folder, hunt.tune, held_out)
    if isinstance(held_out, str):
        raise AudiofwError(f"the best trial could not be scored on the held-out clips: {held_out}")


def _prepare(words: Sequence[str], config: DictConfig, loader: ConfigLoader, launcher: Launcher) -> Search:
    import_optuna()
    from audiofw.experiment.tune.space import read_space, say_conditions  # it needs Optuna

    tune = _read_tune(config)
    score = main_score(config.score, config.task)
    check_score(score)
    folder = Path(config.hydra.sweep.dir)
    overrides = OverridesParser.create(config_loader=loader).parse_overrides(list(words))
    space = read_space(overrides, config, lambda given: loader.load_sweep_config(config, list(given)))
    folder.mkdir(parents=True, exist_ok=True)
    facts = {"score": score, "seed": config.seed, "fixed": _fixed(space)}
    study = open_study(folder, tune, maximise=HIGHER_IS_BETTER[score], facts=facts)
    write_whole(folder / "multirun.yaml", OmegaConf.to_yaml(config).encode())
    for line in say_conditions(space):
        log.info(line)
    if begun := len(own_trials(study)):
        log.info("continuing the search in %s after %d trials", folder, begun)
    resume_study(study)
    return Search(config, loader, launcher, tune, folder, space, study)


def _read_tune(config: DictConfig) -> Tune:
    values: Any = OmegaConf.to_container(config.tune, resolve=True)
    check("tune", values, section_options(Tune))
    return Tune(**values)


def _fixed(space: Sequence[Word]) -> list[str]:
    """List the overrides that all trials share; those without effect on results may differ when a search continues."""
    fixed = [word for word in space if word.distribution is None]
    return sorted(word.text for word in fixed if effect_of(word.name) != "nothing")


# --- trials -----------------------------------------------------------------------------------------------


def _run_batch(hunt: Search, size: int) -> None:
    """Ask the study for some trials, run them, and report their results."""
    asked = [_ask(hunt) for _ in range(size)]
    sound = [(trial, words) for trial, words in asked if _composes(hunt, trial, words)]
    for run in _consecutive(sound):
        for (trial, _), outcome in zip(run, _launch(hunt, [words for _, words in run], run[0][0].number), strict=True):
            _tell(hunt, trial, outcome)


def _ask(hunt: Search) -> tuple[optuna.Trial, list[str]]:
    from audiofw.experiment.tune.space import suggest

    hunt.study.sampler = make_sampler(hunt.tune, hunt.config.seed, count_begun(hunt.study))
    trial = hunt.study.ask()
    claim(trial)
    words = suggest(hunt.space, trial)
    trial.set_user_attr("words", words)
    return trial, words


def _composes(hunt: Search, trial: optuna.Trial, words: list[str]) -> bool:
    """Check that Hydra accepts the overrides of a trial; otherwise it would reject the whole batch."""
    try:
        hunt.loader.load_sweep_config(hunt.config, words)
    except (HydraException, OmegaConfBaseException) as error:
        _tell(hunt, trial, f"{' '.join(words)}: {first_line(error.__cause__ or error)}")
        return False
    return True


def _consecutive(asked: Sequence[tuple[optuna.Trial, list[str]]]) -> Iterator[list[tuple[optuna.Trial, list[str]]]]:
    """Group trials by consecutive numbers: jobs have their trials' numbers, and a launcher numbers consecutively."""
    for _, run in groupby(enumerate(asked), key=lambda one: one[1][0].number - one[0]):
        yield [one for _, one in run]


def _launch(hunt: Search, batch: list[list[str]], number: int) -> list[JobReturn | str]:
    """Run jobs; if the launcher's processes die, the whole batch has failed."""
    try:
        return list(hunt.launcher.launch(batch, initial_job_idx=number))
    except BrokenExecutor as error:
        return [f"its process was killed: {first_line(error)}"] * len(batch)


def _tell(hunt: Search, trial: optuna.Trial, outcome: JobReturn | str) -> None:
    """Report to the study how a trial ended: with a score, stopped early, or failed."""
    from optuna.trial import TrialState

    value = _value(outcome)
    if isinstance(value, float) and isinstance(outcome, JobReturn):
        trial.set_user_attr("folder", _folder(outcome, hunt.folder))
        hunt.study.tell(trial, value)
        if hunt.study.best_trial.number == trial.number:
            log.info("trial %d is the best so far", trial.number)
    elif isinstance(value, Pruned):
        hunt.study.tell(trial, state=TrialState.PRUNED)
        log.info("trial %d: %s", trial.number, value)
    else:
        trial.set_user_attr("reason", value)
        hunt.study.tell(trial, state=TrialState.FAIL)
        if isinstance(outcome, str):  # otherwise the job has reported it
            log.error("trial %d failed: %s", trial.number, value)


def _value(outcome: JobReturn | str) -> float | Pruned | str:
    """Return a job's score, or why it has none."""
    if isinstance(outcome, str):
        return outcome
    value = returned(outcome)
    if outcome.status == JobStatus.COMPLETED:
        if not isinstance(value, (int, float)) or not math.isfinite(value):
            return f"its score is {value}"
        return _unsaved(outcome) or float(value)
    return value if isinstance(value, Pruned) else first_line(value)


def _unsaved(outcome: JobReturn) -> str | None:
    """Return why a job's results could not be saved; None if they were."""
    assert outcome.hydra_cfg is not None
    folder = Path(outcome.hydra_cfg.hydra.runtime.output_dir)
    if (folder / "metrics.json").is_file():
        return None
    record = read_record(folder)
    return (record and record.missing) or f"{folder}: its results are missing"


def returned(outcome: JobReturn) -> Any:
    """Return what a job has returned or raised; the public property would print lines and raise it again."""
    return outcome._return_value


def _folder(outcome: JobReturn, sweep: Path) -> str:
    """Return a job's folder relative to the sweep's, which may be moved."""
    assert outcome.hydra_cfg is not None
    return os.path.relpath(outcome.hydra_cfg.hydra.runtime.output_dir, sweep)


def _check_hope(study: optuna.Study) -> None:
    """Stop if the first trials all failed for the same reason: the next ones would, too."""
    trials = own_trials(study)
    why = reasons(trials)
    if len(trials) >= GIVE_UP_AFTER and len(why) == len(trials) and len(set(why)) == 1:
        raise AudiofwError(f"the first {len(trials)} trials all failed: {why[0]}")


# --- the best trial ---------------------------------------------------------------------------------------


def _run_winner(hunt: Search) -> Path | str | None:
    """Train the best trial's model once, and score it on the held-out clips.

    Returns
    -------
    Path, str or None
        The folder of its results, or why it failed; None if no clips were held out.
    """
    if not (hunt.tune.holdout or hunt.tune.holdout_folds):
        return None
    words = hunt.study.best_trial.user_attrs["words"]
    (outcome,) = _launch(hunt, [[*words, f"hydra.sweep.subdir={HELD_OUT}"]], len(hunt.study.get_trials(deepcopy=False)))
    value = _value(outcome)
    return hunt.folder / HELD_OUT if isinstance(value, float) else str(value)
