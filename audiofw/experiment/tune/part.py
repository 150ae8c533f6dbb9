"""What a job of a search knows of its part in it."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from hydra.conf import HydraConf
from hydra.types import RunMode

from audiofw.errors import ConfigError
from audiofw.system.paths import HELD_OUT

TARGET = "hydra_plugins.audiofw.OptunaSweeper"  # of no file: Hydra refuses a sweeper of another name


class Pruned(Exception):  # noqa: N818  # said of a trial; it is no error
    """A trial that was stopped early, since its folds were worse than those of most others."""


class TrialRole(NamedTuple):
    """What part a job plays in a search."""

    folder: Path  #: of the sweep
    number: int  #: of the trial
    final: bool  #: the winner's run on the clips held out


def trial_role(hydra: HydraConf) -> TrialRole | None:
    """Read from a job's ``hydra`` config what part it plays; None where there is no search.

    Raises
    ------
    ConfigError
        For a search that was asked for without ``-m``: it would be one run, with the options' defaults.
    """
    if hydra.sweeper.get("_target_") != TARGET:
        return None
    if hydra.mode != RunMode.MULTIRUN:
        raise ConfigError("a search is a sweep: begin with -m, as audiofw -m +tune=lightgbm")
    return TrialRole(Path(hydra.sweep.dir), int(hydra.job.num), hydra.sweep.subdir == HELD_OUT)
