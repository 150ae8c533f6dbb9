"""Converters of `audiofw.learn`'s estimators for skl2onnx: one function each, which builds the ONNX nodes.

The nodes compute in double precision, like the estimators, and return probabilities in single precision. Needs the
extra ``onnx``.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np
from onnx import TensorProto
from skl2onnx import update_registered_converter
from skl2onnx.algebra.onnx_operator import OnnxSubEstimator
from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType, Int64TensorType
from sklearn.calibration import CalibratedClassifierCV
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline
from sklearn.svm import SVC

from audiofw.bundle.onnx.nodes import (
    DISTANCES,
    NEAREST,
    OPSET,
    double,
    float64,
    linear,
    log,
    log_expit,
    node,
    softmax,
    squares,
    total,
)
from audiofw.learn.blocks import Block, Levelled
from audiofw.learn.boosting import Boosted
from audiofw.learn.calibration import Calibrated, Sharpened
from audiofw.learn.discriminant import ShrunkDiscriminant
from audiofw.learn.kernel_ridge import SoftKernelRidge
from audiofw.learn.neighbours import Neighbours
from audiofw.learn.one_vs_rest import OneVsRest
from audiofw.learn.preprocessing import Best, Directions, Standard
from audiofw.learn.stacking import Stack
from audiofw.learn.svm import SLOPE, SoftSVC
from audiofw.learn.voting import Vote

Draw = Callable[[Any, Any], Any]  # (fitted estimator, input node) -> output node


def register_own(last: Any) -> None:
    """Register the estimators of `audiofw.learn` with skl2onnx.

    Parameters
    ----------
    last : classifier
        Last step of the pipeline. Unless it is converted here, the steps before it return floats, which all accept.
    """
    number = TensorProto.DOUBLE if type(last) in {*ARITHMETIC, LogisticRegression} else TensorProto.FLOAT
    for own, draw in TABLES.items():
        name, convert = f"Audiofw{own.__name__}", _table_converter(draw, number)
        update_registered_converter(own, name, _table_shapes(number), convert)
    options = {"zipmap": [True, False, "columns"]}
    for own, draw in CLASSIFIERS.items():
        name, convert = f"Audiofw{own.__name__}", _classifier_converter(draw)
        update_registered_converter(own, name, _classifier_shapes, convert, options=options)
    update_registered_converter(OneVsRest, "AudiofwOneVsRest", _label_shapes, _convert_labels, options=options)


def instead() -> dict[str, dict[type, Callable[..., None]]]:
    """Return converters that replace skl2onnx's own, as arguments of `skl2onnx.convert_sklearn`.

    skl2onnx's logistic regression cannot follow a step that computes in double precision.
    """
    return {
        "custom_conversion_functions": {LogisticRegression: _classifier_converter(logistic)},
        "custom_shape_calculators": {LogisticRegression: _classifier_shapes},
    }


# --- transformers


def standard(model: Standard, X: Any) -> Any:
    """Nodes for ``clip((X - mean) * factor)``, in double precision: float32 would lose the spread of large numbers."""
    scaled = node("Mul", node("Sub", double(X), model.mean_), model.factor_)
    return node("Clip", scaled, np.array(-model.limit, float), np.array(model.limit, float))


def levelled(model: Levelled, X: Any) -> Any:
    """Nodes for `standard`, and the weights of the blocks."""
    return node("Mul", standard(model, X), model.weight_)


def best(model: Best | Block, X: Any) -> Any:
    """Nodes that select columns."""
    return node("Gather", double(X), model.get_support(indices=True).astype(np.int64), axis=1)


def directions(model: Directions, X: Any) -> Any:
    """Nodes for ``(X - mean) @ components.T``."""
    pca = model.pca_
    return node("MatMul", node("Sub", double(X), float64(pca.mean_)), float64(pca.components_.T))


# --- classifiers


def discriminant(model: ShrunkDiscriminant, X: Any) -> Any:
    """Nodes for the softmax of linear scores, which include the sharpness."""
    return linear(model.coef_, model.intercept_, X)


def logistic(model: LogisticRegression, X: Any) -> Any:
    """Nodes for the softmax of linear scores; with two classes, scikit-learn stores only the second's."""
    coef, intercept = float64(model.coef_), float64(model.intercept_)
    if len(coef) == 1:
        coef, intercept = np.vstack([0 * coef, coef]), np.append(0, intercept)
    return linear(coef, intercept, X)


def kernel_ridge(model: SoftKernelRidge, X: Any) -> Any:
    """Nodes for the softmax of ridge regression in the space of the RBF kernel."""
    scaled = node("Mul", standard(model.standard_, X), model.weight_)
    alike = node("Exp", node("Mul", squares(scaled, float64(model.rows_)), float64([-model.gamma_])))
    sharp = model.sharpness_ * model.coef_of_rows_, model.sharpness_ * model.shares_
    return softmax(node("Add", node("MatMul", alike, float64(sharp[0])), float64(sharp[1])))


