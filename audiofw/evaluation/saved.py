"""Score the predictions of a saved model for clips that it was not trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from audiofw.data.dataset import Clip
from audiofw.data.labels import encode_several, join_labels, split_labels
from audiofw.data.splits import Fold, read_groups
from audiofw.evaluation.conformal import label_sets, threshold
from audiofw.evaluation.cross_validate import Evaluation, FoldResult, pool, run_baseline
from audiofw.evaluation.fit import Sample
from audiofw.evaluation.scores import Positive, scores


class KnownClips(NamedTuple):
    """Test clips whose labels a model knows."""

    places: list[int]  #: their indices among all test clips
    texts: list[str]  #: their labels that the model knows
    y: np.ndarray  #: [shape=(n,)], or an indicator matrix
    unknown: dict[str, int]  #: labels that the model does not know, with the number of clips


def encode_known(labels: Sequence[str], classes: Sequence[str], task: str) -> KnownClips:
    """Encode labels by the classes of a model.

    With one label per clip, clips of other classes are left out; of several labels, those that the model does not know.

    Examples
    --------
    >>> encode_known(["dog", "owl", "cat"], ["cat", "dog"], "single")
    Labelled(places=[0, 2], texts=['dog', 'cat'], y=array([1, 0]), unknown={'owl': 1})
    """
    known, unknown = set(classes), dict[str, int]()
    if task == "multilabel":
        for text in labels:
            for label in set(split_labels(text)) - known:
                unknown[label] = unknown.get(label, 0) + 1
        texts = [join_labels(known.intersection(split_labels(text))) for text in labels]
        y = encode_several(texts, classes)[1]
        return KnownClips(list(range(len(labels))), texts, y, dict(sorted(unknown.items())))
    for label in labels:
        if label not in known:
            unknown[label] = unknown.get(label, 0) + 1
    places, number = (
        [i for i, label in enumerate(labels) if label in known],
        {name: i for i, name in enumerate(classes)},
    )
    texts = [labels[i] for i in places]
    y = np.array([number[text] for text in texts], dtype=np.intp)
    return KnownClips(places, texts, y, dict(sorted(unknown.items())))


def evaluate_predictions(
    y: np.ndarray,
    predictions: np.ndarray,
    probabilities: np.ndarray | None,
    *,
    n_classes: int,
    clips: Sequence[Clip],
    trained: np.ndarray,
    positive: Positive = 1,
    thresholds: np.ndarray | None = None,
    seconds: float = 0.0,
) -> Evaluation:
    """Make an evaluation of one test set.

    Parameters
    ----------
    y, predictions : np.ndarray [shape=(clips,)]
        Or indicator matrices, (clips, n_classes).
    probabilities : np.ndarray [shape=(clips, n_classes)] or None
    n_classes : int
        Of the model.
    clips : sequence of Clip
        For their groups.
    trained : np.ndarray [shape=(training clips,)]
        Classes of the training clips, for the baseline; if there are none, those of the test clips.
    positive
        See `audiofw.evaluation.scores.scores`.
    thresholds : np.ndarray [shape=(n_classes,)], optional
        Of a model of several labels.
    seconds : float
        That the predictions took.
    """
    test = np.arange(len(y))
    groups = [clip.group or clip.name for clip in clips] if any(clip.group for clip in clips) else None
    found = scores(y, predictions, probabilities, n_classes, positive=positive)
    fold = FoldResult(1, len(trained), test, predictions, probabilities, found, 0.0, seconds, thresholds)
    pooled = pool([fold], y, n_classes, positive)
    baseline = _baseline(y, trained if len(trained) else y, n_classes, positive)
    return Evaluation(
        sample=Sample.of(np.zeros((len(y), 1)), y, n_classes, groups=groups, positive=positive),
        y=y,
        n_classes=n_classes,
        groups=read_groups(groups),
        predictions=pooled.predictions,
        probabilities=pooled.probabilities,
        fold_of=np.ones(len(y), int),
        scores=pooled.scores,
        folds=(fold,),
        baseline=pool([baseline], y, n_classes, positive),
        baseline_folds=(baseline,),
        models=(),
    )


def _baseline(y: np.ndarray, trained: np.ndarray, n_classes: int, positive: Positive) -> FoldResult:
    both = np.concatenate([trained, y])
    blank = Sample.of(np.zeros((len(both), 1)), both, n_classes, positive=positive)
    test = np.arange(len(trained), len(both))
    return run_baseline(1, Fold(np.arange(len(trained)), test), blank)._replace(test=np.arange(len(y)))


def measure_coverage(
    y: np.ndarray, probabilities: np.ndarray, conformity: Sequence[float], coverage: float
) -> Mapping[str, Any]:
    """Measure the prediction sets that a saved model gives; see `audiofw.evaluation.conformal.summarise_confidence`."""
    sets = label_sets(probabilities, threshold(conformity, coverage))
    sizes = sets.sum(axis=1)
    return {
        "coverage": coverage,
        "measured": float(sets[np.arange(len(y)), y].mean()),
        "mean_size": float(sizes.mean()),
        "single": float((sizes == 1).mean()),
    }
