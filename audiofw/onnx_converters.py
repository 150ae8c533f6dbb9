"""How skl2onnx turns the estimators of `audiofw.learn` into ONNX: one function each, which draws their arithmetic.

They compute in double precision, as the estimators do, from rows of floats to probabilities of floats. Needs the
extra ``onnx``.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np
from onnx import TensorProto
from skl2onnx import update_registered_converter
from skl2onnx.algebra import onnx_ops
from skl2onnx.algebra.onnx_operator import OnnxSubEstimator
from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType, Int64TensorType
from sklearn.calibration import CalibratedClassifierCV
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.svm import SVC

from audiofw.learn.boosting import Boosted
from audiofw.learn.calibration import Calibrated, Sharpened
from audiofw.learn.columns import Best, Directions
from audiofw.learn.discriminant import ShrunkDiscriminant
from audiofw.learn.neighbours import Neighbours
from audiofw.learn.scaling import Standard
from audiofw.learn.stacking import Stack
from audiofw.learn.svm import SLOPE, SoftSVC
from audiofw.learn.voting import LEAST, Vote

OPSET = 15
NEAREST = 1e-100  # a distance below this counts as this: one by 0 would be no number

Draw = Callable[[Any, Any], Any]  # from a fitted estimator and its rows' node to the node of what it gives


def register_own(last: Any) -> None:
    """Tell skl2onnx of the estimators of `audiofw.learn`.

    Parameters
    ----------
    last : classifier
        At the end of the pipeline: unless it is arithmetic drawn here, steps before it hand it floats, which all take.
    """
    number = TensorProto.DOUBLE if type(last) in {*ARITHMETIC, LogisticRegression} else TensorProto.FLOAT
    for own, draw in TABLES.items():
        name, convert = f"Audiofw{own.__name__}", _table_converter(draw, number)
        update_registered_converter(own, name, _table_shapes(number), convert)
    options = {"zipmap": [True, False, "columns"]}
    for own, draw in CLASSIFIERS.items():
        name, convert = f"Audiofw{own.__name__}", _classifier_converter(draw)
        update_registered_converter(own, name, _classifier_shapes, convert, options=options)


def instead() -> dict[str, dict[type, Callable[..., None]]]:
    """List, as arguments of one call of `skl2onnx.convert_sklearn`, what it is to use instead of its own.

    Its logistic regression cannot follow a step that computes in doubles.
    """
    return {
        "custom_conversion_functions": {LogisticRegression: _classifier_converter(logistic)},
        "custom_shape_calculators": {LogisticRegression: _classifier_shapes},
    }


# --- what leads to a table


def standard(model: Standard, X: Any) -> Any:
    """Draw ``clip((X - mean) * factor)``, in double precision: float32 would lose the spread of large numbers."""
    scaled = _node("Mul", _node("Sub", _double(X), model.mean_), model.factor_)
    return _node("Clip", scaled, np.array(-model.limit, float), np.array(model.limit, float))


def best(model: Best, X: Any) -> Any:
    """Draw the choice of columns."""
    return _node("Gather", _double(X), model.get_support(indices=True).astype(np.int64), axis=1)


def directions(model: Directions, X: Any) -> Any:
    """Draw ``(X - mean) @ components.T``."""
    pca = model.pca_
    return _node("MatMul", _node("Sub", _double(X), _float64(pca.mean_)), _float64(pca.components_.T))


# --- what leads to probabilities


def discriminant(model: ShrunkDiscriminant, X: Any) -> Any:
    """Draw the softmax of linear scores, which hold the sharpness."""
    return _linear(model.coef_, model.intercept_, X)


def logistic(model: LogisticRegression, X: Any) -> Any:
    """Draw the softmax of linear scores; of two classes, scikit-learn has only the second's."""
    coef, intercept = _float64(model.coef_), _float64(model.intercept_)
    if len(coef) == 1:
        coef, intercept = np.vstack([0 * coef, coef]), np.append(0, intercept)
    return _linear(coef, intercept, X)


def soft_svc(model: SoftSVC, X: Any) -> Any:
    """Draw the softmax of each class's sum of log-probabilities, as `audiofw.learn.svm.sum_pairs` has it."""
    decisions = _node("Mul", _decisions(model.svc_, _double(X)), _float64([SLOPE]))
    first, second = np.transpose(list(combinations(range(len(model.classes_)), 2)))  # of each pair
    ones = model.sharpness_ * np.eye(len(model.classes_))
    won = _node("MatMul", _log_expit(decisions), ones[first])
    lost = _node("MatMul", _log_expit(_node("Neg", decisions)), ones[second])
    return _softmax(_node("Add", won, lost))


