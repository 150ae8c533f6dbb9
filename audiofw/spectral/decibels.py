"""Conversion to decibels."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Ref = float | str | Callable[[NDArray[np.floating]], Any]

DECIBELS_PER_NEPER = 10 / math.log(10)


def power_to_db(
    S: ArrayLike, *, ref: Ref = 1.0, amin: float = 1e-10, top_db: float | None = 80.0
) -> NDArray[np.float32]:
    """Convert power to decibels, ``10 * log10(S / ref)``, as ``librosa.power_to_db``.

    Parameters
    ----------
    S : np.ndarray [any shape]
        Power, real and non-negative.
    ref : float, "max" or callable
        Reference for 0 dB: a power, the maximum of ``S``, or ``ref(S)``.
    amin : float > 0
        Smallest power; lower values are raised to it, so that silence has a finite level.
    top_db : float >= 0, optional
        Dynamic range: lower levels are clipped to ``top_db`` below the maximum; None for no clipping.

    Returns
    -------
    np.ndarray [shape like S]
        float32, in dB.

    Raises
    ------
    ValueError
        If ``S`` is empty or complex, or an argument is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> from audiofw import spectral
    >>> spectral.power_to_db(np.array([1.0, 0.1, 0.0])).tolist()  # silence: top_db below the maximum
    [0.0, -10.0, -80.0]
    """
    power, reference = _checked(S, ref, amin, top_db)
    return _decibels(power, reference, amin, top_db)


def amplitude_to_db(
    S: ArrayLike, *, ref: Ref = 1.0, amin: float = 1e-5, top_db: float | None = 80.0
) -> NDArray[np.float32]:
    """Convert amplitude to decibels, ``20 * log10(|S| / ref)``, as ``librosa.amplitude_to_db``.

    Parameters, return value and errors are those of :func:`power_to_db`, but ``ref`` and ``amin`` are amplitudes.

    Examples
    --------
    >>> import numpy as np
    >>> from audiofw import spectral
    >>> spectral.amplitude_to_db(np.array([1.0, 0.1]), top_db=None).tolist()
    [0.0, -20.0]
    """
    amplitude, reference = _checked(np.abs(S), ref, amin, top_db)
    return _decibels(np.square(amplitude), reference**2, amin**2, top_db)


def _checked(S: ArrayLike, ref: Ref, amin: float, top_db: float | None) -> tuple[NDArray[np.floating], float]:
    values = np.asarray(S)
    if not values.size or np.iscomplexobj(values):
        raise ValueError(f"S must be real and not empty, got {values.dtype} of shape {values.shape}: pass its abs()")
    if not amin > 0:
        raise ValueError(f"amin={amin} is out of range: above 0")
    if top_db is not None and not top_db >= 0:
        raise ValueError(f"top_db={top_db} is out of range: 0 or more, or None for no clipping")
    values = values if np.issubdtype(values.dtype, np.floating) else values.astype(np.float64)
    return values, reference_level(values, ref)


def reference_level(values: NDArray[np.floating], ref: Ref) -> float:
    """Evaluate the reference for 0 dB: a number, ``"max"`` or a function of the values."""
    if isinstance(ref, str):
        if ref != "max":
            raise ValueError(f'ref={ref!r} is unknown: use a number or "max"')
        return float(values.max())
    return float(ref(values)) if callable(ref) else abs(float(ref))


def _decibels(power: NDArray[np.floating], reference: float, amin: float, top_db: float | None) -> NDArray[np.float32]:
    # an amin below 1e-38 underflows to zero in float32, whose logarithm is -inf
    precision = power.dtype if amin >= np.finfo(power.dtype).tiny else np.dtype(np.float64)
    levels = _logarithms(np.asarray(np.maximum(power, amin, dtype=precision)))
    # rounded in the same precision, so that the maximum is exactly 0 dB
    levels -= _logarithms(np.full(1, max(amin, reference), precision))[0]
    if top_db is not None:
        np.maximum(levels, levels.max() - top_db, out=levels)
    return levels.astype(np.float32, copy=False)


def _logarithms(values: NDArray[np.floating]) -> NDArray[np.floating]:
    # np.log is several times faster than np.log10, which has no SIMD implementation
    np.log(values, out=values)
    values *= DECIBELS_PER_NEPER
    return values
