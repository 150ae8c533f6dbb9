"""Gradient boosting as scikit-learn has it: the article's model."""

from typing import Annotated, Any

from annotated_types import Ge, Gt, Interval

from audiofw import hookimpl
from audiofw.errors import refuse_strangers


@hookimpl
def register_models(register):
    register(sklearn_gbm)


def sklearn_gbm(
    seed,
    *,
    n_estimators: Annotated[int, Ge(1)] = 100,
    learning_rate: Annotated[float, Gt(0)] = 0.1,
    max_depth: Annotated[int, Ge(1)] | None = 3,
    subsample: Annotated[float, Interval(gt=0, le=1)] = 1.0,
    max_features: Annotated[int, Ge(1)] | Annotated[float, Interval(gt=0, le=1)] | str | None = "sqrt",
    min_samples_leaf: Annotated[int, Ge(1)] = 1,
    **params: Any,
):
    """scikit-learn's GradientBoostingClassifier: exact trees, on one core.

    Parameters
    ----------
    n_estimators
        Rounds of boosting; each grows one tree for each class.
    learning_rate
        Share of each tree that is added; smaller needs more rounds.
    max_depth
        Depth of a tree; null grows until every leaf is pure.
    subsample
        Share of the clips that each tree sees; below 1 is quicker and steadier.
    max_features
        Columns that each split looks at: sqrt, log2, a number, a share, or null for all of them, which is
        up to 90 × slower on wide tables at equal accuracy.
    min_samples_leaf
        Clips that a leaf must hold.
    """
    from sklearn.ensemble import GradientBoostingClassifier

    refuse_strangers("model", params, GradientBoostingClassifier().get_params())
    return GradientBoostingClassifier(
        n_estimators=n_estimators,
        learning_rate=learning_rate,
        max_depth=max_depth,
        subsample=subsample,
        max_features=max_features,
        min_samples_leaf=min_samples_leaf,
        **{"random_state": seed, **params},
    )
