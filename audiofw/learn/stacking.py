"""Several classifiers, and one that learns from what they say of rows they have not seen."""

from __future__ import annotations

from typing import Any, Literal, Self

import numpy as np
from scipy.optimize import minimize
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression

from audiofw.learn.fitting import log_loss, out_of_fold, take
from audiofw.learn.groups import inner_splits
from audiofw.learn.voting import Vote

LEAST = 1e-3  # a probability below this counts as this: its logarithm must not drown the others'


class Stack(Vote):
    """Members, weighed by how they do on inner splits that keep each group on one side.

    Each member predicts every row from a fit on other groups' rows; on these predictions the last step is learnt. Then
    the members are fitted on all rows. Where some class cannot be tested so, as when it has one group, they vote.

    Parameters
    ----------
    estimators : list of (str, classifier)
    final : "weights" or "logistic"
        One weight for each member, 0 or more, with sum 1, and a common sharpness; or a logistic regression on the
        members' log-probabilities, which learns also where one member mistakes a class, and needs more clips.
    C : float
        Of the logistic regression: how much an error costs against the size of its weights.
    n_splits : int
        Inner splits.
    random_state : int
        Of the inner splits.

    Attributes
    ----------
    shares_ : np.ndarray [shape=(members,)] or None
        The weights that were found.
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
        self.shares_, self.sharpness_, self.final_ = None, 1.0, None
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
            self.shares_, self.sharpness_ = find_shares(said, truth, weight)
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Give each class its probability."""
        said = self._collect_probas(np.asarray(X))
        if self.final_ is not None:
            return self.final_.predict_proba(_logarithms(said))
        return pool(said, self.shares_, self.sharpness_)


def _logarithms(said: np.ndarray) -> np.ndarray:
    """Lay the members' log-probabilities side by side, each row of a member around 0."""
    logs = np.log(np.maximum(said, LEAST))
    return np.hstack(logs - logs.mean(axis=2, keepdims=True))


def pool(said: np.ndarray, shares: np.ndarray | None, sharpness: float) -> np.ndarray:
    """Average ``(members, n, classes)`` probabilities by shares, and sharpen the average or blunt it."""
    average = np.average(said, axis=0, weights=shares)
    return softmax(sharpness * np.log(np.maximum(average, 1e-15)), axis=1)


def find_shares(said: np.ndarray, codes: np.ndarray, weight: Any = None) -> tuple[np.ndarray, float]:
    """Find each member's share and the sharpness that make the log loss least."""
    n_members = len(said)

    def unpack(free: np.ndarray) -> tuple[np.ndarray, float]:
        return softmax(np.append(free[:-1], 0.0)), float(np.exp(np.clip(free[-1], -3, 3)))

    def loss(free: np.ndarray) -> float:
        return log_loss(pool(said, *unpack(free)), codes, weight) + 1e-3 * float(np.sum(free**2))

    found = minimize(loss, np.zeros(n_members), method="L-BFGS-B")
    return unpack(found.x)
