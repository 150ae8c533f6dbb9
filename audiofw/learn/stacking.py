"""Stacking with inner splits that keep groups together."""

from __future__ import annotations

from typing import Any, Literal, Self

import numpy as np
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression

from audiofw.learn.inner_splits import inner_splits, out_of_fold, take
from audiofw.learn.temperature import log_loss
from audiofw.learn.voting import LEAST, Vote, multiply

LEAN = 1e-2


class Stack(Vote):
    """Stacking: members combined by a final model that is trained on their out-of-fold predictions.

    The inner splits keep each group on one side. After the final model, the members are refitted on all rows. If the
    splits cannot test every class, for example because a class has a single group, the members vote instead.

    Parameters
    ----------
    estimators : list of (str, classifier)
    final : "weights" or "logistic"
        One non-negative weight for each member's log-probabilities; or a logistic regression on all of them, which also
        learns which classes a member confuses, but needs more clips.
    C : float
        Inverse of the regularisation strength of the logistic regression.
    n_splits : int
        Number of inner splits.
    random_state : int
        Seed of the inner splits.

    Attributes
    ----------
    powers_ : np.ndarray [shape=(members,)]
        Weights of the members' log-probabilities. Their sum is the inverse temperature of the result.
    final_ : LogisticRegression or None
        The fitted final model if ``final="logistic"``.

    Examples
    --------
    >>> from audiofw.learn.stacking import Stack
    >>> import numpy as np
    >>> from sklearn.dummy import DummyClassifier
    >>> from sklearn.linear_model import LogisticRegression
    >>> X = np.random.default_rng(0).normal(size=(60, 1)) + np.repeat([[0], [3]], 30, axis=0)
    >>> y = np.repeat(["cat", "dog"], 30)
    >>> model = Stack([("line", LogisticRegression()), ("guess", DummyClassifier(strategy="uniform"))]).fit(X, y)
    >>> bool(model.powers_[0] > model.powers_[1])  # the member that guesses has less weight
    True
    """

    def __init__(
        self,
        estimators: list[tuple[str, Any]],
        *,
        final: Literal["weights", "logistic"] = "weights",
        C: float = 0.1,
        n_splits: int = 5,
        random_state: int = 0,
    ) -> None:
        super().__init__(estimators)
        self.final = final
        self.C = C
        self.n_splits = n_splits
        self.random_state = random_state

    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> Self:
        """Fit the members on all rows, and the final model on their out-of-fold predictions."""
        super().fit(X, y, sample_weight, groups)
        codes = self.le_.transform(y)
        self.powers_, self.final_ = np.full(len(self.estimators), 1 / len(self.estimators)), None
        splits = inner_splits(codes, groups, n_splits=self.n_splits, seed=self.random_state)
        tested = np.unique([row for split in splits for row in split.test]).astype(int)
        if len(np.unique(codes[tested])) < len(self.classes_):
            return self
        X, members = np.asarray(X), [member for _, member in self.estimators]
        said = np.array([out_of_fold(member, X, codes, splits, sample_weight, groups)[tested] for member in members])
        truth, weight = codes[tested], take(sample_weight, tested)
        if self.final == "logistic":
            self.final_ = LogisticRegression(C=self.C, max_iter=1000).fit(_logarithms(said), truth, weight)
        else:
            self.powers_ = find_powers(said, truth, weight)
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Predict class probabilities, ``(n, n_classes)``."""
        said = self.members_proba(X)
        return multiply(said, self.powers_) if self.final_ is None else self.final_.predict_proba(_logarithms(said))


def _logarithms(said: np.ndarray) -> np.ndarray:
    """Concatenate the members' log-probabilities column-wise, each row of a member centred on 0."""
    logs = np.log(np.maximum(said, LEAST))
    return np.hstack(logs - logs.mean(axis=2, keepdims=True))


def find_powers(said: np.ndarray, codes: np.ndarray, weight: Any = None) -> np.ndarray:
    """Find non-negative powers of the members that minimise the log loss, slightly regularised towards equal ones."""
    plain = np.full(len(said), 1 / len(said))

    def loss(powers: np.ndarray) -> float:
        return log_loss(multiply(said, powers), codes, weight) + LEAN * float(np.sum((powers - plain) ** 2))

    return minimize(loss, plain, method="L-BFGS-B", bounds=[(0, None)] * len(said)).x
