"""Repeated k-fold cross-validation."""

from typing import Annotated

from annotated_types import Interval

from audiofw import hookimpl


@hookimpl
def register_splits(register):
    register(repeated_kfold)


def repeated_kfold(
    seed,
    *,
    n_splits: Annotated[int, Interval(ge=2, le=1000)] = 5,
    n_repeats: Annotated[int, Interval(ge=1, le=1000)] = 3,
    stratify: bool = True,
):
    """k-fold cross-validation repeated with different shuffles and averaged; reduces variance on small data sets.

    Parameters
    ----------
    n_splits
        Number of folds per repeat.
    n_repeats
        Number of repeats; n_splits × n_repeats models are fitted.
    stratify
        Preserve the class proportions in every fold.
    """
    from sklearn.model_selection import RepeatedKFold, RepeatedStratifiedKFold

    splitter = RepeatedStratifiedKFold if stratify else RepeatedKFold
    return splitter(n_splits=n_splits, n_repeats=n_repeats, random_state=seed)
