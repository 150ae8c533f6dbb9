"""Make all splits and check them before any model is fitted."""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import numpy as np

from audiofw.contract.blame import blame
from audiofw.data.labels import JOINT
from audiofw.errors import DataError, PluginError, first_line
from audiofw.learn.stratify import stratify

log = logging.getLogger(__name__)

Groups = Sequence[str | None] | None


class Fold(NamedTuple):
    """Indices of the training clips and of the test clips, which are disjoint."""

    train: np.ndarray
    test: np.ndarray


def make_splits(
    splitter: Any,
    y: np.ndarray,
    *,
    groups: Groups,
    classes: Sequence[str],
    names: Sequence[str],
    recordings: Sequence[str] | None = None,
) -> list[Fold]:
    """Make all splits and check them, before any model is fitted.

    Parameters
    ----------
    splitter : scikit-learn splitter
        As returned by a split plugin.
    y : np.ndarray [shape=(clips,)]
        Class indices, 0 to n_classes - 1; or an indicator matrix (clips, classes), for which scikit-learn's stratified
        splitters are replaced by `audiofw.learn.stratify`.
    groups : sequence of str or None, optional
        Group of each clip; a clip without one is its own group.
    classes : sequence of str
        Names of the classes.
    names : sequence of str
        Names of the clips, for error messages.
    recordings : sequence of str, optional
        The recording of each clip, if clips are stretches of recordings. If the splitter divides one between training
        and test, whole recordings are drawn in place of clips.

    Returns
    -------
    list of Fold

    Raises
    ------
    DataError
        If the clips cannot be split this way: a single class, a class that is too rare, fewer clips or groups than
        folds, a training set that lacks a class, or an empty set. With an indicator matrix, a class may be rare or
        missing, but some clips must differ in their labels.
    PluginError
        If the splitter violates the contract: indices out of range, or clips in both sets.
    """
    several = y.ndim == 2
    counts = y.sum(axis=0, dtype=int) if several else np.bincount(y, minlength=len(classes))
    if several:
        _check_several(counts, len(y), classes)
    else:
        _check_classes(counts, classes, names if recordings is None else ())
        _check_stratified(splitter, y, counts, classes, names)
    _check_n_parts(splitter, len(y), groups)
    known = read_groups(groups)
    folds = _draw(splitter, y, known)
    if recordings is not None and _divides(folds, np.array(recordings)):
        folds = _draw_whole(splitter, y, known, np.array(recordings))
    for number, fold in enumerate(folds, 1):
        where = f"{type(splitter).__name__}: fold {number} of {len(folds)}"
        _check_fold(where, fold, y, names)
        if not several:
            _check_training_part(where, fold, y, counts, classes)
    return folds


def _check_several(counts: np.ndarray, n_clips: int, classes: Sequence[str]) -> None:
    if n_clips == 0:
        raise DataError("data: no clips to train on")
    if not ((counts > 0) & (counts < n_clips)).any():
        same = f"has the same labels, {JOINT.join(classes)}" if len(classes) else "is without a label"
        raise DataError(
            f"data: every one of {n_clips} clips {same}, so there is nothing to tell apart; add clips without some of "
            "the labels, or check data.separator"
        )


def _check_classes(counts: np.ndarray, classes: Sequence[str], names: Sequence[str]) -> None:
    present = np.flatnonzero(counts)
    if present.size == 0:
        raise DataError("data: no clips to train on")
    if present.size == 1:
        only = f"data: only one class, '{classes[int(present[0])]}' ({counts.sum()} clips), but a classifier needs two"
        if not names:
            raise DataError(f"{only}; data.unit=windows adds a class for what is between the labels")
        raise DataError(
            f"{only}; if the file name contains the label, as in {names[0]}, set e.g. "
            f"data.pattern='{_label_pattern(names[0])}'; otherwise keep more classes with data.include or data.exclude"
        )


def _label_pattern(name: str) -> str:
    """Suggest a ``data.pattern`` that takes the first part of a file name as the label."""
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
            f"split: {n_parts} folds, but the largest class has {counts.max()} clips; set split.n_splits={counts.max()}"
        )
    if isinstance(splitter, ms.StratifiedShuffleSplit) and isinstance(splitter.test_size, float):
        _check_test_size(splitter.test_size, len(y), int(np.count_nonzero(counts)))


def _check_rare_classes(y: np.ndarray, counts: np.ndarray, classes: Sequence[str], names: Sequence[str]) -> None:
    rare = np.flatnonzero(counts == 1)
    if rare.size:
        which = ", ".join(f"'{classes[int(i)]}' ({names[int(np.argmax(y == i))]})" for i in rare)
        raise DataError(
            f"split: only one clip of {which}, but a stratified split needs two per class (clips: "
            f"{_show_counts(counts, classes)}); set {_exclude(rare, classes)}, or add clips"
        )


