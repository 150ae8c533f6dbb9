"""LightGBM gradient boosting."""

from typing import Annotated, Any

from annotated_types import Interval

from audiofw import hookimpl
from audiofw.errors import refuse_unknown


@hookimpl
def register_models(register):
    register(lightgbm)


def lightgbm(
    seed,
    n_jobs,
    *,
    n_estimators: Annotated[int, Interval(ge=1, le=100_000)] = 300,
    learning_rate: Annotated[float, Interval(ge=1e-6, le=1)] = 0.1,
    num_leaves: Annotated[int, Interval(ge=2, le=32_768)] = 4,
    min_child_samples: Annotated[int, Interval(ge=1, le=1_000_000)] = 5,
    subsample: Annotated[float, Interval(ge=0.05, le=1)] = 0.8,
    subsample_freq: Annotated[int, Interval(ge=0, le=100_000)] = 1,
    colsample_bytree: Annotated[float, Interval(gt=0, le=1)] = 0.1,
    reg_lambda: Annotated[float, Interval(ge=0, le=1_000_000_000)] = 1.0,
    max_bin: Annotated[int, Interval(ge=2, le=65535)] = 15,
    early_stopping: Annotated[int, Interval(ge=1, le=100_000)] | None = None,
    **params: Any,
):
    """Gradient boosting with LightGBM: histogram-based, leaf-wise trees, multithreaded.

    Parameters
    ----------
    n_estimators
        Number of boosting rounds; each grows one tree per class.
    learning_rate
        Learning rate: a smaller value needs more rounds.
    num_leaves
        Maximum leaves per tree; few leaves reduce overfitting on small data sets.
    min_child_samples
        Minimum number of clips in a leaf.
    subsample
        Fraction of the clips sampled for each tree.
    subsample_freq
        Draw a new subsample every this many trees; 0: no subsampling.
    colsample_bytree
        Fraction of the columns sampled for each tree; audio features are so correlated that a tenth is enough, and
        10 × faster.
    reg_lambda
        L2 regularisation of the leaf values.
    max_bin
        Histogram bins per column; fewer are faster, with equal accuracy on up to a few thousand clips.
    early_stopping
        Early stopping: stop when the log loss on held-out training clips has not improved for this many rounds, then
        refit on the whole training fold with the best number of rounds; null: run all rounds.
    """
    from lightgbm import LGBMClassifier

    refuse_unknown("model", params, _known())
    quiet = {"verbosity": -1, "deterministic": True, "force_col_wise": True}
    model = LGBMClassifier(
        n_estimators=n_estimators,
        learning_rate=learning_rate,
        num_leaves=num_leaves,
        min_child_samples=min_child_samples,
        subsample=subsample,
        subsample_freq=subsample_freq,
        colsample_bytree=colsample_bytree,
        reg_lambda=reg_lambda,
        max_bin=max_bin,
        **{"random_state": seed, "n_jobs": n_jobs, **quiet, **params},
    )
    if early_stopping is None:
        return model
    from audiofw.learn.boosting import Boosted

    return Boosted(model, early_stopping=early_stopping, random_state=seed)


def _known() -> set[str]:
    """All parameter names that LightGBM accepts, with aliases; it only warns about unknown ones."""
    from lightgbm import LGBMClassifier
    from lightgbm.basic import _ConfigAliases

    aliases = _ConfigAliases._get_all_param_aliases()
    return {*LGBMClassifier().get_params(), *aliases, *(name for names in aliases.values() for name in names)}
