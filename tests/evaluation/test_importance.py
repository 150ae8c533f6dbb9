"""Feature importance: computed for every kind of model, and mapped to the axes of the feature."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC

from audiofw.data.splits import Fold
from audiofw.evaluation.importance import Place, importance, read_column_name
from audiofw.learn.calibration import Calibrated

ROWS, STATISTICS, PARTS = ("low", "mid", "high"), ("mean", "delta.p90"), ("1/2", "2/2")
NAMES = [f"{row}.{statistic}@{part}" for part in PARTS for statistic in STATISTICS for row in ROWS]
TOLD = NAMES.index("mid.delta.p90@2/2")  # the only informative column


@pytest.fixture(scope="module")
def table() -> tuple[np.ndarray, np.ndarray, list[Fold]]:
    y = np.arange(120) % 3
    X = np.random.default_rng(0).standard_normal((120, len(NAMES))).astype(np.float32)
    X[:, TOLD] += 4 * y
    return X, y, [Fold(np.arange(0, 80), np.arange(80, 120))]


def measure(model, table, **options):
    X, y, folds = table
    model.fit(X[folds[-1].train], y[folds[-1].train])
    return importance([model], folds, X, y, NAMES, **options)


MODELS = {
    "trees": (RandomForestClassifier(20, random_state=0), "model"),
    "coefficients": (LogisticRegression(), "model"),
    "coefficients behind a scaler": (make_pipeline(StandardScaler(), LogisticRegression()), "model"),
    "behind a selection": (make_pipeline(StandardScaler(), SelectKBest(k=5), LogisticRegression()), "model"),
    "behind components": (make_pipeline(StandardScaler(), PCA(8), LogisticRegression()), "model"),
    "calibrated": (Calibrated(RandomForestClassifier(20, random_state=0)), "model"),
    "without importances": (HistGradientBoostingClassifier(max_iter=20, random_state=0), "permutation"),
    "a kernel": (make_pipeline(StandardScaler(), SVC()), "permutation"),
    "without probabilities": (LinearSVC(), "model"),
}


@pytest.mark.parametrize("name", MODELS)
def test_what_tells_the_class_stands_out_on_every_axis(table, name):
    model, method = MODELS[name]
    found = measure(model, table)
    assert found["method"] == method
    for axis, names, wanted in (
        ("row", ROWS, "mid"),
        ("statistic", STATISTICS, "delta.p90"),
        ("part", PARTS, "2/2"),
    ):
        assert [name for name, _ in found[axis]] == list(names)
        assert max(found[axis], key=lambda pair: pair[1])[0] == wanted


def test_a_models_own_importances_are_shares_of_one(table):
    found = measure(RandomForestClassifier(20, random_state=0), table)
    for axis in ("row", "statistic", "part"):
        assert sum(value for _, value in found[axis]) == pytest.approx(1)


def test_columns_that_a_model_does_not_need_cost_nothing(table):
    found = dict(measure(HistGradientBoostingClassifier(max_iter=20, random_state=0), table)["row"])
    assert found["mid"] > 0.3
    assert abs(found["low"]) < 0.1


def test_coefficients_are_weighed_by_the_spread_of_their_columns(table):
    X, y, folds = table
    scaled = X.copy()
    scaled[:, NAMES.index("low.mean@1/2")] *= 1e-4  # noise on such a small scale that its coefficient could be huge
    scaled[:, TOLD] *= 1e3
    found = measure(LogisticRegression(max_iter=2000), (scaled, y, folds))
    assert max(found["row"], key=lambda pair: pair[1])[0] == "mid"


def test_the_same_seed_gives_the_same(table):
    model = HistGradientBoostingClassifier(max_iter=5, random_state=0)
    assert measure(model, table, seed=3, seconds=60) == measure(model, table, seed=3, seconds=60)


def test_without_time_it_takes_fewer_clips_and_still_finds_it(table):
    found = measure(HistGradientBoostingClassifier(max_iter=20, random_state=0), table, seconds=0)
    assert max(found["row"], key=lambda pair: pair[1])[0] == "mid"


def test_a_class_that_training_lacks_is_no_reason_to_fail(table):
    X, y, _ = table
    folds = [Fold(np.flatnonzero(y != 2), np.arange(120))]
    found = measure(HistGradientBoostingClassifier(max_iter=5, random_state=0), (X, y, folds))
    assert found["method"] == "permutation"


def test_the_mean_over_several_folds_models(table):
    X, y, _ = table
    folds = [Fold(np.arange(0, 80), np.arange(80, 120)), Fold(np.arange(40, 120), np.arange(0, 40))]
    models = [LogisticRegression().fit(X[f.train], y[f.train]) for f in folds]
    both = importance(models, folds, X, y, NAMES)["row"]
    each = [importance([m], [f], X, y, NAMES)["row"] for m, f in zip(models, folds, strict=True)]
    assert [v for _, v in both] == pytest.approx([(a + b) / 2 for (_, a), (_, b) in zip(*each, strict=True)])


def test_names_that_tell_no_statistic_are_an_axis_of_rows_alone(table):
    X, y, folds = table
    model = LogisticRegression().fit(X, y)
    found = importance([model], folds, X, y, [f"codebook{i}" for i in range(len(NAMES))])
    assert len(found["row"]) == len(NAMES)
    assert (found["statistic"], found["part"]) == ([], [])


def test_pictures_have_no_columns_to_ask_about():
    assert importance([object()], [], np.empty(3, dtype=object), np.zeros(3), []) is None


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("mfcc3.delta.p90@2/4", Place("mfcc3", "delta.p90", "2/4")),
        ("mel_1200Hz.mean", Place("mel_1200Hz", "mean", None)),
        ("chroma_C#@3/130", Place("chroma_C#", None, "3/130")),
        ("stats17", Place("stats17", None, None)),
        ("", Place("", None, None)),
    ],
)
def test_names_are_taken_apart(name, place):
    assert read_column_name(name) == place
