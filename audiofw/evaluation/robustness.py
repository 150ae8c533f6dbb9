"""Robustness: score the folds' models on modified test clips, with noise, lossy encoding, reverberation and the like.

Nothing is trained again: each fold's model, which was not trained on these clips, predicts the modified versions.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from audiofw.data.splits import Fold
from audiofw.errors import DataError
from audiofw.evaluation.changes import changed_units
from audiofw.evaluation.cross_validate import Evaluation, Pooled, pool, test_fold
from audiofw.evaluation.intervals import score_interval
from audiofw.extraction.extract import Table
from audiofw.extraction.recording import Unit

log = logging.getLogger(__name__)

Extract = Callable[[np.ndarray, Unit], Table]

UNCHANGED = "none"


def measure_robustness(
    evaluation: Evaluation, folds: Sequence[Fold], unit: Unit, extract: Extract, *, score: str, seed: int
) -> list[dict[str, Any]]:
    """Score every fold's model, without retraining, on its test clips, unchanged and with each modification.

    Parameters
    ----------
    evaluation : Evaluation
        With the models of all its folds.
    folds : sequence of Fold
    unit : Unit
        Extracts features from the unchanged clips.
    extract : callable
        Extracts the features of some clips, given by their indices, with another unit.
    score : str
        The main score.
    seed : int
        For random modifications.

    Returns
    -------
    list of dict
        ``change``, ``value``, ``interval`` and ``n_tested`` (clips); the unchanged clips come first. None for a score
        that is undefined, or a modification in which no clip could be used.
    """
    tested = np.flatnonzero(evaluation.tested)
    as_they_are = Pooled(evaluation.predictions, evaluation.probabilities, evaluation.scores)
    lines = [_line(UNCHANGED, as_they_are, evaluation, score)]
    for name, changed in changed_units(unit, seed).items():
        pooled = None
        try:
            table = extract(tested, changed)
        except DataError as error:  # e.g. a libsndfile without mp3
            log.warning("robustness: %s: %s", name, error)
        else:
            _warn_of_lost(name, table)
            pooled = _test_again(evaluation, folds, table, tested[table.kept])
        lines.append(_line(name, pooled, evaluation, score))
    return lines


def _warn_of_lost(name: str, table: Table) -> None:
    if table.failures:
        count, first = len(table.failures), table.failures[0]
        log.warning("robustness: %s: %d clips left out, %s the first: %s", name, count, first.name, first.reason)


def _test_again(evaluation: Evaluation, folds: Sequence[Fold], table: Table, kept: np.ndarray) -> Pooled:
    """Predict with each fold's model those of its test clips that have features; ``kept`` holds their indices."""
    rows = {"X": table.X, "clip_of": kept[table.clip_of], "augmented": np.zeros(len(table.X), bool)}
    sample = replace(evaluation.sample, **rows)
    parts = [Fold(fold.train, fold.test[np.isin(fold.test, kept)]) for fold in folds]
    results = [
        test_fold(model, number, part, sample)
        for number, (model, part) in enumerate(zip(evaluation.models, parts, strict=True), 1)
        if len(part.test)
    ]
    return pool(results, evaluation.y, evaluation.n_classes, evaluation.sample.positive)


def _line(name: str, pooled: Pooled | None, evaluation: Evaluation, score: str) -> dict[str, Any]:
    line = {"change": name, "value": None, "interval": None, "n_tested": 0}
    if pooled is None:
        return line
    seen, y, proba = pooled.predictions.reshape(len(evaluation.y), -1)[:, 0] >= 0, evaluation.y, pooled.probabilities
    interval = score_interval(
        y[seen], pooled.predictions[seen], None if proba is None else proba[seen], score,
        n_classes=evaluation.n_classes,
        positive=evaluation.sample.positive,
        groups=None if evaluation.groups is None else evaluation.groups[seen],
    )  # fmt: skip
    spread = None if interval is None else list(interval)
    return {**line, "value": pooled.scores[score], "interval": spread, "n_tested": int(seen.sum())}