def neighbours(model: Neighbours, X: Any) -> Any:
    """Draw the shares of the nearest rows' classes."""
    knn, X = model.knn_, _double(X)
    known = _float64(knn._fit_X)
    distances = DISTANCES[model.metric](X, known)
    nearest = _node("TopK", distances, np.array([knn.n_neighbors], np.int64), largest=0, output_names=None)
    of_class = _node("Gather", np.eye(len(model.classes_))[knn._y], nearest[1], axis=0)  # (n, k, classes)
    if model.weights == "distance":
        weights = _node("Reciprocal", _node("Max", nearest[0], _float64([NEAREST])))
        of_class = _node("Mul", of_class, _node("Unsqueeze", weights, np.array([2], np.int64)))
    votes = _sum(of_class, 1, keep=0)
    return _node("Div", votes, _sum(votes, 1))


def boosted(model: Boosted, X: Any) -> Any:
    """Draw the classifier that is boosted."""
    return _said(model.estimator_, X)


def calibrated(model: Calibrated, X: Any) -> Any:
    """Draw the classifier, and the map of its probabilities."""
    said = _said(model.estimator_, X)
    if isinstance(model.map_, Sharpened):
        return _softmax(_node("Mul", _log(said), _float64([model.map_.sharpness])))
    return said if model.map_ is None else _sigmoids(model.map_, said)


def vote(model: Vote, X: Any) -> Any:
    """Draw the members and the mean of their probabilities."""
    shares = np.ones(len(model.estimators_)) if model.weights is None else np.asarray(model.weights, float)
    shares = shares / shares.sum()
    said = [_said(member, X) for member in model.estimators_]
    return _weighed(said, shares) if model.mean == "arithmetic" else _product(said, shares)


def stack(model: Stack, X: Any) -> Any:
    """Draw the members and the last step."""
    said = [_said(member, X) for member in model.estimators_]
    if model.final_ is None:
        return _product(said, model.powers_)
    logs = [_log(each) for each in said]
    centred = [_node("Sub", each, _node("ReduceMean", each, axes=[1])) for each in logs]
    return _said(model.final_, _node("Concat", *centred, axis=1))


TABLES: dict[type, Draw] = {Standard: standard, Best: best, Directions: directions}
ARITHMETIC: dict[type, Draw] = {ShrunkDiscriminant: discriminant, SoftSVC: soft_svc, Neighbours: neighbours}
OF_OTHERS: dict[type, Draw] = {Boosted: boosted, Calibrated: calibrated, Vote: vote, Stack: stack}
CLASSIFIERS = {**ARITHMETIC, **OF_OTHERS}


# --- their parts


def _linear(coef: np.ndarray, intercept: np.ndarray, X: Any) -> Any:
    return _softmax(_node("Add", _node("MatMul", _double(X), _float64(coef.T)), _float64(intercept)))


def _said(model: Any, X: Any) -> Any:
    """Draw what a classifier inside another says: probabilities in doubles."""
    if isinstance(model, Pipeline):
        for _, step in model.steps[:-1]:
            X = TABLES.get(type(step), _foreign)(step, X)
        return _said(model.steps[-1][1], X)
    own = {**CLASSIFIERS, LogisticRegression: logistic}
    if type(model) in own:
        return own[type(model)](model, X)
    return _double(OnnxSubEstimator(model, X, op_version=OPSET, options={"zipmap": False})[1])


def _foreign(step: Any, X: Any) -> Any:
    return OnnxSubEstimator(step, X, op_version=OPSET)


