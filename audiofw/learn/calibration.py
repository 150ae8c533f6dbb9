"""Probability calibration by inner cross-validation on the training fold."""

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
    """Wrap a model factory so that its models are calibrated.

    Raises
    ------
    ConfigError
        When the returned factory is called, if its model has no ``predict_proba``.

    Examples
    --------
    >>> from audiofw.learn.calibration import calibrated
    >>> from sklearn.naive_bayes import GaussianNB
    >>> make = calibrated(GaussianNB, "sigmoid")
    >>> make()
    Calibrated(estimator=GaussianNB())
    """

    def make() -> Any:
        model = make_model()
        if not hasattr(model, "predict_proba"):
            name = last_step(model)[1]
            raise ConfigError(
                f"calibration={method}: {name} gives no probabilities; use calibration=none or another model"
            )
        return Calibrated(model, method, random_state=seed)

    return make_model if method == "none" else make


class Calibrated(ClassifierMixin, BaseEstimator):
    """A classifier with probabilities calibrated on out-of-fold predictions.

    Inner splits that keep groups together give an out-of-fold prediction for each row. The calibration map is fitted to
    these: one per class with CalibratedClassifierCV, or one temperature for all with `find_sharpness`. The classifier
    is then refitted on all rows. If the splits cannot test every class, for example because a class has a single group,
    probabilities are left uncalibrated.

    Parameters
    ----------
    estimator : classifier
    method : "temperature", "sigmoid" or "isotonic"
        Temperature scaling: one parameter, which does not change predictions. Sigmoid: Platt scaling, two parameters
        per class. Isotonic: isotonic regression per class, which needs hundreds of clips per class.
    n_splits : int
        Number of inner splits.
    random_state : int
        Seed of the inner splits.

    Attributes
    ----------
    estimator_ : classifier
        The classifier fitted on all rows.
    map_ : classifier or None
        Maps its probabilities to calibrated ones; None if they are left uncalibrated.

    Examples
    --------
    >>> from audiofw.learn.calibration import Calibrated
    >>> import numpy as np
    >>> from sklearn.naive_bayes import GaussianNB
    >>> rng = np.random.default_rng(0)
    >>> y = np.repeat(["cat", "dog"], 100)
    >>> X = np.repeat(rng.normal(size=(200, 1)) + np.repeat([[0], [1]], 100, axis=0), 20, axis=1)  # one fact, 20 times
    >>> plain, calm = GaussianNB().fit(X, y), Calibrated(GaussianNB(), "temperature").fit(X, y)
    >>> surer = plain.predict_proba(X).max(axis=1).mean() > calm.predict_proba(X).max(axis=1).mean()
    >>> bool(surer), bool((plain.predict(X) == calm.predict(X)).all())
    (True, True)
    """

    def __init__(self, estimator: Any, method: str = "sigmoid", n_splits: int = 5, random_state: int = 0) -> None:
        self.estimator = estimator
        self.method = method
        self.n_splits = n_splits
        self.random_state = random_state

    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> Self:
        """Fit the calibration map on out-of-fold predictions, then the classifier on all rows."""
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
        everything = [(np.arange(len(tested)), np.arange(len(tested)))]  # Passthrough has nothing to fit
        curves = CalibratedClassifierCV(Passthrough(), method=self.method, cv=everything, ensemble=False)
        return curves.fit(said, codes[tested], sample_weight=take(sample_weight, tested))

    def predict_proba(self, X: Any) -> np.ndarray:
        """Predict calibrated class probabilities, ``(n, n_classes)``."""
        check_is_fitted(self)
        said = self.estimator_.predict_proba(X)
        return said if self.map_ is None else self.map_.predict_proba(said)

    def predict(self, X: Any) -> np.ndarray:
        """Predict the most probable class."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


class Passthrough(ClassifierMixin, BaseEstimator):
    """Returns its input as probabilities, so that scikit-learn can calibrate existing predictions."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Store the classes."""
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return ``X`` unchanged."""
        return np.asarray(X)

    def predict(self, X: Any) -> np.ndarray:
        """Predict the most probable class."""
        return self.classes_[np.asarray(X).argmax(axis=1)]


class Sharpened(Passthrough):
    """Applies temperature scaling to its input, which are probabilities.

    Parameters
    ----------
    sharpness : float
        Inverse temperature: the power to which the probabilities are raised.

    Examples
    --------
    >>> from audiofw.learn.calibration import Sharpened
    >>> import numpy as np
    >>> Sharpened(2.0).predict_proba(np.array([[0.75, 0.25]])).round(3).tolist()
    [[0.9, 0.1]]
    """

    def __init__(self, sharpness: float = 1.0) -> None:
        self.sharpness = sharpness

    def predict_proba(self, X: Any) -> np.ndarray:
        """Raise ``X`` to the power `sharpness` and normalise each row to a sum of 1."""
        return softmax(self.sharpness * np.log(np.maximum(X, LEAST)), axis=1)
