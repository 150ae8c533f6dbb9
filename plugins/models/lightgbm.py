"""Gradient boosting by LightGBM."""

from typing import Annotated, Any

from annotated_types import Ge, Gt, Interval

from audiofw import hookimpl
from audiofw.errors import refuse_strangers


@hookimpl
def register_models(register):
    register(lightgbm)


def lightgbm(
    seed,
    n_jobs,
    *,
    n_estimators: Annotated[int, Ge(1)] = 300,
    learning_rate: Annotated[float, Gt(0)] = 0.1,
    num_leaves: Annotated[int, Ge(2)] = 4,
    min_child_samples: Annotated[int, Ge(1)] = 5,
    subsample: Annotated[float, Interval(gt=0, le=1)] = 0.8,
    subsample_freq: Annotated[int, Ge(0)] = 1,
    colsample_bytree: Annotated[float, Interval(gt=0, le=1)] = 0.1,
    reg_lambda: Annotated[float, Ge(0)] = 1.0,
    max_bin: Annotated[int, Ge(2)] = 15,
    early_stopping: Annotated[int, Ge(1)] | None = None,
    **params: Any,
):
    """LightGBM's classifier: histogram trees grown leaf by leaf, on all cores.

    Parameters
    ----------
    n_estimators
        Rounds of boosting; each grows one tree for each class.
    learning_rate
        Share of each tree that is added; smaller needs more rounds.
    num_leaves
        Leaves of a tree; few keep small data sets from being learnt by heart.
    min_child_samples
        Clips that a leaf must hold.
    subsample
        Share of the clips that each tree sees.
    subsample_freq
        After how many trees that share is drawn anew; 0 turns subsample off.
    colsample_bytree
        Share of the columns that each tree sees; sound features are so alike that a tenth does, 10 × quicker.
    reg_lambda
        L2 penalty on the leaves.
    max_bin
        Steps that a column is cut into; few are quicker, at equal accuracy on a few thousand clips.
    early_stopping
        Stop after so many rounds without gain on clips set aside, then fit anew on all with as many rounds as
        were best; null grows all rounds.
    """
    from lightgbm import LGBMClassifier

    refuse_strangers("model", params, _known())
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
    """Every name that LightGBM takes, aliases too: it would ignore any other with a mere warning."""
    from lightgbm import LGBMClassifier
    from lightgbm.basic import _ConfigAliases

    aliases = _ConfigAliases._get_all_param_aliases()
    return {*LGBMClassifier().get_params(), *aliases, *(name for names in aliases.values() for name in names)}
