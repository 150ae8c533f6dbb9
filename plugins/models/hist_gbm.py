"""Gradient boosting on histograms, as scikit-learn has it."""

from typing import Annotated, Any

from annotated_types import Ge, Gt, Interval

from audiofw import hookimpl
from audiofw.errors import refuse_strangers


@hookimpl
def register_models(register):
    register(hist_gbm)


def hist_gbm(
    seed,
    n_jobs,
    *,
    max_iter: Annotated[int, Ge(1)] = 100,
    learning_rate: Annotated[float, Gt(0)] = 0.1,
    max_leaf_nodes: Annotated[int, Ge(2)] | None = 4,
    min_samples_leaf: Annotated[int, Ge(1)] = 5,
    max_features: Annotated[float, Interval(gt=0, le=1)] = 0.1,
    l2_regularization: Annotated[float, Ge(0)] = 1.0,
    max_bins: Annotated[int, Interval(ge=2, le=255)] = 31,
    early_stopping: Annotated[int, Ge(1)] | None = None,
    **params: Any,
):
    """scikit-learn's HistGradientBoostingClassifier: histogram trees, on all cores.

    Parameters
    ----------
    max_iter
        Rounds of boosting; each grows one tree for each class.
    learning_rate
        Share of each tree that is added; smaller needs more rounds.
    max_leaf_nodes
        Leaves of a tree; few keep small data sets from being learnt by heart; null sets no limit.
    min_samples_leaf
        Clips that a leaf must hold.
    max_features
        Share of the columns that each split looks at.
    l2_regularization
        L2 penalty on the leaves.
    max_bins
        Steps that a column is cut into.
    early_stopping
        Stop after so many rounds without gain on clips set aside, then fit anew on all with as many rounds as
        were best; null grows all rounds.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier

    from audiofw.learn.boosting import Boosted

    refuse_strangers("model", params, HistGradientBoostingClassifier().get_params())
    model = HistGradientBoostingClassifier(
        max_iter=max_iter,
        learning_rate=learning_rate,
        max_leaf_nodes=max_leaf_nodes,
        min_samples_leaf=min_samples_leaf,
        max_features=max_features,
        l2_regularization=l2_regularization,
        max_bins=max_bins,
        **{"random_state": seed, "early_stopping": False, **params},
    )
    return Boosted(model, early_stopping=early_stopping, n_jobs=n_jobs, random_state=seed)
