"""Fit one model on the feature vectors of some clips, and predict the classes of others."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from audiofw.contract.blame import blame
from audiofw.data.splits import Groups, read_groups
from audiofw.errors import ConfigError, PluginError, first_line
from audiofw.evaluation.scores import Positive
from audiofw.evaluation.thresholds import choose_thresholds
from audiofw.learn.passes import RowsOnDisk, release
from audiofw.learn.steps import fit, last_step, takes
from audiofw.learn.stratify import stratify
from audiofw.parallel.limits import one_thread

BLOCK = 4096  # rows of a table on disk that are predicted at once
N_INNER = 3  # splits of the training part, to choose thresholds on

_PREDICTING = (
    threading.Lock()
)  # filters of warnings belong to the whole process, and a classifier need not be thread-safe


@dataclass(frozen=True, eq=False)
class Sample:
    """The data for training and testing models: the arguments of `cross_validate`."""

    X: np.ndarray
    y: np.ndarray
    n_classes: int
    clip_of: np.ndarray
    augmented: np.ndarray
    groups: np.ndarray
    balance: Literal["none", "balanced"]
    positive: Positive = 1  #: the classes of ``f1``
    by_group: bool = False  #: whether rows are standardised by the other rows of their group that take part

    def take(self, rows: np.ndarray) -> np.ndarray:
        """Give the features of some rows, standardised by group if wanted: all of a training or of a test set."""
        if self.is_on_disk:
            taken = self.X[rows]
            release(self.X)
            return taken
        if not self.by_group:
            return self.X[rows]
        from audiofw.learn.preprocessing import standardise_groups  # scikit-learn takes its time to import

        return standardise_groups(self.X[rows], self.groups[self.clip_of[rows]])

    @property
    def is_on_disk(self) -> bool:
        """Whether the features are in a file, so that they are to be read block by block."""
        return isinstance(self.X, np.memmap) and not self.by_group

    def blocks(self, rows: np.ndarray) -> list[np.ndarray]:
        """Divide rows so that those of each part fit in memory; the rows of a clip are consecutive, and stay together.

        Of a table in memory, all rows are one part.
        """
        if not self.is_on_disk or not len(rows):
            return [rows]
        first = np.flatnonzero(np.diff(self.clip_of[rows], prepend=-1))
        starts = np.arange(BLOCK, len(rows), BLOCK)
        return np.split(rows, np.unique(first[np.searchsorted(first, starts, side="right") - 1]))

    @classmethod
    def of(
        cls,
        X: np.ndarray,
        y: np.ndarray,
        n_classes: int,
        *,
        clip_of: np.ndarray | None = None,
        augmented: np.ndarray | None = None,
        groups: Groups = None,
        balance: Literal["none", "balanced"] = "none",
        by_group: bool = False,
        positive: Positive = 1,
    ) -> Sample:
        """Fill in defaults: one row per clip, none augmented, each clip a group of its own."""
        known = read_groups(groups)
        return cls(
            X=X,
            y=y,
            n_classes=n_classes,
            clip_of=np.arange(len(y)) if clip_of is None else clip_of,
            augmented=np.zeros(len(X), bool) if augmented is None else augmented,
            groups=np.arange(len(y)) if known is None else known,
            balance=balance,
            by_group=by_group,
            positive=positive,
        )


def rows_of(clips: np.ndarray, clip_of: np.ndarray, without: np.ndarray | None = None) -> np.ndarray:
    """List the rows of some clips, in the order of the clips.

    Parameters
    ----------
    clips : np.ndarray [shape=(n,)]
        Indices of clips.
    clip_of : np.ndarray [shape=(rows,)]
        Index of each row's clip.
    without : np.ndarray [shape=(rows,)], optional
        Mask of rows to leave out.
    """
    order = np.argsort(clip_of, kind="stable")
    left, right = (np.searchsorted(clip_of[order], clips, side=side) for side in ("left", "right"))
    counts = right - left
    first = np.cumsum(counts) - counts  # place of each clip's first row in the result
    rows = order[np.repeat(left - first, counts) + np.arange(counts.sum())]
    return rows if without is None else rows[~without[rows]]


def fit_clips(make_model: Callable[[], Any], sample: Sample, clips: np.ndarray, where: str = "") -> Any:
    """Fit a new model on all rows of some clips.

    With an indicator matrix as ``y``, the classifier is wrapped by `audiofw.learn.one_vs_rest`, and the threshold of
    each label is chosen on out-of-fold probabilities for these clips.

    Parameters
    ----------
    make_model : callable
        Returns an unfitted scikit-learn classifier.
    sample : Sample
    clips : np.ndarray [shape=(n,)]
        Indices of the clips to fit on.
    where : str
        Appended to error messages.

    Raises
    ------
    ConfigError
        For a model option out of range, or ``balance=balanced`` with a model that does not support sample weights.
    PluginError
        For a model that fails.
    """
    model = _fit_new(make_model, sample, clips, where)
    if sample.y.ndim == 2:
        held = _out_of_fold(make_model, sample, clips, where)
        last_step(model)[0].thresholds_ = choose_thresholds(sample.y[clips], held)
    return model


def _out_of_fold(make_model: Callable[[], Any], sample: Sample, clips: np.ndarray, where: str) -> np.ndarray:
    """Predict each clip with a model that was not fitted on it, nor on its group; NaN if there is but one group."""
    part = stratify(sample.y[clips], np.full(N_INNER, 1 / N_INNER), sample.groups[clips], seed=0)
    proba = np.full((len(clips), sample.n_classes), np.nan)
    for number in np.unique(part) if len(np.unique(part)) > 1 else []:
        model = _fit_new(make_model, sample, clips[part != number], where)
        rows = rows_of(clips[part == number], sample.clip_of, without=sample.augmented)
        proba[part == number] = predict_clips(model, sample, rows)[1]
    return proba


def _fit_new(make_model: Callable[[], Any], sample: Sample, clips: np.ndarray, where: str) -> Any:
    with _blame("model", "it cannot be made"):
        model = make_model()  # also imports the libraries whose threads are limited next
        if sample.y.ndim == 2:
            from audiofw.learn.one_vs_rest import one_vs_rest

            model = one_vs_rest(model, sample.balance, pools=sample.X.dtype == object)
    with one_blas_thread():
        _fit(model, sample, clips, where)
    return model


def _fit(model: Any, sample: Sample, clips: np.ndarray, where: str) -> None:
    rows = rows_of(clips, sample.clip_of)
    of_row = sample.clip_of[rows]
    y, weights, groups = sample.y[of_row], _weights(model, sample, rows), sample.groups[of_row]
    if sample.is_on_disk:
        from audiofw.evaluation.large import fit_rows  # scikit-learn takes its time to import

        with _blame("model", f"{_name(model)} failed{where}"):
            fit_rows(model, RowsOnDisk(sample.X, rows), y, weights, groups)
        return
    X = sample.take(rows)
    if (pooling := _learning_pooling(model, X)) is not None:
        with _blame("pooling", f"{type(pooling).__name__} failed{where}"):
            pool = getattr(pooling, "fit_transform", lambda X, y: pooling.fit(X, y).transform(X))
            X = _checked(pool(X, y), len(X))
    classifier = model if pooling is None else model[1:]
    with _blame("model", f"{_name(model)} failed{where}"):
        fit(classifier, X, y, weights, groups)


def one_blas_thread() -> AbstractContextManager[None]:
    """Limit BLAS, not OpenMP, to one thread: on matrices of this size, more threads only wait for each other.

    Of 5 000 rows with 1 500 columns, `lda` takes 1.3 s with one thread and 4.2 s with two; at 20 000 rows, 4.6 and 8.8.
    """
    return one_thread("blas")


def _name(model: Any) -> str:
    last, name, _ = last_step(model)
    return last_step(last.estimator)[1] if name == "OneVsRest" else name


def predict_clips(model: Any, sample: Sample, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Predict the clips of some rows as `predict` does, block by block if the table is on disk."""
    made = [predict(model, sample.take(part), sample.clip_of[part], sample.n_classes) for part in sample.blocks(rows)]
    if len(made) == 1:
        return made[0]
    predictions, probabilities = zip(*made, strict=True)
    return np.concatenate(predictions), None if probabilities[0] is None else np.concatenate(probabilities)


