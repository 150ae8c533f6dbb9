"""Feature importance: of the columns of the feature matrix, summed by row, statistic and part of the clip.

A column is named ``row.statistic@part``, e.g. ``mfcc3.delta.p90@2/4``: the 90th percentile of the change of the third
coefficient, in the second quarter of the clip. With several features, its name begins with that of the feature:
``mfcc:mfcc3.std``. If a model has feature importances or coefficients, these are used. Otherwise the columns of one row
(statistic, part) are permuted together among the test clips, and the loss is measured: single columns of a wide matrix
are too redundant to be permuted alone.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from audiofw.data.splits import Fold

AXES = ("row", "statistic", "part", "member")
_NAME = re.compile(r"(?P<row>[^.@]+)(?:\.(?P<statistic>[^@]+))?(?:@(?P<part>.+))?", re.DOTALL)
MOST_REPEATS = 5
MOST_ROWS = 5000  # of a table in a file
LEAST_ROWS = 30  # of a fold's test set, if there is no time for all


class Place(NamedTuple):
    """A column's position on the feature's axes; None if its name does not say."""

    row: str
    statistic: str | None
    part: str | None
    member: str | None = None  #: one of several features


class Tested(NamedTuple):
    """A fitted model and its test set."""

    model: Any
    X: np.ndarray
    y: np.ndarray


def importance(
    models: Sequence[Any],
    folds: Sequence[Fold],
    X: np.ndarray,
    y: np.ndarray,
    names: Sequence[str],
    *,
    seed: int = 0,
    seconds: float = 1.0,
) -> dict[str, Any] | None:
    """Measure the feature importance of fitted models.

    Parameters
    ----------
    models : sequence of fitted classifiers
        The models of the last folds, or only of the last one.
    folds : sequence of Fold
        All folds.
    X : np.ndarray [shape=(clips, d)]
        The features of each clip.
    y : np.ndarray [shape=(clips,)]
        Classes as 0 .. n_classes-1, or an indicator matrix (clips, n_classes).
    names : sequence of str [shape=(d,)]
        Names of the columns.
    seed : int
        For the permutations.
    seconds : float
        Approximate time for permutations; limits the repeats and clips that are used.

    Returns
    -------
    dict or None
        Ready for JSON: ``method`` ("model" or "permutation"), ``unit``, ``n_columns``, and for each of the axes
        ``row``, ``statistic``, ``part`` and ``member`` a list of ``[name, importance]`` in the order of the columns,
        empty if the names do not contain it. None if X is not a matrix, or there is no model.
    """
    if X.ndim != 2 or not models:
        return None
    places = [read_column_name(name) for name in names]
    seen = X[_few(np.arange(len(X)))] if isinstance(X, np.memmap) else X
    own = [_own_importance(model, seen) for model in models]
    if all(values is not None and len(values) == len(places) for values in own):
        shares = np.mean([_shares(values) for values in own], axis=0)
        axes = {axis: _fold(places, axis, lambda columns: float(shares[columns].sum())) for axis in AXES}
        return {"method": "model", "unit": "share", "n_columns": len(places), **axes}
    parts = [_few(fold.test) if isinstance(X, np.memmap) else fold.test for fold in folds[-len(models) :]]
    tested = [Tested(model, X[part], y[part]) for model, part in zip(models, parts, strict=True)]
    losses = _Losses(tested, seed, time.perf_counter() + seconds, _count_groups(places))
    axes = {axis: _fold(places, axis, losses.without) for axis in AXES}
    return {"method": "permutation", "unit": losses.unit, "n_columns": len(places), **axes}


def _few(clips: np.ndarray) -> np.ndarray:
    """Choose a few of the clips of a table in a file, which are enough to measure on."""
    from audiofw.learn.novelty import even_places  # scikit-learn takes its time to import

    return clips[even_places(len(clips), MOST_ROWS)]


def read_column_name(name: str) -> Place:
    """Split a column's name."""
    found = _NAME.fullmatch(name)
    if not found:
        return Place(name, None, None)
    member, colon, _ = found["row"].partition(":")
    return Place(found["row"], found["statistic"], found["part"], member if colon else None)


def _fold(places: Sequence[Place], axis: str, measure: Callable[[np.ndarray], float]) -> list[list[Any]]:
    groups = _group(places, axis)
    return [[name, measure(np.array(columns))] for name, columns in groups.items()]


def _group(places: Sequence[Place], axis: str) -> dict[str, list[int]]:
    """List the columns of each name on one axis; empty if there is only one name, or a column has none."""
    groups: dict[str, list[int]] = {}
    for i, place in enumerate(places):
        name = getattr(place, axis)
        if name is None and axis == "part":
            name = "whole clip"
        if name is None:
            return {}
        groups.setdefault(name, []).append(i)
    return groups if len(groups) > 1 else {}


def _count_groups(places: Sequence[Place]) -> int:
    return max(1, sum(len(_group(places, axis)) for axis in AXES))


# --- by the model itself ----------------------------------------------------------------------------------


