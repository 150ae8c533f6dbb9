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
    shrinkage: Annotated[float, Interval(ge=0, le=1)] | None = 0.1,
    scale: bool | None = None,
    select: Annotated[int, Ge(1)] | None = None,
    pca: Annotated[int, Ge(1)] | None = None,
):
    """Linear discriminant analysis with a shrunken covariance; quick however many there are.

    Parameters
    ----------
    shrinkage
        From the clips' own covariance, 0, to none at all, 1; null chooses inside the training part.
    scale
        Bring each column to deviation 1; null does so unless the columns seem to be in one unit, which then counts.
    select
        Keep so many columns, those that differ most between classes; null keeps all.
    pca
        Turn the columns into so many principal components; null does not.
    """
    from sklearn.pipeline import Pipeline

    from audiofw.learn.discriminant import ShrunkDiscriminant
    from audiofw.learn.preprocessing import prepare

    model = ShrunkDiscriminant(shrinkage=shrinkage, random_state=seed)
    return Pipeline([*prepare(scale=scale, select=select, pca=pca, seed=seed), ("lda", model)])
