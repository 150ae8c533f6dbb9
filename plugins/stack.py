"""Several models, weighed by how they do inside the training part."""

from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt

from audiofw import hookimpl
from audiofw.errors import ConfigError, refuse_strangers


@hookimpl
def register_models(register):
    register(stack)


def stack(
    seed,
    make,
    *,
    members: list[str] = ("svm", "extra_trees", "lightgbm"),
    final: Literal["weights", "logistic"] = "weights",
    C: Annotated[float, Gt(0)] = 0.1,
    n_splits: Annotated[int, Ge(2)] = 5,
    **params: Any,
):
    """Several models of the menu and a last step, learnt on what they say of clips they were not fitted on.

    Each is fitted n_splits + 1 times, on parts of the training part that keep groups together; +model.svm.C=1 sets an
    option of a member.

    Parameters
    ----------
    members
        Names of models, each with its defaults.
    final
        A weight for each member; or a logistic regression on what all say of all classes, which needs more clips.
    C
        Of the logistic regression: how much an error costs against the size of its weights.
    n_splits
        Parts that the training part is split into.
    """
    from audiofw.learn.stacking import Stack

    if not members or len(set(members)) < len(members):
        raise ConfigError(f"model.members={list(members)}: name one model or more, each once")
    refuse_strangers("model", params, members)
    models = [(name, make(name, **params.get(name, {}))) for name in members]
    return Stack(models, final=final, C=C, n_splits=n_splits, random_state=seed)
