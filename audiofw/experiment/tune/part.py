"""The role of a job in a search."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from hydra.conf import HydraConf
from hydra.types import RunMode

from audiofw.errors import ConfigError
from audiofw.system.paths import HELD_OUT, located

TARGET = "hydra_plugins.audiofw.OptunaSweeper"  # does not exist as a file: Hydra requires this name space


class Pruned(Exception):  # noqa: N818  # a trial's outcome, not an error
    """A trial was stopped early because its folds were worse than those of most others."""


class TrialRole(NamedTuple):
    """The role of a job in a search."""

    folder: Path  #: of the sweep
    number: int  #: of the trial
    final: bool  #: the winner's run on the clips held out


def trial_role(hydra: HydraConf) -> TrialRole | None:
    """Read the role of a job from its ``hydra`` config; None if there is no search.

    Raises
    ------
    ConfigError
        For a search without ``-m``, which would be a single run with default options.
    """
    if hydra.sweeper.get("_target_") != TARGET:
        return None
    if hydra.mode != RunMode.MULTIRUN:
        raise ConfigError("a search is a sweep: start it with -m, e.g. audiofw -m +tune=lightgbm")
    return TrialRole(located(hydra.sweep.dir), int(hydra.job.num), hydra.sweep.subdir == HELD_OUT)
