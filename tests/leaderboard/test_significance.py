"""The p values are those of exact tests, choosing the best costs what it must, and the rule says who is compared."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.weightstats import DescrStatsW

from audiofw.leaderboard.runs import Predictions, Run
from audiofw.leaderboard.significance import LEVEL, compare_rows, contribute, p_values, same_folds
from audiofw.leaderboard.table import LeaderboardRow

# --- two runs: exact tests --------------------------------------------------------------------------------


def hits(both: int, only_a: int, only_b: int, neither: int) -> np.ndarray:
    counts = [both, only_a, only_b, neither]
    return np.repeat([[1, 1], [1, 0], [0, 1], [0, 0]], counts, axis=0) / sum(counts)


@pytest.mark.parametrize(("only_a", "only_b"), [(1, 0), (6, 0), (2, 8), (5, 5), (3, 7)])
def test_two_runs_hits_are_tested_as_by_mcnemars_exact_test(only_a, only_b):
    exact = mcnemar([[50, only_a], [only_b, 7]], exact=True).pvalue
    assert p_values(hits(50, only_a, only_b, 7)).min() == pytest.approx(exact)


@pytest.mark.parametrize(("only_a", "only_b"), [(60, 40), (150, 86), (31, 12)])
def test_many_discordant_clips_are_tested_as_by_mcnemars_test(only_a, only_b):
    p = mcnemar([[794, only_a], [only_b, 570]], exact=True).pvalue
    assert p_values(hits(794, only_a, only_b, 570)).min() == pytest.approx(p, abs=0.01)


def test_clips_that_both_have_right_or_wrong_tell_nothing():
    assert p_values(hits(0, 6, 0, 0)).min() == p_values(hits(1000, 6, 0, 500)).min() == pytest.approx(2 / 2**6)
    assert p_values(hits(40, 0, 0, 3)).tolist() == [1.0, 1.0]
    assert p_values(hits(0, 30, 30, 0)).tolist() == [1.0, 1.0]


@pytest.mark.parametrize("n_groups", [6, 9, 10])
def test_few_groups_are_tested_by_every_way_to_choose_signs(n_groups):
    X = np.random.default_rng(n_groups).normal([0.0, 0.8], size=(n_groups, 2))
    exact = stats.permutation_test((X[:, 0], X[:, 1]), lambda a, b, axis: np.mean(a - b, axis=axis),
                                   permutation_type="samples", vectorized=True, n_resamples=np.inf)  # fmt: skip
    assert p_values(X).min() == pytest.approx(exact.pvalue, abs=3 / 2**n_groups)  # what is nearly as wide counts


@pytest.mark.parametrize("widening", [1.0, 1.25, 2.25])
def test_widened_test_of_many_units_is_the_corrected_t_test(widening):
    X = np.random.default_rng(0).normal([0.0, 0.13], size=(500, 2))
    t, _, degrees = DescrStatsW(X[:, 1] - X[:, 0]).ttest_mean()
    p = 2 * stats.t.sf(abs(t) / np.sqrt(widening), degrees)
    assert p_values(X, widening).min() == pytest.approx(p, abs=0.012)


def test_few_units_are_widened_on_the_scale_of_students_t():
    """Six groups that all agree closely stay telling; a lead that rests on one of them does not."""
    close = np.column_stack([np.zeros(6), [0.9, 1.0, 1.1, 1.0, 0.95, 1.05]])
    assert p_values(close, 2.2)[0] == pytest.approx(2 / 2**6)
    assert p_values(np.column_stack([np.zeros(6), [0.1, 0.1, 0.2, 0.1, 0.3, 5.0]]), 2.2)[0] > LEVEL


# --- more runs: the choice of the best --------------------------------------------------------------------


def sweep(rng: np.random.Generator, n: int, k: int, correlation: float, behind=()) -> np.ndarray:
    """Right and wrong of k runs of 85 %, some of them behind by so much."""
    own, shared = rng.standard_normal((n, k)), rng.standard_normal((n, 1))
    accuracy = np.full(k, 0.85) - np.pad(behind, (0, k - len(behind)))
    return np.sqrt(1 - correlation) * own + np.sqrt(correlation) * shared < stats.norm.ppf(accuracy)


@pytest.fixture
def fewer_draws(monkeypatch):
    monkeypatch.setattr("audiofw.leaderboard.significance.DRAWS", 400)


@pytest.mark.usefixtures("fewer_draws")
@pytest.mark.parametrize(("k", "n"), [(2, 60), (10, 200), (30, 200)])
@pytest.mark.parametrize("correlation", [0.0, 0.8])
def test_one_of_equal_runs_is_rarely_called_worse(k, n, correlation):
    rng = np.random.default_rng(k)
    called = [p_values(sweep(rng, n, k, correlation)).min() < LEVEL for _ in range(150)]
    assert np.mean(called) <= 0.05 + 2.6 * np.sqrt(0.05 * 0.95 / 150)


@pytest.mark.usefixtures("fewer_draws")
def test_equal_runs_of_groups_are_rarely_called_worse():
    rng = np.random.default_rng(0)
    called = []
    for _ in range(300):
        of_groups = rng.beta(8, 2, size=(12, 15))  # each run is better with some groups than with others
        called.append(p_values(rng.binomial(30, of_groups) / 360).min() < LEVEL)
    assert 0.01 <= np.mean(called) <= 0.08


@pytest.mark.usefixtures("fewer_draws")
def test_a_good_run_beside_poor_ones_is_rarely_called_worse():
    rng = np.random.default_rng(0)
    called = [p_values(sweep(rng, 300, 20, 0.5, behind=[0.1] * 5 + [0.2] * 10))[15:].min() < LEVEL for _ in range(150)]
    assert np.mean(called) <= 0.05 + 2.6 * np.sqrt(0.05 * 0.95 / 150)


def test_worse_runs_are_found_and_the_best_has_p_1():
    found = p_values(sweep(np.random.default_rng(0), 1000, 12, 0.5, behind=[0.1] * 6))
    assert (found[:6] < LEVEL).all()
    assert (found[6:] >= LEVEL).all()
    assert found.max() == 1.0


def test_poor_runs_do_not_hide_a_difference_among_good_ones():
    rng = np.random.default_rng(3)
    good = sweep(rng, 1000, 2, 0.5, behind=[0.035])
    poor = sweep(rng, 1000, 40, 0.5, behind=[0.3] * 40)
    alone, among = p_values(good)[0], p_values(np.hstack([good, poor]))[0]
    assert alone == pytest.approx(among, abs=0.01)


def test_more_chances_to_look_good_raise_p_but_copies_do_not():
    best, close = np.repeat([1, 0], [90, 10]), np.repeat([1, 0], [81, 19])  # nine clips less: p = 0.004
    alone = p_values(np.column_stack([best, close]))
    copies = p_values(np.column_stack([best, *[close] * 20]))
    others = p_values(np.column_stack([best, close, sweep(np.random.default_rng(0), 100, 40, 0.0)]))
    assert alone[1] == pytest.approx(2 / 2**9)
    assert copies[1:] == pytest.approx(alone[1])
    assert others[1] > LEVEL


def test_order_of_the_runs_does_not_matter():
    X = sweep(np.random.default_rng(0), 200, 8, 0.3, behind=[0.1, 0.2, 0.05])
    order = np.random.default_rng(1).permutation(8)
    assert p_values(X)[order] == pytest.approx(p_values(X[:, order]), abs=0.02)  # of draws


def test_very_many_clips_are_tested_as_many(monkeypatch):
    X = sweep(np.random.default_rng(0), 3000, 6, 0.5, behind=[0.02, 0.01])
    signs = p_values(X)
    monkeypatch.setattr("audiofw.leaderboard.significance.NORMAL_FROM", 100)
    assert p_values(X) == pytest.approx(signs, abs=0.03)


# --- the rule ---------------------------------------------------------------------------------------------

CLASSES = ["a", "b"]


def entry(
    name: str,
    right,
    *,
    n_folds: int = 1,
    folds=None,
    groups=None,
    paths=None,
    score: str = "accuracy",
    proba=None,
    **split,
) -> tuple[LeaderboardRow, Predictions]:
    """Make a row of the table with its predictions."""
    n = len(right)
    folds = folds or [i % n_folds + 1 for i in range(n)]
    options = {"seed": 1, "split.name": "kfold", **{f"split.{key}": value for key, value in split.items()}}
    metrics = {"n_folds": n_folds, "n_clips": n, "classes": CLASSES}
    run = Run(Path(name), name, "finished", 0.0, options=options, metrics=metrics)
    labels, paths = tuple(CLASSES[i % 2] for i in range(n)), tuple(paths or (f"{i:04}.wav" for i in range(n)))
    predicted = tuple(CLASSES[i % 2 if hit else 1 - i % 2] for i, hit in enumerate(right))
    tested = Predictions(paths, labels, predicted, tuple(folds), tuple(groups or [""] * n), proba)
    tested = tested._replace(contributions=contribute(tested, CLASSES, score))
    return LeaderboardRow(run, {}, float(np.mean(right)), None, None, None, None, None), tested


def run_rule(*entries: tuple[LeaderboardRow, Predictions]) -> tuple[list[LeaderboardRow], list[str]]:
    rows, tested = zip(*entries, strict=True)
    return compare_rows(rows, tested)


GOOD, NEAR, POOR = ([True] * n + [False] * (100 - n) for n in (90, 87, 50))
SHUFFLED = [NEAR[(7 * i) % 100] for i in range(100)]


def test_runs_on_one_holdout_are_compared_clip_by_clip():
    rows, notes = run_rule(entry("best", GOOD), entry("near", SHUFFLED), entry("poor", POOR))
    assert [row.comparison.tied for row in rows] == [None, True, False]
    assert [row.comparison.mark for row in rows] == ["–", "≈", ""]
    assert rows[2].comparison.p < 0.001
    assert (rows[2].comparison.unit, rows[2].comparison.n_units) == ("clips", 100)
    assert notes == [
        "≈: not significantly worse than the best, p ≥ 0.05 (sign-flip test over 100 clips, adjusted for selecting the "
        "best of 3 runs)"
    ]


def test_cross_validated_runs_are_compared_with_the_variance_widened():
    behind = [True] * 82 + [False] * 18  # eight clips less, none more
    alone, _ = run_rule(entry("best", GOOD), entry("behind", behind))
    folded, notes = run_rule(entry("best", GOOD, n_folds=5), entry("behind", behind, n_folds=5))
    assert alone[1].comparison.p == pytest.approx(2 / 2**8)
    assert folded[1].comparison.p > 3 * alone[1].comparison.p
    assert "overlapping training sets (Nadeau-Bengio)" in notes[0]


def test_groups_are_what_is_compared_where_there_are_groups():
    """A lead of one group is none of a new group."""
    leader = [i < 95 for i in range(100)]
    other = [i < 75 for i in range(100)]  # all twenty clips that it lacks are of two groups
    groups = [f"bird {i // 10}" for i in range(100)]
    rows, notes = run_rule(entry("best", leader, groups=groups), entry("other", other, groups=groups))
    assert rows[1].comparison.tied is True
    assert "over 10 groups" in notes[0]
    rows, _ = run_rule(entry("best", leader), entry("other", other))
    assert rows[1].comparison.tied is False


def test_five_groups_are_too_few_to_tell_and_six_may_tell():
    for n_groups, tied, mark in ((5, None, "?"), (6, False, "")):
        groups = [f"bird {i % n_groups}" for i in range(120)]
        best, other = [True] * 120, [i < 60 for i in range(120)]
        rows, notes = run_rule(entry("best", best, groups=groups), entry("other", other, groups=groups))
        assert rows[1].comparison.tied is tied
        assert rows[1].comparison.mark == mark
        assert notes[0].startswith("?: 5 groups are too few to compare" if tied is None else "≈")


def test_five_clips_are_too_few_to_tell():
    rows, notes = run_rule(entry("best", [True] * 5), entry("poor", [False] * 5))
    assert rows[1].comparison.p is None
    assert notes[0].startswith("?: 5 clips are too few to compare")


def test_runs_are_compared_by_the_score_that_is_ranked_by():
    sure, unsure = (np.where(np.eye(2)[np.arange(100) % 2], p, 1 - p) for p in (0.95, 0.7))
    right = [True] * 100
    runs = [entry("sure", right, score="log_loss", proba=sure), entry("unsure", right, score="log_loss", proba=unsure)]
    rows, _ = run_rule(*runs)
    assert rows[1].comparison.tied is False
    rows, _ = run_rule(entry("sure", right, proba=sure), entry("unsure", right, proba=unsure))
    assert rows[1].comparison.tied is True


def test_other_clips_or_labels_are_not_compared_and_a_note_says_so():
    elsewhere = entry("elsewhere", POOR, paths=[f"x{i}" for i in range(100)])
    row, tested = entry("relabelled", POOR)
    relabelled = row, tested._replace(labels=("b",) * 100)
    rows, notes = run_rule(entry("best", GOOD), elsewhere, relabelled, entry("near", SHUFFLED))
    assert [row.comparison.tied for row in rows] == [None, None, None, True]
    assert notes[0] == "–: 2 of 4 runs are not compared: they were tested on other clips than the best"


def test_row_without_readable_predictions_is_not_compared():
    (best, tested), (row, _) = entry("best", GOOD), entry("lost", POOR)
    rows, notes = compare_rows([best, row], [tested, None])
    assert rows[1].comparison.tied is None
    assert notes == ["–: 1 of 2 runs have no readable predictions.csv"]
    rows, notes = compare_rows([best, row], [None, tested])
    assert rows[1].comparison.tied is None
    assert notes[0].startswith("runs are not compared")


def test_row_whose_score_is_undefined_is_not_compared():
    rows, _ = run_rule(entry("best", GOOD), entry("silent", POOR, score="log_loss"), entry("poor", POOR))
    assert [row.comparison.tied for row in rows] == [None, None, False]


def test_repeats_have_the_same_folds_only_with_the_same_seed_and_split():
    folds = [i % 5 + 1 for i in range(100)]  # a file names the first repeat's folds only
    (row, best), (other, tested) = (entry(name, GOOD, n_folds=15, folds=folds, n_repeats=3) for name in ("a", "b"))
    assert same_folds(other.run, tested, row.run, best)
    for changed in ({**other.run.options, "split.stratify": False}, {**other.run.options, "seed": 2}):
        assert not same_folds(replace(other.run, options=changed), tested, row.run, best)
