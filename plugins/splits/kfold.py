"""k-fold cross-validation."""

from typing import Annotated

from annotated_types import Interval

from audiofw import hookimpl


@hookimpl
def register_splits(register):
    register(kfold)


def kfold(seed, *, n_splits: Annotated[int, Interval(ge=2, le=1000)] = 5, stratify: bool = True):
    """k-fold cross-validation on shuffled clips: every clip is tested once.

    Parameters
    ----------
    n_splits
        Number of folds, and of models fitted.
    stratify
        Preserve the class proportions in every fold.
    """
    from sklearn.model_selection import KFold, StratifiedKFold

    splitter = StratifiedKFold if stratify else KFold
    return splitter(n_splits, shuffle=True, random_state=seed)
