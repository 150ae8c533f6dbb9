"""Fewer columns: the best ones, or their main directions; never more than there are."""

from __future__ import annotations

import warnings
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import PCA
from sklearn.feature_selection import SelectorMixin, f_classif
from sklearn.utils.validation import check_is_fitted, validate_data

from audiofw.learn.scaling import Standard

ALIKE = 10.0  # times the median deviation; columns that spread no more than this are in one unit


class Best(SelectorMixin, BaseEstimator):
    """Keep the columns that differ most between classes, by the F value of an analysis of variance.

    As SelectKBest, but content with fewer columns than it asks for, and with constant ones, which come last.

    Parameters
    ----------
    k : int
    """

    def __init__(self, k: int = 500) -> None:
        self.k = k

    def fit(self, X: Any, y: Any) -> Self:
        """Rank the columns."""
        X, y = validate_data(self, X, y)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of constant columns and classes of one clip
            self.scores_ = np.nan_to_num(f_classif(X, y)[0], nan=-1.0, posinf=np.finfo(float).max)
        return self

    def _get_support_mask(self) -> np.ndarray:
        check_is_fitted(self)
        mask = np.zeros(len(self.scores_), bool)
        mask[np.argsort(-self.scores_, kind="stable")[: self.k]] = True
        return mask


class Directions(TransformerMixin, BaseEstimator):
    """Turn columns into their first principal components, as many as the rows allow.

    Parameters
    ----------
    n_components : int
        At most so many.
    random_state : int, optional
        Of the randomised solver, which PCA takes for large tables.
    """

    def __init__(self, n_components: int = 100, random_state: int | None = None) -> None:
        self.n_components = n_components
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> Self:
        """Find the directions."""
        X = validate_data(self, X)
        self.pca_ = PCA(min(self.n_components, *X.shape), random_state=self.random_state).fit(X)
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Give the components of each row."""
        check_is_fitted(self)
        return self.pca_.transform(validate_data(self, X, reset=False))


def prepare(*, select: int | None, pca: int | None, seed: int, scale: bool | None = True) -> list[tuple[str, Any]]:
    """List the first steps of a pipeline for a model that compares columns: scale, choose, turn.

    With ``scale=None`` columns that seem to be in one unit keep their proportions.
    """
    steps: list[tuple[str, Any]] = (
        [("scale", Standard(alike=ALIKE if scale is None else None))] if scale is not False else []
    )
    if select is not None:
        steps.append(("select", Best(select)))
    if pca is not None:
        steps.append(("pca", Directions(pca, random_state=seed)))
    return steps
