"""Hold out clips before a search, so that the best trial is scored on clips that no trial has seen."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from audiofw.contract.hookspecs import KINDS
from audiofw.contract.plugin import Choice, Plugin
from audiofw.data.dataset import Clip
from audiofw.data.labels import encode_several, split_labels
from audiofw.data.provenance import evident_groups
from audiofw.errors import ConfigError, DataError, first_line
from audiofw.learn.stratify import stratify

if TYPE_CHECKING:
    from sklearn.model_selection import PredefinedSplit

log = logging.getLogger(__name__)

REST, ASIDE = "rest", "held out"


def set_aside(
    clips: Sequence[Clip], share: float, seed: int, folds: Sequence[str] = (), task: str = "single"
) -> tuple[list[Clip], list[Clip]]:
    """Divide clips into those for a search and those held out.

    The result depends only on the clips and the seed. Clips of one group stay together; without groups, clips whose
    names clearly show that they are from one recording stay together.

    Parameters
    ----------
    clips : sequence of Clip
    share : float
        Share of the clips; met only approximately with groups.
    seed : int
    folds : sequence of str
        Hold out these of the data's own folds instead of a share.
    task : {"single", "multilabel"}
        Whether a clip may have several labels.

    Returns
    -------
    rest, aside : list of Clip
        In the order of the clips; the rest contains every class.

    Raises
    ------
    ConfigError
        For a fold that does not exist.
    DataError
        If these clips cannot be divided like this.
    """
    labels = np.array([clip.label for clip in clips])
    mask = _in_folds(clips, folds) if folds else _drawn(clips, labels, share, seed, task)
    known, left, taken = (_classes(labels[part], task) for part in (mask | ~mask, ~mask, mask))
    lost = sorted(known - left)
    if lost:
        raise DataError(
            f"tune.holdout: every clip of '{lost[0]}' would be held out and none left for training; tune.holdout=0 "
            f"holds nothing out, data.exclude=[{','.join(lost)}] leaves the class out"
        )
    if unmet := sorted(known - taken):
        log.warning("tune.holdout: the held-out clips have none of %s", ", ".join(unmet))
    parts = [clip for clip, out in zip(clips, mask, strict=True) if not out]
    return parts, [clip for clip, out in zip(clips, mask, strict=True) if out]


def _classes(labels: np.ndarray, task: str) -> set[str]:
    return {name for text in labels.tolist() for name in (split_labels(text) if task == "multilabel" else [text])}


def _in_folds(clips: Sequence[Clip], folds: Sequence[str]) -> np.ndarray:
    known = {clip.fold for clip in clips if clip.fold is not None}
    for stranger in (fold for fold in folds if fold not in known):
        listed = ", ".join(sorted(known)) or "none; data.pattern names them by (?P<fold>…)"
        raise ConfigError(f"tune.holdout_folds=[{stranger}]: no such fold in the data; folds: {listed}")
    return np.array([clip.fold in folds for clip in clips])


def _drawn(clips: Sequence[Clip], labels: np.ndarray, share: float, seed: int, task: str) -> np.ndarray:
    groups = _groups(clips)
    if task == "multilabel":
        return stratify(encode_several(labels.tolist())[1], (1 - share, share), groups, seed=seed) == 1
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # about rare classes; missing ones are reported
            out = _draw_clips(labels, share, seed) if groups is None else _draw_groups(labels, groups, share, seed)
    except ValueError as error:
        raise DataError(
            f"tune.holdout={share}: {len(clips)} clips cannot be divided like this: {first_line(error)}; set another "
            "share, or tune.holdout=0 to hold nothing out"
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
    """Divide whole groups into parts with similar class frequencies, and take the one of the nearest size."""
    from sklearn.model_selection import StratifiedGroupKFold

    n_groups = np.unique(groups).size
    if n_groups < 2:
        raise ValueError("all of them are from one group")
    n_splits = min(max(2, round(1 / share)), n_groups)
    splitter = StratifiedGroupKFold(n_splits=n_splits, shuffle=True, random_state=seed)
    parts = [test for _, test in splitter.split(labels, labels, groups)]
    return min((part for part in parts if part.size), key=lambda part: abs(part.size - share * labels.size))


def mark(clips: Sequence[Clip], aside: Sequence[Clip]) -> list[Clip]:
    """Set each clip's fold to its part, for `split_aside`."""
    out = {clip.name for clip in aside}
    return [clip._replace(fold=ASIDE if clip.name in out else REST) for clip in clips]


def held_out(folds: Sequence[str]) -> PredefinedSplit:
    """Train on the rest, and test on the clips held out."""
    from sklearn.model_selection import PredefinedSplit

    return PredefinedSplit([0 if fold == ASIDE else -1 for fold in folds])


def split_aside() -> Choice:
    """Create the split for the final run of the best trial; it needs the folds that `mark` has set."""
    return Choice(Plugin(KINDS["split"], "held_out", held_out, "built in", ("folds",), ()), {})
