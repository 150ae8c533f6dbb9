"""Parts in which every label has about the same frequency."""

import numpy as np
import pytest

from audiofw.learn.stratify import stratify


@pytest.fixture
def labels():
    chance = np.random.default_rng(1)
    return (chance.random((400, 8)) < np.linspace(0.02, 0.5, 8)).astype(np.int8)


def test_each_part_gets_its_share_of_each_label(labels):
    part = stratify(labels, [0.2] * 5, seed=3)
    counts = np.array([labels[part == k].sum(axis=0) for k in range(5)])
    assert (np.abs(counts - labels.sum(axis=0) / 5) <= 1.5).all()
    assert (np.abs(np.bincount(part) - 80) <= 8).all()


def test_parts_may_differ_in_size(labels):
    part = stratify(labels, [0.8, 0.2])
    assert abs(np.mean(part == 1) - 0.2) < 0.02
    assert (np.abs(labels[part == 1].sum(axis=0) - 0.2 * labels.sum(axis=0)) <= 1.5).all()


def test_a_group_stays_in_one_part_and_labels_stay_even_as_far_as_that_allows(labels):
    groups = np.random.default_rng(2).integers(60, size=len(labels))
    part = stratify(labels, [0.25] * 4, groups)
    assert all(len(np.unique(part[groups == group])) == 1 for group in np.unique(groups))
    drawn = np.random.default_rng(0).integers(4, size=60)[groups]
    assert unevenness(labels, part) < 0.5 * unevenness(labels, drawn)


def unevenness(labels, part):
    counts = np.array([labels[part == k].sum(axis=0) for k in range(4)])
    return np.abs(counts - labels.sum(axis=0) / 4).sum()


def test_the_seed_decides_alone(labels):
    assert (stratify(labels, [0.5, 0.5], seed=1) == stratify(labels, [0.5, 0.5], seed=1)).all()
    assert (stratify(labels, [0.5, 0.5], seed=1) != stratify(labels, [0.5, 0.5], seed=2)).any()


def test_rows_without_labels_are_divided_too():
    part = stratify(np.zeros((10, 2)), [0.5, 0.5])
    assert sorted(np.bincount(part)) == [5, 5]


def test_a_label_of_two_rows_is_in_both_parts():
    labels = np.zeros((20, 2))
    labels[[4, 11], 0] = 1
    labels[:, 1] = 1
    assert set(stratify(labels, [0.5, 0.5])[[4, 11]]) == {0, 1}