def _check_test_size(test_size: float, n_clips: int, n_classes: int) -> None:
    n_test = int(np.ceil(test_size * n_clips))
    if min(n_test, n_clips - n_test) < n_classes:
        raise DataError(
            f"split: split.test_size={test_size} gives training and test sets of {n_clips - n_test} and {n_test} "
            f"clips, but a stratified split needs all {n_classes} classes in both; change split.test_size, or set "
            "split.stratify=false"
        )


def _check_n_parts(splitter: Any, n_clips: int, groups: Groups) -> None:
    from sklearn import model_selection as ms

    n_parts = _n_parts(splitter)
    if n_parts and n_parts > n_clips:
        raise DataError(f"split: cannot make {n_parts} folds of {n_clips} clips; set split.n_splits={n_clips}")
    if isinstance(splitter, (ms.GroupKFold, ms.StratifiedGroupKFold, ms.LeaveOneGroupOut)):
        _check_groups(groups, n_clips, n_parts or 2)


def _check_groups(groups: Groups, n_clips: int, n_parts: int) -> None:
    given = [] if groups is None else [group for group in groups if group]
    if len(given) < n_clips:
        raise DataError(
            f"split: every clip needs a group, but {n_clips - len(given)} of {n_clips} have none; set data.pattern "
            "with (?P<group>…), or data.columns.group"
        )
    n_groups = len(set(given))
    if n_groups < n_parts:
        remedy = f"set split.n_splits={n_groups}" if n_groups > 1 else "choose a split that needs no groups"
        raise DataError(f"split: {n_groups} group(s) cannot make {n_parts} folds; {remedy}")


def read_groups(groups: Groups) -> np.ndarray | None:
    """Return the groups as an array, in which a clip without a group is its own group; None if there are none."""
    if groups is None or not any(groups):
        return None
    return np.array([str(group) if group else f"(clip {i})" for i, group in enumerate(groups)])


def _n_parts(splitter: Any) -> int | None:
    """Number of folds into which the clips are divided; None for a splitter without such a number."""
    from sklearn import model_selection as ms

    if isinstance(splitter, (ms.RepeatedKFold, ms.RepeatedStratifiedKFold)):
        return splitter.cvargs["n_splits"]
    cutters = (ms.KFold, ms.StratifiedKFold, ms.GroupKFold, ms.StratifiedGroupKFold)
    return splitter.n_splits if isinstance(splitter, cutters) else None


def _divides(folds: Sequence[Fold], recordings: np.ndarray) -> bool:
    return any(np.intersect1d(recordings[fold.train], recordings[fold.test]).size for fold in folds)


def _draw_whole(splitter: Any, y: np.ndarray, groups: np.ndarray | None, recordings: np.ndarray) -> list[Fold]:
    """Divide recordings as the splitter divides clips; a stratified one looks at all classes of each recording."""
    names, first, number = np.unique(recordings, return_index=True, return_inverse=True)
    if len(names) < (n_parts := _n_parts(splitter) or 2):
        remedy = f"set split.n_splits={len(names)}, or add recordings" if len(names) > 1 else "add recordings"
        raise DataError(
            f"split: all clips of a recording stay on one side, but {len(names)} recording{'s'[: len(names) > 1]} "
            f"cannot make {n_parts} parts; {remedy}"
        )
    Y = y if y.ndim == 2 else np.eye(int(y.max()) + 1, dtype=np.int8)[y]
    if (pairs := _stratify(splitter, Y, groups, recordings)) is not None:
        if not all(len(part) for pair in pairs for part in pair):
            raise DataError(
                f"split: all clips of a recording stay on one side, and {len(names)} recordings are too few for parts "
                "of these sizes; set split.test_size=0.5, or add recordings"
            )
        return [_read_fold(type(splitter).__name__, pair) for pair in pairs]
    folds = _draw(splitter, first, None if groups is None else groups[first])  # it is not stratified: any y will do
    return [Fold(*(np.flatnonzero(np.isin(number, part)) for part in fold)) for fold in folds]


def _draw(splitter: Any, y: np.ndarray, groups: np.ndarray | None) -> list[Fold]:
    name = type(splitter).__name__
    if not callable(getattr(splitter, "split", None)):
        raise PluginError(
            f"{name} is not a scikit-learn splitter: it has no method split(X, y, groups)", plugin="split"
        )
    try:
        with blame("split", None, f"{name} failed", shorten=first_line), warnings.catch_warnings():
            # audiofw reports ignored groups (warn_of_shared_groups) and rare classes (above) itself
            warnings.simplefilter("ignore", UserWarning)
            pairs = _stratify(splitter, y, groups) if y.ndim == 2 else None
            pairs = splitter.split(np.zeros((len(y), 1)), y, groups) if pairs is None else pairs
            folds = [_read_fold(name, pair) for pair in pairs]
    except PluginError as error:
        if isinstance(error.__cause__, ValueError):  # scikit-learn cannot split these clips this way
            raise DataError(f"split: {name}: {first_line(error.__cause__)}", plugin="split") from error.__cause__
        raise
    if not folds:
        raise PluginError(f"{name} made no folds", plugin="split")
    return folds


