"""Tell a run's tracker what happens; whatever it does, the run goes on."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from audiofw.config.options import Config
from audiofw.contract.events import Event, Name
from audiofw.contract.plugin import Choice
from audiofw.contract.registry import load_menus
from audiofw.data.dataset import Dataset
from audiofw.errors import AudiofwError, one_line
from audiofw.evaluation.cross_validate import FoldResult
from audiofw.results.files import config_values
from audiofw.results.folder import SAVED
from audiofw.system.reading import read_yaml

log = logging.getLogger(__name__)

KIND = "tracking"
Tell = Callable[..., None]


def open_tracker(tracker: Choice | None, **facts: Any) -> Tell:
    """Make a function that tells a tracker of events: ``tell("fold_done", fold=…)``.

    Parameters
    ----------
    tracker : Choice or None
        With None, the function does nothing. An error of the tracker is a warning, the first of them, and changes
        nothing else.
    **facts
        Fields of all its events, see `audiofw.contract.events.Event`.
    """
    notes: dict[str, Any] = {}
    failed: list[str] = []

    def tell(name: Name, **more: Any) -> None:
        if tracker is None:
            return
        try:
            tracker(Event(name, notes=notes, **facts, **more))
        except AudiofwError as error:  # Choice turns all others into it
            level = logging.DEBUG if failed else logging.WARNING
            log.log(level, "%s (at %s; results are not affected)", one_line(error), name)
            failed.append(name)

    return tell


def track_run(config: Config, choices: Mapping[str, Choice], dataset: Dataset, folder: Path) -> Tell:
    """Make a function that tells a run's tracker, if it has one, of its events."""
    if KIND not in choices:
        return open_tracker(None)
    data = {
        "source": config.data.source,
        "n_clips": len(dataset.clips),
        "classes": dict(Counter(clip.label for clip in dataset.clips)),
        "n_groups": len({clip.group for clip in dataset.clips} - {None}),
    }
    return open_tracker(choices[KIND], folder=folder, config=config_values(config, choices), data=data)


def describe_fold(result: FoldResult, n_folds: int) -> dict[str, Any]:
    """Describe a fold's result by plain values."""
    return {
        "number": result.number,
        "of": n_folds,
        "scores": dict(result.scores),
        "n_train": result.n_train,
        "n_test": len(result.test),
        "fit_seconds": result.fit_seconds,
    }


def saved_files(folder: Path) -> dict[str, Path]:
    """List what a run has saved, by file name."""
    return {name: folder / name for name in SAVED if (folder / name).exists()}


def track_sweep(folder: Path) -> Tell:
    """Make a function that tells the tracker of a sweep's jobs, if they have one, how the sweep has ended."""
    section = read_config_of_sweep(folder).get(KIND)
    try:
        return open_tracker(load_menus().choose(KIND, section) if section else None, folder=folder)
    except AudiofwError as error:
        log.warning("%s: the sweep is not sent to the tracker: %s", folder, one_line(error))
        return open_tracker(None)


def read_config_of_sweep(folder: Path) -> dict[str, Any]:
    """Read the config of the first of a sweep's jobs that has saved its own; empty if none has."""
    for file in sorted(folder.glob("*/config.yaml")):
        with suppress(OSError, ValueError):
            return dict(read_yaml(file))
    return {}
