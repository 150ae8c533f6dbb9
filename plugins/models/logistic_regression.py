"""Logistic regression."""

from typing import Annotated, Any

from annotated_types import Interval

from audiofw import hookimpl
from audiofw.errors import refuse_unknown


@hookimpl
def register_models(register):
    register(logistic_regression)


def logistic_regression(
    seed,
    *,
    C: Annotated[float, Interval(gt=0, le=1_000_000)] = 0.01,
    max_iter: Annotated[int, Interval(ge=1, le=100_000)] = 1000,
    select: Annotated[int, Interval(ge=1, le=10_000_000)] | None = None,
    pca: Annotated[int, Interval(ge=1, le=10_000_000)] | None = None,
    **params: Any,
):
    """Logistic regression (scikit-learn's LogisticRegression) on standardised columns.

    Parameters
    ----------
    C
        Inverse of the regularisation strength; wide tables need small values.
    max_iter
        Maximum number of solver iterations.
    select
        Keep this many columns, those with the highest ANOVA F value; null: keep all.
    pca
        Project onto this many principal components; null: no PCA.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import Pipeline

    from audiofw.learn.preprocessing import prepare

    refuse_unknown("model", params, LogisticRegression().get_params())
    model = LogisticRegression(C=C, max_iter=max_iter, **{"random_state": seed, **params})
    return Pipeline([*prepare(select=select, pca=pca, seed=seed), ("logistic", model)])
