"""Check the trees of LightGBM and XGBoost, whose own loaders believe the indices in a file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from audiofw.bundle.trees import walk_model
from audiofw.errors import DataError


class TreeNodes(NamedTuple):
    """The nodes of one tree: node 0 is the root, and ``column`` that of the split of each inner node."""

    left: np.ndarray
    right: np.ndarray
    column: np.ndarray
    inner: np.ndarray  #: bool


def check_boosters(model: Any, where: str) -> None:
    """Refuse a model with a booster whose trees do not end, or look at columns that do not exist.

    Raises
    ------
    DataError
        For a tree that was tampered with.
    """
    for part, _ in walk_model(model):
        module, name = type(part).__module__.partition(".")[0], type(part).__name__
        reader = READERS.get((module, name))
        if reader and not all(_is_tree(nodes, width) for nodes, width in reader(part)):
            raise DataError(
                f"{where}: contains a decision tree with indices out of range: damaged or malicious, refused"
            )


def _is_tree(nodes: TreeNodes, width: int) -> bool:
    """Whether every inner node has two children of its own, and an existing column: then every path ends in a leaf."""
    children = np.concatenate([nodes.left[nodes.inner], nodes.right[nodes.inner]]).astype(np.int64)
    columns = nodes.column[nodes.inner]
    inside = (children > 0) & (children < len(nodes.left))
    once = len(np.unique(children)) == len(children)
    return bool(inside.all() and once and (columns >= 0).all() and (columns < width).all())


def _lightgbm(booster: Any) -> Iterator[tuple[TreeNodes, int]]:
    """Read a booster's own text, in which a negative child is a leaf."""
    width = booster.num_feature()
    for block in booster.model_to_string().split("\nTree=")[1:]:
        facts = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        leaves = int(facts["num_leaves"])
        if leaves < 2:
            continue
        left, right, column = (_ints(facts[key]) for key in ("left_child", "right_child", "split_feature"))
        inner = np.arange(2 * leaves - 1) < leaves - 1
        after = leaves - 2 + np.zeros(leaves, np.int64)
        left, right = (np.append(np.where(side < 0, leaves - 2 - side, side), after) for side in (left, right))
        yield TreeNodes(left, right, np.append(column, after), inner), width


def _ints(text: str) -> np.ndarray:
    return np.array(text.split(), dtype=np.int64)


def _xgboost(booster: Any) -> Iterator[tuple[TreeNodes, int]]:
    """Read a booster as JSON, in which -1 is the child of a leaf."""
    learner = json.loads(bytes(booster.save_raw(raw_format="json")))["learner"]
    width = int(learner["learner_model_param"]["num_feature"])
    gradient = learner["gradient_booster"]
    for tree in gradient.get("gbtree", gradient).get("model", {}).get("trees", []):
        left, right, column = (np.array(tree[key]) for key in ("left_children", "right_children", "split_indices"))
        yield TreeNodes(left, right, column, left != -1), width


READERS = {("lightgbm", "Booster"): _lightgbm, ("xgboost", "Booster"): _xgboost}
