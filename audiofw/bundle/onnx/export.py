"""Convert a model to ONNX, for programs without Python: samples in, labels and probabilities out."""

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

TOLERANCE = 1e-4  # for probabilities: ONNX computes in 32 bits
NOISY = 32  # random feature vectors around those of the golden clips
ABLE = (
    "model=lda, svm, logistic_regression, knn, lightgbm, xgboost, sklearn_gbm, random_forest, extra_trees and"
    " kernel_ridge can, and vote and stack of these, with calibration=none, temperature or sigmoid"
)
MISSING = "--format onnx needs skl2onnx, onnxmltools and onnxruntime: pip install 'audiofw[onnx]'"


class Exported(NamedTuple):
    """A model in ONNX, and how closely its predictions agree with the original."""

    data: bytes
    rows: int  #: number of clips, or feature vectors, compared
    difference: float  #: the largest in a probability; of clips, on the golden ones
    relabelled: int  #: number of them with a different label
    copies: float = 0.0  #: the largest difference on changed copies of the golden clips

    @property
    def largest(self) -> float:
        """The largest difference of all."""
        return max(self.difference, self.copies)


def to_onnx(model: Model, files: Mapping[str, bytes]) -> Exported:
    """Convert a model to one ONNX graph that takes samples, and compare them on the golden clips and copies of these.

    Parameters
    ----------
    model : Model
    files : mapping of str to bytes
        The files of its bundle.

    Raises
    ------
    ConfigError
        If the libraries are not installed.
    PluginError
        If the feature, the pooling, the classifier or a setting cannot be converted.
    DataError
        If there are no golden clips to compare on.
    """
    name = model.facts["model"]["name"]
    if not hasattr(model.classifier, "predict_proba"):
        raise PluginError("has no probabilities, which the graph is to give", plugin=f"model={name}")
    classifier = _classifier(model)
    from audiofw.bundle.onnx.compare import answers, differences, hear
    from audiofw.bundle.onnx.waveform import draw

    try:
        data = draw(model, classifier)
    except NotImplementedError as error:
        raise PluginError(f"cannot be exported: {error}") from error
    samples, predictions, n_golden = hear(model, files)
    whose = f"feature={model.unit.feature.name} and pooling={model.unit.pooling.name}"
    with _blame(name, f"the graph of {whose} fails", remedy=""):
        labels, shares = answers(open_session(data), samples)
    apart, relabelled = differences(model, predictions, labels, shares)
    return Exported(data, len(labels), apart[:n_golden].max(initial=0), relabelled, apart[n_golden:].max(initial=0))


def classifier_to_onnx(model: Model, files: Mapping[str, bytes]) -> Exported:
    """Convert only a model's classifier, which takes feature vectors; see `to_onnx`."""
    X, data = _rows(model, files), _classifier(model)
    labels, shares = _answers(data, X)
    return Exported(data, len(X), _difference(model, X, shares), _count_relabelled(model, X, labels, shares))


def _classifier(model: Model) -> bytes:
    if model.width is None:
        raise PluginError(
            "a pooling that learns takes input of any length, which ONNX does not support: use pooling=stats"
        )
    with _blame(model.facts["model"]["name"]):
        return convert(model.classifier, model.width, model.classes_.tolist())


def _rows(model: Model, files: Mapping[str, bytes]) -> np.ndarray:
    """Extract the golden clips' feature vectors, and draw some around them."""
    made = [model.fit_width(each) for each in make_rows(model, [files[answer.file] for answer in read_answers(files)])]
    fitted = [each for each in made if not isinstance(each, Lost)]
    if not fitted:
        why = [each.reason for each in made if isinstance(each, Lost)]
        raise DataError(": ".join(["no golden clips to compare the ONNX model on", *why[:1]]))
    golden = np.concatenate(fitted)
    chance = np.random.default_rng(0)
    picked = golden[chance.integers(len(golden), size=NOISY)]
    spread = golden.std(axis=0) + 1e-3
    return np.concatenate([golden, picked + 0.5 * spread * chance.standard_normal(picked.shape)]).astype(np.float32)


