"""k-nearest neighbours."""

from typing import Annotated, Literal

from annotated_types import Interval

from audiofw import hookimpl


@hookimpl
def register_models(register):
    register(knn)


def knn(
    seed,
    n_jobs,
    *,
    n_neighbors: Annotated[int, Interval(ge=1, le=1_000_000)] = 5,
    weights: Literal["uniform", "distance"] = "distance",
    metric: Literal["euclidean", "manhattan", "cosine"] = "euclidean",
    select: Annotated[int, Interval(ge=1, le=10_000_000)] | None = None,
    pca: Annotated[int, Interval(ge=1, le=10_000_000)] | None = None,
):
    """k-nearest neighbours (scikit-learn's KNeighborsClassifier) on standardised columns.

    Parameters
    ----------
    n_neighbors
        Number of neighbours, capped at the number of training clips.
    weights
        Weight of the neighbours: equal (uniform) or by inverse distance (distance).
    metric
        Distance metric.
    select
        Keep this many columns, those with the highest ANOVA F value; null: keep all.
    pca
        Project onto this many principal components; null: no PCA.
    """
    from sklearn.pipeline import Pipeline

    from audiofw.learn.neighbours import Neighbours
    from audiofw.learn.preprocessing import prepare

    model = Neighbours(n_neighbors=n_neighbors, weights=weights, metric=metric, n_jobs=n_jobs)
    return Pipeline([*prepare(select=select, pca=pca, seed=seed), ("knn", model)])
