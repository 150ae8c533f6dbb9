"""How far scores would move with other clips: bootstrap intervals, quick enough for every run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from audiofw.evaluation.scores import GREATER_IS_BETTER, NEED_PROBABILITIES, check_score

ROC_AUC_RESAMPLES = 200  # it has to be ranked anew for every resample and class, 1 000 would cost a second


def bootstrap_interval(
    y_true: np.ndarray, y_pred: np.ndarray, proba: np.ndarray | None, score: str, **options: Any
) -> tuple[float, float] | None:
    """Estimate the interval of one score; the options are those of `bootstrap_intervals`."""
    check_score(score)
    return bootstrap_intervals(y_true, y_pred, proba, names=[score], **options)[score]


def bootstrap_intervals(
    y_true: np.ndarray,
    y_pred: np.ndarray,
    proba: np.ndarray | None,
    *,
    n_classes: int,
    seed: int,
    names: Iterable[str] = tuple(GREATER_IS_BETTER),
    groups: Sequence[Any] | np.ndarray | None = None,
    positive: int = 1,
    level: float = 0.95,
    n: int = 1000,
) -> dict[str, tuple[float, float] | None]:
    """Estimate how far scores would move with other clips, by the percentile bootstrap.

    It tells of the spread of the tested clips alone: not of that of the training clips, of seeds or of splits.

    Parameters
    ----------
    y_true, y_pred, proba, n_classes, positive
        As in `scores`.
    seed : int
        Of the resampling.
    names : iterable of str
        The scores wanted.
    groups : sequence [shape=(n,)], optional
        Which recording, animal or speaker each clip is of. Clips of one group are alike, so whole groups are
        resampled; with clips the interval would be far too narrow.
    level : float
        Share of the resamples that the interval holds.
    n : int
        Resamples; at most `ROC_AUC_RESAMPLES` for ``roc_auc``.

    Returns
    -------
    dict of str to (low, high) or None
        None where the score is undefined for most resamples, or the same for all: then nothing is known of its
        spread, as with one group, or where every clip is right.
    """
    measures: list[tuple[Measure, int, int]] = []
    units, wanted = _number_units(groups, len(y_true)), set(names)
    if wanted - set(NEED_PROBABILITIES):
        measures.append((_measure_confusions(units, y_true, y_pred, n_classes, positive), n, n_classes**2))
    if proba is not None and "log_loss" in wanted:
        measures.append((_measure_log_loss(units, y_true, proba), n, 1))
    if proba is not None and "roc_auc" in wanted:
        measures.append((_measure_roc_auc(units, y_true, proba), min(n, ROC_AUC_RESAMPLES), len(y_true)))
    spread: dict[str, np.ndarray] = {}
    for measure, times, width in measures:
        spread |= _resample(measure, units.max() + 1, times, seed, width)
    return {name: _percentiles(spread[name], level) if name in spread else None for name in wanted}


def _percentiles(values: np.ndarray, level: float) -> tuple[float, float] | None:
    defined = values[np.isfinite(values)]
    if 2 * defined.size < values.size or np.ptp(defined) < 1e-12:
        return None
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


# A thousand calls of scikit-learn cost seconds, so resamples are scored by the block. A resample is a row of
# weights, how often each unit (a group, or a clip by itself) was drawn; a table holds what each unit adds up to.

Measure = Callable[[np.ndarray], dict[str, np.ndarray]]


def _resample(measure: Measure, n_units: int, n: int, seed: int, width: int) -> dict[str, np.ndarray]:
    """Measure `n` resamples, in blocks that bound the memory: for each score an array of shape (n,)."""
    rng = np.random.default_rng(seed)
    size = max(1, 4_000_000 // max(n_units, width))
    blocks = [measure(_draw(rng, n_units, min(size, n - start))) for start in range(0, n, size)]
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}


def _draw(rng: np.random.Generator, n_units: int, rows: int) -> np.ndarray:
    drawn = rng.integers(n_units, size=(rows, n_units)) + n_units * np.arange(rows)[:, None]
    return np.bincount(drawn.ravel(), minlength=rows * n_units).reshape(rows, n_units).astype(float)


def _number_units(groups: Sequence[Any] | np.ndarray | None, n_clips: int) -> np.ndarray:
    return np.arange(n_clips) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]


def _tabulate(units: np.ndarray, cells: np.ndarray, n_cells: int, values: np.ndarray | float = 1.0) -> Any:
    """Add the clips' values up: shape (units, cells), sparse."""
    from scipy.sparse import csr_array

    values = np.broadcast_to(np.asarray(values, float), units.shape)
    return csr_array((values, (units, cells)), shape=(units.max() + 1, n_cells))


