"""Draw every split and check it before anything is fitted, so that a wrong one costs no time."""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import numpy as np

from audiofw.errors import AudiofwError, DataError, PluginError, first_line

log = logging.getLogger(__name__)

Groups = Sequence[str | None] | None


class Fold(NamedTuple):
    """Which clips are fitted on and which are predicted: two arrays of indices without a clip in common."""

    train: np.ndarray
    test: np.ndarray


def make_splits(
    splitter: Any,
    y: np.ndarray,
    *,
    groups: Groups,
    classes: Sequence[str],
    names: Sequence[str],
) -> list[Fold]:
    """Draw every split and check it, before anything is fitted.

    Parameters
    ----------
    splitter : scikit-learn splitter
        What a split plugin returned.
    y : np.ndarray [shape=(clips,)]
        Classes as 0 .. n-1.
    groups : sequence of str or None, optional
        Group of each clip; one without is a group by itself. A split that puts one group on both sides is warned of.
    classes : sequence of str
        Names of the classes.
    names : sequence of str
        Names of the clips, for errors.

    Raises
    ------
    DataError
        When these clips cannot be split so: one class only, a class too rare, fewer clips or groups than folds,
        a training part that lacks a class, an empty part.
    PluginError
        When the splitter breaks the contract: indices out of range, or clips in both parts.
    """
    counts = np.bincount(y, minlength=len(classes))
    _check_classes(counts, classes, names)
    _check_stratified(splitter, y, counts, classes, names)
    _check_n_parts(splitter, len(y), groups)
    known = read_groups(groups)
    folds = _draw(splitter, y, known)
    for number, fold in enumerate(folds, 1):
        where = f"split: {type(splitter).__name__}: fold {number} of {len(folds)}"
        _check_fold(where, fold, y, names)
        _check_training_part(where, fold, y, counts, classes)
    return folds


def _check_classes(counts: np.ndarray, classes: Sequence[str], names: Sequence[str]) -> None:
    present = np.flatnonzero(counts)
    if present.size == 0:
        raise DataError("data: there is no clip to learn from")
    if present.size == 1:
        raise DataError(
            f"data: only one class, '{classes[int(present[0])]}' ({counts.sum()} clips), and a classifier needs two: "
            f"if the label stands in the file's name, as in {names[0]}, say where, e.g. "
            f"data.pattern='{_label_pattern(names[0])}'; or let data.include and data.exclude leave more"
        )


def _label_pattern(name: str) -> str:
    """For ``data.pattern``: the label is what stands first in the name of a file."""
    separator = re.search("[-_. ]", PurePosixPath(name).stem)
    return f"^(?P<label>[^{separator[0]}]+)" if separator else "^(?P<label>[a-zA-Z]+)"


def _check_stratified(
    splitter: Any, y: np.ndarray, counts: np.ndarray, classes: Sequence[str], names: Sequence[str]
) -> None:
    from sklearn import model_selection as ms

    cutters = (ms.StratifiedKFold, ms.RepeatedStratifiedKFold, ms.StratifiedGroupKFold)
    if isinstance(splitter, (*cutters, ms.StratifiedShuffleSplit)):
        _check_rare_classes(y, counts, classes, names)
    if isinstance(splitter, cutters) and counts.max() < (n_parts := _n_parts(splitter) or 0):
        raise DataError(
            f"split: {n_parts} folds, but the largest class has {counts.max()} clips: split.n_splits={counts.max()}"
        )
    if isinstance(splitter, ms.StratifiedShuffleSplit) and isinstance(splitter.test_size, float):
        _check_test_size(splitter.test_size, len(y), int(np.count_nonzero(counts)))


def _check_rare_classes(y: np.ndarray, counts: np.ndarray, classes: Sequence[str], names: Sequence[str]) -> None:
    rare = np.flatnonzero(counts == 1)
    if rare.size:
        which = ", ".join(f"'{classes[int(i)]}' ({names[int(np.argmax(y == i))]})" for i in rare)
        raise DataError(
            f"split: only one clip of {which}, and a stratified split needs two of each class; clips: "
            f"{_show_counts(counts, classes)}; leave it out: {_exclude(rare, classes)}"
        )


def _check_test_size(test_size: float, n_clips: int, n_classes: int) -> None:
    n_test = int(np.ceil(test_size * n_clips))
    if min(n_test, n_clips - n_test) < n_classes:
        raise DataError(
            f"split: split.test_size={test_size} makes parts of {n_clips - n_test} and {n_test} clips, and a "
            f"stratified split needs all {n_classes} classes in both: set split.test_size, or split.stratify=false"
        )


def _check_n_parts(splitter: Any, n_clips: int, groups: Groups) -> None:
    from sklearn import model_selection as ms

    n_parts = _n_parts(splitter)
    if n_parts and n_parts > n_clips:
        raise DataError(f"split: {n_parts} folds of {n_clips} clips: split.n_splits={n_clips}, or more clips")
    if isinstance(splitter, (ms.GroupKFold, ms.StratifiedGroupKFold, ms.LeaveOneGroupOut)):
        _check_groups(groups, n_clips, n_parts or 2)


