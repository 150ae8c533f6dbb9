"""Measure how often the leaderboard calls an equally good run worse, and how often it detects a worse run.

    python benchmarks/leaderboard.py [--sweeps 1000] [--only holdout groups folds trained power] [--json]

Each row simulates sweeps of k runs on the same clips. A run that is as good as the best may be called worse in at most
5 % of the sweeps (family-wise error rate). *Before* is the method used earlier: each run against the best-looking one,
with McNemar's test on clips or the corrected resampled t-test on folds, Holm-corrected. If runs are *behind*, a tenth
of them, at least one, is as good as the best, and the others are worse by the given number of points; the second table
shows how many of these are called worse (power). Results of runs are correlated, since some clips are hard for all.
With groups, each run finds some groups easier than others; with folds, each fold's model deviates from its run's
average by 1.2 points. *Trained* runs are real linear classifiers in five folds, each on its own selection of equally
informative columns.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

import numpy as np
from scipy.special import bdtr, chdtrc, ndtri, stdtr

from audiofw.leaderboard.significance import LEVEL, p_values

ACCURACY = 0.85
TOO_FEW = 2.0 ** (1 - np.arange(64)) >= LEVEL


class Sweeps(NamedTuple):
    """One simulated setting: sweeps of k runs on n clips."""

    part: str
    k: int
    n: int
    correlation: float = 0.0  # correlation between two runs on the same clip
    n_groups: int = 0  # each run is better with some groups than with others
    n_folds: int = 1  # each fold's model of each run is somewhat better or worse than the run's average
    behind: float = 0.0  # by how much nine tenths of the runs are worse


class Found(NamedTuple):
    """Fractions of sweeps in which an equal run was called worse, and of worse runs that were detected."""

    worse: float
    found: float


# --- the method used before -------------------------------------------------------------------------------


def mcnemar(right_a: np.ndarray, right_b: np.ndarray) -> float:
    """Compute McNemar's two-sided p value: exact for fewer than 25 discordant clips, else by chi-squared."""
    only_a, only_b = int(np.sum(right_a & ~right_b)), int(np.sum(right_b & ~right_a))
    discordant = only_a + only_b
    if discordant == 0:
        return 1.0
    if discordant < 25:
        return float(min(1.0, 2 * bdtr(min(only_a, only_b), discordant, 0.5)))
    return float(chdtrc(1, max(abs(only_a - only_b) - 1, 0) ** 2 / discordant))


def corrected_t_test(a: Sequence[float], b: Sequence[float], test_over_train: float) -> float:
    """Compute the corrected resampled t-test's two-sided p value from scores of the same folds."""
    differences = np.subtract(a, b, dtype=float)
    mean, variance = differences.mean(), differences.var(ddof=1)
    if variance < 1e-20:
        return 1.0
    t = mean / np.sqrt((1 / differences.size + test_over_train) * variance)
    return float(2 * stdtr(differences.size - 1, -abs(t)))


def holm(p: Sequence[float]) -> np.ndarray:
    """Holm-corrected p values, in the order given."""
    order = np.argsort(p, kind="stable")
    corrected = np.empty(len(p))
    raised = np.maximum.accumulate(np.asarray(p)[order] * np.arange(len(p), 0, -1))
    corrected[order] = np.minimum(raised, 1.0)
    return corrected


