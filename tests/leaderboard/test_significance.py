"""The significance tests reproduce textbook values; the rule decides which rows are compared and how."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from audiofw.leaderboard.runs import Predictions, Run
from audiofw.leaderboard.significance import LEVEL, compare_rows, corrected_t_test, holm, mcnemar
from audiofw.leaderboard.table import Row

# --- the t-test -------------------------------------------------------------------------------------------


def test_corrected_t_test_has_the_value_computed_by_hand():
    a, b = [0.82, 0.84, 0.86, 0.83, 0.85], [0.80, 0.80, 0.80, 0.80, 0.80]
    # differences .02 .04 .06 .03 .05: mean .04, variance .00025; t = .04 / sqrt((1/5 + 1/4) × .00025) = 3.7712
    assert corrected_t_test(a, b, 1 / 4) == pytest.approx(2 * stats.t.sf(3.771236, 4), rel=1e-5)
    assert corrected_t_test(a, b, 1 / 4) == pytest.approx(0.0196, abs=1e-4)


def test_without_overlap_of_training_parts_it_is_the_paired_t_test():
    a, b = np.random.default_rng(0).normal(size=(2, 8))
    assert corrected_t_test(a, b, 0.0) == pytest.approx(stats.ttest_rel(a, b).pvalue)
    assert corrected_t_test(a, b, 1 / 7) > corrected_t_test(a, b, 0.0)
    assert corrected_t_test(a, b, 1 / 7) == corrected_t_test(b, a, 1 / 7)


def test_two_folds_are_too_few():
    assert corrected_t_test([0.9, 0.8], [0.5, 0.1], 1.0) is None
    assert corrected_t_test([0.9, 0.8, 0.9], [0.5, 0.1, 0.3], 0.5) is not None


def test_equal_scores_are_no_difference():
    assert corrected_t_test([0.9, 0.8, 0.7], [0.9, 0.8, 0.7], 0.5) == 1.0


def test_same_difference_in_every_fold_is_not_taken_as_certainty():
    assert corrected_t_test([0.9, 0.8, 0.7], [0.8, 0.7, 0.6], 0.5) is None


# --- McNemar's test ---------------------------------------------------------------------------------------


def hits(both: int, only_a: int, only_b: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    counts = [both, only_a, only_b, neither]
    return np.repeat([True, True, False, False], counts), np.repeat([True, False, True, False], counts)


def test_many_discordant_clips_are_tested_by_chi_squared():
    # Agresti's poll: 150 and 86 changed their minds; (|150 − 86| − 1)² / 236 = 16.82
    assert mcnemar(*hits(794, 150, 86, 570)) == pytest.approx(stats.chi2.sf(16.8178, 1), rel=1e-4)
    assert mcnemar(*hits(794, 150, 86, 570)) == pytest.approx(4.1e-5, rel=0.01)


@pytest.mark.parametrize(("only_a", "only_b"), [(1, 0), (6, 0), (2, 9), (12, 12), (3, 21)])
def test_few_discordant_clips_are_tested_exactly(only_a, only_b):
    exact = stats.binomtest(only_a, only_a + only_b).pvalue
    assert mcnemar(*hits(50, only_a, only_b, 7)) == pytest.approx(exact)


def test_clips_that_both_have_right_or_wrong_tell_nothing():
    assert mcnemar(*hits(0, 6, 0, 0)) == mcnemar(*hits(1000, 6, 0, 500)) == pytest.approx(2 / 2**6)
    assert mcnemar(*hits(40, 0, 0, 3)) == 1.0
    assert mcnemar(*hits(0, 30, 30, 0)) == 1.0


# --- Holm -------------------------------------------------------------------------------------------------


def test_holm_has_the_values_computed_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []
    assert holm([0.2]) == [0.2]


@settings(deadline=None, max_examples=50)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_raises_keeps_the_order_and_stays_a_probability(p):
    raised = holm(p)
    assert all(low <= high <= 1 for low, high in zip(p, raised, strict=True))
    assert sorted(raised) == [raised[i] for i in np.argsort(p, kind="stable")]


# --- the rule ---------------------------------------------------------------------------------------------


def entry(
    name: str,
    folds_of_score,
    right,
    *,
    folds=None,
    group: str = "",
    paths=None,
    n_folds=None,
    score="accuracy",
    **split,
) -> tuple[Row, Predictions]:
    """Make a row of the table with its predictions."""
    n = len(right)
    folds = folds or [i % len(folds_of_score) + 1 for i in range(n)]
    options = {"seed": 1, "split.name": "kfold", **{f"split.{key}": value for key, value in split.items()}}
    metrics = {
        "scores": {score: {"folds": list(folds_of_score)}},
        "n_folds": n_folds or len(folds_of_score),
        "n_clips": n,
    }
    run = Run(Path(name), name, "finished", 0.0, options=options, metrics=metrics)
    labels, paths = ("a",) * n, tuple(paths or (f"{i:04}.wav" for i in range(n)))
    predicted = tuple("a" if hit else "b" for hit in right)
    value = float(np.mean(right))
    tested = Predictions(paths, labels, predicted, tuple(folds), (group,) * n, None)
    return Row(run, {}, value, None, None, None, None, None), tested


def run_rule(*entries: tuple[Row, Predictions], score: str = "accuracy") -> tuple[list[Row], list[str]]:
    rows, tested = zip(*entries, strict=True)
    return compare_rows(rows, tested, score)


GOOD, POOR = [True] * 90 + [False] * 10, [True] * 50 + [False] * 50
HIGH, LOW, NEAR = (0.90, 0.88, 0.91, 0.9, 0.92), (0.50, 0.55, 0.49, 0.5, 0.51), (0.91, 0.86, 0.90, 0.92, 0.90)


def test_same_folds_are_compared_by_the_t_test():
    rows, notes = run_rule(entry("best", HIGH, GOOD), entry("near", NEAR, GOOD), entry("poor", LOW, POOR))
    assert [row.comparison.test for row in rows] == ["", "t-test", "t-test"]
    assert [row.comparison.tied for row in rows] == [None, True, False]
    assert rows[2].comparison.t_test == pytest.approx(corrected_t_test(LOW, HIGH, 20 / 80))
    assert rows[2].comparison.mcnemar == pytest.approx(stats.chi2.sf(39**2 / 40, 1))
    assert len(notes) == 1
    assert "t-test over folds, raised" in notes[0]


def test_other_folds_of_the_same_clips_are_compared_by_mcnemars_test():
    other = entry("other", NEAR, POOR, folds=[5 - i % 5 for i in range(100)])
    rows, notes = run_rule(entry("best", HIGH, GOOD), other)
    assert rows[1].comparison.test == "McNemar"
    assert rows[1].comparison.t_test is None
    assert rows[1].comparison.tied is False
    assert "p ≥ 0.05 by McNemar's test" in notes[0]


def test_one_holdout_is_compared_by_mcnemars_test():
    rows, _ = run_rule(entry("best", [0.9], GOOD), entry("poor", [0.5], POOR))
    assert rows[1].comparison.test == "McNemar"


def test_other_clips_or_labels_are_not_compared_and_a_note_says_so():
    elsewhere = entry("elsewhere", LOW, POOR, paths=[f"x{i}" for i in range(100)])
    row, tested = entry("relabelled", LOW, POOR)
    relabelled = row, tested._replace(labels=("b",) * 100)
    rows, notes = run_rule(entry("best", HIGH, GOOD), elsewhere, relabelled, entry("near", NEAR, GOOD))
    assert [row.comparison.tied for row in rows] == [None, None, None, True]
    assert notes[0] == "–: 2 of 4 rows were tested on other clips than the best: not to be compared"


def test_row_without_readable_predictions_is_not_compared():
    (best, tested), (row, _) = entry("best", HIGH, GOOD), entry("lost", LOW, POOR)
    rows, notes = compare_rows([best, row], [tested, None], "accuracy")
    assert rows[1].comparison.tied is None
    assert notes == ["–: 1 of 2 rows have no predictions.csv that can be read"]
    rows, notes = compare_rows([best, row], [None, tested], "accuracy")
    assert rows[1].comparison.tied is None
    assert notes[0].startswith("nothing is compared")


def test_repeats_have_the_same_folds_only_with_the_same_seed_and_split():
    folds = [i % 5 + 1 for i in range(100)]  # a file names the first repeat's folds only
    best = entry("best", HIGH * 3, GOOD, folds=folds, n_repeats=3)
    same = entry("same", LOW * 3, POOR, folds=folds, n_repeats=3)
    other = entry("other", LOW * 3, POOR, folds=folds, n_repeats=3, stratify=False)
    rows, _ = run_rule(best, same, other)
    assert [row.comparison.test for row in rows] == ["", "t-test", "McNemar"]
    assert rows[1].comparison.t_test == pytest.approx(corrected_t_test(LOW * 3, HIGH * 3, 20 / 80))


def test_folds_whose_score_is_undefined_are_left_out():
    rows, _ = run_rule(entry("best", HIGH, GOOD), entry("gap", (0.5, None, 0.49, 0.5, 0.51), POOR))
    left = [HIGH[i] for i in (0, 2, 3, 4)]
    assert rows[1].comparison.t_test == pytest.approx(corrected_t_test((0.5, 0.49, 0.5, 0.51), left, 20 / 80))


def test_more_rows_raise_the_bar():
    close = [True] * 81 + [False] * 19  # nine clips fewer: p = 0.004 uncorrected
    alone, _ = run_rule(entry("best", [0.9], GOOD), entry("close", [0.81], close))
    many, _ = run_rule(entry("best", [0.9], GOOD), *(entry(str(i), [0.81], close) for i in range(20)))
    assert alone[1].comparison.tied is False
    assert all(row.comparison.tied for row in many[1:])
    assert many[1].comparison.mcnemar == alone[1].comparison.mcnemar < LEVEL <= many[1].comparison.p


def test_groups_and_other_scores_are_warned_of_where_mcnemars_test_is_used():
    pair = [entry(name, [0.9], GOOD, group="bird 1", score="f1") for name in ("best", "other")]
    _, notes = run_rule(*pair, score="f1")
    assert any("come in groups" in note for note in notes)
    assert any("compares accuracy" in note for note in notes)
    _, notes = run_rule(entry("best", [0.9], GOOD), entry("other", [0.9], GOOD))
    assert len(notes) == 1
