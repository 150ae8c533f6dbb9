"""What a model listens to: the importance of the table's columns, folded onto the axes of the feature.

A column is named ``row.statistic@part``, as ``mfcc3.delta.p90@2/4``: the 90th percentile of the change of the third
coefficient, in the second quarter of the clip. A model that knows the importance of its columns is asked for it.
Else all columns of one row (statistic, part) change places among the tested clips together, and what that costs is
measured: single columns of a wide table say too much of the same to be missed alone.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from audiofw.data.splits import Fold

AXES = ("row", "statistic", "part")
_NAME = re.compile(r"(?P<row>[^.@]+)(?:\.(?P<statistic>[^@]+))?(?:@(?P<part>.+))?", re.DOTALL)
MOST_REPEATS = 5
LEAST_ROWS = 30  # of a fold's test part, when there is no time for all


class Place(NamedTuple):
    """Where on the feature's axes a column stands; None where its name does not say."""

    row: str
    statistic: str | None
    part: str | None


class Tested(NamedTuple):
    """A fitted model, and its test part."""

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
    """Measure what fitted models listen to.

    Parameters
    ----------
    models : sequence of fitted classifiers
        One for each of the last folds, or one alone, that of the last fold.
    folds : sequence of Fold
        As they were fitted.
    X : np.ndarray [shape=(clips, d)]
        What the classifiers see of each clip.
    y : np.ndarray [shape=(clips,)]
        Classes as 0 .. n_classes-1.
    names : sequence of str [shape=(d,)]
        Of the columns.
    seed : int
        Of the permutations.
    seconds : float
        About how long permutations may take; fewer repeats and fewer clips are used to keep it.

    Returns
    -------
    dict or None
        Ready for JSON: ``method`` ("model" or "permutation"), ``unit``, ``n_columns``, and for each of the axes
        ``row``, ``statistic`` and ``part`` a list of ``[name, importance]`` in the columns' order, empty where names
        do not tell it. None for a table that is not of numbers, or a model that cannot be asked.
    """
    if X.ndim != 2 or not models:
        return None
    places = [read_name(name) for name in names]
    own = [_own_importance(model, X) for model in models]
    if all(values is not None and len(values) == len(places) for values in own):
        shares = np.mean([_shares(values) for values in own], axis=0)
        axes = {axis: _fold(places, axis, lambda columns: float(shares[columns].sum())) for axis in AXES}
        return {"method": "model", "unit": "share", "n_columns": len(places), **axes}
    parts = [fold.test for fold in folds[-len(models) :]]
    tested = [Tested(model, X[part], y[part]) for model, part in zip(models, parts, strict=True)]
    losses = _Losses(tested, seed, time.perf_counter() + seconds, _count_groups(places))
    axes = {axis: _fold(places, axis, losses.without) for axis in AXES}
    return {"method": "permutation", "unit": losses.unit, "n_columns": len(places), **axes}


def read_name(name: str) -> Place:
    """Take a column's name apart."""
    found = _NAME.fullmatch(name)
    return Place(found["row"], found["statistic"], found["part"]) if found else Place(name, None, None)


def _fold(places: Sequence[Place], axis: str, measure: Callable[[np.ndarray], float]) -> list[list[Any]]:
    groups = _group(places, axis)
    return [[name, measure(np.array(columns))] for name, columns in groups.items()]


def _group(places: Sequence[Place], axis: str) -> dict[str, list[int]]:
    """List the columns of each name on one axis; none where there is only one, or a column has none."""
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


# --- the model's own --------------------------------------------------------------------------------------


def _own_importance(model: Any, X: np.ndarray) -> np.ndarray | None:
    """Ask a model how much it makes of each column of X, at least 0; None where it does not say."""
    steps = [step for _, step in getattr(model, "steps", [("", model)]) if not isinstance(step, (str, type(None)))]
    values = _of_classifier(steps[-1]) if steps else None
    if values is None and len(steps) == 1 and hasattr(model, "estimator_"):  # it maps another's probabilities
        return _own_importance(model.estimator_, X)
    scaled = False
    for step in reversed(steps[:-1]):
        values = None if values is None else _through(step, values)
        scaled = scaled or hasattr(step, "scale_")
    if values is None:
        return None
    if not scaled and not hasattr(steps[-1], "feature_importances_"):
        values = values * X.std(axis=0)  # a coefficient per Hz and one per dB compare only so
    return np.abs(values).max(axis=0) if values.ndim == 2 else np.abs(values)


def _of_classifier(model: Any) -> np.ndarray | None:
    """Give ``feature_importances_`` or the coefficients of each class, (classes, columns)."""
    for attribute in ("feature_importances_", "coef_"):
        try:
            values = np.atleast_2d(np.asarray(getattr(model, attribute), dtype=float))
        except Exception:  # noqa: BLE001 – absent, of another kernel, sparse, refused: then it does not say
            continue
        if values.ndim == 2 and np.isfinite(values).all():
            return values
    return None


def _through(step: Any, values: np.ndarray) -> np.ndarray | None:
    """Carry importances from what a step gives back to what it takes."""
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
    """What the tested clips' true classes lose in probability when columns change places among them."""

    def __init__(self, tested: Sequence[Tested], seed: int, deadline: float, groups: int) -> None:
        self._rng = np.random.default_rng(seed)
        self.unit = "probability" if all(hasattr(one.model, "predict_proba") for one in tested) else "accuracy"
        self._tested, self._repeats = self._afford(tested, deadline, groups)
        self._whole = [self._measure(one) for one in self._tested]

    def without(self, columns: np.ndarray) -> float:
        """Give the mean loss over models and repeats; about 0 for columns that the models do not need."""
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
        if self.unit == "accuracy":
            return float(np.mean(np.asarray(one.model.predict(one.X)) == one.y))
        proba, classes = np.asarray(one.model.predict_proba(one.X)), np.asarray(one.model.classes_)
        of_truth = np.where(classes == one.y[:, None], proba, 0.0)  # a class that the model has not met gets nothing
        return float(of_truth.sum(axis=1).mean())

    def _afford(self, tested: Sequence[Tested], deadline: float, groups: int) -> tuple[Sequence[Tested], int]:
        """Take as many repeats, else as few models and rows, as there is time for."""
        last, started = tested[-1], time.perf_counter()
        self._measure(last)
        once = max(time.perf_counter() - started, 1e-6) * groups  # of one model, all groups
        left = max(deadline - time.perf_counter(), 0.0)
        if once <= left:
            models = int(np.clip(left / once, 1, len(tested)))
            return tested[-models:], int(np.clip(left / (once * models), 1, MOST_REPEATS))
        n = int(np.clip(len(last.X) * left / once, min(LEAST_ROWS, len(last.X)), len(last.X)))
        some = np.sort(self._rng.choice(len(last.X), n, replace=False))
        return [Tested(last.model, last.X[some], last.y[some])], 1


def axis_of(measured: Mapping[str, Any], axis: str) -> list[tuple[str, float]]:
    """Read one axis of what `importance` gave."""
    return [(str(name), float(value)) for name, value in measured.get(axis, [])]
