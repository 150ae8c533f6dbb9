"""Nearest neighbours."""

from typing import Annotated, Literal

from annotated_types import Ge

from audiofw import hookimpl


@hookimpl
def register_models(register):
    register(knn)


def knn(
    seed,
    n_jobs,
    *,
    n_neighbors: Annotated[int, Ge(1)] = 5,
    weights: Literal["uniform", "distance"] = "distance",
    metric: Literal["euclidean", "manhattan", "cosine"] = "euclidean",
    select: Annotated[int, Ge(1)] | None = None,
    pca: Annotated[int, Ge(1)] | None = None,
):
    """scikit-learn's KNeighborsClassifier on scaled columns: a clip is what the clips most like it are.

    Parameters
    ----------
    n_neighbors
        How many clips are asked; all, where there are fewer.
    weights
        Whether all count the same or nearer ones more.
    metric
        What is near.
    select
        Keep so many columns, those that differ most between classes; null keeps all.
    pca
        Turn the columns into so many principal components; null does not.
    """
    from sklearn.pipeline import Pipeline

    from audiofw.learn.neighbours import Neighbours
    from audiofw.learn.preprocessing import prepare

    model = Neighbours(n_neighbors=n_neighbors, weights=weights, metric=metric, n_jobs=n_jobs)
    return Pipeline([*prepare(select=select, pca=pca, seed=seed), ("knn", model)])
