"""Probabilities that mean what they say, found inside the training part."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, Self

import numpy as np
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.utils.validation import check_is_fitted

from audiofw.errors import ConfigError
from audiofw.learn.inner_splits import inner_splits, out_of_fold, take
from audiofw.learn.steps import fit, last_step
from audiofw.learn.temperature import find_sharpness
from audiofw.learn.voting import LEAST

Method = Literal["none", "temperature", "sigmoid", "isotonic"]


def calibrated(make_model: Callable[[], Any], method: Method, seed: int = 0) -> Callable[[], Any]:
    """Let what makes a model make it calibrated.

    Raises
    ------
    ConfigError
        When it is called, for a model without probabilities.
    """

    def make() -> Any:
        model = make_model()
        if not hasattr(model, "predict_proba"):
            name = last_step(model)[1]
            raise ConfigError(
                f"calibration={method}: {name} gives no probabilities: calibration=none, or another model"
            )
        return Calibrated(model, method, random_state=seed)

    return make_model if method == "none" else make


class Calibrated(ClassifierMixin, BaseEstimator):
    """A classifier whose probabilities are mapped to the frequencies that were seen on inner splits.

    Every row is predicted by a fit on other groups' rows; on these predictions CalibratedClassifierCV learns the map of
    each class, or `find_sharpness` that of all. Then the classifier is fitted on all rows. Where some class cannot be
    tested so, as when it has one group, its probabilities stay as they are.

    Parameters
    ----------
    estimator : classifier
    method : "temperature", "sigmoid" or "isotonic"
        One number for all, which changes no prediction; for each class, Platt's curve of two numbers, or any rising
        curve, which needs hundreds of clips of each.
    n_splits : int
        Inner splits.
    random_state : int
        Of the inner splits.

    Attributes
    ----------
    estimator_ : classifier
        The one fitted on all rows.
    map_ : classifier or None
        From its probabilities to better ones.
    """

    def __init__(self, estimator: Any, method: str = "sigmoid", n_splits: int = 5, random_state: int = 0) -> None:
        self.estimator = estimator
        self.method = method
        self.n_splits = n_splits
        self.random_state = random_state

    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> Self:
        """Learn the map on rows that the classifier has not seen, and fit it on all rows."""
        self.classes_, codes = np.unique(np.asarray(y), return_inverse=True)
        self.map_ = self._learn_map(X, codes, sample_weight, groups)
        self.estimator_ = fit(clone(self.estimator), X, codes, sample_weight, groups)
        return self

    def _learn_map(self, X: Any, codes: np.ndarray, sample_weight: Any, groups: Any) -> Any:
        splits = inner_splits(codes, groups, n_splits=self.n_splits, seed=self.random_state)
        tested = np.unique([row for split in splits for row in split.test]).astype(int)
        if len(np.unique(codes[tested])) < len(self.classes_):
            return None
        said = out_of_fold(self.estimator, X, codes, splits, sample_weight, groups)[tested]
        if self.method == "temperature":
            logs = np.log(np.maximum(said, LEAST))
            sharpness, _ = find_sharpness(logs, codes[tested], take(sample_weight, tested))
            return Sharpened(sharpness).fit(said, codes[tested])
        everything = [(np.arange(len(tested)), np.arange(len(tested)))]  # it has nothing to fit
        curves = CalibratedClassifierCV(Told(), method=self.method, cv=everything, ensemble=False)
        return curves.fit(said, codes[tested], sample_weight=take(sample_weight, tested))

    def predict_proba(self, X: Any) -> np.ndarray:
        """Give each class its calibrated probability."""
        check_is_fitted(self)
        said = self.estimator_.predict_proba(X)
        return said if self.map_ is None else self.map_.predict_proba(said)

    def predict(self, X: Any) -> np.ndarray:
        """Give the most probable class."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


class Told(ClassifierMixin, BaseEstimator):
    """Says the probabilities that it is told: what was predicted before goes through scikit-learn as if it were now."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Learn which classes there are."""
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Give what came in."""
        return np.asarray(X)

    def predict(self, X: Any) -> np.ndarray:
        """Give the most probable class."""
        return self.classes_[np.asarray(X).argmax(axis=1)]


class Sharpened(Told):
    """Says the probabilities that it is told, sharper or blunter.

    Parameters
    ----------
    sharpness : float
        The power that they are raised to: 1 over what others call temperature.
    """

    def __init__(self, sharpness: float = 1.0) -> None:
        self.sharpness = sharpness

    def predict_proba(self, X: Any) -> np.ndarray:
        """Give what came in, raised to the power; each row sums to 1."""
        return softmax(self.sharpness * np.log(np.maximum(X, LEAST)), axis=1)
