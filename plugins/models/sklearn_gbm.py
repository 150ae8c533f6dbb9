"""scikit-learn's exact gradient boosting, the model used in the article."""

from typing import Annotated, Any, Literal

from annotated_types import Interval

from audiofw import hookimpl
from audiofw.errors import refuse_unknown


@hookimpl
def register_models(register):
    register(sklearn_gbm)


def sklearn_gbm(
    seed,
    *,
    n_estimators: Annotated[int, Interval(ge=1, le=100_000)] = 100,
    learning_rate: Annotated[float, Interval(ge=1e-6, le=1)] = 0.1,
    max_depth: Annotated[int, Interval(ge=1, le=1000)] | None = 3,
    subsample: Annotated[float, Interval(ge=0.05, le=1)] = 1.0,
    max_features: Annotated[int, Interval(ge=1, le=10_000_000)]
    | Annotated[float, Interval(gt=0, le=1)]
    | Literal["sqrt", "log2"]
    | None = "sqrt",
    min_samples_leaf: Annotated[int, Interval(ge=1, le=1_000_000)] = 1,
    **params: Any,
):
    """Exact gradient boosting (scikit-learn's GradientBoostingClassifier), single-threaded.

    Parameters
    ----------
    n_estimators
        Number of boosting rounds; each grows one tree per class.
    learning_rate
        Learning rate: a smaller value needs more rounds.
    max_depth
        Maximum tree depth; null: grow until every leaf is pure.
    subsample
        Fraction of the clips sampled for each tree; below 1 trains faster and is less prone to overfitting.
    max_features
        Columns considered at each split: sqrt, log2, a number, a fraction, or null for all, which is up to 90 ×
        slower on wide tables with equal accuracy.
    min_samples_leaf
        Minimum number of clips in a leaf.
    """
    from sklearn.ensemble import GradientBoostingClassifier

    refuse_unknown("model", params, GradientBoostingClassifier().get_params())
    return GradientBoostingClassifier(
        n_estimators=n_estimators,
        learning_rate=learning_rate,
        max_depth=max_depth,
        subsample=subsample,
        max_features=max_features,
        min_samples_leaf=min_samples_leaf,
        **{"random_state": seed, **params},
    )
