"""A random forest."""

from typing import Annotated, Any

from annotated_types import Ge, Interval

from audiofw import hookimpl
from audiofw.errors import refuse_strangers


@hookimpl
def register_models(register):
    register(random_forest)


def random_forest(
    seed,
    n_jobs,
    *,
    n_estimators: Annotated[int, Ge(1)] = 500,
    max_depth: Annotated[int, Ge(1)] | None = None,
    min_samples_leaf: Annotated[int, Ge(1)] = 1,
    max_features: Annotated[int, Ge(1)] | Annotated[float, Interval(gt=0, le=1)] | str | None = "sqrt",
    **params: Any,
):
    """scikit-learn's RandomForestClassifier: trees on resampled clips, on all cores.

    Parameters
    ----------
    n_estimators
        Trees; more are steadier, and slower.
    max_depth
        Depth of a tree; null grows until every leaf is pure.
    min_samples_leaf
        Clips that a leaf must hold.
    max_features
        Columns that each split looks at: sqrt, log2, a number, a share, or null for all of them.
    """
    from sklearn.ensemble import RandomForestClassifier

    refuse_strangers("model", params, RandomForestClassifier().get_params())
    return RandomForestClassifier(
        n_estimators=n_estimators,
        max_depth=max_depth,
        min_samples_leaf=min_samples_leaf,
        max_features=max_features,
        **{"random_state": seed, "n_jobs": n_jobs, **params},
    )
