"""audiofw's own estimators predict the same in ONNX as in Python."""

import re
import warnings
from typing import Any

import numpy as np
import pytest
from sklearn.pipeline import Pipeline

from audiofw.bundle.onnx.export import ABLE, _answers, _blame, convert
from audiofw.contract.registry import load_menus
from audiofw.errors import PluginError
from audiofw.learn.calibration import calibrated
from audiofw.learn.discriminant import ShrunkDiscriminant
from audiofw.learn.preprocessing import prepare

MENUS = load_menus()
MODELS = sorted(MENUS.plugins["model"])
NAMED = re.findall(
    r"\w+", ABLE.split(" can")[0].removeprefix("model=")
)  # matches the line that lists the supported ones
EXPORTED = [name for name in NAMED if name != "and"] + ["vote", "stack"]
FEW = {"n_estimators": 10, "iterations": 10, "members": ["lda", "lightgbm", "logistic_regression"]}


def table(n_classes: int, n: int = 72, d: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """Rows of overlapping classes, so that probabilities take all values."""
    y = np.arange(n) % n_classes
    X = np.random.default_rng(0).normal(size=(n, d))
    X[:, :n_classes] += np.eye(n_classes)[y]
    return X.astype(np.float32), y


def make(name: str, calibration: Any = "none", **options: Any) -> Any:
    known = {option.name: option.default for option in MENUS.plugins["model"][name].options}
    known = {key: list(value) if isinstance(value, tuple) else value for key, value in known.items()}
    few = {key: value for key, value in FEW.items() if key in known}
    choice = MENUS.choose("model", {"name": name, **known, **few, **options})
    return calibrated(lambda: choice(0, 1), calibration)()


def fit(model: Any, n_classes: int = 3, offset: float = 0.0) -> tuple[Any, np.ndarray]:
    """Fit a model; returns it with its training rows and other rows."""
    X, y = table(n_classes)
    X += np.float32(offset)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(X, y)
    others = X + np.random.default_rng(1).normal(size=X.shape).astype(np.float32)
    return model, np.concatenate([X, others])


def check_equal(model: Any, X: np.ndarray) -> None:
    data = convert(model, X.shape[1], ["a", "b", "c", "d"][: len(model.classes_)])
    labels, shares = _answers(data, X)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = model.predict_proba(X)
        predictions = model.predict(X)
    assert np.ptp(expected) > 0.1
    np.testing.assert_allclose(shares, expected, atol=2e-6)
    assert shares.dtype == np.float32
    lead = np.diff(np.sort(expected, axis=1)[:, -2:])[:, 0]
    np.testing.assert_array_equal(labels[lead > 1e-5], predictions[lead > 1e-5])


def test_the_line_that_says_which_models_can_names_models():
    assert set(EXPORTED) <= set(MODELS)
    assert {"lda", "svm", "knn", "random_forest"} <= set(EXPORTED)


@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("name", EXPORTED)
def test_a_model_gives_equal_probabilities(name, n_classes):
    check_equal(*fit(make(name), n_classes))


@pytest.mark.parametrize("name", sorted(set(MODELS) - set(EXPORTED)))
def test_another_model_gives_equal_probabilities_or_a_reason_in_one_line(name):
    pytest.importorskip("catboost")
    model, X = fit(make(name))
    said = ""
    try:
        with _blame(name):
            data = convert(model, X.shape[1], ["a", "b", "c"])
    except PluginError as error:
        said = str(error)
    if said:  # hist_gbm: only some combinations of skl2onnx and onnx versions support it
        assert re.fullmatch(
            rf"model={name}: cannot be converted to ONNX: .{{10,100}}; model=lda, svm, .* can, .*", said
        )
    else:
        assert name != "catboost"
        np.testing.assert_allclose(_answers(data, X)[1], model.predict_proba(X), atol=1e-5)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("lda", {"select": 8, "pca": 4}),
        ("lda", {"scale": False}),
        ("kernel_ridge", {"landmarks": 10, "scale": 0.5}),
        ("logistic_regression", {"select": 8, "pca": 4}),
        ("svm", {"kernel": "linear"}),
        ("svm", {"kernel": "poly"}),
        ("svm", {"kernel": "sigmoid", "C": 1.0}),
        ("knn", {"weights": "uniform"}),
        ("knn", {"metric": "manhattan"}),
        ("knn", {"metric": "cosine"}),
        ("lightgbm", {"early_stopping": 5}),
        ("vote", {"mean": "arithmetic", "weights": [1.0, 0.0, 2.0]}),
        ("stack", {"final": "logistic"}),
        ("stack", {"final": "logistic", "members": ["svm", "knn"]}),
    ],
    ids=str,
)
def test_a_model_with_options_gives_equal_probabilities(name, options):
    check_equal(*fit(make(name, **options)))


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("calibration", ["temperature", "sigmoid"])
@pytest.mark.parametrize("name", ["lda", "lightgbm"])
def test_a_calibrated_model_gives_equal_probabilities(name, calibration, n_classes):
    check_equal(*fit(make(name, calibration), n_classes))


def test_isotonic_calibration_is_refused_by_name():
    model, X = fit(make("lda", "isotonic"))
    with pytest.raises(PluginError, match=r"ONNX: calibration=isotonic has no converter; .*none, temp"), _blame("lda"):
        convert(model, X.shape[1], ["a", "b", "c"])


@pytest.mark.parametrize("name", ["lda", "svm", "logistic_regression", "knn"])
def test_columns_far_from_zero_are_scaled_in_double_precision(name):
    check_equal(*fit(make(name), offset=1e6))


def test_a_plugin_may_mix_own_steps_with_those_of_scikit_learn():
    from sklearn.naive_bayes import GaussianNB
    from sklearn.preprocessing import StandardScaler

    check_equal(*fit(Pipeline([*prepare(select=8, pca=4, seed=0), ("bayes", GaussianNB())])))
    check_equal(*fit(Pipeline([("scale", StandardScaler()), ("lda", ShrunkDiscriminant())])))
