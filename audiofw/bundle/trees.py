"""Check the decision trees of a model file, whose indices are trusted by the compiled code that walks them.

A tree whose children or columns point beyond its arrays would read foreign memory, or never end.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from audiofw.errors import DataError

OUT_OF_RANGE = "contains a decision tree with indices out of range: damaged or malicious, refused"


def check_trees(model: Any, where: str) -> None:
    """Refuse a model with a tree whose indices are out of range.

    Parameters
    ----------
    model : object
        As loaded; may contain scikit-learn's estimators at any depth.
    where : str
        Where the model is from, for error messages.

    Raises
    ------
    DataError
        For a tree that was tampered with.
    """
    for part, widths in walk_model(model):
        name = type(part).__name__
        if name == "Tree":
            nodes = (part.children_left, part.children_right, part.feature, part.children_left != -1)
        elif name == "TreePredictor":
            nodes = (part.nodes["left"], part.nodes["right"], part.nodes["feature_idx"], part.nodes["is_leaf"] == 0)
        else:
            continue
        if not _leads_nowhere_else(*nodes, width=min(widths, default=0)):
            raise DataError(f"{where}: {OUT_OF_RANGE}")


def walk_model(model: Any) -> Iterator[tuple[Any, tuple[int, ...]]]:
    """Visit an object and everything in it, with the input widths of the two innermost enclosing estimators."""
    seen: set[int] = set()
    todo: list[tuple[Any, tuple[int, ...]]] = [(model, ())]
    while todo:
        part, widths = todo.pop()
        if id(part) in seen or isinstance(part, (str, bytes, int, float, type(None))):
            continue
        seen.add(id(part))
        yield part, widths
        inner = getattr(part, "__dict__", {})
        if isinstance(width := inner.get("n_features_in_"), (int, np.integer)):
            widths = (*widths, int(width))[-2:]
        todo.extend((each, widths) for each in _held(part, inner))


def _held(part: Any, inner: dict[str, Any]) -> list[Any]:
    if isinstance(part, np.ndarray):
        return list(part.ravel()) if part.dtype.hasobject else []
    if isinstance(part, dict):
        return [*part.values(), *inner.values()]
    return [*part, *inner.values()] if isinstance(part, (list, tuple, set)) else list(inner.values())


def _leads_nowhere_else(
    left: np.ndarray, right: np.ndarray, feature: np.ndarray, splits: np.ndarray, *, width: int
) -> bool:
    """Check that every inner node has two later nodes as children, and an existing column."""
    own = np.flatnonzero(splits)
    children = np.stack([left[own], right[own]]).astype(np.int64)
    columns = feature[own].astype(np.int64)
    inside = (children > own).all() and (children < len(left)).all()
    return bool(inside and (columns >= 0).all() and (columns < width).all())
