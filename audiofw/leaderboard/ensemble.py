"""Ensemble selection from the out-of-fold probabilities of finished runs; nothing is trained again.

The averaged probabilities of a few good and different models are often better than the best of them. Models are
selected greedily: at each step the one that helps most is added, possibly again. Selected and scored on the same
clips, an ensemble would look too good, so each part of the clips is scored with weights selected on the other parts.

References
----------
Caruana, R. et al.: Ensemble selection from libraries of models. ICML 2004.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from audiofw.data.labels import encode_several, name_prediction
from audiofw.evaluation.intervals import score_interval
from audiofw.evaluation.scores import Positive, positive_classes, score_counts, scores
from audiofw.evaluation.thresholds import choose_thresholds
from audiofw.leaderboard.runs import Predictions, Run
from audiofw.leaderboard.significance import compare_with_best, contribute, same_clips, same_folds
from audiofw.leaderboard.table import Comparison, LeaderboardRow, run_of

MOST_PARTS = 10  # more folds than this are merged, since each part needs its own selection
HOLDOUT_PARTS = 5
CANDIDATES = 25  # select from the best models only; weak ones hardly ever help
LARGEST_START = 5  # start with the best model, or with up to this many of the best together: this overfits less
STEPS = 25


# --- selection --------------------------------------------------------------------------------------------


class Ensemble(NamedTuple):
    """An ensemble and its scores.

    ``probabilities``, ``predictions`` and the scores are unbiased: no clip was used to select the weights that it is
    scored with. ``weights``, selected on all clips, are for later use; they sum to 1.
    """

    weights: np.ndarray  # (runs,)
    probabilities: np.ndarray  # (clips, classes)
    predictions: np.ndarray  # (clips,)
    value: float | None
    folds: list[float | None]
    interval: tuple[float, float] | None


def build_ensemble(
    proba: np.ndarray,
    y: np.ndarray,
    folds: np.ndarray,
    parts: np.ndarray,
    score: str,
    *,
    groups: Sequence[str] | None = None,
    positive: Positive = 1,
) -> Ensemble:
    """Select an ensemble, and score it on clips that were not used for the selection.

    Parameters
    ----------
    proba : np.ndarray [shape=(runs, clips, classes)]
        Out-of-fold probabilities; float32 suffices.
    y : np.ndarray [shape=(clips,)]
        True classes, as 0 .. classes-1; or several labels, as an indicator matrix (clips, classes).
    folds : np.ndarray [shape=(clips,)]
        Any numbering of the folds in which the clips were tested.
    parts : np.ndarray [shape=(clips,)]
        As `make_parts` returns them.
    score : str
        The score to optimise and to report; log loss is optimised instead of ``roc_auc``, and for several labels.
    groups : sequence [shape=(clips,)], optional
        For the interval, as in `audiofw.evaluation.intervals.score_intervals`.
    positive : int or tuple of int
        As in `audiofw.evaluation.scores.scores`.
    """
    across = average_across(proba, y, parts, score, positive)
    predictions = across.argmax(axis=1) if y.ndim == 1 else label_across(proba, y, parts, across)
    n_classes = proba.shape[2]
    return Ensemble(
        weights=select(proba, y, score, positive),
        probabilities=across,
        predictions=predictions,
        value=scores(y, predictions, across, n_classes, positive=positive)[score],
        folds=[
            scores(y[fold], predictions[fold], across[fold], n_classes, positive=positive)[score]
            for fold in (folds == number for number in np.unique(folds))
        ],
        interval=score_interval(y, predictions, across, score, n_classes=n_classes, groups=groups, positive=positive),
    )


def make_parts(folds: np.ndarray, groups: Sequence[str] | None, seed: int) -> np.ndarray | None:
    """Divide the test clips into parts for cross-validating the selection.

    Parameters
    ----------
    folds : np.ndarray [shape=(clips,)]
        Each part is a fold, or several. The clips of a single fold are divided at random.
    groups : sequence [shape=(clips,)], optional
        Kept together.
    seed : int
        For the random division.

    Returns
    -------
    np.ndarray [shape=(clips,)] or None
        Numbers from 0; None if there is only one clip or group, which cannot be divided.
    """
    numbers = np.unique(folds, return_inverse=True)[1]
    if numbers.max() > 0:
        return numbers % MOST_PARTS
    units = np.arange(len(folds)) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    n_units = units.max() + 1
    part_of_unit = np.random.default_rng(seed).permutation(n_units) % HOLDOUT_PARTS
    return part_of_unit[units] if n_units > 1 else None


def average_across(
    proba: np.ndarray, y: np.ndarray, parts: np.ndarray, score: str, positive: Positive = 1
) -> np.ndarray:
    """Average each part's probabilities with weights selected on the other parts.

    Returns
    -------
    np.ndarray [shape=(clips, classes)]
        Each row sums to 1, unless a clip may have several labels.
    """
    averaged = np.empty(proba.shape[1:])
    for part in np.unique(parts):
        inside = parts == part
        weights = select(proba[:, ~inside], y[~inside], score, positive)
        used = np.flatnonzero(weights)
        averaged[inside] = np.tensordot(weights[used], proba[used][:, inside].astype(float), axes=1)
    return averaged if y.ndim == 2 else averaged / averaged.sum(axis=1, keepdims=True)


def label_across(proba: np.ndarray, y: np.ndarray, parts: np.ndarray, averaged: np.ndarray) -> np.ndarray:
    """Predict each part's labels with thresholds chosen on the other parts, averaged with weights selected on these."""
    predicted = np.empty(y.shape, int)
    for part in np.unique(parts):
        inside = parts == part
        others = np.tensordot(select(proba[:, ~inside], y[~inside], "log_loss"), proba[:, ~inside], axes=1)
        predicted[inside] = averaged[inside] >= choose_thresholds(y[~inside], others)
    return predicted


