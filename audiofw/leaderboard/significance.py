"""Test which runs are significantly worse than the best, accounting for the selection of the best.

Among many equally good runs, the best-looking one is ahead by luck. Testing the others against it as if it had been
chosen in advance finds spurious differences, however the p values are corrected. Here the selection is repeated under
the null hypothesis: the results of all runs on a unit (a clip or, if there are groups, a group) are mirrored about
their mean at random (sign flipping), the best is selected again, and the largest standardised gap to it is recorded. A
run is worse than the best if its gap exceeds 95 % of these. Runs found worse are removed and the others are tested
again, so that many poor runs do not hide a difference among the good ones. With few units, their results are also
permuted among the runs, and the larger p value counts.

- Among equally good runs, one is called worse in at most 5 % of sweeps; `docs/evaluation.md` has the simulation.
- Runs are compared by the score by which they are ranked, on the same clips, whose results may be correlated.
- On a single test set, the fitted models are compared. In cross-validation, training sets overlap, and the variance is
  inflated by Nadeau and Bengio's factor, so that settings are compared rather than the folds' models.
- With five units or fewer, even a run that is worse on each has p > 0.05; the leaderboard then says so.

References
----------
Hansen, P., Lunde, A., Nason, J.: The model confidence set. Econometrica 79, 2011.
Nadeau, C., Bengio, Y.: Inference for the generalization error. Machine Learning 52, 2003.
Bayle, P. et al.: Cross-validation confidence intervals for test error. NeurIPS 2020.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from audiofw.data.labels import encode_several
from audiofw.evaluation.influence import influences
from audiofw.evaluation.scores import HIGHER_IS_BETTER, positive_classes
from audiofw.leaderboard.runs import Predictions, Run
from audiofw.leaderboard.table import Comparison, LeaderboardRow, run_of

LEVEL = 0.05  # significance level
DRAWS = 2000
ALL_WAYS = 10  # up to this many units, all sign combinations are enumerated
FEW_UNITS = 50  # up to this many units, results are too skewed for sign flipping alone
NORMAL_FROM = 20_000  # from this many units on, sums over random signs are drawn from their normal approximation
BLOCK = 4_000_000  # values held in memory at once

Of = Literal["clips", "recordings"]
FILES: dict[Of, str] = {"clips": "predictions.csv", "recordings": "timelines.json"}


def p_values(contributions: np.ndarray, widening: float = 1.0) -> np.ndarray:
    """Compute the p value of each run's gap to the best, under the hypothesis that it is as good as the best.

    Parameters
    ----------
    contributions : np.ndarray [shape=(units, runs)]
        Contribution of each unit to each run's score; higher is better.
    widening : float
        Variance inflation for dependent results; 1 for a single test set.

    Returns
    -------
    np.ndarray [shape=(runs,)]
        p values, adjusted for the selection of the best and for the number of runs; 1 for the best.
    """
    X = contributions - contributions.mean(axis=1, keepdims=True)
    X = X[np.ptp(X, axis=1) > 1e-9 * (np.ptp(X) or 1.0)].astype(np.float32)  # if all are equal, signs have no effect
    p = np.ones(X.shape[1])
    if not len(X):
        return p
    X /= np.abs(X).max()
    gaps, precision = _gaps(X, len(contributions), widening), _precision(X)
    drawn = _sum_with_random_signs(X)
    left, least = np.arange(len(p)), 0.0
    while len(left) > 1:
        signed = _widest(drawn[:, left], precision[np.ix_(left, left)])
        found = _share_wider(signed, gaps[left], observed=len(X) <= ALL_WAYS)
        if len(X) <= FEW_UNITS and len(left) > 2:
            found = np.maximum(found, _share_wider(_permute(X[:, left]), gaps[left], observed=False))
        p[left] = np.maximum(found, least)
        if not (worse := found < LEVEL).any():
            break
        least, left = p[left][worse].max(), left[~worse]
    return p


def _gaps(X: np.ndarray, n_units: int, widening: float) -> np.ndarray:
    """Standardise the gaps to the best.

    They are divided by √widening on the scale of Student's t; under sign flipping, the gap itself cannot exceed √units.
    """
    sums = X.sum(axis=0)
    best = int(sums.round(3).argmax())
    gaps = (sums[best] - sums) * _precision(X)[best]
    squares = np.minimum(gaps**2, n_units * (1 - 1e-6))
    t_squares = squares * (n_units - 1) / (n_units - squares) / widening
    return np.sign(gaps) * np.sqrt(t_squares * n_units / (n_units - 1 + t_squares))


def _precision(X: np.ndarray) -> np.ndarray:
    """Inverse standard deviation of the difference between any two runs under sign flipping, ``(runs, runs)``."""
    products = X.T @ X
    squares = np.diagonal(products)
    variance = squares[:, None] + squares - 2 * products
    alike = variance < 1e-5 * squares.max()
    return np.where(alike, 0, 1 / np.sqrt(np.where(alike, 1, variance)))


def _sum_with_random_signs(X: np.ndarray) -> np.ndarray:
    """Sum the units with random signs, ``(draws, runs)``; with few units, enumerate all sign combinations."""
    n, rng = len(X), np.random.default_rng(0)
    if n <= ALL_WAYS:
        ways = np.arange(2**n)[:, None] >> np.arange(n) & 1
        return (1 - 2 * ways).astype(np.float32) @ X
    if n > NORMAL_FROM:
        return rng.standard_normal((DRAWS, min(X.shape)), np.float32) @ np.linalg.qr(X, mode="r")
    drawn, size = np.zeros((DRAWS, X.shape[1]), np.float32), 1024
    for start in range(0, n, size):
        bits = np.unpackbits(rng.integers(256, size=(DRAWS, size // 8), dtype=np.uint8), axis=1)
        part = X[start : start + size]
        drawn += (1 - 2 * bits[:, : len(part)].astype(np.float32)) @ part
    return drawn


def _widest(drawn: np.ndarray, precision: np.ndarray) -> np.ndarray:
    """Largest gap to the best of each draw, ``(draws,)``."""
    widest, size = np.empty(len(drawn), np.float32), max(1, BLOCK // drawn.shape[1])
    for start in range(0, len(drawn), size):
        part = drawn[start : start + size]
        best = part.argmax(axis=1)
        gaps = part[np.arange(len(part)), best][:, None] - part
        widest[start : start + size] = (gaps * precision[best]).max(axis=1)
    return widest


def _permute(X: np.ndarray) -> np.ndarray:
    """Permute each unit's results among the runs, and return the largest gap to the best, ``(draws,)``.

    This is exact for exchangeable runs, however few the units and however skewed their results; sign flipping is exact
    for two runs, and approximate for more.
    """
    rng, size = np.random.default_rng(0), max(1, BLOCK // X.size)
    widest = []
    for start in range(0, DRAWS, size):
        permuted = rng.permuted(np.broadcast_to(X, (min(size, DRAWS - start), *X.shape)), axis=2)
        sums = permuted.sum(axis=1)
        best = sums.argmax(axis=1)[:, None]
        squares = ((np.take_along_axis(permuted, best[:, None], axis=2) - permuted) ** 2).sum(axis=1)
        gaps = np.take_along_axis(sums, best, axis=1) - sums
        widest.append((gaps / np.sqrt(np.where(squares > 1e-6, squares, np.inf))).max(axis=1))
    return np.concatenate(widest)


def _share_wider(widest: np.ndarray, gaps: np.ndarray, *, observed: bool) -> np.ndarray:
    """p value of each gap: the fraction of draws, including the observed one, with a gap at least as large."""
    wider = len(widest) - np.searchsorted(np.sort(widest), gaps - 1e-4)
    return wider / len(widest) if observed else (1 + wider) / (1 + len(widest))


# --- the rows of a table ----------------------------------------------------------------------------------


def contribute(
    tested: Predictions, classes: Sequence[str], score: str, *, several: bool = False, negative: str | None = None
) -> np.ndarray | None:
    """Decompose a score into the contribution of each clip (pseudo-value divided by their number); higher is better.

    Parameters
    ----------
    tested : Predictions
    classes : sequence of str
    score : str
    several : bool
        Whether clips have several labels.
    negative : str, optional
        The class that is not one of those of ``f1``.

    Returns
    -------
    np.ndarray [shape=(clips,)] or None
        None if the score is undefined for these predictions.
    """
    number = {name: i for i, name in enumerate(classes)}
    y_true, y_pred = (
        encode_several(column, classes)[1] if several else np.array([number[name] for name in column])
        for column in (tested.labels, tested.predicted)
    )
    positive = positive_classes(classes, negative)
    found = influences(y_true, y_pred, tested.probabilities, len(classes), names=[score], positive=positive).get(score)
    if found is None:
        return None
    parts = found.value / len(y_true) + found.of_clips
    return (parts if HIGHER_IS_BETTER[score] else -parts).astype(np.float32)


def compare_rows(
    rows: Sequence[LeaderboardRow], tested: Sequence[Predictions | None], of: Of = "clips"
) -> tuple[list[LeaderboardRow], list[str]]:
    """Compare the rows with the first.

    Parameters
    ----------
    rows : sequence of Row
        Best first.
    tested : sequence of Predictions or None [shape=(rows,)]
        Predictions of each row's run, with its contributions.
    of : {"clips", "recordings"}
        What they are the predictions of.

    Returns
    -------
    rows, notes
        The rows with their comparisons, and notes to print below the table.
    """
    best, first = tested[0], run_of(rows[0])
    if best is None or best.contributions is None or rows[0].value is None:
        return list(rows), [f"runs are not compared: the best one has no score or no readable {FILES[of]}"]
    found = {
        i: theirs.contributions
        for i, (row, theirs) in enumerate(zip(rows, tested, strict=True))
        if theirs and theirs.contributions is not None and row.value is not None and same_clips(theirs, best)
    }
    compared = list(rows)
    if len(found) > 1:
        for i, made in zip(found, compare_with_best(list(found.values()), best, first, of), strict=True):
            compared[i] = rows[i]._replace(comparison=made if i else Comparison())
    elsewhere = sum(theirs is not None and not same_clips(theirs, best) for theirs in tested)
    notes = _say_uncompared(elsewhere, tested.count(None), len(rows), of)
    return compared, [*notes, *(_say_rule(compared[max(found)].comparison, len(found), best) if len(found) > 1 else [])]


def compare_with_best(
    contributions: Sequence[np.ndarray], best: Predictions, first: Run, of: Of = "clips"
) -> list[Comparison]:
    """Compare runs on the best run's clips; its folds determine the overlap of the training sets."""
    unit, X = "clips", np.stack(contributions, axis=1)
    if all(best.groups):
        unit, X = "groups" if of == "clips" else of, _sum_groups(X, best.groups)
    if 2.0 ** (1 - len(X)) >= LEVEL:  # p value of a run that is worse on every unit
        return [Comparison(unit=unit, n_units=len(X), too_few=True) for _ in contributions]
    p = p_values(X, _widening(best, first if of == "clips" else None)).tolist()
    return [Comparison(value, value >= LEVEL, unit, len(X)) for value in p]


