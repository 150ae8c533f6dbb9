"""Several models that vote."""

from typing import Annotated, Any, Literal

from annotated_types import Ge

from audiofw import hookimpl
from audiofw.errors import ConfigError


@hookimpl
def register_models(register):
    register(vote)


def vote(
    make,
    *,
    members: list[str] = ("svm", "lda", "logistic_regression", "lightgbm"),
    weights: list[Annotated[float, Ge(0)]] = (),
    mean: Literal["geometric", "arithmetic"] = "geometric",
    **params: Any,
):
    """Several models of the menu, whose probabilities are averaged; +model.svm.C=1 sets an option of a member.

    Parameters
    ----------
    members
        Names of models, each with its defaults.
    weights
        How much each member counts, in their order; empty: all the same.
    mean
        Of the probabilities; the geometric one gives a member that is sure of itself more of a say.
    """
    from audiofw.learn.members import make_members
    from audiofw.learn.voting import Vote

    if weights and (len(weights) != len(members) or not any(weights)):
        raise ConfigError(
            f"model.weights={list(weights)}: give each of the {len(members)} members its weight, not all 0"
        )
    return Vote(make_members(make, members, params), weights=list(weights) or None, mean=mean)
