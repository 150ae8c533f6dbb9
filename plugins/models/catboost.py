"""Gradient boosting by CatBoost; needs the extra, ``pip install "audiofw[catboost]"``."""

from inspect import signature
from typing import Annotated, Any

from annotated_types import Ge, Gt, Interval

from audiofw import hookimpl
from audiofw.errors import refuse_strangers


@hookimpl
def register_models(register):
    register(catboost)


def catboost(
    seed,
    n_jobs,
    *,
    iterations: Annotated[int, Ge(1)] = 300,
    learning_rate: Annotated[float, Gt(0)] = 0.1,
    depth: Annotated[int, Interval(ge=1, le=16)] = 4,
    l2_leaf_reg: Annotated[float, Ge(0)] = 3.0,
    rsm: Annotated[float, Interval(gt=0, le=1)] = 0.1,
    border_count: Annotated[int, Interval(ge=1, le=65535)] = 15,
    early_stopping: Annotated[int, Ge(1)] | None = None,
    **params: Any,
):
    """CatBoost's classifier: trees that ask one question on each level, on all cores.

    Parameters
    ----------
    iterations
        Rounds of boosting.
    learning_rate
        Share of each tree that is added; smaller needs more rounds.
    depth
        Depth of a tree.
    l2_leaf_reg
        L2 penalty on the leaves.
    rsm
        Share of the columns that each split looks at.
    border_count
        Steps that a column is cut into; few are quicker.
    early_stopping
        Stop after so many rounds without gain on clips set aside, then fit anew on all with as many rounds as
        were best; null grows all rounds.
    """
    from catboost import CatBoostClassifier

    from audiofw.learn.boosting import Boosted

    refuse_strangers("model", params, signature(CatBoostClassifier).parameters)
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