def same_clips(a: Predictions, b: Predictions) -> bool:
    """Whether two runs were tested on the same clips with the same labels."""
    return a.paths == b.paths and a.labels == b.labels


def same_folds(run: Run, theirs: Predictions, first: Run, best: Predictions) -> bool:
    """Whether two runs with the same clips were tested on the same folds of them."""
    n_folds = run.metrics.get("n_folds")
    if theirs.folds != best.folds or n_folds != first.metrics.get("n_folds"):
        return False
    if len(set(best.folds)) == n_folds:
        return True
    # predictions.csv has only the first fold of each clip; for repeats, compare the options
    return _split_options(run) == _split_options(first)


def _split_options(run: Run) -> dict[str, Any]:
    return {key: value for key, value in run.options.items() if key == "seed" or key.startswith("split.")}


def _sum_groups(X: np.ndarray, groups: Sequence[str]) -> np.ndarray:
    numbers = np.unique(np.asarray(groups), return_inverse=True)[1]
    sums = np.zeros((numbers.max() + 1, X.shape[1]))
    np.add.at(sums, numbers, X)
    return sums


def _widening(best: Predictions, first: Run | None) -> float:
    """Nadeau and Bengio's factor, 1 + n_test / n_train; 1 for a single fold, where the models are compared.

    Without the run, all that there are were tested.
    """
    sizes = Counter(best.folds)
    if len(sizes) < 2:
        return 1.0
    n_clips = None if first is None else first.metrics.get("n_clips")
    n_train = (n_clips if isinstance(n_clips, int) else len(best.folds)) - max(sizes.values())
    return 1 + len(best.folds) / max(n_train, 1)


def _say_uncompared(elsewhere: int, unread: int, n_rows: int, of: Of) -> list[str]:
    notes = []
    if elsewhere:
        notes.append(f"–: {elsewhere} of {n_rows} runs are not compared: they were tested on other {of} than the best")
    if unread:
        notes.append(f"–: {unread} of {n_rows} runs have no readable {FILES[of]}")
    return notes


def _say_rule(made: Comparison, n_runs: int, best: Predictions) -> list[str]:
    if made.too_few:
        least = "even a run that is worse in every one has p > 0.05"
        return [f"?: {made.n_units} {made.unit} are too few to compare: {least}"]
    folds = ", corrected for overlapping training sets (Nadeau-Bengio)" if len(set(best.folds)) > 1 else ""
    how = f"sign-flip test over {made.n_units} {made.unit}{folds}, adjusted for selecting the best of {n_runs} runs"
    return [f"≈: not significantly worse than the best, p ≥ {LEVEL} ({how})"]
