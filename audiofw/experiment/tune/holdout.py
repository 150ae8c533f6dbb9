"""Clips set aside before a search, so that its winner is scored on what no trial has seen."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from audiofw.contract.hookspecs import KINDS
from audiofw.contract.plugin import Choice, Plugin
from audiofw.data.dataset import Clip
from audiofw.data.provenance import evident_groups
from audiofw.errors import ConfigError, DataError, first_line

if TYPE_CHECKING:
    from sklearn.model_selection import PredefinedSplit

log = logging.getLogger(__name__)

REST, ASIDE = "rest", "held out"


def set_aside(
    clips: Sequence[Clip], share: float, seed: int, folds: Sequence[str] = ()
) -> tuple[list[Clip], list[Clip]]:
    """Part clips into those that a search may see and those that it may not.

    Which they are depends on the clips and the seed alone. Clips of one group stay together; where no groups are
    given, but names tell evidently that clips were cut from one recording, these stay together, too.

    Parameters
    ----------
    clips : sequence of Clip
    share : float
        Of the clips; whole groups come as near to it as they can.
    seed : int
    folds : sequence of str
        Set these of the data's own folds aside, and no share.

    Returns
    -------
    rest, aside : list of Clip
        Each in the order of the clips, and with each class among the rest.

    Raises
    ------
    ConfigError
        For a fold that does not exist.
    DataError
        Where these clips cannot be parted so.
    """
    labels = np.array([clip.label for clip in clips])
    mask = _in_folds(clips, folds) if folds else _drawn(clips, labels, share, seed)
    lost = sorted(set(labels.tolist()) - set(labels[~mask].tolist()))
    if lost:
        raise DataError(
            f"tune.holdout: every clip of '{lost[0]}' would be held out, and none left to learn from; tune.holdout=0 "
            f"holds nothing out, data.exclude=[{','.join(lost)}] leaves the class out"
        )
    if unmet := sorted(set(labels.tolist()) - set(labels[mask].tolist())):
        log.warning("tune.holdout: no clip of %s among those held out", ", ".join(unmet))
    parts = [clip for clip, out in zip(clips, mask, strict=True) if not out]
    return parts, [clip for clip, out in zip(clips, mask, strict=True) if out]


def _in_folds(clips: Sequence[Clip], folds: Sequence[str]) -> np.ndarray:
    known = {clip.fold for clip in clips if clip.fold is not None}
    for stranger in (fold for fold in folds if fold not in known):
        listed = ", ".join(sorted(known)) or "none; data.pattern names them by (?P<fold>…)"
        raise ConfigError(f"tune.holdout_folds=[{stranger}]: there is no such fold in the data; folds: {listed}")
    return np.array([clip.fold in folds for clip in clips])


def _drawn(clips: Sequence[Clip], labels: np.ndarray, share: float, seed: int) -> np.ndarray:
    groups = _groups(clips)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of rare classes; one that is lost is told
            out = _draw_clips(labels, share, seed) if groups is None else _draw_groups(labels, groups, share, seed)
    except ValueError as error:
        raise DataError(
            f"tune.holdout={share}: {len(clips)} clips cannot be parted so: {first_line(error)}; set another share, "
            "or tune.holdout=0, which holds nothing out"
        ) from error
    return np.isin(np.arange(len(clips)), out)


def _groups(clips: Sequence[Clip]) -> np.ndarray | None:
    given = [clip.group for clip in clips]
    if any(given):
        return np.array([group or f"(clip {i})" for i, group in enumerate(given)])
    evident = evident_groups([clip.name for clip in clips])
    return None if evident is None else np.array(evident)


def _draw_clips(labels: np.ndarray, share: float, seed: int) -> np.ndarray:
    from sklearn.model_selection import StratifiedShuffleSplit

    splitter = StratifiedShuffleSplit(n_splits=1, test_size=share, random_state=seed)
    return next(splitter.split(labels, labels))[1]


def _draw_groups(labels: np.ndarray, groups: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Cut whole groups into parts with like classes, and take the one whose size is nearest."""
    from sklearn.model_selection import StratifiedGroupKFold

    n_groups = np.unique(groups).size
    if n_groups < 2:
        raise ValueError("they are all of one group")
    n_splits = min(max(2, round(1 / share)), n_groups)
    splitter = StratifiedGroupKFold(n_splits=n_splits, shuffle=True, random_state=seed)
    parts = [test for _, test in splitter.split(labels, labels, groups)]
    return min((part for part in parts if part.size), key=lambda part: abs(part.size - share * labels.size))


def mark(clips: Sequence[Clip], aside: Sequence[Clip]) -> list[Clip]:
    """Give each clip the part it is in for its fold, as `split_aside` reads it."""
    out = {clip.name for clip in aside}
    return [clip._replace(fold=ASIDE if clip.name in out else REST) for clip in clips]


def held_out(folds: Sequence[str]) -> PredefinedSplit:
    """Learn from the rest, test on what was held out."""
    from sklearn.model_selection import PredefinedSplit

    return PredefinedSplit([0 if fold == ASIDE else -1 for fold in folds])


def split_aside() -> Choice:
    """Make the split of the winner's last run; it is on no menu, since it reads what `mark` has written."""
    return Choice(Plugin(KINDS["split"], "held_out", held_out, "built in", ("folds",), ()), {})
