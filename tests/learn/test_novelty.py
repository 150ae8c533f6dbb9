"""Novelty: rows unlike the training rows measure more, whatever the table looks like."""

import numpy as np
import pytest

from audiofw.learn.novelty import Novelty

RNG = np.random.default_rng(0)


def test_rows_unlike_the_training_rows_measure_more_than_new_ones_of_their_kind():
    X = RNG.normal(size=(300, 40))
    novelty = Novelty().fit(X[:200])
    assert novelty.measure(X[200:]).max() < novelty.measure(X[200:] + 3).min()


def test_a_row_outside_the_singular_vectors_is_found_too():
    plane = RNG.normal(size=(100, 3)) @ RNG.normal(size=(3, 50))
    novelty = Novelty(n_components=3).fit(plane)
    beside = np.linalg.svd(plane)[2][-1]
    assert novelty.measure(plane + 50 * beside).min() > novelty.measure(plane).max()


def test_distance_is_relative_to_how_far_apart_the_clips_of_a_class_are():
    dense, sparse = RNG.normal(size=(100, 5)) * 0.1, RNG.normal(size=(100, 5)) * 3 + 40
    novelty = Novelty().fit(np.vstack([dense, sparse]))
    step = np.full((1, 5), 1.0)
    assert novelty.measure(dense[:1] + step)[0] > 1 > novelty.measure(sparse[:1] + step)[0]


def test_many_rows_are_thinned_out_evenly():
    X = np.vstack([RNG.normal(size=(500, 4)), RNG.normal(size=(500, 4)) + 50])
    novelty = Novelty(most=50).fit(X)
    assert novelty.factor_.n_samples_fit_ == 50
    assert novelty.measure(X).max() < 1  # of either half, rows were kept


@pytest.mark.parametrize(
    "X",
    [np.ones((5, 3)), np.arange(4.0).reshape(2, 2), np.repeat([[0.0, 1.0], [1.0, 0.0]], 30, axis=0)],
    ids=["constant", "two rows", "equal rows"],
)
def test_degenerate_tables_give_finite_values(X):
    novelty = Novelty().fit(X.astype(np.float32))
    assert np.isfinite(novelty.measure(np.vstack([X, X + 1e6]))).all()


def test_fit_is_repeatable():
    X = RNG.normal(size=(80, 600))
    first, second = (Novelty().fit(X).measure(X + 1) for _ in range(2))
    np.testing.assert_array_equal(first, second)
