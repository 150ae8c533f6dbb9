"""k-fold cross-validation that keeps groups whole."""

from typing import Annotated

from annotated_types import Interval

from audiofw import hookimpl


@hookimpl
def register_splits(register):
    register(group_kfold)


def group_kfold(seed, groups, *, n_splits: Annotated[int, Interval(ge=2, le=1000)] = 5, stratify: bool = True):
    """k-fold cross-validation with each group (recording, animal, speaker) kept in one fold.

    Parameters
    ----------
    n_splits
        Number of folds; at most the number of groups.
    stratify
        Preserve the class proportions in every fold, as far as whole groups allow.
    """
    from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

    splitter = StratifiedGroupKFold if stratify else GroupKFold
    return splitter(n_splits, shuffle=True, random_state=seed)
