"""Tables whose columns are in blocks, one for each of several features."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, Literal, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.feature_selection import SelectorMixin
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted, validate_data

from audiofw.learn.preprocessing import ALIKE, Standard
from audiofw.learn.stacking import Stack
from audiofw.learn.voting import Vote

N_STACKED = 3  # inner splits: every feature is fitted once more for each


class Block(SelectorMixin, BaseEstimator):
    """Select one block of columns.

    Parameters
    ----------
    start, stop : int
        First column, and the one after the last.

    Examples
    --------
    >>> from audiofw.learn.blocks import Block
    >>> Block(start=1, stop=3).fit_transform([[0, 1, 2, 3]]).tolist()
    [[1, 2]]
    """

    def __init__(self, start: int = 0, stop: int = 1) -> None:
        self.start = start
        self.stop = stop

    def fit(self, X: Any, y: Any = None) -> Self:
        """Note the number of columns."""
        validate_data(self, X)
        return self

    def _get_support_mask(self) -> np.ndarray:
        check_is_fitted(self)
        places = np.arange(self.n_features_in_)
        return (places >= self.start) & (places < self.stop)


class Levelled(Standard):
    """Standardise each block of columns by itself, and divide it by the square root of its width.

    So a wide block does not drown a narrow one: the squares of all blocks' columns have the same sum, on average.

    Parameters
    ----------
    widths : sequence of int
        Numbers of columns of the blocks.
    limit, alike
        As in `audiofw.learn.preprocessing.Standard`, for each block.

    Examples
    --------
    >>> import numpy as np
    >>> from audiofw.learn.blocks import Levelled
    >>> X = np.random.default_rng(0).normal(size=(50, 5)) * [1, 1, 1, 1, 9]
    >>> np.square(Levelled(widths=[4, 1]).fit_transform(X)).mean(axis=0).round(2).tolist()
    [0.25, 0.25, 0.25, 0.25, 1.0]
    """

    def __init__(self, widths: Sequence[int] = (), limit: float = 10.0, alike: float | None = None) -> None:
        super().__init__(limit, alike)
        self.widths = widths

    def fit(self, X: Any, y: Any = None) -> Self:
        """Fit each block."""
        X = validate_data(self, X, dtype="numeric")
        edges = np.append(0, np.cumsum(self.widths))
        blocks = [Standard(self.limit, self.alike).fit(X[:, a:b]) for a, b in pairwise(edges)]
        self.mean_ = np.concatenate([block.mean_ for block in blocks])
        self.factor_ = np.concatenate([block.factor_ for block in blocks])
        counts = np.array([np.count_nonzero(block.factor_) for block in blocks])
        self.weight_ = np.repeat(1 / np.sqrt(np.maximum(counts, 1)), self.widths)
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Scale, clip and weight."""
        return super().transform(X) * self.weight_


def in_blocks(
    make: Callable[[], Any],
    names: Sequence[str],
    widths: Sequence[int],
    join: Literal["average", "stack", "columns"],
    seed: int = 0,
) -> Any:
    """Create a model of several features.

    Parameters
    ----------
    make : callable
        Creates an unfitted classifier.
    names : sequence of str
        Names of the features.
    widths : sequence of int
        Numbers of their columns.
    join : {"average", "stack", "columns"}
        "average" fits a classifier on each feature, and averages the logarithms of their probabilities; "stack" gives
        each a weight, learnt out of fold; "columns" fits one on all columns, after `Levelled`.

    Examples
    --------
    >>> import numpy as np
    >>> from audiofw.learn.blocks import in_blocks
    >>> from sklearn.linear_model import LogisticRegression
    >>> X = np.array([[0.0, 9.0, 8.0], [0.1, 8.0, 9.0], [1.0, 1.0, 2.0], [1.1, 2.0, 1.0]])
    >>> model = in_blocks(LogisticRegression, ["level", "pitch"], [1, 2], "average")
    >>> model = model.fit(X, ["cat", "cat", "dog", "dog"])
    >>> [name for name, _ in model.estimators]
    ['level', 'pitch']
    >>> model.predict(X[[0, 3]]).tolist()
    ['cat', 'dog']
    """
    if join == "columns":
        model = make()
        steps = model.steps if isinstance(model, Pipeline) else [("model", model)]
        return Pipeline([("blocks", Levelled(list(widths), alike=ALIKE)), *steps])
    edges = np.append(0, np.cumsum(widths)).tolist()
    members = [
        (name, Pipeline([("block", Block(start, stop)), ("model", make())]))
        for name, start, stop in zip(names, edges[:-1], edges[1:], strict=True)
    ]
    return Vote(members) if join == "average" else Stack(members, n_splits=N_STACKED, random_state=seed)
