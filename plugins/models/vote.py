"""Soft voting."""

from typing import Annotated, Any, Literal

from annotated_types import Interval, MaxLen

from audiofw import hookimpl
from audiofw.errors import ConfigError


@hookimpl
def register_models(register):
    register(vote)


def vote(
    make,
    *,
    members: Annotated[list[str], MaxLen(32)] = ("svm", "lda", "logistic_regression", "lightgbm"),
    weights: Annotated[list[Annotated[float, Interval(ge=0, le=1_000_000)]], MaxLen(32)] = (),
    mean: Literal["geometric", "arithmetic"] = "geometric",
    **params: Any,
):
    """Soft voting: averages the probabilities of several models.

    Set an option of a member with +model.svm.C=1.

    Parameters
    ----------
    members
        Names of the models to combine, with their default options.
    weights
        Weights of the members, in the same order; empty: equal weights.
    mean
        How the probabilities are averaged; the geometric mean gives more influence to confident members.
    """
    from audiofw.learn.members import make_members
    from audiofw.learn.voting import Vote

    if weights and (len(weights) != len(members) or not any(weights)):
        raise ConfigError(
            f"model.weights={list(weights)}: give one weight for each of the {len(members)} members, not all 0"
        )
    return Vote(make_members(make, members, params), weights=list(weights) or None, mean=mean)
