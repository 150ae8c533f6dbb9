"""Whether runs differ from the best by more than chance: paired tests on folds and on clips, and one rule.

- A run is compared with the best only if both were tested on the same clips; else nothing is said.
- With the same folds, three or more, by the corrected resampled t-test on the folds' scores; where there are fewer
  folds or others, or that test cannot tell, by McNemar's test on the pooled out-of-fold predictions.
- The p values are raised for the number of runs compared, by Holm's method. Below 0.05 a run is worse than the best;
  else it is marked as not distinguishable. That errs on the side of not telling apart: the best was picked because
  it looked best, so some of its lead is luck.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from audiofw.leaderboard.runs import Predictions, Run, fold_scores
from audiofw.leaderboard.table import Comparison, Row, run_of

LEVEL = 0.05  # a p value below this tells two models apart
FEWEST_FOLDS = 3  # with two folds the t-test has one degree of freedom, and tells next to nothing apart
FEW_DISCORDANT = 25  # below this many clips the chi-squared distribution is too coarse for McNemar's test


def corrected_t_test(a: Sequence[float], b: Sequence[float], test_over_train: float) -> float | None:
    """Compare two models' scores on the same folds by the corrected resampled t-test.

    The folds' training parts overlap, so their scores are not independent, and the plain paired t-test finds
    differences that are not there. Nadeau and Bengio widen the variance from 1/J to 1/J + n_test/n_train.

    Parameters
    ----------
    a, b : sequence of float [shape=(folds,)]
        Scores of the two models, fold by fold.
    test_over_train : float
        Size of a test part over that of its training part: 1/(k-1) for k folds.

    Returns
    -------
    float or None
        The two-sided p value. None where the test cannot tell: fewer than `FEWEST_FOLDS` folds, or a difference
        that is the same in every fold, as happens by chance when scores are coarse.

    References
    ----------
    Nadeau, C. and Bengio, Y.: Inference for the generalization error. Machine Learning 52, 2003.
    """
    from scipy.special import stdtr

    differences = np.subtract(a, b, dtype=float)
    n_folds = differences.size
    if n_folds < FEWEST_FOLDS:
        return None
    mean, variance = differences.mean(), differences.var(ddof=1)
    if variance < 1e-20:  # of rounding alone
        return 1.0 if abs(mean) < 1e-10 else None
    t = mean / np.sqrt((1 / n_folds + test_over_train) * variance)
    return float(2 * stdtr(n_folds - 1, -abs(t)))


def mcnemar(right_a: np.ndarray, right_b: np.ndarray) -> float:
    """Compare two models' hits on the same clips by McNemar's test.

    Only clips count that one model has right and the other wrong. It asks about accuracy, whatever the score, and
    takes the clips as independent: where several are of one recording or speaker, its p value is too small.

    Parameters
    ----------
    right_a, right_b : np.ndarray of bool [shape=(clips,)]
        Whether each model has each clip right.

    Returns
    -------
    float
        The two-sided p value: exact (binomial) for fewer than `FEW_DISCORDANT` such clips, else chi-squared with
        continuity correction; 1 where the models are right and wrong on the same clips.
    """
    from scipy.special import bdtr, chdtrc

    only_a, only_b = int(np.sum(right_a & ~right_b)), int(np.sum(right_b & ~right_a))
    discordant = only_a + only_b
    if discordant == 0:
        return 1.0
    if discordant < FEW_DISCORDANT:
        return float(min(1.0, 2 * bdtr(min(only_a, only_b), discordant, 0.5)))
    return float(chdtrc(1, max(abs(only_a - only_b) - 1, 0) ** 2 / discordant))


def holm(p_values: Sequence[float]) -> list[float]:
    """Raise p values for how many there are, by Holm's step-down method, in the order given.

    Among many models some look worse than the best by chance alone; compared with `LEVEL`, the raised values keep
    the chance of even one false difference below it.
    """
    p = np.asarray(p_values, float)
    order = np.argsort(p, kind="stable")
    raised = np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1))
    result = np.empty(p.size)
    result[order] = np.minimum(raised, 1.0)
    return result.tolist()


# --- comparing with the best ------------------------------------------------------------------------------


def compare_rows(rows: Sequence[Row], tested: Sequence[Predictions | None], score: str) -> tuple[list[Row], list[str]]:
    """Compare each row with the first, by the rule above.

    Parameters
    ----------
    rows : sequence of Row
        Best first.
    tested : sequence of Predictions or None [shape=(rows,)]
        What each row's run predicted.
    score : str
        Whose folds are compared.

    Returns
    -------
    rows, notes
        The rows with their comparisons, and what has to be said below the table.
    """
    best, first = tested[0], run_of(rows[0])
    if best is None or rows[0].value is None:
        return list(rows), ["nothing is compared: the best run has no score or no predictions.csv that can be read"]
    comparisons = [
        Comparison()
        if theirs is None or row.value is None or not same_clips(theirs, best)
        else _compare_runs(run_of(row), theirs, first, best, score)
        for row, theirs in zip(rows[1:], tested[1:], strict=True)
    ]
    compared = [row._replace(comparison=made) for row, made in zip(rows[1:], _raise(comparisons), strict=True)]
    elsewhere = sum(theirs is not None and not same_clips(theirs, best) for theirs in tested)
    notes = _say_uncompared(elsewhere, tested.count(None), len(rows))
    return [rows[0], *compared], [*notes, *_say_rule(compared, best, score)]


def compare_with_best(
    predictions: Predictions,
    best: Predictions,
    folds: Sequence[float | None],
    best_folds: Sequence[float | None],
    first: Run,
) -> Comparison:
    """Compare predictions of the best's clips, and scores of its folds, with the best; no folds: by clips alone."""
    by_folds = None
    if len(folds) == len(best_folds):
        pairs = [(a, b) for a, b in zip(folds, best_folds, strict=True) if a is not None and b is not None]
        by_folds = corrected_t_test([a for a, _ in pairs], [b for _, b in pairs], _test_over_train(best, first))
    by_clips = mcnemar(predictions.right, best.right)
    test, p = ("McNemar", by_clips) if by_folds is None else ("t-test", by_folds)
    return Comparison(by_folds, by_clips, test, p, p >= LEVEL)


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
    # predictions.csv names each clip's first fold only: of repeats the options tell whether they are the same
    return _split_options(run) == _split_options(first)