def select(proba: np.ndarray, y: np.ndarray, score: str, positive: Positive = 1) -> np.ndarray:
    """Select each run's weight in the average by greedy selection with replacement.

    Parameters
    ----------
    proba : np.ndarray [shape=(runs, clips, classes)]
    y : np.ndarray [shape=(clips,)]
    score : str
        The score to optimise; ties are decided by log loss.
    positive : int or tuple of int
        As in `audiofw.evaluation.scores.scores`.

    Returns
    -------
    np.ndarray [shape=(runs,)]
        Sums to 1; most are 0.
    """
    best_first = _order(*_measure(proba, y, score, positive))[:CANDIDATES]
    candidates = proba[best_first]
    counts = _start(candidates, y, score, positive)
    total = np.tensordot(counts.astype(proba.dtype), candidates, axes=1)
    best_counts, best_goodness = counts, _goodness(total[None] / counts.sum(), y, score, positive)
    for size in range(counts.sum() + 1, counts.sum() + STEPS + 1):
        good, loss = _measure((total + candidates) / np.float32(size), y, score, positive)
        added = _order(good, loss)[0]
        total, counts = total + candidates[added], counts + (np.arange(counts.size) == added)
        if (good[added], -loss[added]) > best_goodness:
            best_counts, best_goodness = counts, (good[added], -loss[added])
    weights = np.zeros(len(proba))
    weights[best_first] = best_counts / best_counts.sum()
    return weights


def _start(candidates: np.ndarray, y: np.ndarray, score: str, positive: Positive) -> np.ndarray:
    """Start with the best candidate, or the best two, …: counts of shape (candidates,)."""
    first = candidates[:LARGEST_START]
    sizes = np.arange(1, len(first) + 1, dtype=np.float32)
    together = np.cumsum(first, axis=0) / sizes[:, None, None]
    n_taken = _order(*_measure(together, y, score, positive))[0] + 1
    return (np.arange(len(candidates)) < n_taken).astype(int)


def _order(good: np.ndarray, loss: np.ndarray) -> np.ndarray:
    return np.lexsort((loss, -good))


def _goodness(proba: np.ndarray, y: np.ndarray, score: str, positive: Positive) -> tuple[float, float]:
    good, loss = _measure(proba, y, score, positive)
    return good[0], -loss[0]


def _measure(proba: np.ndarray, y: np.ndarray, score: str, positive: Positive) -> tuple[np.ndarray, np.ndarray]:
    """Score several sets of probabilities, (sets, clips, classes): goodness and log loss, each of shape (sets,)."""
    own = proba[:, np.arange(len(y)), y] if y.ndim == 1 else np.where(y > 0, proba, 1 - proba).reshape(len(proba), -1)
    loss = -np.log(np.clip(own, np.finfo(np.float32).eps, 1)).mean(axis=1, dtype=float)
    if score in ("log_loss", "roc_auc") or y.ndim == 2:
        return -loss, loss
    confusions = _count(proba.argmax(axis=2), y, proba.shape[2])
    good = np.nan_to_num(score_counts(confusions, positive)[score], nan=-np.inf)
    return good.round(12), loss  # rounded, so that log loss decides between equal scores


