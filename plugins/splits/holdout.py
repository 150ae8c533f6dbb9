"""A single random train/test split."""

from typing import Annotated

from annotated_types import Interval

from audiofw import hookimpl


@hookimpl
def register_splits(register):
    register(holdout)


def holdout(seed, *, test_size: Annotated[float, Interval(gt=0, lt=1)] = 0.2, stratify: bool = True):
    """A single random train/test split.

    Parameters
    ----------
    test_size
        Fraction of the clips in the test set.
    stratify
        Preserve the class proportions in both sets; false: same split as scikit-learn's
        train_test_split(test_size=..., random_state=seed).
    """
    from sklearn.model_selection import ShuffleSplit, StratifiedShuffleSplit

    splitter = StratifiedShuffleSplit if stratify else ShuffleSplit
    return splitter(n_splits=1, test_size=test_size, random_state=seed)
