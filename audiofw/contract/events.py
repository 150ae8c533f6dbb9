"""What trackers are told about a run or a sweep."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

Name = Literal["run_begins", "fold_done", "run_ends", "run_fails", "sweep_ends"]
NAMES: tuple[Name, ...] = get_args(Name)


@dataclass(frozen=True)
class Event:
    """Something that has happened in a run or a sweep; a field that does not belong to the event is empty.

    Attributes
    ----------
    name : {"run_begins", "fold_done", "run_ends", "run_fails", "sweep_ends"}
    folder : Path
        Of the run, or of the sweep.
    config : Mapping
        The whole config, with a section for each plugin; for every event of a run.
    data : Mapping
        ``source``, ``n_clips``, ``classes`` (label to number of clips) and ``n_groups``; for every event of a run.
    fold : Mapping
        ``number`` from 1, ``of`` how many, ``scores``, ``n_train``, ``n_test``, ``fit_seconds``; for ``fold_done``.
    metrics : Mapping
        Content of ``metrics.json``; for ``run_ends``.
    files : Mapping of str to Path
        What has been saved, by file name: ``metrics.json``, ``report.html``, the folder ``model``; for ``run_ends``.
    reason : str
        Why it failed, on one line; for ``run_fails``.
    leaderboard : Mapping
        As ``audiofw leaderboard --json`` gives it; for ``sweep_ends``.
    notes : dict
        For the tracker's own use: the same dict for all events of a run.
    """

    name: Name
    folder: Path
    config: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    fold: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, Path] = field(default_factory=dict)
    reason: str = ""
    leaderboard: Mapping[str, Any] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)