def before(right: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """Mark the runs that the earlier method calls worse than the best-looking one."""
    n_folds, best = folds.max() + 1, int(right.sum(axis=0).argmax())
    others = [i for i in range(right.shape[1]) if i != best]
    if n_folds > 1:
        scores = np.stack([right[folds == fold].mean(axis=0) for fold in range(n_folds)])
        p = [corrected_t_test(scores[:, i], scores[:, best], 1 / (n_folds - 1)) for i in others]
    else:
        runs = np.ascontiguousarray(right.T)
        p = [mcnemar(runs[i], runs[best]) for i in others]
    called = np.zeros(right.shape[1], bool)
    called[others] = holm(p) < LEVEL
    return called


# --- sweeps -----------------------------------------------------------------------------------------------


def simulate(sweeps: Sweeps, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Simulate one sweep: whether each run is right on each clip, ``(n, k)``, and each clip's group and fold."""
    n, k = sweeps.n, sweeps.k
    skill = np.full(k, ndtri(ACCURACY))
    skill[max(1, k // 10) :] = ndtri(ACCURACY - sweeps.behind)
    groups = rng.integers(sweeps.n_groups, size=n) if sweeps.n_groups else np.arange(n)
    folds = np.arange(n) % sweeps.n_folds
    own, shared = rng.standard_normal((n, k), np.float32), rng.standard_normal((n, 1), np.float32)
    ease = np.sqrt(1 - sweeps.correlation) * own + np.sqrt(sweeps.correlation) * shared
    if sweeps.n_groups:
        of_groups = rng.standard_normal((sweeps.n_groups, 1)) + rng.standard_normal((sweeps.n_groups, k))
        ease = np.sqrt(0.8) * ease + np.sqrt(0.1) * of_groups[groups]
    if sweeps.n_folds > 1:  # in accuracy ± 1.2 points
        ease += 0.05 * rng.standard_normal((sweeps.n_folds, k))[folds]
    return ease > -skill, groups, folds


def train(sweeps: Sweeps, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cross-validate linear classifiers, each on its own selection of equally informative columns."""
    n, y = sweeps.n, np.arange(sweeps.n) % 2
    X = rng.standard_normal((n, 80)) + 0.22 * y[:, None]
    columns = [rng.choice(80, 30, replace=False) for _ in range(sweeps.k)]
    folds, right = rng.permutation(n) % sweeps.n_folds, np.empty((n, sweeps.k), bool)
    for fold in range(sweeps.n_folds):
        test = folds == fold
        centred, sign = X - X[~test].mean(axis=0), y - y[~test].mean()
        products, sums = centred[~test].T @ centred[~test], centred[~test].T @ sign[~test]
        for run, chosen in enumerate(columns):
            weights = np.linalg.solve(products[np.ix_(chosen, chosen)], sums[chosen])
            right[test, run] = (centred[test][:, chosen] @ weights > 0) == y[test]
    return right, np.arange(n), folds


def now(right: np.ndarray, groups: np.ndarray, n_folds: int) -> np.ndarray | None:
    """Mark the runs that the leaderboard calls worse than the best; None if there are too few units to decide."""
    X = np.stack([np.bincount(groups, weights=column) for column in right.T], axis=1)
    if TOO_FEW[min(len(X), 63)]:
        return None
    return p_values(X, 1 + n_folds / (n_folds - 1) if n_folds > 1 else 1.0) < LEVEL


def measure(sweeps: Sweeps, times: int) -> tuple[Found | None, Found]:
    """Apply both methods to simulated sweeps."""
    rng = np.random.default_rng([sweeps.k, sweeps.n])
    good = max(1, sweeps.k // 10) if sweeps.behind else sweeps.k
    called: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    for _ in range(times):
        right, groups, folds = (train if sweeps.part == "trained" else simulate)(sweeps, rng)
        if (found := now(right, groups, sweeps.n_folds)) is not None:
            called[0].append(found)
        called[1].append(before(right, folds))
    new, old = (Found(*_shares(np.array(marks), good)) if marks else None for marks in called)
    assert old is not None
    return new, old


def _shares(called: np.ndarray, good: int) -> tuple[float, float]:
    worse = called[:, good:]
    return float(called[:, :good].any(axis=1).mean()), float(worse.mean()) if worse.size else np.nan


def plan() -> Iterator[Sweeps]:
    """List the simulated settings, each with every number of runs."""
    for correlation in (0.0, 0.7):
        yield from (Sweeps("holdout", 0, n, correlation) for n in (50, 200, 1000, 4000))
    for n_groups in (5, 6, 10, 20, 50):
        yield Sweeps("groups", 0, 1000, 0.5, n_groups)
    yield from (Sweeps("folds", 0, n, 0.5, n_folds=5) for n in (50, 200, 1000, 4000))
    yield from (Sweeps("trained", 0, n, np.nan, n_folds=5) for n in (200, 1000))
    for n, behind in ((200, 0.1), (1000, 0.05), (4000, 0.025)):
        yield Sweeps("power", 0, n, 0.5, behind=behind)
    yield from (Sweeps("power", 0, 1000, 0.5, n_groups, behind=0.15) for n_groups in (6, 10, 20, 50))
    yield Sweeps("power", 0, 1000, 0.5, n_folds=5, behind=0.1)


def measure_all(chosen: Sequence[Sweeps], times: int) -> Iterator[list[tuple[Found | None, Found]]]:
    """Measure all settings, with one process per core."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    every = [sweeps._replace(k=k) for sweeps in chosen for k in RUNS]
    counts = [max(times // 4, min(times, 200)) if sweeps.n > 1000 else times for sweeps in every]
    with ProcessPoolExecutor() as pool:
        found = pool.map(measure, every, counts)
        yield from ([next(found) for _ in RUNS] for _ in chosen)


# --- the tables -------------------------------------------------------------------------------------------

RUNS = (2, 10, 20, 50)
PARTS = tuple(dict.fromkeys(sweeps.part for sweeps in plan()))
HEAD = ("clips", "correlation", "groups", "folds", "behind", *(f"k = {k}" for k in RUNS))


def tables(chosen: Sequence[Sweeps], times: int, write: Callable[[str], object]) -> None:
    """Format the tables: how often equal runs are called worse, and how many worse runs are detected."""
    write("Equal runs called worse, % of sweeps (before)\n\n" + row(HEAD) + row(["---"] * len(HEAD)))
    powers = []
    for sweeps, found in zip(chosen, measure_all(chosen, times), strict=True):
        write(row([*describe(sweeps), *(cell(new and new.worse, old.worse) for new, old in found)]))
        if sweeps.behind:
            powers.append(row([*describe(sweeps), *(cell(new and new.found, old.found) for new, old in found)]))
    if powers:
        write("\nWorse runs found, % of them (before)\n\n" + row(HEAD) + row(["---"] * len(HEAD)) + "".join(powers))


def describe(sweeps: Sweeps) -> list[str]:
    behind = f"{100 * sweeps.behind:g} points" if sweeps.behind else "–"
    folds = str(sweeps.n_folds) if sweeps.n_folds > 1 else "–"
    correlation = "trained" if np.isnan(sweeps.correlation) else f"{sweeps.correlation:g}"
    return [str(sweeps.n), correlation, str(sweeps.n_groups or "–"), folds, behind]


def cell(now: float | None, before: float) -> str:
    return f"{'too few to tell' if now is None else f'{100 * now:.1f}'} ({100 * before:.1f})"


def row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |\n"


def summary(chosen: Sequence[Sweeps], times: int) -> dict[str, float]:
    """Fraction of sweeps in which an equal run is called worse: mean and maximum over the settings."""
    found = [pair for row in measure_all(chosen, times) for pair in row]
    now, old = [new.worse for new, _ in found if new], [old.worse for _, old in found]
    return {"now": float(np.mean(now)), "worst": max(now), "before": float(np.mean(old)), "worst_before": max(old)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--sweeps", type=int, default=1000, help="number of sweeps per setting; a quarter for 4 000 clips (%(default)s)"
    )
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--json", action="store_true", help="print only how often equal runs are called worse")
    args = parser.parse_args()
    chosen = [sweeps for sweeps in plan() if sweeps.part in args.only]
    if args.json:
        sys.stdout.write(json.dumps(summary(chosen, args.sweeps)))
        return
    tables(chosen, args.sweeps, sys.stdout.write)


if __name__ == "__main__":
    main()
