"""Repeat a run from its folder: with the same config, on data that is checked, and with versions that are compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audiofw.config.options import Config, read_config
from audiofw.contract.hookspecs import KINDS
from audiofw.contract.plugin import Choice
from audiofw.contract.registry import load_menus
from audiofw.errors import DataError
from audiofw.experiment.job import run_found
from audiofw.experiment.run import run_code
from audiofw.extraction.clips import find_dataset
from audiofw.leaderboard.runs import read_predictions, read_run
from audiofw.report.facts import Facts, read_run_facts
from audiofw.report.recordings import completed, inside
from audiofw.results.changes import version_changes
from audiofw.results.clips import compare_clips, list_clips, read_clips
from audiofw.results.files import versions
from audiofw.results.folder import claimed


@dataclass(frozen=True)
class Rerun:
    """How the repetition of a run went."""

    folder: Path
    data: Sequence[str]  #: what has changed, in one line each
    versions: Sequence[str]  #: likewise
    metrics: Mapping[str, Any]
    before: Mapping[str, Any]  #: the metrics of the run that was repeated
    n_differ: int | None  #: predictions that differ, of those for the same clips; None if they cannot be compared
    n_compared: int
    missing: Sequence[str]  #: what could not be written


def rerun(run: Path, folder: Path, *, changed_data: bool = False) -> Rerun:
    """Run an experiment again, as its ``config.yaml`` says.

    Parameters
    ----------
    run : Path
        The folder of the run to repeat.
    folder : Path
        For the new results.
    changed_data : bool
        Whether to run on data that has changed.

    Raises
    ------
    DataError
        If the folder is not that of a run, or the data has changed.
    AudiofwError
        As for any run.
    """
    facts, folder = _facts_of(run), folder.absolute()
    config, choices = config_again(facts)
    with inside(facts.cwd):
        changes = _changes(run, facts, config)
        if changes and not changed_data:
            raise DataError(f"{run}: the data has changed: {'; '.join(changes)}; --changed-data uses it as it is now")
        with claimed(folder, "-o FOLDER"):
            result, _ = run_found(config, choices, folder, list(facts.overrides or ()))
    n_differ, n_compared = compare_predictions(run, folder)
    return Rerun(
        folder,
        changes,
        version_changes(facts.versions, versions(choices, run_code())),
        result.metrics,
        facts.metrics,
        n_differ,
        n_compared,
        result.missing,
    )


def _facts_of(run: Path) -> Facts:
    if not run.is_dir():
        raise DataError(f"{run}: no such folder; give the folder of a run, e.g. outputs/2026-01-31/12-00-00")
    if not (run / "metrics.json").is_file() or not (run / "config.yaml").is_file():
        raise DataError(f"{run}: no results of a run (config.yaml and metrics.json) in this folder")
    facts = read_run_facts(run)
    if "split" not in facts.config or "evaluated" in facts.metrics:
        raise DataError(f"{run}: not the folder of a run, whose config.yaml has all options")
    return facts


def config_again(facts: Facts) -> tuple[Config, dict[str, Choice]]:
    """Read the config of a run, and choose its plugins.

    Raises
    ------
    AudiofwError
        If an option or plugin no longer exists.
    """
    menus = load_menus()
    menus.warn()
    values = facts.config
    chosen = [kind for kind in KINDS if values.get(kind)]
    return read_config(completed(values)), {kind: menus.choose(kind, values[kind]) for kind in chosen}


def _changes(run: Path, facts: Facts, config: Config) -> list[str]:
    before = read_clips(run)
    if before is None:
        return ["clips.csv, which says what it was, is missing"]
    return compare_clips(before, list_clips(find_dataset(config).clips, config)).lines()


def compare_predictions(first: Path, second: Path) -> tuple[int | None, int]:
    """Count the predictions of two runs that differ, and the clips that both have tested."""
    runs = [run for folder in (first, second) if (run := read_run(folder))]
    tested = [made for run in runs if (made := read_predictions(run))]
    if len(tested) < 2:
        return None, 0
    a, b = (dict(zip(made.paths, made.predicted, strict=True)) for made in tested)
    both = a.keys() & b.keys()
    return sum(a[name] != b[name] for name in both), len(both)
