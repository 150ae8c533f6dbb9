"""A model's classifier in ONNX, for programs without Python: from a row of the table to labels and probabilities."""

from __future__ import annotations

import json
import os
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from audiofw.bundle.golden import make_rows, read_answers
from audiofw.bundle.model import Model
from audiofw.errors import ConfigError, DataError, PluginError, first_line
from audiofw.learn.steps import last_step
from audiofw.parallel.executors import Lost

TOLERANCE = 1e-4  # of a probability: ONNX computes in 32 bits
NOISY = 32  # rows beside the golden ones, drawn around them
ABLE = (
    "model=lda, svm, logistic_regression, knn, lightgbm, xgboost, sklearn_gbm, random_forest and extra_trees can, vote"
    " and stack of these too, with calibration=none, temperature or sigmoid"
)
MISSING = "--format onnx needs skl2onnx, onnxmltools and onnxruntime: pip install 'audiofw[onnx]'"


class Exported(NamedTuple):
    """A classifier in ONNX, and how near its answers are."""

    data: bytes
    rows: int  #: that both were asked about
    difference: float  #: the largest of a probability
    relabelled: int  #: rows that got another label


def to_onnx(model: Model, files: Mapping[str, bytes]) -> Exported:
    """Turn a model's classifier into ONNX, and let onnxruntime answer for the golden clips.

    Parameters
    ----------
    model : Model
    files : mapping of str to bytes
        Of its bundle.

    Raises
    ------
    ConfigError
        If the libraries are not there.
    PluginError
        For a classifier that cannot be turned into ONNX.
    DataError
        Without golden clips to try it on.
    """
    if model.width is None:
        raise PluginError("a pooling that learns takes pictures of any length, which ONNX cannot: pooling=stats")
    X = _rows(model, files)
    with _blame(model.facts["model"]["name"]):
        data = convert(model.classifier, model.width, model.classes_.tolist())
        labels, shares = _answers(data, X)
    return Exported(data, len(X), _difference(model, X, shares), _count_relabelled(model, X, labels, shares))


def _rows(model: Model, files: Mapping[str, bytes]) -> np.ndarray:
    """The golden clips' rows, and some drawn around them."""
    made = [model.fit_width(each) for each in make_rows(model, [files[answer.file] for answer in read_answers(files)])]
    fitted = [each for each in made if not isinstance(each, Lost)]
    if not fitted:
        why = [each.reason for each in made if isinstance(each, Lost)]
        raise DataError(": ".join(["no golden clip that ONNX's answers could be compared on", *why[:1]]))
    golden = np.concatenate(fitted)
    chance = np.random.default_rng(0)
    picked = golden[chance.integers(len(golden), size=NOISY)]
    spread = golden.std(axis=0) + 1e-3
    return np.concatenate([golden, picked + 0.5 * spread * chance.standard_normal(picked.shape)]).astype(np.float32)


@contextmanager
def _blame(name: str) -> Iterator[None]:
    """Turn what the libraries raise into one line."""
    try:
        yield
    except ConfigError:
        raise
    except ImportError as error:
        raise ConfigError(MISSING) from error
    except Exception as error:  # converters fail in as many ways as there are classifiers
        raise PluginError(f"cannot be turned into ONNX: {_reason(error)}; {ABLE}", plugin=f"model={name}") from error


def _reason(error: BaseException) -> str:
    unknown = re.search(r"<class '([\w.]+)'>", str(error))
    if unknown and (type(error).__name__.startswith("Missing") or "Unable to find" in str(error)):
        return f"there is no converter of {unknown[1]}"
    while error.__cause__:  # skl2onnx wraps some in pages of numbers
        error = error.__cause__
    line = first_line(error).rstrip(".")
    return line if isinstance(error, NotImplementedError) else f"{type(error).__name__}: {line}"


def convert(classifier: Any, width: int, classes: list[str]) -> bytes:
    """Turn a classifier into ONNX.

    Parameters
    ----------
    classifier : classifier
        Fitted on numbers of classes.
    width : int
        Columns of its rows.
    classes : list of str
        Their names, which the file carries.

    Raises
    ------
    Exception
        Whatever skl2onnx raises for what it has no converter of.
    """
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import FloatTensorType

    from audiofw.bundle.onnx.converters import instead, register_own
    from audiofw.bundle.onnx.nodes import OPSET

    last = last_step(classifier)[0]
    _register_boosters()
    register_own(last)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of versions that the converters have not met
        onnx = convert_sklearn(
            classifier,
            initial_types=[("row", FloatTensorType([None, width]))],
            options={id(last): {"zipmap": False}} if hasattr(last, "predict_proba") else None,
            target_opset={"": OPSET, "ai.onnx.ml": 3},
            **instead(),
        )
    entry = onnx.metadata_props.add()
    entry.key, entry.value = "classes", json.dumps(classes, ensure_ascii=False)
    return bytes(onnx.SerializeToString())


def _register_boosters() -> None:
    """Tell skl2onnx of the boosters that onnxmltools can turn into ONNX."""
    from lightgbm import LGBMClassifier
    from onnxmltools.convert.lightgbm.operator_converters.LightGbm import convert_lightgbm
    from onnxmltools.convert.xgboost.operator_converters.XGBoost import convert_xgboost
    from skl2onnx import update_registered_converter
    from skl2onnx.common.shape_calculator import calculate_linear_classifier_output_shapes as shapes
    from xgboost import XGBClassifier

    options = {"nocl": [True, False], "zipmap": [True, False, "columns"], "raw_scores": [True, False]}
    update_registered_converter(LGBMClassifier, "LightGbmLGBMClassifier", shapes, convert_lightgbm, options=options)
    update_registered_converter(XGBClassifier, "XGBoostXGBClassifier", shapes, convert_xgboost, options=options)


def _answers(data: bytes, X: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """What onnxruntime says of some rows: numbers of classes, and probabilities."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime

    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    labels, *more = session.run(None, {session.get_inputs()[0].name: X})
    return labels, more[0] if more else None


def _difference(model: Model, X: np.ndarray, shares: np.ndarray | None) -> float:
    if shares is None or not hasattr(model.classifier, "predict_proba"):
        return 0.0
    return float(np.abs(model.classifier.predict_proba(X) - shares).max())


def _count_relabelled(model: Model, X: np.ndarray, labels: np.ndarray, shares: np.ndarray | None) -> int:
    """Count rows that got another label, but not those where two classes are equally probable."""
    other = labels != model.classifier.predict(X)
    if shares is not None and hasattr(model.classifier, "predict_proba"):
        second, first = np.sort(shares, axis=1)[:, -2:].T
        other &= first - second > TOLERANCE
    return int(other.sum())
