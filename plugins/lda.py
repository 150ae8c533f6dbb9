"""Linear discriminant analysis."""

from typing import Annotated

from annotated_types import Ge, Interval

from audiofw import hookimpl


@hookimpl
def register_models(register):
    register(lda)


def lda(
    seed,
    *,
    shrinkage: Annotated[float, Interval(ge=0, le=1)] | None = None,
    select: Annotated[int, Ge(1)] | None = None,
    pca: Annotated[int, Ge(1)] | None = 300,
):
    """scikit-learn's LinearDiscriminantAnalysis with a shrunken covariance, on scaled columns.

    Parameters
    ----------
    shrinkage
        From the clips' own covariance, 0, to none at all, 1; null finds the best by Ledoit and Wolf's formula.
    select
        Keep so many columns, those that differ most between classes; null keeps all.
    pca
        Turn the columns into so many principal components; null does not, and is slow beyond a thousand columns.
    """
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.pipeline import Pipeline

    from audiofw.learn.columns import prepare

    model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto" if shrinkage is None else shrinkage)
    return Pipeline([*prepare(select=select, pca=pca, seed=seed), ("lda", model)])
