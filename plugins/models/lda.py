"""Linear discriminant analysis."""

from typing import Annotated

from annotated_types import Interval

from audiofw import hookimpl


@hookimpl
def register_models(register):
    register(lda)


def lda(
    seed,
    *,
    shrinkage: Annotated[float, Interval(ge=0, le=1)] | None = 0.1,
    scale: bool | None = None,
    select: Annotated[int, Interval(ge=1, le=10_000_000)] | None = None,
    pca: Annotated[int, Interval(ge=1, le=10_000_000)] | None = None,
):
    """Linear discriminant analysis with a shrinkage covariance estimate; fast even on very wide tables.

    Parameters
    ----------
    shrinkage
        Covariance shrinkage, from 0 (empirical covariance) to 1 (multiple of the identity); null: chosen by
        cross-validation inside the training fold.
    scale
        Standardise each column; null: keep their relative scales when all columns have a similar spread; false: never.
    select
        Keep this many columns, those with the highest ANOVA F value; null: keep all.
    pca
        Project onto this many principal components; null: no PCA.
    """
    from sklearn.pipeline import Pipeline

    from audiofw.learn.discriminant import ShrunkDiscriminant
    from audiofw.learn.preprocessing import prepare

    model = ShrunkDiscriminant(shrinkage=shrinkage, random_state=seed)
    return Pipeline([*prepare(scale=scale, select=select, pca=pca, seed=seed), ("lda", model)])
