"""scikit-learn's histogram-based gradient boosting."""

from typing import Annotated, Any

from annotated_types import Interval

from audiofw import hookimpl
from audiofw.errors import refuse_unknown


@hookimpl
def register_models(register):
    register(hist_gbm)


def hist_gbm(
    seed,
    n_jobs,
    *,
    max_iter: Annotated[int, Interval(ge=1, le=100_000)] = 100,
    learning_rate: Annotated[float, Interval(ge=1e-6, le=1)] = 0.1,
    max_leaf_nodes: Annotated[int, Interval(ge=2, le=32_768)] | None = 4,
    min_samples_leaf: Annotated[int, Interval(ge=1, le=1_000_000)] = 5,
    max_features: Annotated[float, Interval(gt=0, le=1)] = 0.1,
    l2_regularization: Annotated[float, Interval(ge=0, le=1_000_000_000)] = 1.0,
    max_bins: Annotated[int, Interval(ge=2, le=255)] = 31,
    early_stopping: Annotated[int, Interval(ge=1, le=100_000)] | None = None,
    **params: Any,
):
    """Histogram-based gradient boosting (scikit-learn's HistGradientBoostingClassifier), multithreaded.

    Parameters
    ----------
    max_iter
        Number of boosting rounds; each grows one tree per class.
    learning_rate
        Learning rate: a smaller value needs more rounds.
    max_leaf_nodes
        Maximum leaves per tree; few leaves reduce overfitting on small data sets; null: no limit.
    min_samples_leaf
        Minimum number of clips in a leaf.
    max_features
        Fraction of the columns considered at each split.
    l2_regularization
        L2 regularisation of the leaf values.
    max_bins
        Histogram bins per column.
    early_stopping
        Early stopping: stop when the log loss on held-out training clips has not improved for this many rounds, then
        refit on the whole training fold with the best number of rounds; null: run all rounds.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier

    from audiofw.learn.boosting import Boosted

    refuse_unknown("model", params, HistGradientBoostingClassifier().get_params())
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