def predict(model: Any, X: np.ndarray, clip_of: np.ndarray, n_classes: int) -> tuple[np.ndarray, np.ndarray | None]:
    """Predict the class of each clip from all its rows.

    Parameters
    ----------
    model : classifier
        Fitted on classes 0 .. n_classes-1.
    X : np.ndarray [shape=(rows, d)]
    clip_of : np.ndarray [shape=(rows,)]
        Index of each row's clip; the rows of a clip are consecutive.
    n_classes : int

    Returns
    -------
    predictions : np.ndarray [shape=(clips,)]
        In the order of the clips in ``clip_of``. With several rows, the class with the highest mean probability or,
        without probabilities, the most votes. Of a model of several labels, an indicator matrix (clips, n_classes).
    probabilities : np.ndarray [shape=(clips, n_classes)] or None
        Mean over the clip's rows; None if the model gives none.

    Raises
    ------
    PluginError
        For a model that fails, or predicts something other than classes and probabilities.
    """
    if (pooling := _learning_pooling(model, X)) is not None:
        X, model = pool_matrices(pooling, X), model[1:]
    thresholds = thresholds_of(model)
    with _PREDICTING, _blame("model", f"{_name(model)} failed"), one_blas_thread(), warnings.catch_warnings():
        # LightGBM 4.6 invents column names for an array, and scikit-learn then warns when it predicts on an array
        warnings.filterwarnings("ignore", "X does not have valid feature names")
        if thresholds is not None:
            shares = mean_over_rows(_predict_each(model, X, n_classes), clip_of)
            return (shares >= thresholds).astype(np.intp), shares
        predictions = _predict(model, X, n_classes)
        probabilities = _predict_proba(model, X, n_classes)
    first = np.flatnonzero(np.diff(clip_of, prepend=-1))
    if len(first) == len(clip_of):
        return predictions, probabilities
    means = mean_over_rows(np.eye(n_classes)[predictions] if probabilities is None else probabilities, clip_of)
    return means.argmax(axis=1), None if probabilities is None else means


