"""CatBoost gradient boosting; install the extra with ``pip install "audiofw[catboost]"``."""

from inspect import signature
from typing import Annotated, Any

from annotated_types import Interval

from audiofw import hookimpl
from audiofw.errors import refuse_unknown


@hookimpl
def register_models(register):
    register(catboost)


def catboost(
    seed,
    n_jobs,
    *,
    iterations: Annotated[int, Interval(ge=1, le=100_000)] = 300,
    learning_rate: Annotated[float, Interval(ge=1e-6, le=1)] = 0.1,
    depth: Annotated[int, Interval(ge=1, le=16)] = 4,
    l2_leaf_reg: Annotated[float, Interval(ge=0, le=1_000_000_000)] = 3.0,
    rsm: Annotated[float, Interval(gt=0, le=1)] = 0.1,
    border_count: Annotated[int, Interval(ge=1, le=65535)] = 15,
    early_stopping: Annotated[int, Interval(ge=1, le=100_000)] | None = None,
    **params: Any,
):
    """Gradient boosting with CatBoost: symmetric trees, multithreaded.

    Parameters
    ----------
    iterations
        Number of boosting rounds.
    learning_rate
        Learning rate: a smaller value needs more rounds.
    depth
        Tree depth.
    l2_leaf_reg
        L2 regularisation of the leaf values.
    rsm
        Fraction of the columns considered at each split.
    border_count
        Histogram bins per column; fewer are faster.
    early_stopping
        Early stopping: stop when the log loss on held-out training clips has not improved for this many rounds, then
        refit on the whole training fold with the best number of rounds; null: run all rounds.
    """
    from catboost import CatBoostClassifier

    from audiofw.learn.boosting import Boosted

    refuse_unknown("model", params, signature(CatBoostClassifier).parameters)
    model = CatBoostClassifier(
        iterations=iterations,
        learning_rate=learning_rate,
        depth=depth,
        l2_leaf_reg=l2_leaf_reg,
        rsm=rsm,
        border_count=border_count,
        **{"random_state": seed, "thread_count": n_jobs, "verbose": False, "allow_writing_files": False, **params},
    )
    return Boosted(model, early_stopping=early_stopping, random_state=seed)
