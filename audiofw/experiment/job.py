"""One job: run it unless it has been run before, and record in ``result.json`` how it went."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import chdir, suppress
from dataclasses import replace
from pathlib import Path

from audiofw.config.options import Config
from audiofw.contract.blame import named
from audiofw.contract.plugin import Choice
from audiofw.data.dataset import Dataset
from audiofw.errors import AudiofwError, DataError
from audiofw.evaluation.cross_validate import FoldResult
from audiofw.evaluation.scores import refuse_low
from audiofw.experiment.run import Result, Watch, rehearse, run, run_code
from audiofw.experiment.supervisor import session_start
from audiofw.experiment.tracking import Tell, describe_fold, saved_files, track_run
from audiofw.experiment.tune.part import Pruned, TrialRole
from audiofw.experiment.tune.trial import narrow, watch
from audiofw.extraction.clips import find_dataset
from audiofw.results.console import print_summary
from audiofw.results.folder import clear_results
from audiofw.results.record import (
    begin_job,
    describe_error,
    end_job,
    job_identity,
    read_record,
    repeat_run,
    settled_run,
)
from audiofw.system.sourcecode import remember_sources

log = logging.getLogger(__name__)

Choices = Mapping[str, Choice]


def run_alone(config: Config, choices: Choices, folder: Path, overrides: Sequence[str], home: Path) -> float:
    """Run the job of a plain run, print its results and return its main score.

    Parameters
    ----------
    config : Config
    choices : mapping of str to Choice
    folder : Path
        Of the results.
    overrides : sequence of str
    home : Path
        Where the command was started, and the next one will be.

    Raises
    ------
    DataError
        After printing, if something that was asked for could not be written.
    ScoreError
        After printing, if the score is worse than ``min_score``.
    """
    result, dataset = run_found(config, choices, folder, overrides)
    try:
        with chdir(home):
            print_summary(result.metrics, dataset, result.failures, choices, folder)
    finally:  # even if stdout cannot be written
        if result.missing:
            raise DataError(join_missing(result.missing))
    refuse_low(config.score, result.score, config.min_score)
    return result.score


def join_missing(missing: Sequence[str]) -> str:
    """Join what is missing into one line; a remedy that several have in common is given once."""
    return "; ".join(dict.fromkeys(part for one in missing for part in one.split("; ")))


def run_found(config: Config, choices: Choices, folder: Path, overrides: Sequence[str]) -> tuple[Result, Dataset]:
    """Run one job on the clips that its config selects, without printing anything to stdout."""
    rehearse(config, choices)
    dataset = find_dataset(config)
    job = job_identity(config, choices, dataset, run_code())
    return _run_noted(config, choices, dataset, folder, overrides, job), dataset


def run_in_sweep(
    config: Config,
    choices: Choices,
    folder: Path,
    overrides: Sequence[str],
    part: TrialRole | None = None,
    label: str = "job",
) -> float:
    """Run one job of a sweep unless an earlier sweep has run it, and return its main score."""
    _announce(config, folder, overrides)
    rehearse(config, choices)
    dataset = find_dataset(config)
    if part:
        dataset, choices = narrow(part, config, dataset, choices)
        config = config if part.final else without_measures(config)  # only for the winner of a search
    job = job_identity(config, choices, dataset, run_code())
    if (value := _take_over(job, config.sweep.rerun, folder, overrides, label)) is not None:
        return value
    watcher = watch(part, config) if part else None
    result = _run_noted(config, choices, dataset, folder, overrides, job, watcher, tests=False)
    log.info("%s: %s %.3f", label, config.score, result.score)
    for one in result.missing:
        log.error("%s: %s", label, one)
    return result.score


def without_measures(config: Config) -> Config:
    """Switch off what is measured besides the scores."""
    return replace(config, robustness=False, unknown=replace(config.unknown, enabled=False, source=None))


def _announce(config: Config, folder: Path, overrides: Sequence[str]) -> None:
    """Record that a job runs here before its identity is known: even a plugin's factory may kill the process.

    A job that has failed here since the sweep began is not tried again: it is why the sweep was restarted.
    """
    record = read_record(folder)
    failed = record if record and record.status == "failed" else None
    if failed and failed.started >= session_start():
        raise AudiofwError(failed.reason or "failed before")
    if record is None or (failed and config.sweep.rerun != "none"):
        begin_job(folder, "", overrides, config.score)


def _take_over(job: str, rerun: str, folder: Path, overrides: Sequence[str], label: str) -> float | None:
    """Copy the results of an earlier run of the same job, or raise its failure if failures are not repeated."""
    found = settled_run(job, rerun, since=session_start())
    if not found:
        return None
    where, record = found
    repeat_run(where, record, folder, overrides)
    if record.value is None:
        raise AudiofwError(f"{record.reason} (in {where}; sweep.rerun=failed repeats it)")
    said = "%s: %s %.3f, finished before in %s (sweep.rerun=all repeats it)"
    log.info(said, label, record.score, record.value, where)
    return record.value


def _run_noted(
    config: Config,
    choices: Choices,
    dataset: Dataset,
    folder: Path,
    overrides: Sequence[str],
    job: str,
    watcher: Watch | None = None,
    *,
    tests: bool = True,
) -> Result:
    clear_results(folder)
    record = begin_job(folder, job, overrides, config.score)
    remember_sources()
    tell = track_run(config, choices, dataset, folder)
    tell("run_begins")
    try:
        with named({kind: choice.name for kind, choice in choices.items()}):
            result = run(config, choices, dataset, folder, _watch_both(tell, watcher), tests=tests)
    except Pruned as pruned:
        end_job(folder, record, reason=str(pruned), pruned=True)
        tell("run_fails", reason=str(pruned))
        raise
    except BaseException as error:  # the record must be true after Ctrl-C, too
        with suppress(DataError):
            end_job(folder, record, reason=describe_error(error))
        tell("run_fails", reason=describe_error(error))
        raise
    try:
        end_job(folder, record, value=result.score, missing=join_missing(result.missing) or None)
    except DataError as error:
        result = replace(result, missing=[*result.missing, str(error)])
    tell("run_ends", metrics=result.metrics, files=saved_files(folder))
    return result


def _watch_both(tell: Tell, watcher: Watch | None) -> Watch:
    """Tell the tracker of each fold, then whoever watches, who may end the run."""

    def watch_fold(result: FoldResult, n_folds: int) -> None:
        tell("fold_done", fold=describe_fold(result, n_folds))
        if watcher:
            watcher(result, n_folds)

    return watch_fold
