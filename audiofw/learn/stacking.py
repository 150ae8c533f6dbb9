"""Several classifiers, and one that learns from what they say of rows they have not seen."""

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
    """Members, weighed by how they do on inner splits that keep each group on one side.

    Each member predicts every row from a fit on other groups' rows; on these predictions the last step is learnt. Then
    the members are fitted on all rows. Where some class cannot be tested so, as when it has one group, they vote.

    Parameters
    ----------
    estimators : list of (str, classifier)
    final : "weights" or "logistic"
        One weight, 0 or more, for each member's log-probabilities; or a logistic regression on them, which learns also
        where one member mistakes a class, and needs more clips.
    C : float
        Of the logistic regression: how much an error costs against the size of its weights.
    n_splits : int
        Inner splits.
    random_state : int
        Of the inner splits.

    Attributes
    ----------
    powers_ : np.ndarray [shape=(members,)]
        The weights that were found: of the members' log-probabilities, so their sum says how sharp the answer is.
    final_ : LogisticRegression or None
        Fitted, if it was asked for.
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
        """Fit the members on all rows, and the last step on what they say of rows they have not seen."""
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
        """Give each class its probability."""
        said = self._collect_probas(np.asarray(X))
        return multiply(said, self.powers_) if self.final_ is None else self.final_.predict_proba(_logarithms(said))


def _logarithms(said: np.ndarray) -> np.ndarray:
    """Lay the members' log-probabilities side by side, each row of a member around 0."""
    logs = np.log(np.maximum(said, LEAST))
    return np.hstack(logs - logs.mean(axis=2, keepdims=True))


def find_powers(said: np.ndarray, codes: np.ndarray, weight: Any = None) -> np.ndarray:
    """Find the members' powers, 0 or more, whose product has the least log loss, leaning a little to a plain mean."""
    plain = np.full(len(said), 1 / len(said))

    def loss(powers: np.ndarray) -> float:
        return log_loss(multiply(said, powers), codes, weight) + LEAN * float(np.sum((powers - plain) ** 2))

    return minimize(loss, plain, method="L-BFGS-B", bounds=[(0, None)] * len(said)).x
