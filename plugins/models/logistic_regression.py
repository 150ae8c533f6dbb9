"""Logistic regression."""

from typing import Annotated, Any

from annotated_types import Ge, Gt

from audiofw import hookimpl
from audiofw.errors import refuse_strangers


@hookimpl
def register_models(register):
    register(logistic_regression)


def logistic_regression(
    seed,
    *,
    C: Annotated[float, Gt(0)] = 0.01,
    max_iter: Annotated[int, Ge(1)] = 1000,
    select: Annotated[int, Ge(1)] | None = None,
    pca: Annotated[int, Ge(1)] | None = None,
    **params: Any,
):
    """scikit-learn's LogisticRegression on scaled columns: a weight for each column and class.

    Parameters
    ----------
    C
        How much an error costs against the size of the weights; wide tables want little.
    max_iter
        At most so many steps.
    select
        Keep so many columns, those that differ most between classes; null keeps all.
    pca
        Turn the columns into so many principal components; null does not.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import Pipeline

    from audiofw.learn.preprocessing import prepare

    refuse_strangers("model", params, LogisticRegression().get_params())
    model = LogisticRegression(C=C, max_iter=max_iter, **{"random_state": seed, **params})
    return Pipeline([*prepare(select=select, pca=pca, seed=seed), ("logistic", model)])
