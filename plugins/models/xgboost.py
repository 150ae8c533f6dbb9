"""Gradient boosting by XGBoost."""

from typing import Annotated, Any

from annotated_types import Ge, Gt, Interval

from audiofw import hookimpl
from audiofw.errors import refuse_strangers


@hookimpl
def register_models(register):
    register(xgboost)


def xgboost(
    seed,
    n_jobs,
    *,
    n_estimators: Annotated[int, Ge(1)] = 300,
    learning_rate: Annotated[float, Gt(0)] = 0.1,
    max_depth: Annotated[int, Ge(0)] = 3,
    min_child_weight: Annotated[float, Ge(0)] = 1.0,
    subsample: Annotated[float, Interval(gt=0, le=1)] = 0.8,
    colsample_bytree: Annotated[float, Interval(gt=0, le=1)] = 0.05,
    reg_lambda: Annotated[float, Ge(0)] = 1.0,
    max_bin: Annotated[int, Ge(2)] = 32,
    early_stopping: Annotated[int, Ge(1)] | None = None,
    **params: Any,
):
    """XGBoost's classifier: histogram trees, on all cores.

    Parameters
    ----------
    n_estimators
        Rounds of boosting; each grows one tree for each class.
    learning_rate
        Share of each tree that is added; smaller needs more rounds.
    max_depth
        Depth of a tree; 0 sets no limit.
    min_child_weight
        Weight (of second derivatives) that a leaf must hold; more is more cautious.
    subsample
        Share of the clips that each tree sees.
    colsample_bytree
        Share of the columns that each tree sees; sound features are so alike that a twentieth does, far quicker.
    reg_lambda
        L2 penalty on the leaves.
    max_bin
        Steps that a column is cut into; few are quicker, at equal accuracy on a few thousand clips.
    early_stopping
        Stop after so many rounds without gain on clips set aside, then fit anew on all with as many rounds as
        were best; null grows all rounds.
    """
    from xgboost import XGBClassifier

    refuse_strangers("model", params, _known())
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
    """Every name that XGBoost takes: it would ignore any other with a mere warning."""
    from xgboost import XGBClassifier

    booster_only = {"normalize_type", "one_drop", "rate_drop", "sample_type", "skip_drop"}  # of booster=dart
    more = {"max_cached_hist_node", "process_type", "refresh_leaf", "top_k", "feature_selector", "updater"}
    return set(XGBClassifier().get_params()) | booster_only | more