def _decisions(svc: SVC, X: Any) -> Any:
    """Draw SVC's decision for the first class of each pair: ``(n, pairs)``."""
    n_classes, ends = len(svc.classes_), np.cumsum(svc.n_support_)
    rows = [slice(end - count, end) for end, count in zip(ends, svc.n_support_, strict=True)]
    sign = -1.0 if n_classes == 2 else 1.0  # of two classes, SVC's decision is for the second
    weights = np.zeros((len(svc.support_vectors_), n_classes * (n_classes - 1) // 2))
    for column, (one, other) in enumerate(combinations(range(n_classes), 2)):
        weights[rows[one], column] = sign * svc.dual_coef_[other - 1, rows[one]]
        weights[rows[other], column] = sign * svc.dual_coef_[one, rows[other]]
    alike = _kernel(svc, X, _float64(svc.support_vectors_))
    return _node("Add", _node("MatMul", alike, weights), sign * _float64(svc.intercept_))


def _kernel(svc: SVC, X: Any, known: np.ndarray) -> Any:
    """Draw how alike rows are to known ones: ``(n, known)``."""
    if svc.kernel == "rbf":
        return _node("Exp", _node("Mul", _squares(X, known), _float64([-svc._gamma])))
    products = _node("MatMul", X, known.T.copy())
    if svc.kernel == "linear":
        return products
    scaled = _node("Add", _node("Mul", products, _float64([svc._gamma])), _float64([svc.coef0]))
    return _node("Tanh", scaled) if svc.kernel == "sigmoid" else _node("Pow", scaled, _float64([svc.degree]))


def _squares(X: Any, known: np.ndarray) -> Any:
    """Draw the squared distances of rows to known ones: ``(n, known)``."""
    own = _sum(_node("Mul", X, X), 1)
    products = _node("MatMul", X, -2 * known.T)
    squares = _node("Add", _node("Add", own, products), np.sum(known**2, axis=1))
    return _node("Max", squares, _float64([0.0]))


def _euclidean(X: Any, known: np.ndarray) -> Any:
    return _node("Sqrt", _squares(X, known))


def _manhattan(X: Any, known: np.ndarray) -> Any:
    apart = _node("Sub", _node("Unsqueeze", X, np.array([1], np.int64)), known[None])
    return _sum(_node("Abs", apart), 2, keep=0)


def _cosine(X: Any, known: np.ndarray) -> Any:
    lengths = _node("Max", _node("Sqrt", _sum(_node("Mul", X, X), 1)), _float64([NEAREST]))
    units = known / np.maximum(np.linalg.norm(known, axis=1, keepdims=True), NEAREST)
    return _node("Sub", _float64([1.0]), _node("MatMul", _node("Div", X, lengths), units.T.copy()))


DISTANCES: dict[str, Callable[[Any, np.ndarray], Any]] = {
    "euclidean": _euclidean,
    "manhattan": _manhattan,
    "cosine": _cosine,
}


def _sigmoids(model: CalibratedClassifierCV, said: Any) -> Any:
    """Draw Platt's curve of each class, and bring their sum to 1."""
    if model.method != "sigmoid":
        raise NotImplementedError(f"calibration={model.method}: temperature, sigmoid and none can")
    curves = model.calibrated_classifiers_[0].calibrators
    a, b = _float64([curve.a_ for curve in curves]), _float64([curve.b_ for curve in curves])
    if len(curves) == 1:  # of two classes, the second's curve
        said = _node("Gather", said, np.array([1], np.int64), axis=1)
    shares = _node("Sigmoid", _node("Neg", _node("Add", _node("Mul", said, a), b)))
    if len(curves) == 1:
        return _node("Concat", _node("Sub", _float64([1.0]), shares), shares, axis=1)
    return _node("Div", shares, _sum(shares, 1))


def _product(said: list[Any], powers: np.ndarray) -> Any:
    """Draw the product of powers of probabilities, as `audiofw.learn.voting.multiply` has it."""
    return _softmax(_weighed([_log(each) for each in said], powers))


def _weighed(said: list[Any], weights: np.ndarray) -> Any:
    parts = [_node("Mul", each, _float64([weight])) for each, weight in zip(said, weights, strict=True)]
    return _node("Sum", *parts)


def _log(said: Any) -> Any:
    return _node("Log", _node("Max", said, _float64([LEAST])))


def _log_expit(x: Any) -> Any:
    """Draw ``log(1 / (1 + exp(-x)))`` so that nothing overflows."""
    above = _node("Log", _node("Add", _node("Exp", _node("Neg", _node("Abs", x))), _float64([1.0])))
    return _node("Sub", _node("Min", x, _float64([0.0])), above)


def _softmax(scores: Any) -> Any:
    return _node("Softmax", scores, axis=1)


def _sum(x: Any, axis: int, keep: int = 1) -> Any:
    return _node("ReduceSum", x, np.array([axis], np.int64), keepdims=keep)


def _double(x: Any) -> Any:
    return _node("Cast", x, to=TensorProto.DOUBLE)


def _float64(values: Any) -> np.ndarray:
    return np.array(values, np.float64)


def _node(kind: str, *inputs: Any, **attributes: Any) -> Any:
    return getattr(onnx_ops, f"Onnx{kind}")(*inputs, op_version=OPSET, **attributes)


# --- what skl2onnx asks for


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


def _table_converter(draw: Draw, number: int) -> Callable[..., None]:
    def convert(scope: Any, operator: Any, container: Any) -> None:
        table = draw(operator.raw_operator, operator.inputs[0])
        _node("Cast", table, to=number, output_names=operator.outputs[:1]).add_to(scope, container)

    return convert


def _classifier_converter(draw: Draw) -> Callable[..., None]:
    def convert(scope: Any, operator: Any, container: Any) -> None:
        model = operator.raw_operator
        shares = draw(model, operator.inputs[0])
        code = _node("ArgMax", shares, axis=1, keepdims=0)
        classes = np.asarray(model.classes_, np.int64)
        _node("Gather", classes, code, output_names=operator.outputs[:1]).add_to(scope, container)
        floats = _node("Cast", shares, to=TensorProto.FLOAT, output_names=operator.outputs[1:])
        floats.add_to(scope, container)

    return convert
