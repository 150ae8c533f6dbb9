"""The leaderboard's earlier method, kept in the benchmark for comparison, is what the books say."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats import contingency_tables
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import DescrStatsW

from benchmarks.intervals import Scene, simulate, truth
from benchmarks.leaderboard import Sweeps, before, corrected_t_test, holm, mcnemar, measure
from benchmarks.mixtures import LOUDER, Sound, mix, pair, write_mixtures


def hits(both: int, only_a: int, only_b: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    counts = [both, only_a, only_b, neither]
    return np.repeat([True, True, False, False], counts), np.repeat([True, False, True, False], counts)


@pytest.mark.parametrize(("only_a", "only_b"), [(1, 0), (2, 9), (12, 12), (3, 21), (20, 5), (150, 86)])
def test_mcnemar_is_that_of_statsmodels(only_a, only_b):
    theirs = contingency_tables.mcnemar([[50, only_a], [only_b, 7]], exact=only_a + only_b < 25, correction=True)
    assert mcnemar(*hits(50, only_a, only_b, 7)) == pytest.approx(theirs.pvalue)


@pytest.mark.parametrize("p", [[0.01, 0.04, 0.03, 0.005], [0.2], [0.5, 0.5, 0.9], [0.001, 0.8, 0.02]])
def test_holm_is_that_of_statsmodels(p):
    assert holm(p) == pytest.approx(multipletests(p, method="holm")[1])


def test_corrected_t_test_is_students_where_no_training_parts_overlap_and_more_careful_where_they_do():
    a, b = np.random.default_rng(0).normal(size=(2, 8))
    assert corrected_t_test(a, b, 0.0) == pytest.approx(DescrStatsW(a - b).ttest_mean()[1])
    assert corrected_t_test(a, b, 0.0) == pytest.approx(stats.ttest_rel(a, b).pvalue)
    # differences .02 .04 .06 .03 .05: mean .04, variance .00025; t = .04 / sqrt((1/5 + 1/4) × .00025) = 3.7712
    a, b = [0.82, 0.84, 0.86, 0.83, 0.85], [0.80, 0.80, 0.80, 0.80, 0.80]
    assert corrected_t_test(a, b, 1 / 4) == pytest.approx(2 * stats.t.sf(3.771236, 4), rel=1e-5)


def test_earlier_method_calls_equal_runs_worse_and_the_leaderboard_does_not():
    new, old = measure(Sweeps("holdout", 30, 200), 100)
    assert new.worse <= 0.1 < old.worse


def test_a_run_far_behind_is_found_by_both():
    right = np.random.default_rng(0).random((400, 3)) < [0.9, 0.9, 0.5]
    assert before(right, np.zeros(400, int)).tolist() == [False, False, True]


def test_simulated_groups_have_the_accuracy_that_is_their_truth():
    scene = Scene(n_groups=4000, size=5, spread=0.5)
    y, predicted, _, _ = simulate(scene, np.random.default_rng(0))
    assert (y == predicted).mean() == pytest.approx(truth(scene)["accuracy"], abs=0.01)


def sounds_of(classes: str, each: int = 4) -> list[Sound]:
    chance = np.random.default_rng(0)
    return [
        Sound(label, str(i % 2), chance.normal(size=800 + i).astype(np.float32), 8000)
        for label in classes
        for i in range(each)
    ]


def test_mixtures_are_of_two_classes_and_one_fold_and_every_sound_is_in_two():
    sounds = sounds_of("abcd", 6)
    pairs = pair(sounds, np.random.default_rng(1))
    assert all(a.label != b.label and a.fold == b.fold for a, b in pairs)
    used = [id(sound) for two in pairs for sound in two]
    assert sorted(used) == sorted([id(sound) for sound in sounds] * 2)


def test_a_mixture_is_the_sum_of_its_sounds_within_the_stated_levels():
    a, b = sounds_of("ab", 1)
    y = mix(a, b, np.random.default_rng(2))
    assert len(y) == max(len(a.y), len(b.y))
    (of_a, of_b), rest, _, _ = np.linalg.lstsq(np.stack([np.pad(x.y, (0, len(y) - len(x.y))) for x in (a, b)], 1), y)
    assert rest.sum() < 1e-9 * np.sum(y**2)
    assert abs(20 * np.log10(of_a / of_b)) <= LOUDER + 0.5


def test_the_table_lists_both_labels_and_the_fold(tmp_path):
    write_mixtures(sounds_of("ab"), tmp_path)
    lines = (tmp_path / "table.csv").read_text().splitlines()
    assert lines[:2] == ["path,label,fold", "000.wav,a;b,0"]
    assert len(list(tmp_path.glob("*.wav"))) == len(lines) - 1 == 8