@contextmanager
def _blame(name: str, what: str = "cannot be converted to ONNX", remedy: str = f"; {ABLE}") -> Iterator[None]:
    """Turn the libraries' exceptions into errors of one line."""
    try:
        yield
    except ConfigError:
        raise
    except ImportError as error:
        raise ConfigError(MISSING) from error
    except Exception as error:  # converters may fail in any way
        raise PluginError(f"{what}: {_reason(error)}{remedy}", plugin=f"model={name}") from error


def _reason(error: BaseException) -> str:
    unknown = re.search(r"<class '([\w.]+)'>", str(error))
    if unknown and (type(error).__name__.startswith("Missing") or "Unable to find" in str(error)):
        return f"no converter for {unknown[1]}"
    while error.__cause__:  # skl2onnx adds pages of numbers to some
        error = error.__cause__
    line = first_line(error).rstrip(".")
    return line if isinstance(error, NotImplementedError) else f"{type(error).__name__}: {line}"


def convert(classifier: Any, width: int, classes: list[str]) -> bytes:
    """Convert a classifier to ONNX.

    Parameters
    ----------
    classifier : classifier
        Fitted on class indices.
    width : int
        Number of features.
    classes : list of str
        Names of the classes, which are stored in the file.

    Raises
    ------
    Exception
        Whatever skl2onnx raises if it has no converter.
    """
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import FloatTensorType

    from audiofw.bundle.onnx.converters import instead, register_own
    from audiofw.bundle.onnx.nodes import OPSET

    last = last_step(classifier)[0]
    _register_boosters()
    register_own(last)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about versions that the converters do not know
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
    """Register onnxmltools' converters for LightGBM and XGBoost with skl2onnx."""
    from lightgbm import LGBMClassifier
    from onnxmltools.convert.lightgbm.operator_converters.LightGbm import convert_lightgbm
    from onnxmltools.convert.xgboost.operator_converters.XGBoost import convert_xgboost
    from skl2onnx import update_registered_converter
    from skl2onnx.common.shape_calculator import calculate_linear_classifier_output_shapes as shapes
    from xgboost import XGBClassifier

    options = {"nocl": [True, False], "zipmap": [True, False, "columns"], "raw_scores": [True, False]}
    update_registered_converter(LGBMClassifier, "LightGbmLGBMClassifier", shapes, convert_lightgbm, options=options)
    update_registered_converter(XGBClassifier, "XGBoostXGBClassifier", shapes, convert_xgboost, options=options)


def open_session(data: bytes, threads: int = 0) -> Any:
    """Open a model in onnxruntime, on the processor; 0 threads are as many as there are cores."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4  # what fails is raised, too
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def _answers(data: bytes, X: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Predict with onnxruntime: class indices, and probabilities."""
    session = open_session(data)
    labels, *more = session.run(None, {session.get_inputs()[0].name: X})
    return labels, more[0] if more else None


def _difference(model: Model, X: np.ndarray, shares: np.ndarray | None) -> float:
    if shares is None or not hasattr(model.classifier, "predict_proba"):
        return 0.0
    return float(np.abs(model.classifier.predict_proba(X) - shares).max())


def _count_relabelled(model: Model, X: np.ndarray, labels: np.ndarray, shares: np.ndarray | None) -> int:
    """Count predictions with a different label, except where two classes are equally probable.

    With several labels, except where a probability is at its threshold.
    """
    if (thresholds := model.thresholds) is not None and shares is not None:
        differ = (labels != model.classifier.predict(X)) & (np.abs(shares - thresholds) > TOLERANCE)
        return int(differ.any(axis=1).sum())
    other = labels != model.classifier.predict(X)
    if shares is not None and hasattr(model.classifier, "predict_proba"):
        second, first = np.sort(shares, axis=1)[:, -2:].T
        other &= first - second > TOLERANCE
    return int(other.sum())
