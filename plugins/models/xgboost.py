"""XGBoost gradient boosting."""

from typing import Annotated, Any

from annotated_types import Interval

from audiofw import hookimpl
from audiofw.errors import refuse_unknown


@hookimpl
def register_models(register):
    register(xgboost)


def xgboost(
    seed,
    n_jobs,
    *,
    n_estimators: Annotated[int, Interval(ge=1, le=100_000)] = 300,
    learning_rate: Annotated[float, Interval(ge=1e-6, le=1)] = 0.1,
    max_depth: Annotated[int, Interval(ge=0, le=64)] = 3,
    min_child_weight: Annotated[float, Interval(ge=0, le=1_000_000_000)] = 1.0,
    subsample: Annotated[float, Interval(ge=0.05, le=1)] = 0.8,
    colsample_bytree: Annotated[float, Interval(gt=0, le=1)] = 0.05,
    reg_lambda: Annotated[float, Interval(ge=0, le=1_000_000_000)] = 1.0,
    max_bin: Annotated[int, Interval(ge=2, le=65535)] = 32,
    early_stopping: Annotated[int, Interval(ge=1, le=100_000)] | None = None,
    **params: Any,
):
    """Gradient boosting with XGBoost: histogram-based trees, multithreaded.

    Parameters
    ----------
    n_estimators
        Number of boosting rounds; each grows one tree per class.
    learning_rate
        Learning rate: a smaller value needs more rounds.
    max_depth
        Maximum tree depth; 0: no limit.
    min_child_weight
        Minimum sum of instance weights (Hessian) in a leaf; larger values are more conservative.
    subsample
        Fraction of the clips sampled for each tree.
    colsample_bytree
        Fraction of the columns sampled for each tree; audio features are so correlated that a twentieth is enough, and
        much faster.
    reg_lambda
        L2 regularisation of the leaf values.
    max_bin
        Histogram bins per column; fewer are faster, with equal accuracy on up to a few thousand clips.
    early_stopping
        Early stopping: stop when the log loss on held-out training clips has not improved for this many rounds, then
        refit on the whole training fold with the best number of rounds; null: run all rounds.
    """
    from xgboost import XGBClassifier

    refuse_unknown("model", params, _known())
    model = XGBClassifier(
        n_estimators=n_estimators,
        learning_rate=learning_rate,
        max_depth=max_depth,
        min_child_weight=min_child_weight,
        subsample=subsample,
        colsample_bytree=colsample_bytree,
        reg_lambda=reg_lambda,
        max_bin=max_bin,
        **{"random_state": seed, "n_jobs": n_jobs, **params},
    )
    if early_stopping is None:
        return model
    from audiofw.learn.boosting import Boosted

    return Boosted(model, early_stopping=early_stopping, random_state=seed)


def _known() -> set[str]:
    """All parameter names that XGBoost accepts; it only warns about unknown ones."""
    from xgboost import XGBClassifier

    booster_only = {"normalize_type", "one_drop", "rate_drop", "sample_type", "skip_drop"}  # booster=dart
    more = {"max_cached_hist_node", "process_type", "refresh_leaf", "top_k", "feature_selector", "updater"}
    return set(XGBClassifier().get_params()) | booster_only | more
