"""Extremely randomised trees."""

from typing import Annotated, Any, Literal

from annotated_types import Interval

from audiofw import hookimpl
from audiofw.errors import refuse_unknown


@hookimpl
def register_models(register):
    register(extra_trees)


def extra_trees(
    seed,
    n_jobs,
    *,
    n_estimators: Annotated[int, Interval(ge=1, le=100_000)] = 500,
    max_depth: Annotated[int, Interval(ge=1, le=1000)] | None = None,
    min_samples_leaf: Annotated[int, Interval(ge=1, le=1_000_000)] = 1,
    max_features: Annotated[int, Interval(ge=1, le=10_000_000)]
    | Annotated[float, Interval(gt=0, le=1)]
    | Literal["sqrt", "log2"]
    | None = "sqrt",
    **params: Any,
):
    """Extremely randomised trees (scikit-learn's ExtraTreesClassifier), multithreaded.

    Parameters
    ----------
    n_estimators
        Number of trees; more give a more stable but slower model.
    max_depth
        Maximum tree depth; null: grow until every leaf is pure.
    min_samples_leaf
        Minimum number of clips in a leaf.
    max_features
        Columns considered at each split: sqrt, log2, a number, a fraction, or null for all.
    """
    from sklearn.ensemble import ExtraTreesClassifier

    refuse_unknown("model", params, ExtraTreesClassifier().get_params())
    return ExtraTreesClassifier(
        n_estimators=n_estimators,
        max_depth=max_depth,
        min_samples_leaf=min_samples_leaf,
        max_features=max_features,
        **{"random_state": seed, "n_jobs": n_jobs, **params},
    )