def _count(predicted: np.ndarray, y: np.ndarray, n_classes: int) -> np.ndarray:
    """Count confusion matrices of predictions of shape (sets, clips)."""
    n_cells, sets = n_classes**2, np.arange(len(predicted))[:, None]
    cells = sets * n_cells + y * n_classes + predicted
    counts = np.bincount(cells.ravel(), minlength=len(predicted) * n_cells)
    return counts.reshape(-1, n_classes, n_classes).astype(float)


# --- a row of the leaderboard -----------------------------------------------------------------------------


def average_rows(
    rows: Sequence[LeaderboardRow], tested: Sequence[Predictions | None], score: str
) -> tuple[LeaderboardRow | None, list[str]]:
    """Build an ensemble of the runs that have the same clips, folds and classes as the best.

    Parameters
    ----------
    rows : sequence of Row
        Best first.
    tested : sequence of Predictions or None [shape=(rows,)]
        The predictions of each row's run, with probabilities if it may take part.
    score : str

    Returns
    -------
    row, notes
        None if there are too few runs or clips; notes for below the table. Its p value is of a single comparison, with
        the best.
    """
    best, first = tested[0], run_of(rows[0])
    joining = [
        (row, theirs.probabilities)
        for row, theirs in zip(rows, tested, strict=True)
        if theirs and best and theirs.probabilities is not None and _shares_all(run_of(row), theirs, first, best)
    ]
    if best is None or len(joining) < 2:
        return None, ["no ensemble: it needs two runs with probabilities on the same clips and folds"]
    folds, groups, seed = np.array(best.folds), best.groups if all(best.groups) else None, _seed(first)
    parts = make_parts(folds, groups, seed)
    if parts is None:
        return None, ["no ensemble: it needs at least two test clips or groups"]
    classes = first.metrics["classes"]
    y = (
        encode_several(best.labels, classes)[1]
        if first.several
        else np.array([classes.index(label) for label in best.labels])
    )
    proba = np.stack([probabilities for _, probabilities in joining])
    negative = first.metrics.get("negative")
    made = build_ensemble(proba, y, folds, parts, score, groups=groups, positive=positive_classes(classes, negative))
    used = [(row, float(weight)) for (row, _), weight in zip(joining, made.weights, strict=True) if weight > 0]
    predictions = best._replace(
        predicted=tuple(name_prediction(i, classes) for i in made.predictions), probabilities=made.probabilities
    )
    row = _make_row(made, used)
    contributions = contribute(predictions, classes, score, several=first.several, negative=negative)
    row = row._replace(comparison=_compare(contributions, best, first))
    return row, [_say(len(used), len(joining), len(np.unique(folds)), len(np.unique(parts)))]


def _compare(contributions: np.ndarray | None, best: Predictions, first: Run) -> Comparison:
    """Compare with the best alone; either may be ahead."""
    if contributions is None or best.contributions is None:
        return Comparison()
    return min(compare_with_best([best.contributions, contributions], best, first), key=lambda made: made.p or 0.0)


def _shares_all(run: Run, theirs: Predictions, first: Run, best: Predictions) -> bool:
    same_classes = (run.several, run.metrics["classes"]) == (first.several, first.metrics["classes"])
    return same_classes and same_clips(theirs, best) and same_folds(run, theirs, first, best)


def _seed(run: Run) -> int:
    seed = run.options.get("seed")
    return seed if isinstance(seed, int) and seed >= 0 else 0


def _make_row(made: Ensemble, used: Sequence[tuple[LeaderboardRow, float]]) -> LeaderboardRow:
    defined = [value for value in made.folds if value is not None]
    return LeaderboardRow(
        run=None,
        options={},
        value=made.value,
        std=float(np.std(defined, ddof=1)) if len(defined) > 1 else None,
        interval=made.interval,
        fit_seconds=_sum(row.fit_seconds for row, _ in used),
        predict_seconds=_sum(row.predict_seconds for row, _ in used),
        model_bytes=_sum(row.model_bytes for row, _ in used),
        members=tuple((run_of(row), weight) for row, weight in used),
    )


def _sum(values: Iterable[float | None]) -> float | None:
    listed = list(values)
    known = [value for value in listed if value is not None]
    return sum(known) if len(known) == len(listed) else None


def _say(n_used: int, n_joining: int, n_folds: int, n_parts: int) -> str:
    part = "fold" if n_folds == n_parts else f"of {n_parts} parts of the test clips"
    return (
        f"ensemble: average of {n_used} of {n_joining} runs; each {part} is scored with weights selected on the others"
    )