def _measure_confusions(
    units: np.ndarray, y_true: np.ndarray, y_pred: np.ndarray, n_classes: int, positive: int
) -> Measure:
    table = _tabulate(units, y_true * n_classes + y_pred, n_classes**2)
    return lambda weights: score_counts((weights @ table).reshape(-1, n_classes, n_classes), positive)


def score_counts(counts: np.ndarray, positive: int) -> dict[str, np.ndarray]:
    """Score confusion matrices, shape (resamples, classes, classes), as `scores` does."""
    right = np.diagonal(counts, axis1=1, axis2=2)
    true, predicted, total = counts.sum(axis=2), counts.sum(axis=1), counts.sum(axis=(1, 2))
    f1 = _divide(2 * right, true + predicted)
    f1_macro = np.nanmean(f1, axis=1)
    return {
        "accuracy": right.sum(axis=1) / total,
        "balanced_accuracy": np.nanmean(_divide(right, true), axis=1),
        "f1": f1[:, positive] if f1.shape[1] == 2 else f1_macro,
        "f1_macro": f1_macro,
        "f1_weighted": np.nansum(f1 * true, axis=1) / total,
        "mcc": _matthews(right, true, predicted, total),
    }


def _matthews(right: np.ndarray, true: np.ndarray, predicted: np.ndarray, total: np.ndarray) -> np.ndarray:
    of_true, of_predicted = (total**2 - (side**2).sum(axis=1) for side in (true, predicted))
    covariance = right.sum(axis=1) * total - (true * predicted).sum(axis=1)
    mcc = np.nan_to_num(_divide(covariance, np.sqrt(of_true * of_predicted)))
    return np.where(of_true > 0, mcc, np.nan)


def _measure_log_loss(units: np.ndarray, y_true: np.ndarray, proba: np.ndarray) -> Measure:
    chosen = proba[np.arange(len(y_true)), y_true]
    losses = -np.log(np.clip(chosen, np.finfo(proba.dtype).eps, 1))
    sums = _tabulate(units, np.zeros_like(units), 1, losses)
    sizes = _tabulate(units, np.zeros_like(units), 1)
    return lambda weights: {"log_loss": ((weights @ sums) / (weights @ sizes))[:, 0]}


def _measure_roc_auc(units: np.ndarray, y_true: np.ndarray, proba: np.ndarray) -> Measure:
    one_of_two = [1] if proba.shape[1] == 2 else range(proba.shape[1])
    pairs = [_tabulate_ranks(units, y_true == one, proba[:, one]) for one in one_of_two]
    return lambda weights: {"roc_auc": np.mean([_rank(weights @ rest, weights @ own) for rest, own in pairs], axis=0)}


def _tabulate_ranks(units: np.ndarray, own: np.ndarray, proba: np.ndarray) -> tuple[Any, Any]:
    """Tabulate the clips of the other classes and of one's own by the rank of their probability."""
    values, ranks = np.unique(proba, return_inverse=True)
    return _tabulate(units, ranks, values.size, ~own), _tabulate(units, ranks, values.size, own)


def _rank(rest: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Compute how often one's own outranks the rest (a tie counts half), from counts of shape (resamples, ranks)."""
    below = np.cumsum(rest, axis=1) - rest / 2
    return _divide((own * below).sum(axis=1), own.sum(axis=1) * rest.sum(axis=1))


def _divide(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.divide(a, b, out=np.full(np.shape(a), np.nan), where=b > 0)
