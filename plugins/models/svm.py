"""A support vector machine."""

from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt

from audiofw import hookimpl
from audiofw.errors import refuse_strangers


@hookimpl
def register_models(register):
    register(svm)


def svm(
    seed,
    *,
    C: Annotated[float, Gt(0)] = 10.0,
    kernel: Literal["rbf", "linear", "poly", "sigmoid"] = "rbf",
    gamma: Annotated[float, Gt(0)] | Literal["wide", "scale", "auto"] = "wide",
    scale: bool | None = None,
    select: Annotated[int, Ge(1)] | None = None,
    pca: Annotated[int, Ge(1)] | None = None,
    **params: Any,
):
    """Support vector machine, with probabilities.

    Parameters
    ----------
    C
        How much an error costs; more follows the training clips more closely.
    kernel
        What makes two clips alike.
    gamma
        Reach of a clip, for every kernel but linear: a number; scale, which is 1 / (columns × their variance); wide, a
        quarter of that, which is better on both narrow and wide tables; or auto.
    scale
        Bring each column to deviation 1; null does so unless the columns seem to be in one unit, which then counts.
    select
        Keep so many columns, those that differ most between classes; null keeps all.
    pca
        Turn the columns into so many principal components; null does not.
    """
    from sklearn.pipeline import Pipeline

    from audiofw.learn.preprocessing import prepare
    from audiofw.learn.svm import SoftSVC

    refuse_strangers("model", params, SoftSVC().get_params())
    machine = SoftSVC(C=C, kernel=kernel, gamma=gamma, **{"random_state": seed, **params})
    return Pipeline([*prepare(scale=scale, select=select, pca=pca, seed=seed), ("svm", machine)])