def soft_svc(model: SoftSVC, X: Any) -> Any:
    """Nodes for the softmax of each class's sum of log-probabilities, see `audiofw.learn.svm.sum_pairs`."""
    decisions = node("Mul", _decisions(model.svc_, double(X)), float64([SLOPE]))
    first, second = np.transpose(list(combinations(range(len(model.classes_)), 2)))  # of each pair
    ones = model.sharpness_ * np.eye(len(model.classes_))
    won = node("MatMul", log_expit(decisions), ones[first])
    lost = node("MatMul", log_expit(node("Neg", decisions)), ones[second])
    return softmax(node("Add", won, lost))


def neighbours(model: Neighbours, X: Any) -> Any:
    """Nodes for the classes' fractions of the nearest neighbours."""
    known, codes = remembered_rows(model.knn_)
    distances = DISTANCES[model.metric](double(X), known)
    nearest = node("TopK", distances, np.array([model.knn_.n_neighbors], np.int64), largest=0)
    of_class = node("Gather", np.eye(len(model.classes_))[codes], nearest[1], axis=0)  # (n, k, classes)
    if model.weights == "distance":
        weights = node("Reciprocal", node("Max", nearest[0], float64([NEAREST])))
        of_class = node("Mul", of_class, node("Unsqueeze", weights, np.array([2], np.int64)))
    votes = total(of_class, 1, keep=0)
    return node("Div", votes, total(votes, 1))


def boosted(model: Boosted, X: Any) -> Any:
    """Nodes for the fitted boosting classifier."""
    return _said(model.estimator_, X)


def convert_calibrated(model: Calibrated, X: Any) -> Any:
    """Nodes for the classifier and the calibration of its probabilities."""
    said = _said(model.estimator_, X)
    if isinstance(model.map_, Sharpened):
        return softmax(node("Mul", log(said), float64([model.map_.sharpness])))
    return said if model.map_ is None else _sigmoids(model.map_, said)


def vote(model: Vote, X: Any) -> Any:
    """Nodes for the members and the mean of their probabilities."""
    shares = np.ones(len(model.estimators_)) if model.weights is None else np.asarray(model.weights, float)
    shares = shares / shares.sum()
    said = [_said(member, X) for member in model.estimators_]
    return _weighed(said, shares) if model.mean == "arithmetic" else _product(said, shares)


def stack(model: Stack, X: Any) -> Any:
    """Nodes for the members and the final model."""
    said = [_said(member, X) for member in model.estimators_]
    if model.final_ is None:
        return _product(said, model.powers_)
    logs = [log(each) for each in said]
    centred = [node("Sub", each, node("ReduceMean", each, axes=[1])) for each in logs]
    return _said(model.final_, node("Concat", *centred, axis=1))


def convert_one_vs_rest(model: OneVsRest, X: Any) -> Any:
    """Nodes for the probability of each label."""
    columns = [_share_of_positive(one, X) for one in model.estimators_]
    return node("Concat", *columns, axis=1) if len(columns) > 1 else columns[0]


def _share_of_positive(model: Any, X: Any) -> Any:
    if isinstance(model, DummyClassifier):
        first = node("Gather", double(X), np.array([0], np.int64), axis=1)
        return node("Add", node("Mul", first, float64([0.0])), float64([float(model.classes_[0])]))
    return node("Gather", _said(model, X), np.array([list(model.classes_).index(1)], np.int64), axis=1)


TABLES: dict[type, Draw] = {Standard: standard, Levelled: levelled, Best: best, Block: best, Directions: directions}
ARITHMETIC: dict[type, Draw] = {
    ShrunkDiscriminant: discriminant,
    SoftKernelRidge: kernel_ridge,
    SoftSVC: soft_svc,
    Neighbours: neighbours,
}
OF_OTHERS: dict[type, Draw] = {Boosted: boosted, Calibrated: convert_calibrated, Vote: vote, Stack: stack}
CLASSIFIERS = {**ARITHMETIC, **OF_OTHERS}


# --- parts of classifiers


def _said(model: Any, X: Any) -> Any:
    """Nodes for a classifier inside another one: probabilities in double precision."""
    if isinstance(model, Pipeline):
        for _, step in model.steps[:-1]:
            X = TABLES.get(type(step), _foreign)(step, X)
        return _said(model.steps[-1][1], X)
    own = {**CLASSIFIERS, LogisticRegression: logistic}
    if type(model) in own:
        return own[type(model)](model, X)
    return double(OnnxSubEstimator(model, X, op_version=OPSET, options={"zipmap": False})[1])


def _foreign(step: Any, X: Any) -> Any:
    return OnnxSubEstimator(step, X, op_version=OPSET)


