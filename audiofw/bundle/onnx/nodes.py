"""Helpers to build ONNX nodes in double precision; needs the extra ``onnx``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from onnx import TensorProto
from skl2onnx.algebra import onnx_ops

from audiofw.learn.voting import LEAST

OPSET = 15
NEAREST = 1e-100  # smallest distance: avoids division by zero


def node(kind: str, *inputs: Any, **attributes: Any) -> Any:
    """Create an ONNX node from nodes and constants."""
    return getattr(onnx_ops, f"Onnx{kind}")(*inputs, op_version=OPSET, **attributes)


def double(x: Any) -> Any:
    """Cast to double precision."""
    return node("Cast", x, to=TensorProto.DOUBLE)


def float64(values: Any) -> np.ndarray:
    """Create a constant in double precision, in row-major order."""
    return np.array(values, np.float64, order="C")


def total(x: Any, axis: int, keep: int = 1) -> Any:
    """Sum along an axis."""
    return node("ReduceSum", x, np.array([axis], np.int64), keepdims=keep)


def softmax(scores: Any) -> Any:
    """Softmax of each row."""
    return node("Softmax", scores, axis=1)


def log(said: Any) -> Any:
    """Logarithm of probabilities, which are clipped to at least `audiofw.learn.voting.LEAST`."""
    return node("Log", node("Max", said, float64([LEAST])))


def log_expit(x: Any) -> Any:
    """Compute ``log(1 / (1 + exp(-x)))`` without overflow."""
    above = node("Log", node("Add", node("Exp", node("Neg", node("Abs", x))), float64([1.0])))
    return node("Sub", node("Min", x, float64([0.0])), above)


def linear(coef: np.ndarray, intercept: np.ndarray, X: Any) -> Any:
    """Softmax of linear scores."""
    return softmax(node("Add", node("MatMul", double(X), float64(coef.T)), float64(intercept)))


def squares(X: Any, known: np.ndarray) -> Any:
    """Squared distances of rows from training rows, ``(n, known)``."""
    own = total(node("Mul", X, X), 1)
    products = node("MatMul", X, -2 * known.T)
    found = node("Add", node("Add", own, products), np.sum(known**2, axis=1))
    return node("Max", found, float64([0.0]))  # rounding may give negative values


def _euclidean(X: Any, known: np.ndarray) -> Any:
    return node("Sqrt", squares(X, known))


def _manhattan(X: Any, known: np.ndarray) -> Any:
    apart = node("Sub", node("Unsqueeze", X, np.array([1], np.int64)), known[None])
    return total(node("Abs", apart), 2, keep=0)


def _cosine(X: Any, known: np.ndarray) -> Any:
    lengths = node("Max", node("Sqrt", total(node("Mul", X, X), 1)), float64([NEAREST]))
    units = known / np.maximum(np.linalg.norm(known, axis=1, keepdims=True), NEAREST)
    return node("Sub", float64([1.0]), node("MatMul", node("Div", X, lengths), units.T.copy()))


DISTANCES: dict[str, Callable[[Any, np.ndarray], Any]] = {
    "euclidean": _euclidean,
    "manhattan": _manhattan,
    "cosine": _cosine,
}
