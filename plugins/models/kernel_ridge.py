"""Kernel ridge regression."""

from typing import Annotated

from annotated_types import Interval

from audiofw import hookimpl


@hookimpl
def register_models(register):
    register(kernel_ridge)


def kernel_ridge(
    seed,
    *,
    alpha: Annotated[float, Interval(ge=1e-6, le=1_000_000)] = 0.01,
    gamma: Annotated[float, Interval(ge=1e-4, le=1000)] = 0.2,
    scale: Annotated[float, Interval(ge=0, le=1)] | None = None,
    landmarks: Annotated[int, Interval(ge=2, le=20_000)] = 3000,
):
    """Ridge classifier in the space of an RBF kernel (a least-squares SVM); fast up to thousands of clips.

    Parameters
    ----------
    alpha
        Regularisation strength.
    gamma
        Kernel coefficient, relative to the mean squared distance of the clips from their mean.
    scale
        Exponent of the standard deviations that the columns are divided by: 0 keeps the columns' relative scales, 1
        standardises them; null: 0, 0.5 or 1, chosen by cross-validation inside the training fold.
    landmarks
        With more rows than this, the kernel is approximated by this number of them.
    """
    from audiofw.learn.kernel_ridge import SoftKernelRidge

    return SoftKernelRidge(alpha=alpha, gamma=gamma, scale=scale, landmarks=landmarks, random_state=seed)
