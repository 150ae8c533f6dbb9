"""A run's folder: used by one run at a time, and cleared of earlier results before it is written."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from audiofw.bundle.files import FOLDER
from audiofw.errors import ConfigError, DataError
from audiofw.system.atomic import is_temporary
from audiofw.system.faults import reason, remedy
from audiofw.system.locks import sole

IMPORTANCE, REPORT, RECORD, TIMELINES = "importance.json", "report.html", "result.json", "timelines.json"
CLIPS = "clips.csv"  # all clips of the run
TEST = "test"  # the folder with the results for data.test
RESULTS = ("config.yaml", "versions.json", "predictions.csv", "failures.csv", "metrics.json")
"""What `audiofw.results.files.save_results` writes, in this order."""
OWNED = frozenset({*RESULTS, IMPORTANCE, REPORT, RECORD, TIMELINES, FOLDER, CLIPS, TEST})
"""Everything that a run writes into its folder, besides its log and Hydra's files."""
EVALUATION = "evaluation.json"
"""What a folder with the results of an evaluation has: it is not that of a run."""
SAVED = (*RESULTS, CLIPS, REPORT, FOLDER)
"""What of it is of use to others."""
LOCK = ".run.lock"
HYDRAS = ".hydra"
RUN_FOLDER, SWEEP_FOLDER = "hydra.run.dir=FOLDER", "hydra.sweep.dir=FOLDER"
"""The options that choose where a run or sweep writes."""


@contextmanager
def claimed(folder: Path, option: str = RUN_FOLDER) -> Iterator[None]:
    """Create a run's folder and claim it; its content is not changed yet.

    Parameters
    ----------
    folder : Path
    option : str
        What chooses another folder, for errors.

    Raises
    ------
    ConfigError
        If it holds anything that no run has written.
    DataError
        If another run is using it, or it cannot be created.
    """
    with only_user(folder, option):
        refuse_strangers_in(folder)
        yield


@contextmanager
def only_user(folder: Path, option: str) -> Iterator[None]:
    """Create a folder and keep other processes from claiming it; see `claimed`.

    Raises
    ------
    DataError
        If another process has claimed it, or it cannot be created.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        said = f"{reason(error)}; {remedy(error, folder, option)}"
        raise DataError(f"{folder}: cannot be created: {said}") from error
    with sole(folder / LOCK, f"{folder}: another process is writing its results here; choose another folder"):
        yield


@contextmanager
def claimed_for_evaluation(folder: Path) -> Iterator[None]:
    """Create a folder for an evaluation, or clear that of an earlier one, and claim it.

    Raises
    ------
    ConfigError
        If it holds anything else.
    DataError
        If another process is using it, or it cannot be created.
    """
    with only_user(folder, "-o FOLDER"):
        names = {item.name for item in folder.iterdir() if not is_temporary(item.name)} - {LOCK}
        strangers = sorted(names - {*RESULTS, REPORT, EVALUATION} if EVALUATION in names else names)
        if strangers:
            raise ConfigError(
                f"{folder}: contains {strangers[0]}; choose a new folder, or that of an earlier evaluation"
            )
        for name in names:
            _remove(folder / name)
        yield


def refuse_strangers_in(folder: Path) -> None:
    """Raise ConfigError if a folder contains files that are not from a run: they might be overwritten."""
    names = sorted(item.name for item in folder.iterdir())
    strangers = [name for name in names if not _is_ours(name)]
    if RECORD not in names:  # a folder with a config.yaml is not yet that of a run
        strangers += [name for name in names if name in OWNED]
    if strangers:
        more = f" and {len(strangers) - 1} more" if len(strangers) > 1 else ""
        raise ConfigError(
            f"{folder}: contains files that are not from a run: {strangers[0]}{more};"
            " choose a new folder, or that of an earlier run"
        )


def _is_ours(name: str) -> bool:
    return name in {*OWNED, LOCK, HYDRAS} or name.endswith(".log") or is_temporary(name)


def clear_results(folder: Path) -> None:
    """Remove the results of an earlier run, except its record, which is replaced, its log and Hydra's files.

    Raises
    ------
    ConfigError
        If the folder contains files that are not from a run.
    DataError
        If something cannot be removed.
    """
    refuse_strangers_in(folder)
    for item in list(folder.iterdir()):
        if (item.name in OWNED and item.name != RECORD) or is_temporary(item.name):
            _remove(item)


def remove_hydras(folder: Path) -> None:
    """Remove what Hydra wrote for an earlier run; raises DataError if it cannot be removed."""
    if (folder / HYDRAS).exists():
        _remove(folder / HYDRAS)


def _remove(item: Path) -> None:
    try:
        if item.is_dir() and not item.is_symlink():
            shutil.rmtree(item)
        else:
            item.unlink()
    except OSError as error:
        said = f"{reason(error)}; {remedy(error, item)}"
        raise DataError(f"{item}: from an earlier run, cannot be removed: {said}") from error