def _own_importance(model: Any, X: np.ndarray) -> np.ndarray | None:
    """Read a model's own importance of each column of X, at least 0; None if it has none."""
    if hasattr(model, "thresholds_"):  # one classifier for each label
        each = [
            _own_importance(one, X) for one, same in zip(model.estimators_, model.one_sided_, strict=True) if not same
        ]
        known = [_shares(values) for values in each if values is not None]
        return np.mean(known, axis=0) if known and len(known) == len(each) else None
    steps = [step for _, step in getattr(model, "steps", [("", model)]) if not isinstance(step, (str, type(None)))]
    values = _of_classifier(steps[-1]) if steps else None
    if values is None and len(steps) == 1 and hasattr(model, "estimator_"):  # e.g. a calibrated classifier
        return _own_importance(model.estimator_, X)
    scaled = False
    for step in reversed(steps[:-1]):
        values = None if values is None else _through(step, values)
        scaled = scaled or hasattr(step, "scale_")
    if values is None:
        return None
    if not scaled and not hasattr(steps[-1], "feature_importances_"):
        values = values * X.std(axis=0)  # makes coefficients of different units comparable
    return np.abs(values).max(axis=0) if values.ndim == 2 else np.abs(values)


def _of_classifier(model: Any) -> np.ndarray | None:
    """Read ``feature_importances_`` or the coefficients of each class, (classes, columns)."""
    for attribute in ("feature_importances_", "coef_"):
        try:
            values = np.atleast_2d(np.asarray(getattr(model, attribute), dtype=float))
        except Exception:  # noqa: BLE001 – may be missing, undefined for the kernel, or sparse
            continue
        if values.ndim == 2 and np.isfinite(values).all():
            return values
    return None


def _through(step: Any, values: np.ndarray) -> np.ndarray | None:
    """Map importances of a step's outputs back to its inputs."""
    if hasattr(step, "get_support"):
        before = np.zeros((len(values), len(step.get_support())))
        before[:, step.get_support()] = values
        return before
    components = getattr(step, "components_", getattr(step, "scalings_", None))
    if components is not None:
        components = components if hasattr(step, "components_") else components.T
        return values @ components if components.shape[0] == values.shape[1] else None
    same_columns = getattr(step, "n_features_in_", None) == values.shape[1]
    return values if same_columns else None


def _shares(values: Any) -> np.ndarray:
    total = float(np.sum(values))
    return np.asarray(values) / total if total > 0 else np.zeros(len(values))


# --- by permutation ---------------------------------------------------------------------------------------


class _Losses:
    """The loss in the true class's probability when columns are permuted among the test clips."""

    def __init__(self, tested: Sequence[Tested], seed: int, deadline: float, groups: int) -> None:
        self._rng = np.random.default_rng(seed)
        self.unit = "probability" if all(hasattr(one.model, "predict_proba") for one in tested) else "accuracy"
        self._tested, self._repeats = self._afford(tested, deadline, groups)
        self._whole = [self._measure(one) for one in self._tested]

    def without(self, columns: np.ndarray) -> float:
        """Compute the mean loss over models and repeats; about 0 for columns that the models do not need."""
        lost = [
            whole - self._measure(one._replace(X=self._permuted(one.X, columns)))
            for one, whole in zip(self._tested, self._whole, strict=True)
            for _ in range(self._repeats)
        ]
        return float(np.mean(lost))

    def _permuted(self, X: np.ndarray, columns: np.ndarray) -> np.ndarray:
        X = X.copy()
        X[:, columns] = X[self._rng.permutation(len(X))][:, columns]
        return X

    def _measure(self, one: Tested) -> float:
        if one.y.ndim == 2:
            shares = np.asarray(one.model.predict_proba(one.X))
            return float(np.where(one.y > 0, shares, 1 - shares).mean())
        if self.unit == "accuracy":
            return float(np.mean(np.asarray(one.model.predict(one.X)) == one.y))
        proba, classes = np.asarray(one.model.predict_proba(one.X)), np.asarray(one.model.classes_)
        of_truth = np.where(classes == one.y[:, None], proba, 0.0)  # 0 for a class that was not in the training set
        return float(of_truth.sum(axis=1).mean())

    def _afford(self, tested: Sequence[Tested], deadline: float, groups: int) -> tuple[Sequence[Tested], int]:
        """Choose the number of repeats, or of models and rows, that the time allows."""
        last, started = tested[-1], time.perf_counter()
        self._measure(last)
        once = max(time.perf_counter() - started, 1e-6) * groups  # seconds for one model and all groups
        left = max(deadline - time.perf_counter(), 0.0)
        if once <= left:
            models = int(np.clip(left / once, 1, len(tested)))
            return tested[-models:], int(np.clip(left / (once * models), 1, MOST_REPEATS))
        n = int(np.clip(len(last.X) * left / once, min(LEAST_ROWS, len(last.X)), len(last.X)))
        some = np.sort(self._rng.choice(len(last.X), n, replace=False))
        return [Tested(last.model, last.X[some], last.y[some])], 1


def axis_of(measured: Mapping[str, Any], axis: str) -> list[tuple[str, float]]:
    """Read one axis of the result of `importance`."""
    return [(str(name), float(value)) for name, value in measured.get(axis, [])]
