"""Fit models on tables in files: in passes over blocks of rows if the model allows it, otherwise in memory.

Estimators of `audiofw.learn`, and of plugins, take part by a method ``fit_passes(rows, y, sample_weight, groups)``,
where ``rows`` is a `RowsOnDisk`. For the libraries below, the same is done here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from audiofw.learn.boosting import library_of
from audiofw.learn.passes import BLOCK_BYTES, RowsOnDisk
from audiofw.learn.steps import fit
from audiofw.system.scratch import scratch_folder

MOST_COLUMNS = 8192  # for which a few matrices (columns, columns) fit in memory
SAMPLED = 200_000_000  # bytes of the rows from which LightGBM chooses its bins; by default, 200 000 rows
MOST_BINNED = 2_000_000_000  # bytes of a table of bin numbers that are kept in memory

FitPasses = Callable[..., Any]


def takes_passes(model: Any, n_columns: int = 0) -> bool:
    """Whether a model can be fitted in passes over a table with this number of columns."""
    return n_columns <= MOST_COLUMNS and all(_fit_of(step) is not None for step in _steps(model))


def fit_rows(model: Any, rows: RowsOnDisk, y: np.ndarray, sample_weight: Any = None, groups: Any = None) -> Any:
    """Fit a model in passes over rows on disk if it can be; otherwise, or if they are but one block, in memory."""
    if 8 * len(rows) * rows.shape[1] <= BLOCK_BYTES or not takes_passes(model, rows.shape[1]):
        return fit(model, np.asarray(rows), y, sample_weight, groups)
    *before, last = _steps(model)
    for step in before:
        step.fit_passes(rows, y)
        rows = rows.through(step)
    fit_last = _fit_of(last)
    assert fit_last is not None
    fit_last(rows, y, sample_weight, groups)
    return model


def _steps(model: Any) -> list[Any]:
    steps = getattr(model, "steps", None)
    if steps is None:
        return [model]
    return [part for _, step in steps if step not in (None, "passthrough") for part in _steps(step)]


def _fit_of(step: Any) -> FitPasses | None:
    if hasattr(step, "fit_passes"):
        return step.fit_passes
    name = type(step).__name__
    fit_passes = OF_LIBRARIES.get(name) if library_of(step) or name == "LogisticRegression" else None
    if fit_passes is None or (name == "LogisticRegression" and not _is_plain(step)):
        return None
    return lambda *args: fit_passes(step, *args)


def _batches(rows: RowsOnDisk) -> Iterator[slice]:
    """Divide the rows, in their own order, which the random subsamples of boosting depend on."""
    size = max(1, BLOCK_BYTES // (8 * rows.shape[1]))
    return (slice(start, min(start + size, len(rows))) for start in range(0, len(rows), size))


def _one_of_each(codes: np.ndarray) -> np.ndarray:
    """Choose a few rows of every class."""
    order = np.argsort(codes, kind="stable")
    first = np.flatnonzero(np.diff(codes[order], prepend=-1))
    return np.sort(np.concatenate([order[place : place + 2] for place in first]))


# --- LightGBM -------------------------------------------------------------------------------------------------------


def fit_lightgbm(model: Any, rows: RowsOnDisk, y: Any, sample_weight: Any = None, groups: Any = None) -> Any:
    """Fit an LGBMClassifier on rows that LightGBM reads in batches; it keeps a byte or less of each value."""
    import lightgbm

    class Batches(lightgbm.Sequence):
        batch_size = next(_batches(rows)).stop

        def __getitem__(self, place: Any) -> np.ndarray:
            taken = rows.take(np.atleast_1d(np.arange(len(rows))[place])).astype(np.float64)
            return taken[0] if isinstance(place, int | np.integer) else taken

        def __len__(self) -> int:
            return len(rows)

    few, rounds = _one_of_each(np.unique(y, return_inverse=True)[1]), model.get_params()["n_estimators"]
    model.set_params(n_estimators=1).fit(rows.take(few), np.asarray(y)[few])  # for its classes and parameters
    params = {
        key: value for key, value in model.booster_.params.items() if key not in ("num_iterations", "n_estimators")
    }
    sampled = min(params.pop("subsample_for_bin", 200_000), max(1000, SAMPLED // (8 * rows.shape[1])))
    params["bin_construct_sample_cnt"] = sampled
    codes = np.searchsorted(model.classes_, y)
    data = lightgbm.Dataset(Batches(), label=codes, weight=sample_weight, params=params, free_raw_data=True)
    model.set_params(n_estimators=rounds)._Booster = lightgbm.train(params, data, num_boost_round=rounds)
    return model


# --- XGBoost --------------------------------------------------------------------------------------------------------


def fit_xgboost(model: Any, rows: RowsOnDisk, y: Any, sample_weight: Any = None, groups: Any = None) -> Any:
    """Fit an XGBClassifier on rows that XGBoost reads in batches, in a file if even bin numbers are too many."""
    with scratch_folder("audiofw-xgboost-") as folder:
        _boost(model, rows, np.asarray(y), sample_weight, folder)
    return model


def _boost(model: Any, rows: RowsOnDisk, codes: np.ndarray, weight: Any, folder: Path) -> None:
    import xgboost

    in_file = rows.shape[0] * rows.shape[1] > MOST_BINNED

    class Batches(xgboost.DataIter):
        def __init__(self) -> None:
            super().__init__(cache_prefix=str(folder / "batches") if in_file else None)
            self._left = _batches(rows)

        def next(self, input_data: Any) -> bool:
            if (part := next(self._left, None)) is None:
                return False
            some = None if weight is None else weight[part]
            input_data(data=rows.take(np.arange(part.start, part.stop)), label=codes[part], weight=some)
            return True

        def reset(self) -> None:
            self._left = _batches(rows)

    params = {key: value for key, value in model.get_xgb_params().items() if value is not None}
    n_classes = len(np.unique(codes))
    several = {"objective": "multi:softprob", "num_class": n_classes} if n_classes > 2 else {}
    make = xgboost.ExtMemQuantileDMatrix if in_file else xgboost.QuantileDMatrix
    data = make(Batches(), max_bin=params.get("max_bin", 256), nthread=params.get("n_jobs"))
    booster = xgboost.train({**params, **several}, data, num_boost_round=model.get_num_boosting_rounds())
    given = {name: model.get_params()[name] for name in ("base_score", "booster")}
    model.load_model(booster.save_raw("ubj"))
    model.set_params(**given)  # which loading sets, too


# --- logistic regression --------------------------------------------------------------------------------------------


def _is_plain(model: Any) -> bool:
    """Whether a LogisticRegression has only an L2 penalty, and no weights of classes."""
    given, usual = model.get_params(), type(model)().get_params()
    free = {"C", "tol", "max_iter", "random_state", "verbose", "n_jobs", "fit_intercept"}
    return all(given[key] == usual[key] for key in given if key not in free)


def fit_logistic(model: Any, rows: RowsOnDisk, y: Any, sample_weight: Any = None, groups: Any = None) -> Any:
    """Fit scikit-learn's LogisticRegression by L-BFGS, as it does itself, with one pass over the rows for each step."""
    from scipy.optimize import minimize
    from scipy.special import log_softmax

    model.classes_, codes = np.unique(y, return_inverse=True)
    weight = np.ones(len(rows)) if sample_weight is None else np.asarray(sample_weight, float)
    n_classes, d = len(model.classes_), rows.shape[1]
    two = n_classes == 2  # one vector of coefficients, for the second class
    shape, penalty = (1 if two else n_classes, d + 1), 1 / (model.C * weight.sum())

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        coef = flat.reshape(shape)
        value, slope = 0.5 * penalty * (coef[:, :d] ** 2).sum(), np.zeros(shape)
        slope[:, :d] = penalty * coef[:, :d]
        for places, block in rows.blocks():
            scores = block @ coef[:, :d].T + coef[:, d]
            known = log_softmax(np.hstack([np.zeros_like(scores), scores]) if two else scores, axis=1)
            share = weight[places] / weight.sum()
            value -= share @ known[np.arange(len(places)), codes[places]]
            wrong = np.exp(known)
            wrong[np.arange(len(places)), codes[places]] -= 1
            wrong = (wrong[:, 1:] if two else wrong) * share[:, None]
            slope[:, :d] += wrong.T @ block
            slope[:, d] += wrong.sum(axis=0) * model.fit_intercept
        return float(value), slope.ravel()

    options = {"maxiter": model.max_iter, "maxls": 50, "gtol": model.tol, "ftol": 64 * np.finfo(float).eps}
    found = minimize(loss, np.zeros(shape).ravel(), jac=True, method="L-BFGS-B", options=options)
    model.coef_, model.intercept_ = found.x.reshape(shape)[:, :d], found.x.reshape(shape)[:, d]
    model.n_iter_, model.n_features_in_ = np.array([found.nit], np.int32), d
    return model


OF_LIBRARIES: dict[str, FitPasses] = {
    "LGBMClassifier": fit_lightgbm,
    "XGBClassifier": fit_xgboost,
    "LogisticRegression": fit_logistic,
}
