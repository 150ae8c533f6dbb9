"""Stacking."""

from typing import Annotated, Any, Literal

from annotated_types import Interval, MaxLen

from audiofw import hookimpl


@hookimpl
def register_models(register):
    register(stack)


def stack(
    seed,
    make,
    *,
    members: Annotated[list[str], MaxLen(32)] = ("svm", "lda", "logistic_regression", "lightgbm"),
    final: Literal["weights", "logistic"] = "weights",
    C: Annotated[float, Interval(gt=0, le=1_000_000)] = 0.1,
    n_splits: Annotated[int, Interval(ge=2, le=1000)] = 5,
    **params: Any,
):
    """Stacking: several models combined by a final model that is trained on their out-of-fold predictions.

    Each member is fitted n_splits + 1 times inside the training fold, with groups kept together. Set an option of a
    member with +model.svm.C=1.

    Parameters
    ----------
    members
        Names of the models to combine, with their default options.
    final
        Final model: weights (one per member), or logistic (a logistic regression on all predicted probabilities, which
        needs more clips).
    C
        Inverse of the regularisation strength of final=logistic.
    n_splits
        Number of inner cross-validation folds.
    """
    from audiofw.learn.members import make_members
    from audiofw.learn.stacking import Stack

    return Stack(make_members(make, members, params), final=final, C=C, n_splits=n_splits, random_state=seed)