def _check_groups(groups: Groups, n_clips: int, n_parts: int) -> None:
    given = [] if groups is None else [group for group in groups if group]
    if len(given) < n_clips:
        raise DataError(
            f"split: it needs each clip's group, and {n_clips - len(given)} of {n_clips} have none: say where "
            "it stands by data.pattern with (?P<group>…), or by data.columns.group"
        )
    n_groups = len(set(given))
    if n_groups < n_parts:
        remedy = f"split.n_splits={n_groups}" if n_groups > 1 else "choose a split that needs no groups"
        raise DataError(f"split: {n_groups} group(s) cannot make {n_parts} folds: {remedy}")


def read_groups(groups: Groups) -> np.ndarray | None:
    """Make an array of the groups, in which a clip without one stands for itself."""
    if groups is None or not any(groups):
        return None
    return np.array([str(group) if group else f"(clip {i})" for i, group in enumerate(groups)])


def _n_parts(splitter: Any) -> int | None:
    """How many parts the clips are cut into; None for a splitter that does not cut them into so many."""
    from sklearn import model_selection as ms

    if isinstance(splitter, (ms.RepeatedKFold, ms.RepeatedStratifiedKFold)):
        return splitter.cvargs["n_splits"]
    cutters = (ms.KFold, ms.StratifiedKFold, ms.GroupKFold, ms.StratifiedGroupKFold)
    return splitter.n_splits if isinstance(splitter, cutters) else None


def _draw(splitter: Any, y: np.ndarray, groups: np.ndarray | None) -> list[Fold]:
    where = f"split: {type(splitter).__name__}"
    if not callable(getattr(splitter, "split", None)):
        raise PluginError(f"{where} is no scikit-learn splitter: it has no method split(X, y, groups)")
    try:
        with warnings.catch_warnings():
            # that groups are ignored is told below, and that classes are rare is checked above
            warnings.simplefilter("ignore", UserWarning)
            folds = [_read_fold(where, pair) for pair in splitter.split(np.zeros((len(y), 1)), y, groups)]
    except AudiofwError:
        raise
    except ValueError as error:
        raise DataError(f"{where}: {first_line(error)}") from error
    except Exception as error:  # a plugin's code may raise anything
        raise PluginError(f"{where} failed: {first_line(error)}") from error
    if not folds:
        raise PluginError(f"{where} made no fold")
    return folds


def _read_fold(where: str, pair: Any) -> Fold:
    parts = [np.asarray(part) for part in pair]
    if len(parts) != 2 or any(part.ndim != 1 or (part.size and part.dtype.kind not in "iu") for part in parts):
        raise PluginError(f"{where}: a fold must be two arrays of indices, (train, test)")
    return Fold(*(part.astype(np.intp) for part in parts))


def _check_fold(where: str, fold: Fold, y: np.ndarray, names: Sequence[str]) -> None:
    for name, part in zip(("training", "test"), fold, strict=True):
        if part.size == 0:
            raise DataError(f"{where}: the {name} part is empty ({len(y)} clips in all)")
        if part.min() < 0 or part.max() >= len(y):
            raise PluginError(f"{where}: the {name} part has indices beyond 0 … {len(y) - 1}")
    both = np.intersect1d(fold.train, fold.test)
    if both.size:
        raise PluginError(f"{where}: {both.size} clip(s) in both the training and the test part, as {names[both[0]]}")
    if np.unique(fold.test).size < fold.test.size:
        raise PluginError(f"{where}: the test part has a clip twice")


def _check_training_part(where: str, fold: Fold, y: np.ndarray, counts: np.ndarray, classes: Sequence[str]) -> None:
    lacking = np.flatnonzero(np.bincount(y[fold.train], minlength=len(classes)) == 0)
    if lacking.size:
        what = ", ".join(f"'{classes[int(i)]}' ({counts[i]} in all)" for i in lacking)
        raise DataError(
            f"{where}: the training part has no clip of {what}: choose a split that spreads the class, as a "
            f"stratified one, or leave it out: {_exclude(lacking, classes)}"
        )


def warn_of_shared_groups(folds: Sequence[Fold], groups: Groups) -> None:
    """Say in one line when clips of one group stand on both sides of a split."""
    known = read_groups(groups)
    if known is None:
        return
    shared = {group for fold in folds for group in np.intersect1d(known[fold.train], known[fold.test])}
    if shared:
        log.warning(
            "split: clips of one group are trained on and tested (%d of %d groups, as %s): scores will be better than "
            "on new groups; split=group_kfold keeps them apart",
            len(shared), np.unique(known).size, min(shared),
        )  # fmt: skip


def _exclude(which: np.ndarray, classes: Sequence[str]) -> str:
    return f"data.exclude=[{','.join(str(classes[int(i)]) for i in which)}]"


def _show_counts(counts: np.ndarray, classes: Sequence[str], most: int = 10) -> str:
    rarest = np.argsort(counts, kind="stable")
    more = f", … ({len(classes)} classes)" if len(classes) > most else ""
    return ", ".join(f"{classes[int(i)]} {counts[i]}" for i in rarest[:most]) + more
