"""The threshold of each label."""

import numpy as np
import pytest
from sklearn.metrics import f1_score

from audiofw.evaluation.thresholds import choose_thresholds


@pytest.mark.parametrize("digits", [1, 6])
def test_no_other_threshold_has_a_higher_f1(digits):
    chance = np.random.default_rng(3)
    y = (chance.random((200, 3)) < (0.1, 0.3, 0.6)).astype(int)
    proba = (0.3 * y + 0.7 * chance.random((200, 3))).round(digits)
    chosen = choose_thresholds(y, proba)
    for k in range(3):
        found = f1_score(y[:, k], proba[:, k] >= chosen[k])
        assert found == max(f1_score(y[:, k], proba[:, k] >= each) for each in np.unique(proba[:, k]))


def test_thresholds_lie_halfway_between_probabilities():
    assert choose_thresholds(np.array([[1], [1], [0]]), np.array([[0.9], [0.7], [0.3]])) == pytest.approx([0.5])
    assert choose_thresholds(np.array([[1], [1], [0]]), np.array([[0.9], [0.2], [0.1]])) == pytest.approx([0.15])


def test_a_label_that_all_or_none_have_gets_one_half_and_rows_without_prediction_do_not_count():
    y = np.array([[1, 0, 1], [1, 0, 0], [1, 0, 0]])
    proba = np.array([[0.8, 0.1, 0.4], [0.9, 0.2, 0.2], [np.nan] * 3])
    assert choose_thresholds(y, proba) == pytest.approx([0.5, 0.5, 0.3])
    assert choose_thresholds(y, np.full((3, 3), np.nan)) == pytest.approx([0.5] * 3)