def thresholds_of(model: Any) -> np.ndarray | None:
    """Return the thresholds of a fitted model of several labels, (n_classes,); None for any other model."""
    return getattr(last_step(model)[0], "thresholds_", None)


def mean_over_rows(shares: np.ndarray, clip_of: np.ndarray) -> np.ndarray:
    """Average the rows of each clip, which are consecutive."""
    first = np.flatnonzero(np.diff(clip_of, prepend=-1))
    if len(first) == len(clip_of):
        return shares
    return np.add.reduceat(shares, first, axis=0) / np.diff(first, append=len(clip_of))[:, None]


def _predict_each(model: Any, X: np.ndarray, n_classes: int) -> np.ndarray:
    """Predict the probability of each label by itself."""
    proba = np.asarray(model.predict_proba(X), float)
    if proba.shape != (len(X), n_classes) or not ((proba >= 0) & (proba <= 1 + 1e-9)).all():
        raise PluginError(f"{_name(model)}: predict_proba must return probabilities, from 0 to 1", plugin="model")
    return np.minimum(proba, 1.0)


def _learning_pooling(model: Any, X: np.ndarray) -> Any:
    """Return the pooling that a model begins with if it is fitted on two-dimensional features, else None."""
    return model[0] if X.dtype == object else None


def classifier_rows(model: Any, X: np.ndarray) -> Any:
    """Give the rows that a model's classifier takes: X, after the fitted pooling that it may begin with."""
    pooling = _learning_pooling(model, X)
    return X if pooling is None else pool_matrices(pooling, X)


def pool_matrices(pooling: Any, matrices: np.ndarray) -> np.ndarray:
    """Apply a fitted pooling to two-dimensional features.

    Raises
    ------
    PluginError
        If it fails, or does not return one vector of finite numbers per clip.
    """
    with _blame("pooling", f"{type(pooling).__name__} failed"):
        return _checked(pooling.transform(matrices), len(matrices))


def _checked(rows: Any, n: int) -> Any:
    array = np.asarray(rows)
    is_dense = array.dtype.kind in "fiub"  # a classifier may accept sparse rows, too
    if is_dense and not (array.ndim == 2 and len(array) == n and np.isfinite(array).all()):
        raise PluginError(f"transform must return one row of finite numbers for each of {n} clips", plugin="pooling")
    return rows


@contextmanager
def _blame(kind: str, what: str) -> Iterator[None]:
    """Turn exceptions of a plugin's estimator into errors of one line, which `named` completes."""
    try:
        with blame(kind, None, what, shorten=first_line):
            yield
    except PluginError as error:
        if error.__cause__ and is_out_of_range(error.__cause__):
            raise ConfigError(f"{kind}: {first_line(error.__cause__)}", plugin=kind) from error.__cause__
        raise


def is_out_of_range(error: BaseException) -> bool:
    """Check whether scikit-learn rejects an option's value; the class of the error is not public."""
    return type(error).__name__ == "InvalidParameterError"


def _weights(model: Any, sample: Sample, rows: np.ndarray) -> np.ndarray | None:
    """Compute the rows' sample weights; None if they are all equal.

    With ``balance=balanced``, all classes have the same total weight. Clips have the same weight whatever their number
    of rows, if the model supports weights.
    """
    from sklearn.utils.class_weight import compute_sample_weight

    clips, each, counts = np.unique(sample.clip_of[rows], return_inverse=True, return_counts=True)
    balanced = sample.balance == "balanced" and sample.y.ndim == 1  # with several labels, each by itself
    if not balanced and not (np.ptp(counts) and takes(model, "sample_weight")):
        return None
    weights = compute_sample_weight("balanced", sample.y[clips]) if balanced else np.ones(len(clips))
    return (weights / counts)[each] * (len(rows) / len(clips))


def _predict(model: Any, X: np.ndarray, n_classes: int) -> np.ndarray:
    predictions = np.asarray(model.predict(X))
    if predictions.shape != (len(X),) or not np.isin(predictions, np.arange(n_classes)).all():
        raise PluginError(
            f"{last_step(model)[1]}: predict must return one of the classes in fit's y for each clip", plugin="model"
        )
    return predictions.astype(np.intp)


def _predict_proba(model: Any, X: np.ndarray, n_classes: int) -> np.ndarray | None:
    """Predict probabilities with a column for every class, even if not in the training set; None if there are none."""
    if not hasattr(model, "predict_proba"):
        return None
    proba, seen = np.asarray(model.predict_proba(X), float), np.asarray(model.classes_, int)
    sums = proba.sum(axis=-1, keepdims=True)
    if proba.shape != (len(X), len(seen)) or not np.allclose(sums, 1, atol=1e-3) or (proba < 0).any():
        raise PluginError(
            f"{last_step(model)[1]}: predict_proba must return one row of probabilities per clip, with sum 1",
            plugin="model",
        )
    columns = np.zeros((len(X), n_classes))
    columns[:, seen] = proba / sums  # sums of float32 are not exact enough for log_loss
    return columns
