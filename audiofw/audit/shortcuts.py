"""Find shortcuts: properties of the recordings, not of their sound, that predict the label, so a model may learn them.

For each property alone, a small decision tree predicts the label in 5-fold cross-validation. Its balanced accuracy is
compared with chance, 1 / classes. A property is reported if it exceeds chance by 4 standard deviations of guessing and
by a quarter of the distance from chance to perfect. From half of that distance on it is a warning, below a note, since
loudness or duration may truly differ between classes (a dog's bark is short).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from audiofw.audit.probe import Probe, Properties

N_SPLITS = 5
MATERIAL = 0.25
STRONG = 0.5
DEVIATIONS = 4.0
NOUNS = {
    "rolloff_95": "bandwidth",
    "rolloff_99": "bandwidth",
    "cutoff": "bandwidth",
    "silence": "share of silence",
    "sample_rate": "sample rate",
    "bit_depth": "bit depth",
    "channels": "number of channels",
    "file_size": "file size",
}


class Shortcut(NamedTuple):
    """One property that predicts the label."""

    name: str  #: in words: "duration", "bandwidth", …
    accuracy: float  #: balanced accuracy in cross-validation
    chance: float  #: that of guessing

    @property
    def strength(self) -> float:
        """Position between chance, 0, and perfect, 1."""
        return (self.accuracy - self.chance) / (1 - self.chance)

    @property
    def strong(self) -> bool:
        """Whether this is a warning rather than a note."""
        return self.strength >= STRONG


def shortcuts(
    probes: Sequence[Probe], labels: Sequence[str], groups: Sequence[str] | None = None, seed: int = 42
) -> list[Shortcut]:
    """Find the properties that alone predict the label.

    Parameters
    ----------
    probes : Sequence[Probe] [shape=(clips,)]
        The measures of each clip.
    labels : Sequence[str] [shape=(clips,)]
        Classes of fewer than 5 clips are left out.
    groups : Sequence[str], optional
        Sources of the clips; if every class has 5 sources, clips of one source stay on one side of the split.
    seed : int
        For the folds.

    Returns
    -------
    list[Shortcut]
        The properties that predict clearly better than chance, strongest first.
    """
    kept, y, parts = _often(labels, groups)
    if y.size == 0 or y.max() < 1:
        return []
    folds = _folds(y, parts, seed)
    table = np.array([probes[i].used for i in kept], dtype=np.float64)
    found: dict[str, Shortcut] = {}
    for column, field in enumerate(Properties._fields):
        name = NOUNS.get(field, field)
        one = Shortcut(name, _balanced_accuracy(table[:, [column]], y, folds, seed), 1 / (int(y.max()) + 1))
        if _stands_out(one, y, parts) and (name not in found or found[name].accuracy < one.accuracy):
            found[name] = one
    return sorted(found.values(), key=lambda one: -one.accuracy)


def _often(labels: Sequence[str], groups: Sequence[str] | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the indices of the clips of large classes, their classes, and their parts: groups or single clips."""
    names = np.asarray(labels, dtype=str)
    classes, y, counts = np.unique(names, return_inverse=True, return_counts=True)
    kept = np.flatnonzero(counts[y] >= N_SPLITS) if len(classes) else np.zeros(0, int)
    y = np.unique(names[kept], return_inverse=True)[1]
    parts = np.arange(len(kept))
    if groups is not None:
        known = np.unique(np.asarray(groups, dtype=str)[kept], return_inverse=True)[1]
        parts = known if _parts_of_classes(y, known).min(initial=N_SPLITS) >= N_SPLITS else parts
    return kept, y, parts


def _parts_of_classes(y: np.ndarray, parts: np.ndarray) -> np.ndarray:
    """Count the independent parts of each class."""
    return np.bincount(np.unique(np.stack([y, parts]), axis=1)[0])


def _folds(y: np.ndarray, parts: np.ndarray, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    if len(np.unique(parts)) < len(y):
        return list(StratifiedGroupKFold(N_SPLITS, shuffle=True, random_state=seed).split(y, y, parts))
    return list(StratifiedKFold(N_SPLITS, shuffle=True, random_state=seed).split(y, y))


def _balanced_accuracy(x: np.ndarray, y: np.ndarray, folds: list[tuple[np.ndarray, np.ndarray]], seed: int) -> float:
    from sklearn.tree import DecisionTreeClassifier

    n_classes = int(y.max()) + 1
    if np.ptp(x) == 0:
        return 1 / n_classes
    tree = DecisionTreeClassifier(
        max_leaf_nodes=3 * n_classes,
        min_samples_leaf=max(2, len(y) // (8 * n_classes)),
        class_weight="balanced",
        random_state=seed,
    )
    right = np.zeros(len(y))
    for train, test in folds:
        right[test] = tree.fit(x[train], y[train]).predict(x[test]) == y[test]
    return float(np.mean(np.bincount(y, right) / np.bincount(y)))


def _stands_out(one: Shortcut, y: np.ndarray, parts: np.ndarray) -> bool:
    per_class = _parts_of_classes(y, parts)
    deviation = np.sqrt(one.chance * (1 - one.chance) * np.mean(1 / per_class) / len(per_class))
    return one.strength >= MATERIAL and one.accuracy >= one.chance + DEVIATIONS * deviation
