"""How far scores would move with other clips: intervals that hold what they say for few groups, too.

A score's variance is the jackknife's, from the influences of the units (clips or, where there are groups, groups), and
Student's t stands for the normal distribution, so that three groups give a wide interval rather than a false one. Its
degrees of freedom are one less than there are units; where these differ in size, halfway to their effective number.
Scores between bounds are taken on the logit scale, log loss on the logarithmic one, so that no interval leaves the
range of its score. Where units do not differ at all, as where every clip is right, Clopper and Pearson's interval
takes the place. `docs/evaluation.md` shows by simulation how often the intervals hold the true score.

References
----------
MacKinnon, J., Nielsen, M., Webb, M.: Cluster-robust inference. Journal of Econometrics 232, 2023.
Clopper, C., Pearson, E.: The use of confidence or fiducial limits. Biometrika 26, 1934.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from audiofw.evaluation.influence import influences
from audiofw.evaluation.scores import GREATER_IS_BETTER, check_score

FEW_GROUPS = 5  # below this the interval can only be wide
UNSEEN = {"log_loss": 1.0, "roc_auc": 0.5}  # by simulation: how much the worst unit counts for those not in the sample

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
    names: Iterable[str] = tuple(GREATER_IS_BETTER),
    groups: Sequence[Any] | np.ndarray | None = None,
    positive: int = 1,
    level: float = 0.95,
) -> dict[str, Interval | None]:
    """Estimate how far scores would move with other clips.

    This is the spread that comes of the tested clips alone, not of the training clips, seeds or splits.

    Parameters
    ----------
    y_true, y_pred, proba, n_classes, positive
        As in `audiofw.evaluation.scores.scores`.
    names : iterable of str
        The scores wanted.
    groups : sequence [shape=(n,)], optional
        Which recording, animal or speaker each clip is of. Clips of one group are alike, so the groups are what
        varies; by clips the interval would be far too narrow.
    level : float
        How often the interval holds the true score.

    Returns
    -------
    dict of str to (low, high) or None
        None where the score is undefined, with a single clip or group, and for a log loss or MCC that cannot vary.

    Examples
    --------
    >>> y_true = np.arange(40) % 2
    >>> y_pred = np.where(np.arange(40) < 36, y_true, 1 - y_true)
    >>> low, high = score_interval(y_true, y_pred, None, "accuracy", n_classes=2)
    >>> print(f"{low:.3f} to {high:.3f}")
    0.754 to 0.964
    """
    wanted = list(names)
    found = influences(y_true, y_pred, proba, n_classes, names=wanted, positive=positive)
    units = np.arange(len(y_true)) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    sizes = np.bincount(units)
    intervals: dict[str, Interval | None] = dict.fromkeys(wanted)
    if sizes.size < 2:
        return intervals
    support = np.bincount(y_true, minlength=n_classes)
    for name, (value, of_clips) in found.items():
        error = _standard_error(np.bincount(units, weights=of_clips), sizes / sizes.sum(), UNSEEN.get(name, 0.0))
        width = error * _student((sizes.size + _effective(sizes)) / 2 - 1, level)
        if name == "log_loss":
            intervals[name] = _on_log_scale(value, width)
        else:
            n = min(_effective(sizes), _trials(name, support, positive))
            intervals[name] = _between_bounds(value, width, -1.0 if name == "mcc" else 0.0, n, level)
    return intervals


def _standard_error(of_units: np.ndarray, shares: np.ndarray, unseen: float) -> float:
    """Compute the jackknife's standard error: what a unit moves the score by when it is left out, 1 - share undoes.

    A few badly mistaken clips or groups can make up most of a log loss or an AUC, and are missing from many a small
    sample; so for these the worst one counts as if there were another of its kind, or half of one.
    """
    n = of_units.size
    squares = (of_units / (1 - shares)) ** 2
    another = squares.max() * ((n - 1) / (n + 1)) ** 2
    return float(np.sqrt((n - 1) / n * squares.sum() + unseen * another))


def _student(degrees: float, level: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(degrees, (1 + level) / 2))


def _on_log_scale(value: float, width: float) -> Interval | None:
    if width < 1e-12:
        return None
    return value * np.exp(-width / value), value * np.exp(width / value)


def _between_bounds(value: float, width: float, least: float, n: float, level: float) -> Interval:
    """Take the interval on the logit scale of a score from `least` to 1, or from n trials where units do not differ."""
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
    """Compute the exact interval of a share of `n` trials; neither number need be whole."""
    from scipy.special import betaincinv

    tail = (1 - level) / 2
    low = betaincinv(hits, n - hits + 1, tail) if hits > 0 else 0.0
    high = betaincinv(hits + 1, n - hits, 1 - tail) if hits < n else 1.0
    return float(low), float(high)


def _effective(sizes: np.ndarray) -> float:
    """Count the units, by Kish's number, which is less where some are larger than others."""
    return float(sizes.sum() ** 2 / (sizes**2).sum())


def _trials(name: str, support: np.ndarray, positive: int) -> float:
    """Say how many trials a flawless score is worth: all clips, or less where rare classes count as much as others."""
    if name in ("accuracy", "f1_weighted"):
        return float(support.sum())
    if name == "f1" and support.size == 2:
        return float(support[positive])
    present = support[support > 0]
    return float(present.size**2 / (1 / present).sum())