def _stratify(
    splitter: Any, Y: np.ndarray, groups: np.ndarray | None, recordings: np.ndarray | None = None
) -> list[Any] | None:
    """Divide clips with several labels as a stratified splitter divides those with one; None for other splitters."""
    from sklearn import model_selection as ms

    seed = splitter.random_state if isinstance(getattr(splitter, "random_state", None), int) else 0
    if isinstance(splitter, ms.StratifiedShuffleSplit):
        size = splitter.test_size or 0.1
        share = size if isinstance(size, float) else size / len(Y)
        parts = [stratify(Y, [1 - share, share], recordings, seed=seed + i) for i in range(splitter.n_splits)]
        return [(np.flatnonzero(part == 0), np.flatnonzero(part == 1)) for part in parts]
    cutters = (ms.StratifiedKFold, ms.RepeatedStratifiedKFold, ms.StratifiedGroupKFold)
    if not isinstance(splitter, cutters) or not (n_parts := _n_parts(splitter)):
        return None
    together = groups if isinstance(splitter, ms.StratifiedGroupKFold) else recordings
    repeats = splitter.get_n_splits(Y, np.zeros(len(Y)), groups) // n_parts
    parts = [stratify(Y, np.full(n_parts, 1 / n_parts), together, seed=seed + i) for i in range(repeats)]
    return [(np.flatnonzero(part != k), np.flatnonzero(part == k)) for part in parts for k in range(n_parts)]


def _read_fold(name: str, pair: Any) -> Fold:
    parts = [np.asarray(part) for part in pair]
    if len(parts) != 2 or any(part.ndim != 1 or (part.size and part.dtype.kind not in "iu") for part in parts):
        raise PluginError(f"{name}: a fold must be two arrays of indices, (train, test)", plugin="split")
    return Fold(*(part.astype(np.intp) for part in parts))


def _check_fold(where: str, fold: Fold, y: np.ndarray, names: Sequence[str]) -> None:
    for name, part in zip(("training", "test"), fold, strict=True):
        if part.size == 0:
            raise DataError(f"split: {where}: the {name} set is empty ({len(y)} clips in total)")
        if part.min() < 0 or part.max() >= len(y):
            raise PluginError(f"{where}: the {name} set has indices outside 0 … {len(y) - 1}", plugin="split")
    both = np.intersect1d(fold.train, fold.test)
    if both.size:
        shared = f"{both.size} clip(s) in both the training and the test set, e.g. {names[both[0]]}"
        raise PluginError(f"{where}: {shared}", plugin="split")
    if np.unique(fold.test).size < fold.test.size:
        raise PluginError(f"{where}: the test set contains a clip twice", plugin="split")


def _check_training_part(where: str, fold: Fold, y: np.ndarray, counts: np.ndarray, classes: Sequence[str]) -> None:
    lacking = np.flatnonzero(np.bincount(y[fold.train], minlength=len(classes)) == 0)
    if lacking.size:
        what = ", ".join(f"'{classes[int(i)]}' ({counts[i]} in total)" for i in lacking)
        raise DataError(
            f"split: {where}: the training set has no clip of {what}; choose a stratified split, or set "
            f"{_exclude(lacking, classes)}"
        )


def warn_of_shared_groups(folds: Sequence[Fold], groups: Groups) -> None:
    """Warn in one line if a split puts clips of one group into both the training and the test set."""
    known = read_groups(groups)
    if known is None:
        return
    shared = {group for fold in folds for group in np.intersect1d(known[fold.train], known[fold.test])}
    if shared:
        log.warning(
            "split: %d of %d groups (e.g. %s) have clips in both the training and the test set, so scores will be "
            "higher than on new groups; split=group_kfold keeps groups together",
            len(shared), np.unique(known).size, min(shared),
        )  # fmt: skip


def _exclude(which: np.ndarray, classes: Sequence[str]) -> str:
    return f"data.exclude=[{','.join(str(classes[int(i)]) for i in which)}]"


def _show_counts(counts: np.ndarray, classes: Sequence[str], most: int = 10) -> str:
    rarest = np.argsort(counts, kind="stable")
    more = f", … ({len(classes)} classes)" if len(classes) > most else ""
    return ", ".join(f"{classes[int(i)]} {counts[i]}" for i in rarest[:most]) + more
