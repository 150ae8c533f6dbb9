"""The data of a report's figures: confusion matrix, ROC and precision–recall curves, reliability diagram."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from audiofw.report.facts import Facts

MOST_IN_MATRIX = 30  # classes; beyond this the cells have no numbers
MOST_IN_MAP = 120  # classes; beyond this only those with the most errors are shown
MOST_CURVES = 8
MOST_CONFUSIONS = 8
POINTS = 120  # of a curve
BINS = 10
MACRO = "macro average"


class Confusion(NamedTuple):
    """A pair of classes, the first of which is predicted as the second."""

    label: str
    predicted: str
    n: int
    of: int


class Matrix(NamedTuple):
    """A confusion matrix: rows are true classes, columns predicted ones."""

    classes: list[str]
    counts: list[list[int]]
    shares: list[list[float]]
    left_out: int


class Curve(NamedTuple):
    """A curve in the unit square, and the area under it."""

    name: str
    points: list[tuple[float, float]]
    area: float


class Bin(NamedTuple):
    """The predictions with confidences in one range."""

    low: float
    high: float
    n: int
    confidence: float
    accuracy: float


def matrix(facts: Facts) -> Matrix:
    """Give the confusion matrix; with many classes, that of the classes with the most errors.

    With several labels, the number of clips that have both of two labels instead.
    """
    if facts.several:
        return _together(facts)
    counts = np.array(facts.metrics["confusion_matrix"], dtype=int).reshape(len(facts.classes), -1)
    wrong = counts.sum(axis=0) + counts.sum(axis=1) - 2 * np.diag(counts)
    kept = np.sort(np.argsort(-wrong, kind="stable")[:MOST_IN_MAP])
    total = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, total, out=np.zeros(counts.shape), where=total > 0)
    cut = np.ix_(kept, kept)
    names = [facts.classes[i] for i in kept]
    return Matrix(names, counts[cut].tolist(), shares[cut].tolist(), len(counts) - len(kept))


def _together(facts: Facts) -> Matrix:
    counts = np.array(facts.metrics["together"], dtype=int).reshape(len(facts.classes), -1)
    own = np.diag(counts)[:, None]
    shares = np.divide(counts, own, out=np.zeros(counts.shape), where=own > 0)
    kept = np.sort(np.argsort(-own[:, 0], kind="stable")[:MOST_IN_MAP])
    cut = np.ix_(kept, kept)
    return Matrix([facts.classes[i] for i in kept], counts[cut].tolist(), shares[cut].tolist(), len(own) - len(kept))


def confusions(facts: Facts, most: int = MOST_CONFUSIONS) -> list[Confusion]:
    """List the most frequent confusions; with several labels, the labels wrongly predicted for clips with others."""
    if facts.several:
        off = np.array(facts.metrics["false_alarms"], dtype=int)
        counts = np.diag(np.diag(np.array(facts.metrics["together"], dtype=int)))
    else:
        counts = np.array(facts.metrics["confusion_matrix"], dtype=int)
        off = counts - np.diag(np.diag(counts))
    order = np.argsort(-off, axis=None, kind="stable")[:most]
    cells = [divmod(int(i), len(counts)) for i in order]
    return [
        Confusion(facts.classes[a], facts.classes[b], int(off[a, b]), int(counts[a].sum()))
        for a, b in cells
        if off[a, b]
    ]


def curves(facts: Facts) -> dict[str, list[Curve]] | None:
    """Compute one-vs-rest ROC and precision–recall curves, the macro average first; None without probabilities.

    The macro average is taken at equal false positive rate, or equal recall.
    """
    if facts.probabilities is None:
        return None
    has, proba = [facts.has(k) for k in range(len(facts.classes))], facts.probabilities
    shown = [k for k, mask in enumerate(has) if 0 < mask.sum() < len(mask)]
    found = {kind: [_curve(kind, facts.classes[k], has[k], proba[:, k]) for k in shown] for kind in ("roc", "pr")}
    return {kind: [_mean(kind, each), *_few(each)] for kind, each in found.items()} if shown else None


def _curve(kind: str, name: str, truth: np.ndarray, proba: np.ndarray) -> Curve:
    from sklearn import metrics

    if kind == "roc":
        x, y, _ = metrics.roc_curve(truth, proba)
        return Curve(name, _thinned(x, y), float(metrics.auc(x, y)))
    precision, recall, _ = metrics.precision_recall_curve(truth, proba)
    area = float(metrics.average_precision_score(truth, proba))
    return Curve(name, _thinned(recall[::-1], precision[::-1]), area)


def _thinned(x: np.ndarray, y: np.ndarray) -> list[tuple[float, float]]:
    if len(x) > POINTS:
        kept = np.unique(np.searchsorted(np.hypot(np.diff(x), np.diff(y)).cumsum(), np.linspace(0, 1, POINTS) * 2))
        kept = np.unique(np.clip([0, *kept, len(x) - 1], 0, len(x) - 1))
        x, y = x[kept], y[kept]
    return list(zip(x.tolist(), y.tolist(), strict=True))


def _mean(kind: str, each: Sequence[Curve]) -> Curve:
    grid = np.linspace(0, 1, 101)
    heights = np.mean([np.interp(grid, *np.array(curve.points).T) for curve in each], axis=0)
    points = list(zip(grid.tolist(), heights.tolist(), strict=True))
    return Curve(MACRO, [(0.0, 0.0), *points] if kind == "roc" else points, float(np.mean([c.area for c in each])))


def _few(each: Sequence[Curve]) -> list[Curve]:
    worst = sorted(each, key=lambda curve: curve.area)[:MOST_CURVES]
    return [curve for curve in each if curve in worst]


def reliability(facts: Facts) -> dict[str, Any] | None:
    """Compare confidence with accuracy; None without probabilities.

    ``ece``, the expected calibration error, is the mean difference of the two over ten bins of equal width, weighted
    by their number of clips (Naeini et al., 2015). With several labels, the probability of every label of every clip is
    compared with how often clips have it.
    """
    if facts.probabilities is None or not len(facts.truth):
        return None
    if facts.several:
        confidence, correct = facts.probabilities.ravel().astype(float), facts.truth.ravel() > 0
    else:
        confidence = facts.probabilities[np.arange(len(facts.predicted)), facts.predicted].astype(float)
        correct = facts.truth == facts.predicted
    place = np.minimum((confidence * BINS).astype(int), BINS - 1)
    bins = [
        Bin(k / BINS, (k + 1) / BINS, int(n), float(confidence[place == k].mean()), float(correct[place == k].mean()))
        for k in range(BINS)
        if (n := np.sum(place == k))
    ]
    ece = sum(one.n * abs(one.confidence - one.accuracy) for one in bins) / len(confidence)
    return {
        "bins": bins,
        "points": [(one.confidence, one.accuracy) for one in bins],
        "n": len(confidence),
        "ece": float(ece),
        "confidence": float(confidence.mean()),
        "accuracy": float(correct.mean()),
    }
