"""Support vector machine."""

from typing import Annotated, Any, Literal

from annotated_types import Interval

from audiofw import hookimpl
from audiofw.errors import refuse_unknown


@hookimpl
def register_models(register):
    register(svm)


def svm(
    seed,
    *,
    C: Annotated[float, Interval(gt=0, le=1_000_000)] = 10.0,
    kernel: Literal["rbf", "linear", "poly", "sigmoid"] = "rbf",
    gamma: Annotated[float, Interval(ge=1e-12, le=1_000_000)] | Literal["wide", "scale", "auto"] = "wide",
    scale: bool | None = None,
    select: Annotated[int, Interval(ge=1, le=10_000_000)] | None = None,
    pca: Annotated[int, Interval(ge=1, le=10_000_000)] | None = None,
    **params: Any,
):
    """Support vector machine (SVC) with calibrated probabilities.

    Parameters
    ----------
    C
        Inverse of the regularisation strength: larger values fit the training clips more closely.
    kernel
        Kernel function.
    gamma
        Kernel coefficient, for every kernel but linear: a number; scale: 1 / (columns × variance of the table); wide:
        a quarter of scale, which works better on narrow and on wide tables; auto: 1 / columns.
    scale
        Standardise each column; null: keep their relative scales when all columns have a similar spread; false: never.
    select
        Keep this many columns, those with the highest ANOVA F value; null: keep all.
    pca
        Project onto this many principal components; null: no PCA.
    """
    from sklearn.pipeline import Pipeline

    from audiofw.learn.preprocessing import prepare
    from audiofw.learn.svm import SoftSVC

    refuse_unknown("model", params, SoftSVC().get_params())
    machine = SoftSVC(C=C, kernel=kernel, gamma=gamma, **{"random_state": seed, **params})
    return Pipeline([*prepare(scale=scale, select=select, pca=pca, seed=seed), ("svm", machine)])
