"""One random part held out for testing."""

from typing import Annotated

from annotated_types import Interval

from audiofw import hookimpl


@hookimpl
def register_splits(register):
    register(holdout)


def holdout(seed, *, test_size: Annotated[float, Interval(gt=0, lt=1)] = 0.2, stratify: bool = True):
    """One random part held out for testing, the rest trained on.

    Parameters
    ----------
    test_size
        Share of the clips that is held out.
    stratify
        Give both parts the same mix of classes. Without it, the split is that of scikit-learn's
        train_test_split(test_size=..., random_state=seed).
    """
    from sklearn.model_selection import ShuffleSplit, StratifiedShuffleSplit

    splitter = StratifiedShuffleSplit if stratify else ShuffleSplit
    return splitter(n_splits=1, test_size=test_size, random_state=seed)
