"""The part of ``metrics.json`` that is about several labels per clip."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from audiofw.evaluation.cross_validate import Evaluation
from audiofw.evaluation.label_scores import score_each


def summarise_labels(evaluation: Evaluation, classes: Sequence[str]) -> dict[str, Any]:
    """Summarise each class of an evaluation with several labels per clip, ready for JSON.

    Returns
    -------
    dict
        ``per_class``: the scores of each class, None if undefined; ``threshold``, the mean over the folds, and
        ``one_sided``, the folds whose training clips all have the class, or none of them. ``together``: number of test
        clips that have class i and class j. ``false_alarms``: number of test clips that have class i and for which
        class j is predicted wrongly. ``confidence`` is None: prediction sets are for one label per clip.
    """
    tested = evaluation.tested
    y, said = evaluation.y[tested].astype(int), evaluation.predictions[tested].astype(int)
    proba = None if evaluation.probabilities is None else evaluation.probabilities[tested]
    thresholds = np.mean([fold.thresholds for fold in evaluation.folds if fold.thresholds is not None], axis=0)
    rows = zip(classes, score_each(y, said, proba), thresholds.tolist(), _one_sided(evaluation), strict=True)
    return {
        "per_class": [
            {"class": str(name), **scores._asdict(), "threshold": threshold, "one_sided": folds}
            for name, scores, threshold, folds in rows
        ],
        "together": (y.T @ y).tolist(),
        "false_alarms": (y.T @ (said * (1 - y))).tolist(),
        "confidence": None,
    }


def _one_sided(evaluation: Evaluation) -> list[list[int]]:
    """List for each class the folds whose training part does not tell it from anything."""
    known = [(fold.number, fold.one_sided) for fold in evaluation.folds if fold.one_sided is not None]
    return [[number for number, mask in known if mask[k]] for k in range(evaluation.n_classes)]
