"""Fits in passes over rows on disk give what fits in memory give, and never hold more than a block."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from audiofw.bundle.load import load_estimator
from audiofw.bundle.save import dump_estimator
from audiofw.contract.registry import load_menus
from audiofw.evaluation import large
from audiofw.evaluation.large import fit_rows, takes_passes
from audiofw.learn import passes
from audiofw.learn.discriminant import ShrunkDiscriminant
from audiofw.learn.passes import RowsOnDisk
from audiofw.learn.preprocessing import Directions, Standard, prepare
from audiofw.learn.steps import fit

N, D = 400, 12


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """A memory map of columns of different units, with a constant and an outlier; classes; groups of four rows."""
    rng = np.random.default_rng(0)
    y = rng.integers(3, size=N)
    X = np.memmap(tmp_path_factory.mktemp("table") / "X", np.float32, "w+", shape=(N, D))
    X[:] = rng.standard_normal((N, D)) * rng.uniform(0.1, 50, D) + 300 * rng.standard_normal(D) + 20 * np.eye(3, D)[y]
    X[:, 7], X[5, 9] = 3, 1e6
    return X, y, np.arange(N) // 4


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    for module in (passes, large):
        monkeypatch.setattr(module, "BLOCK_BYTES", 8 * D * 50)


def fitted_both_ways(make, table, weight=None):
    X, y, groups = table
    rows = np.random.default_rng(1).permutation(N)[:350]  # as a shuffled split gives them
    weight = None if weight is None else weight[rows]
    in_memory = fit(make(), X[rows], y[rows], weight, groups[rows])
    return in_memory, fit_rows(make(), RowsOnDisk(X, rows), y[rows], weight, groups[rows])


def scaled_lda():
    return Pipeline([("scale", Standard()), ("lda", ShrunkDiscriminant(0.1))])


@pytest.mark.parametrize(("scale", "select"), [(None, None), (True, None), (False, None), (None, 5)])
@pytest.mark.parametrize("shrinkage", [0.1, None])
@pytest.mark.parametrize("weighted", [False, True])
def test_lda_in_passes_equals_lda_in_memory(table, scale, shrinkage, select, weighted):
    def make():
        steps = prepare(scale=scale, select=select, pca=None, seed=0)
        return Pipeline([*steps, ("lda", ShrunkDiscriminant(shrinkage=shrinkage))])

    weight = np.random.default_rng(2).uniform(0.5, 2, N) if weighted else None
    one, other = fitted_both_ways(make, table, weight)
    np.testing.assert_allclose(one.predict_proba(table[0]), other.predict_proba(table[0]), atol=1e-6)
    assert other[-1].shrinkage_ == one[-1].shrinkage_


def test_a_class_in_one_group_is_trained_on_but_not_tested(table):
    X, y, groups = table
    lonely = np.where(groups == 3, 3, y)
    one, other = fitted_both_ways(scaled_lda, (X, lonely, groups))
    np.testing.assert_allclose(one[-1].coef_, other[-1].coef_, rtol=1e-6, atol=1e-9)


def test_columns_scaled_in_passes_keep_constants_and_outliers_harmless(table):
    one, other = fitted_both_ways(scaled_lda, table)
    np.testing.assert_allclose(one[0].factor_, other[0].factor_, rtol=1e-9)
    assert other[0].factor_[7] == 0


def test_a_model_with_a_step_that_cannot_is_fitted_in_memory(table):
    def make():
        return Pipeline([("pca", Directions(4, random_state=0)), ("lda", ShrunkDiscriminant(0.1))])

    assert not takes_passes(make())
    one, other = fitted_both_ways(make, table)
    assert np.array_equal(one.predict_proba(table[0]), other.predict_proba(table[0]))


LIBRARIES = {"lightgbm": {"n_estimators": 20}, "xgboost": {"n_estimators": 20}, "logistic_regression": {}}


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("name", LIBRARIES)
def test_models_of_libraries_are_the_same_in_passes(table, name, n_classes, monkeypatch):
    X, y, groups = table
    choice = load_menus().choose("model", {"name": name, **LIBRARIES[name]})
    weight = np.random.default_rng(2).uniform(0.5, 2, N)
    one, other = fitted_both_ways(lambda: choice(0, 1), (X, y % n_classes, groups), weight)
    assert takes_passes(other)
    np.testing.assert_allclose(one.predict_proba(X), other.predict_proba(X), atol=1e-6)
    saved = load_estimator(dump_estimator(other, ["a", "b", "c"][:n_classes]), name, set())["model"]
    assert np.array_equal(saved.predict(X), one.predict(X))


def test_rows_of_one_block_are_fitted_in_memory(table, monkeypatch):
    monkeypatch.setattr(large, "BLOCK_BYTES", 8 * D * N)
    one, other = fitted_both_ways(scaled_lda, table)
    assert np.array_equal(one.predict_proba(table[0]), other.predict_proba(table[0]))


def test_xgboost_keeps_bins_in_a_file_where_they_are_too_many(table, monkeypatch):
    choice = load_menus().choose("model", {"name": "xgboost", "n_estimators": 20})
    monkeypatch.setattr(large, "MOST_BINNED", 100)
    one, other = fitted_both_ways(lambda: choice(0, 1), table)
    assert (one.predict(table[0]) == other.predict(table[0])).mean() > 0.95


@pytest.mark.parametrize("options", [{"class_weight": "balanced"}, {"l1_ratio": 0.5, "solver": "saga"}])
def test_a_logistic_regression_with_another_loss_is_fitted_in_memory(options):
    assert not takes_passes(LogisticRegression(**options))


def test_blocks_hold_every_row_once_in_the_order_of_the_table(table):
    rows = RowsOnDisk(table[0], np.random.default_rng(1).permutation(N)[:99])
    blocks = list(rows.blocks())
    assert {len(block) for _, block in blocks} == {50, 49}
    places = np.concatenate([places for places, _ in blocks])
    assert np.array_equal(rows.rows[places], np.sort(rows.rows))
    assert np.array_equal(np.concatenate([block for _, block in blocks]), np.asarray(rows)[places])
