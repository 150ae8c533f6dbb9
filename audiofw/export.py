"""A model's classifier in ONNX, for programs without Python: from a row of the table to labels and probabilities."""

from __future__ import annotations

import json
import os
import re
import warnings
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from audiofw.errors import ConfigError, DataError, PluginError, first_line
from audiofw.fitting import last_step
from audiofw.golden import make_rows, read_answers
from audiofw.lanes import Lost
from audiofw.predict import Model

TOLERANCE = 1e-4  # of a probability: ONNX computes in 32 bits
NOISY = 32  # rows beside the golden ones, drawn around them
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
    data = _converted(model)
    labels, shares = _answers(data, X)
    expected = model.classifier.predict(X)
    difference = _difference(model, X, shares)
    return Exported(data, len(X), difference, int((labels != expected).sum()))


def _rows(model: Model, files: Mapping[str, bytes]) -> np.ndarray:
    """The golden clips' rows, and some drawn around them."""
    made = make_rows(model, [files[answer.file] for answer in read_answers(files)])
    fitted = [rows for each in made if not isinstance(rows := model.fit_width(each), Lost)]
    if not fitted:
        raise DataError("no golden clip that ONNX's answers could be compared on")
    golden = np.concatenate(fitted)
    chance = np.random.default_rng(0)
    picked = golden[chance.integers(len(golden), size=NOISY)]
    spread = golden.std(axis=0) + 1e-3
    return np.concatenate([golden, picked + 0.5 * spread * chance.standard_normal(picked.shape)]).astype(np.float32)


def _converted(model: Model) -> bytes:
    try:
        return _convert(model)
    except ImportError as error:
        raise ConfigError(MISSING) from error
    except Exception as error:  # converters fail in as many ways as there are classifiers
        who = f"model={model.facts['model']['name']} cannot be turned into ONNX"
        if type(error).__name__.startswith("Missing") and (unknown := re.search(r"<class '([\w.]+)'>", str(error))):
            remedy = "model=lightgbm, xgboost, sklearn_gbm, random_forest and extra_trees can"
            raise PluginError(f"{who}: there is no converter of {unknown[1]}; {remedy}") from error
        raise PluginError(f"{who}: {type(error).__name__}: {first_line(error)}") from error


def _convert(model: Model) -> bytes:
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType

    _register_boosters()
    last = last_step(model.classifier)[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of versions that the converters have not met
        onnx = to_onnx(
            model.classifier,
            initial_types=[("row", FloatTensorType([None, model.width]))],
            options={id(last): {"zipmap": False}} if hasattr(last, "predict_proba") else None,
            target_opset={"": 15, "ai.onnx.ml": 3},
        )
    entry = onnx.metadata_props.add()
    entry.key, entry.value = "classes", json.dumps(model.classes_.tolist(), ensure_ascii=False)
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
    try:
        import onnxruntime
    except ImportError as error:
        raise ConfigError(MISSING) from error
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    labels, *more = session.run(None, {session.get_inputs()[0].name: X})
    return labels, more[0] if more else None


def _difference(model: Model, X: np.ndarray, shares: np.ndarray | None) -> float:
    if shares is None or not hasattr(model.classifier, "predict_proba"):
        return 0.0
    return float(np.abs(model.classifier.predict_proba(X) - shares).max())
