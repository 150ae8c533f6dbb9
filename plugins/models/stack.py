"""Several models, weighed by how they do inside the training part."""

from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt

from audiofw import hookimpl


@hookimpl
def register_models(register):
    register(stack)


def stack(
    seed,
    make,
    *,
    members: list[str] = ("svm", "lda", "logistic_regression", "lightgbm"),
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
    from audiofw.learn.members import make_members
    from audiofw.learn.stacking import Stack

    return Stack(make_members(make, members, params), final=final, C=C, n_splits=n_splits, random_state=seed)
