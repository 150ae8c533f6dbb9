"""A negative class, such as background, is not one of those whose mean is F1; accuracy and the rest count it."""

import numpy as np
import pytest
from sklearn.metrics import f1_score

from audiofw.evaluation.influence import influences
from audiofw.evaluation.intervals import score_intervals
from audiofw.evaluation.scores import positive_classes, score_counts, scores

CLASSES = ["background", "robin", "wren"]
POSITIVE = (1, 2)


def predict(n: int = 300) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    y = rng.choice(3, n, p=[0.8, 0.15, 0.05])
    return y, np.where(rng.random(n) < 0.7, y, rng.choice(3, n))


def test_f1_is_the_mean_over_the_positive_classes():
    y, predicted = predict()
    found, plain = scores(y, predicted, None, 3, positive=POSITIVE), scores(y, predicted, None, 3)
    assert found["f1"] == pytest.approx(f1_score(y, predicted, labels=[1, 2], average="macro"))
    assert {name: value for name, value in found.items() if name != "f1"} == {
        name: value for name, value in plain.items() if name != "f1"
    }


def test_of_two_classes_f1_is_of_the_other_one_whatever_their_order():
    y, predicted = (part % 2 for part in predict())
    for positive in (0, 1):
        assert scores(y, predicted, None, 2, positive=(positive,)) == scores(y, predicted, None, 2, positive=positive)


def test_a_positive_class_that_does_not_occur_does_not_count():
    y = np.array([0, 0, 1, 1])
    assert scores(y, y, None, 3, positive=POSITIVE)["f1"] == 1.0
    assert scores(y * 0, y * 0, None, 3, positive=POSITIVE)["f1"] == 0.0


def test_confusion_matrices_give_the_same():
    y, predicted = predict()
    counts = np.zeros((1, 3, 3))
    np.add.at(counts[0], (y, predicted), 1)
    assert score_counts(counts, POSITIVE)["f1"][0] == pytest.approx(
        scores(y, predicted, None, 3, positive=POSITIVE)["f1"]
    )


def test_influences_are_what_leaving_a_clip_out_changes():
    y, predicted = predict()
    found = influences(y, predicted, None, 3, names=["f1"], positive=POSITIVE)["f1"]
    assert found.value == pytest.approx(scores(y, predicted, None, 3, positive=POSITIVE)["f1"])
    for clip in (0, 7, 100, 299):
        rest = np.arange(len(y)) != clip
        without = scores(y[rest], predicted[rest], None, 3, positive=POSITIVE)["f1"]
        assert found.value - without == pytest.approx(found.of_clips[clip], abs=2e-3)


def test_the_interval_holds_the_score_and_a_flawless_one_is_judged_by_its_positive_clips():
    y, predicted = predict()
    low, high = score_intervals(y, predicted, None, n_classes=3, positive=POSITIVE)["f1"]
    assert low < scores(y, predicted, None, 3, positive=POSITIVE)["f1"] < high
    few, many = (score_intervals(y, y, None, n_classes=3, positive=each)["f1"][0] for each in (POSITIVE, 1))
    assert few < 1
    assert many < 1


def test_the_negative_class_is_known_by_its_name():
    assert positive_classes(CLASSES, "background") == (1, 2)
    assert positive_classes(CLASSES, "robin") == (0, 2)
    assert positive_classes(["robin", "wren"], "background") == 1
    assert positive_classes(CLASSES, None) == 1