def _split_options(run: Run) -> dict[str, Any]:
    return {key: value for key, value in run.options.items() if key == "seed" or key.startswith("split.")}


def _compare_runs(run: Run, theirs: Predictions, first: Run, best: Predictions, score: str) -> Comparison:
    folds = fold_scores(run, score) if same_folds(run, theirs, first, best) else []
    return compare_with_best(theirs, best, folds, fold_scores(first, score), first)


def _test_over_train(best: Predictions, first: Run) -> float:
    # the largest fold stands for all: of folds that overlap only the first is named whole, and larger is more careful
    n_test = max(Counter(best.folds).values())
    n_clips = first.metrics.get("n_clips")
    n_train = (n_clips if isinstance(n_clips, int) else len(best.folds)) - n_test
    return n_test / n_train if n_train > 0 else 1.0


def _raise(comparisons: Sequence[Comparison]) -> list[Comparison]:
    raised = iter(holm([made.p for made in comparisons if made.p is not None]))
    return [made if made.p is None else made._replace(p=(p := next(raised)), tied=p >= LEVEL) for made in comparisons]


def _say_uncompared(elsewhere: int, unread: int, n_rows: int) -> list[str]:
    notes = []
    if elsewhere:
        notes.append(f"–: {elsewhere} of {n_rows} rows were tested on other clips than the best: not to be compared")
    if unread:
        notes.append(f"–: {unread} of {n_rows} rows have no predictions.csv that can be read")
    return notes


def _say_rule(rows: Sequence[Row], best: Predictions, score: str) -> list[str]:
    tests = {row.comparison.test for row in rows} - {""}
    if not tests:
        return []
    by_folds, by_clips = "the corrected resampled t-test over folds", "McNemar's test"
    how = f"{by_folds}, else {by_clips}" if len(tests) > 1 else by_folds if "t-test" in tests else by_clips
    notes = [f"≈: not distinguishable from the best, p ≥ {LEVEL} by {how}, raised by Holm for the number of runs"]
    if "McNemar" in tests and all(best.groups):
        notes.append("McNemar's test takes clips as independent, and these come in groups: its p values are too small")
    if "McNemar" in tests and score != "accuracy":
        notes.append("McNemar's test compares accuracy, whatever the score")
    return notes
