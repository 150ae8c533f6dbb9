"""Models of tables whose columns are in blocks, one for each feature."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from audiofw.learn.blocks import Levelled, in_blocks
from audiofw.learn.discriminant import ShrunkDiscriminant
from audiofw.learn.steps import fit
from audiofw.learn.voting import multiply

RNG = np.random.default_rng(0)
N = 240
Y = np.arange(N) % 3
NARROW = RNG.normal(size=(N, 2)) + 2 * np.eye(3)[Y][:, :2]
WIDE = 100 * RNG.normal(size=(N, 40))  # only noise, in another unit
X = np.hstack([NARROW, WIDE])
SIZES = (2, 40)


def test_levelled_blocks_have_the_same_energy():
    levelled = Levelled(SIZES).fit_transform(X)
    energy = np.square(levelled).mean(axis=0)
    assert energy[:2].sum() == pytest.approx(1, abs=0.05)
    assert energy[2:].sum() == pytest.approx(1, abs=0.05)


def test_constant_columns_count_for_nothing():
    dead = np.hstack([X, np.full((N, 5), 7.0)])
    levelled = Levelled((2, 45)).fit_transform(dead)
    assert np.allclose(levelled[:, :42], Levelled(SIZES).fit_transform(X))
    assert not levelled[:, 42:].any()


def test_the_average_is_that_of_a_model_on_each_block():
    model = in_blocks(lambda: LogisticRegression(), ["a", "b"], SIZES, "average").fit(X, Y)
    each = [LogisticRegression().fit(block, Y).predict_proba(block) for block in (NARROW, WIDE)]
    assert np.allclose(model.predict_proba(X), multiply(np.array(each), np.array([0.5, 0.5])))


def test_columns_are_levelled_and_the_steps_of_the_model_stay_visible():
    model = in_blocks(lambda: make_pipeline(StandardScaler(), LogisticRegression()), ["a", "b"], SIZES, "columns")
    assert [name for name, _ in model.steps] == ["blocks", "standardscaler", "logisticregression"]
    assert model.fit(X, Y).predict(X).shape == Y.shape


@pytest.mark.parametrize("join", ["average", "stack", "columns"])
def test_weights_and_groups_reach_the_classifiers(join):
    seen = []

    class Noting(ShrunkDiscriminant):
        def fit(self, X, y, sample_weight=None, groups=None):
            seen.append((X.shape[1], sample_weight is not None, groups is not None))
            return super().fit(X, y, sample_weight, groups)

    model = in_blocks(lambda: Noting(0.5), ["a", "b"], SIZES, join)
    fit(model, X, Y, sample_weight=np.ones(N), groups=np.arange(N) // 6)
    widths = {"average": [2, 40], "stack": [2, 40, 2, 2, 2, 40, 40, 40], "columns": [42]}
    assert seen == [(width, True, True) for width in widths[join]]


@pytest.mark.parametrize("join", ["average", "stack", "columns"])
def test_a_wide_block_of_noise_does_not_drown_a_narrow_one(join):
    train, test = np.arange(N) < N // 2, np.arange(N) >= N // 2
    model = in_blocks(lambda: ShrunkDiscriminant(0.3), ["a", "b"], SIZES, join).fit(X[train], Y[train])
    alone = ShrunkDiscriminant(0.3).fit(X[train], Y[train])
    assert model.score(X[test], Y[test]) > 0.6 > alone.score(X[test], Y[test])


def test_a_stack_weighs_features_by_their_worth_out_of_fold():
    boasting = make_pipeline(StandardScaler(), LogisticRegression(C=100))
    model = in_blocks(lambda: clone(boasting), ["a", "b"], SIZES, "stack").fit(X, Y)
    assert model.powers_[0] > 2 * model.powers_[1]
