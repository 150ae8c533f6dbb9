"""The poolings: statistics over time equal NumPy's and are never NaN; flatten goes frame by frame."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from audiofw.contract.registry import load_menus
from audiofw.errors import ConfigError

QUANTILES = [0.0, 0.05, 1 / 3, 0.5, 0.75, 0.9, 1.0]
ALL = ["mean", "std", "min", "max"]


@pytest.fixture(scope="module")
def menus():
    return load_menus()


@pytest.fixture(scope="module")
def pool(menus):
    def pool(frames, name="stats", **options):
        return menus.choose("pooling", {"name": name, **options})(frames)

    return pool


def matrices(dtype=np.float32):
    width = np.dtype(dtype).itemsize * 8
    values = st.floats(-120, 120, width=width).map(lambda x: round(x, 2))
    return st.tuples(st.integers(1, 6), st.integers(1, 40)).flatmap(lambda shape: arrays(dtype, shape, elements=values))


@settings(deadline=None, max_examples=60)
@given(frames=st.one_of(matrices(np.float32), matrices(np.float64)))
def test_quantiles_and_extremes_equal_numpys_to_the_last_digit(pool, frames):
    row = pool(frames, statistics=["min", "max"], quantiles=QUANTILES, delta=False)
    expected = np.concatenate([[frames.min(axis=1), frames.max(axis=1)], np.quantile(frames, QUANTILES, axis=1)])
    np.testing.assert_array_equal(row, expected.ravel())


@settings(deadline=None, max_examples=40)
@given(frames=matrices())
def test_any_feature_matrix_gives_finite_numbers_of_one_size(pool, frames):
    row = pool(frames, statistics=ALL, quantiles=QUANTILES, delta=True)
    assert row.shape == (len(frames) * 2 * (4 + len(QUANTILES)),)
    assert np.isfinite(row).all()


def test_statistics_come_in_the_order_asked_for_then_the_same_of_the_change(pool):
    frames = np.array([[1.0, 3.0, 2.0], [4.0, 0.0, 8.0]], dtype=np.float32)
    row = pool(frames, statistics=["max", "mean"], quantiles=[0.5], delta=True)
    assert row.tolist() == [3, 8, 2, 4, 2, 4, 2, 8, 0.5, 2, 0.5, 2]


def test_a_single_frame_does_not_change(pool):
    row = pool(np.array([[5.0], [-3.0]], dtype=np.float32), statistics=ALL, quantiles=[0.25], delta=True)
    assert row.tolist() == [5, -3, 0, 0, 5, -3, 5, -3, 5, -3] + [0] * 10


def test_a_choice_of_nothing_is_refused(pool):
    with pytest.raises(ConfigError, match="both empty"):
        pool(np.ones((2, 3)), statistics=[], quantiles=[])


@pytest.mark.parametrize("options", [{"statistics": ["median"]}, {"quantiles": [1.5]}, {"quantiles": [-0.1]}])
def test_an_unknown_statistic_or_quantile_is_refused(pool, options):
    with pytest.raises(ConfigError):
        pool(np.ones((2, 3)), **options)


def test_the_feature_matrix_is_left_as_it_was(pool):
    frames = np.random.default_rng(0).standard_normal((3, 9))
    before = frames.copy()
    pool(frames, statistics=ALL, quantiles=QUANTILES, delta=True)
    np.testing.assert_array_equal(frames, before)


def test_flatten_goes_frame_by_frame(pool):
    assert pool(np.array([[1, 2, 3], [4, 5, 6]]), "flatten").tolist() == [1, 4, 2, 5, 3, 6]