def _decisions(svc: SVC, X: Any) -> Any:
    """Nodes for SVC's decision for the first class of each pair, ``(n, pairs)``."""
    n_classes, ends = len(svc.classes_), np.cumsum(svc.n_support_)
    rows = [slice(end - count, end) for end, count in zip(ends, svc.n_support_, strict=True)]
    sign = -1.0 if n_classes == 2 else 1.0  # with two classes, SVC's decision is for the second
    weights = np.zeros((len(svc.support_vectors_), n_classes * (n_classes - 1) // 2))
    for column, (one, other) in enumerate(combinations(range(n_classes), 2)):
        weights[rows[one], column] = sign * svc.dual_coef_[other - 1, rows[one]]
        weights[rows[other], column] = sign * svc.dual_coef_[one, rows[other]]
    alike = _kernel(svc, X, float64(svc.support_vectors_))
    return node("Add", node("MatMul", alike, weights), sign * float64(svc.intercept_))


def _kernel(svc: SVC, X: Any, known: np.ndarray) -> Any:
    """Nodes for the kernel between rows and training rows, ``(n, known)``."""
    if svc.kernel == "rbf":
        return node("Exp", node("Mul", squares(X, known), float64([-measured_gamma(svc)])))
    products = node("MatMul", X, known.T.copy())
    if svc.kernel == "linear":
        return products
    scaled = node("Add", node("Mul", products, float64([measured_gamma(svc)])), float64([svc.coef0]))
    return node("Tanh", scaled) if svc.kernel == "sigmoid" else node("Pow", scaled, float64([svc.degree]))


def measured_gamma(svc: SVC) -> float:
    """Return a fitted SVC's gamma as a number; the public attribute may be ``scale``."""
    return svc._gamma


def remembered_rows(knn: KNeighborsClassifier) -> tuple[np.ndarray, np.ndarray]:
    """Return the training rows of a nearest-neighbour classifier, and their class indices."""
    return float64(knn._fit_X), knn._y


def _sigmoids(model: CalibratedClassifierCV, said: Any) -> Any:
    """Nodes for the Platt scaling of each class, normalised to a sum of 1."""
    if model.method != "sigmoid":
        raise NotImplementedError(f"calibration={model.method} has no converter")
    curves = model.calibrated_classifiers_[0].calibrators
    a, b = float64([curve.a_ for curve in curves]), float64([curve.b_ for curve in curves])
    if len(curves) == 1:  # with two classes, the curve of the second
        said = node("Gather", said, np.array([1], np.int64), axis=1)
    shares = node("Sigmoid", node("Neg", node("Add", node("Mul", said, a), b)))
    if len(curves) == 1:
        return node("Concat", node("Sub", float64([1.0]), shares), shares, axis=1)
    return node("Div", shares, total(shares, 1))


def _product(said: list[Any], powers: np.ndarray) -> Any:
    """Nodes for the product of powers of probabilities, see `audiofw.learn.voting.multiply`."""
    return softmax(_weighed([log(each) for each in said], powers))


def _weighed(said: list[Any], weights: np.ndarray) -> Any:
    parts = [node("Mul", each, float64([weight])) for each, weight in zip(said, weights, strict=True)]
    return node("Sum", *parts)


# --- for skl2onnx


def _table_shapes(number: int) -> Callable[[Any], None]:
    kind = DoubleTensorType if number == TensorProto.DOUBLE else FloatTensorType

    def shapes(operator: Any) -> None:
        operator.outputs[0].type = kind([None, _width(operator.raw_operator)])

    return shapes


def _width(model: Any) -> int:
    return len(model.pca_.components_ if isinstance(model, Directions) else model.get_feature_names_out())


def _classifier_shapes(operator: Any) -> None:
    operator.outputs[0].type = Int64TensorType([None])
    operator.outputs[1].type = FloatTensorType([None, len(operator.raw_operator.classes_)])


def _label_shapes(operator: Any) -> None:
    n_labels = len(operator.raw_operator.classes_)
    operator.outputs[0].type = Int64TensorType([None, n_labels])
    operator.outputs[1].type = FloatTensorType([None, n_labels])


def _convert_labels(scope: Any, operator: Any, container: Any) -> None:
    model = operator.raw_operator
    shares = convert_one_vs_rest(model, operator.inputs[0])
    over = node("GreaterOrEqual", shares, float64(model.thresholds_))
    for made, number, output in ((over, TensorProto.INT64, 0), (shares, TensorProto.FLOAT, 1)):
        node("Cast", made, to=number, output_names=[operator.outputs[output]]).add_to(scope, container)


def _table_converter(draw: Draw, number: int) -> Callable[..., None]:
    def convert(scope: Any, operator: Any, container: Any) -> None:
        table = draw(operator.raw_operator, operator.inputs[0])
        node("Cast", table, to=number, output_names=operator.outputs[:1]).add_to(scope, container)

    return convert


def _classifier_converter(draw: Draw) -> Callable[..., None]:
    def convert(scope: Any, operator: Any, container: Any) -> None:
        model = operator.raw_operator
        shares = draw(model, operator.inputs[0])
        code = node("ArgMax", shares, axis=1, keepdims=0)
        classes = np.asarray(model.classes_, np.int64)
        node("Gather", classes, code, output_names=operator.outputs[:1]).add_to(scope, container)
        floats = node("Cast", shares, to=TensorProto.FLOAT, output_names=operator.outputs[1:])
        floats.add_to(scope, container)

    return convert
