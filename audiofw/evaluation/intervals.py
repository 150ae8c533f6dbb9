"""Confidence intervals of scores, with nominal coverage even for few groups.

The variance of a score is the jackknife estimate from the influences of the units (clips or, if there are groups,
groups). Intervals use Student's t instead of the normal distribution, so that three groups give a wide interval rather
than a wrong one. The degrees of freedom are the number of units minus one; if units differ in size, halfway to their
effective number. If each class has groups of its own, as a species has animals, scores computed from the classes take
each class as a sample of its groups (Satterthwaite). Bounded scores use the logit scale, and log loss the logarithmic
scale, so that no interval leaves the range of its score. If all units are equal, for example if every clip is right,
the Clopper-Pearson interval is used. `docs/evaluation.md` shows the simulated coverage.

References
----------
Satterthwaite, F.: An approximate distribution of estimates of variance components. Biometrics Bulletin 2, 1946.
MacKinnon, J., Nielsen, M., Webb, M.: Cluster-robust inference. Journal of Econometrics 232, 2023.
Clopper, C., Pearson, E.: The use of confidence or fiducial limits. Biometrika 26, 1934.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from audiofw.evaluation.influence import influences
from audiofw.evaluation.scores import Positive, check_score, scores_of

FEW_GROUPS = 5  # with fewer units, the interval is necessarily wide
NESTED = 0.9  # share of the clips that are of their group's class, if each class has groups of its own
OF_CLASSES = ("balanced_accuracy", "f1", "f1_macro", "f1_weighted", "mcc", "roc_auc")  # not sums over clips
UNSEEN = {"log_loss": 1.0, "roc_auc": 0.5}  # weight of the worst unit for those not in the sample, by simulation

Interval = tuple[float, float]


def score_interval(
    y_true: np.ndarray, y_pred: np.ndarray, proba: np.ndarray | None, score: str, **options: Any
) -> Interval | None:
    """Estimate the interval of one score; the options are those of `score_intervals`."""
    check_score(score)
    return score_intervals(y_true, y_pred, proba, names=[score], **options)[score]


def score_intervals(
    y_true: np.ndarray,
    y_pred: np.ndarray,
    proba: np.ndarray | None,
    *,
    n_classes: int,
    names: Iterable[str] | None = None,
    groups: Sequence[Any] | np.ndarray | None = None,
    positive: Positive = 1,
    level: float = 0.95,
) -> dict[str, Interval | None]:
    """Estimate confidence intervals of scores.

    They cover the sampling of the tested clips only, not that of training clips, seeds or splits.

    Parameters
    ----------
    y_true, y_pred, proba, n_classes, positive
        As in `audiofw.evaluation.scores.scores`.
    names : iterable of str, optional
        Names of the scores; by default all.
    groups : sequence [shape=(n,)], optional
        Recording, animal or speaker of each clip. Clips of one group are similar, so that groups are the sampling unit;
        with clips as units, the interval would be far too narrow.
    level : float
        Nominal coverage.

    Returns
    -------
    dict of str to (low, high) or None
        None if the score is undefined, for a single clip or group, and for a log loss or MCC without variance.

    Examples
    --------
    >>> y_true = np.arange(40) % 2
    >>> y_pred = np.where(np.arange(40) < 36, y_true, 1 - y_true)
    >>> low, high = score_interval(y_true, y_pred, None, "accuracy", n_classes=2)
    >>> print(f"{low:.3f} to {high:.3f}")
    0.754 to 0.964
    """
    wanted = list(scores_of(y_true) if names is None else names)
    found = influences(y_true, y_pred, proba, n_classes, names=wanted, positive=positive)
    units = np.arange(len(y_true)) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    sizes = np.bincount(units)
    intervals: dict[str, Interval | None] = dict.fromkeys(wanted)
    if sizes.size < 2:
        return intervals
    support = y_true.sum(axis=0, dtype=int) if y_true.ndim == 2 else np.bincount(y_true, minlength=n_classes)
    classes = None if groups is None or y_true.ndim == 2 else _class_of_units(units, y_true)
    for name, (value, of_clips) in found.items():
        of_units, unseen = np.bincount(units, weights=of_clips), UNSEEN.get(name, 0.0)
        if classes is not None and name in OF_CLASSES:
            error, degrees = _stratified_error(of_units, sizes, classes, unseen)
        else:
            error = standard_error(of_units, sizes / sizes.sum(), unseen)
            degrees = (sizes.size + effective(sizes)) / 2 - 1
        width = error * student(degrees, level)
        if name == "log_loss":
            intervals[name] = _on_log_scale(value, width)
        else:
            n = min(effective(sizes), len(y_true) if name == "subset_accuracy" else _trials(name, support, positive))
            intervals[name] = between_bounds(value, width, -1.0 if name == "mcc" else 0.0, n, level)
    return intervals


def standard_error(of_units: np.ndarray, shares: np.ndarray, unseen: float) -> float:
    """Jackknife standard error; 1 - share converts influences to leave-one-out changes.

    A few badly misclassified clips or groups can make up most of a log loss or an AUC, and are missing from many small
    samples. For these scores, the worst unit is therefore counted as if there were another one, or half of one.
    """
    n = of_units.size
    squares = (of_units / (1 - shares)) ** 2
    another = squares.max() * ((n - 1) / (n + 1)) ** 2
    return float(np.sqrt((n - 1) / n * squares.sum() + unseen * another))


def _class_of_units(units: np.ndarray, y_true: np.ndarray) -> np.ndarray | None:
    """Return the class of each unit if units belong to classes, as animals to species; else None."""
    counts = np.zeros((units.max() + 1, y_true.max() + 1))
    np.add.at(counts, (units, y_true), 1.0)
    own = counts.argmax(axis=1)
    nested = counts.max(axis=1).sum() >= NESTED * counts.sum() and np.bincount(own).max() > 1
    return own if nested else None


def _stratified_error(
    of_units: np.ndarray, sizes: np.ndarray, classes: np.ndarray, unseen: float
) -> tuple[float, float]:
    """Standard error, and its degrees of freedom after Satterthwaite, if each class has units of its own.

    A class with a single unit is taken to vary as much as the others do.
    """
    places = [np.flatnonzero(classes == one) for one in np.unique(classes)]
    several = [place for place in places if place.size > 1]
    squares = np.array(
        [standard_error(of_units[place], sizes[place] / sizes[place].sum(), unseen) ** 2 for place in several]
    )
    degrees = np.array([(place.size + effective(sizes[place])) / 2 - 1 for place in several])
    total = squares.sum()
    if total < 1e-18:
        return 0.0, float(degrees.sum())
    return float(np.sqrt(total * len(places) / len(several))), float(total**2 / (squares**2 / degrees).sum())


def student(degrees: float, level: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(degrees, (1 + level) / 2))


def _on_log_scale(value: float, width: float) -> Interval | None:
    if width < 1e-12:
        return None
    return value * np.exp(-width / value), value * np.exp(width / value)


def between_bounds(value: float, width: float, least: float, n: float, level: float) -> Interval:
    """Interval on the logit scale of a score from `least` to 1, or from n trials if units do not differ."""
    from scipy.special import expit, logit

    span = 1 - least
    share = min(max((value - least) / span, 0.0), 1.0)
    if width < 1e-9 or min(share, 1 - share) < 1e-9:
        low, high = clopper_pearson(share * n, n, level)
    else:
        away = width / span / (share * (1 - share))
        low, high = (float(expit(logit(share) + side * away)) for side in (-1, 1))
    return least + span * low, least + span * high


def clopper_pearson(hits: float, n: float, level: float = 0.95) -> Interval:
    """Clopper-Pearson interval of a proportion of `n` trials; neither number needs to be an integer."""
    from scipy.special import betaincinv

    tail = (1 - level) / 2
    low = betaincinv(hits, n - hits + 1, tail) if hits > 0 else 0.0
    high = betaincinv(hits + 1, n - hits, 1 - tail) if hits < n else 1.0
    return float(low), float(high)


def effective(sizes: np.ndarray) -> float:
    """Effective number of units (Kish), which is smaller if units differ in size."""
    return float(sizes.sum() ** 2 / (sizes**2).sum())


def _trials(name: str, support: np.ndarray, positive: Positive) -> float:
    """Number of trials for a flawless score: all clips, or fewer if rare classes count as much as others."""
    if name in ("accuracy", "f1_weighted", "f1_micro"):
        return float(support.sum())
    if name == "f1" and isinstance(positive, tuple):
        support = support[list(positive)]
    elif name == "f1" and support.size == 2:
        return float(support[positive])
    present = support[support > 0]
    return float(present.size**2 / (1 / present).sum()) if present.size else 0.0
