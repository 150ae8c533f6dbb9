"""Levels in decibels."""

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
    """Power in decibels, ``10 * log10(S / ref)``, as ``librosa.power_to_db``.

    Parameters
    ----------
    S : np.ndarray [any shape]
        Power: real and not negative.
    ref : float, "max" or callable
        What 0 dB is: a power, the largest of ``S``, or ``ref(S)``.
    amin : float > 0
        Power below this counts as this, so that silence has a level.
    top_db : float >= 0, optional
        Levels lower than the loudest by more than this are raised to that floor; None for no floor.

    Returns
    -------
    np.ndarray [shape like S]
        float32, in dB.

    Raises
    ------
    ValueError
        If ``S`` is empty or complex, or an argument is out of range.
    """
    power, reference = _checked(S, ref, amin, top_db)
    return _decibels(power, reference, amin, top_db)


def amplitude_to_db(
    S: ArrayLike, *, ref: Ref = 1.0, amin: float = 1e-5, top_db: float | None = 80.0
) -> NDArray[np.float32]:
    """Amplitude in decibels, ``20 * log10(|S| / ref)``, as ``librosa.amplitude_to_db``.

    Arguments, result and errors are those of :func:`power_to_db`; ``ref`` and ``amin`` are amplitudes here.
    """
    amplitude, reference = _checked(np.abs(S), ref, amin, top_db)
    return _decibels(np.square(amplitude), reference**2, amin**2, top_db)


def _checked(S: ArrayLike, ref: Ref, amin: float, top_db: float | None) -> tuple[NDArray[np.floating], float]:
    values = np.asarray(S)
    if not values.size or np.iscomplexobj(values):
        raise ValueError(f"S must be real and not empty, not {values.dtype} of shape {values.shape}: give its abs()")
    if not amin > 0:
        raise ValueError(f"amin={amin} is out of range: above 0")
    if top_db is not None and not top_db >= 0:
        raise ValueError(f"top_db={top_db} is out of range: 0 or more, or None for no floor")
    values = values if np.issubdtype(values.dtype, np.floating) else values.astype(np.float64)
    return values, reference_level(values, ref)


def reference_level(values: NDArray[np.floating], ref: Ref) -> float:
    """What 0 dB is: a number, ``"max"`` or a function of the values."""
    if isinstance(ref, str):
        if ref != "max":
            raise ValueError(f'ref={ref!r} is unknown: give a number or "max"')
        return float(values.max())
    return float(ref(values)) if callable(ref) else abs(float(ref))


def _decibels(power: NDArray[np.floating], reference: float, amin: float, top_db: float | None) -> NDArray[np.float32]:
    # float32 holds no floor below 1e-38, and the logarithm of zero is no level
    precision = power.dtype if amin >= np.finfo(power.dtype).tiny else np.dtype(np.float64)
    levels = _logarithms(np.asarray(np.maximum(power, amin, dtype=precision)))
    # rounded alike, so that the loudest is 0 dB and no less
    levels -= _logarithms(np.full(1, max(amin, reference), precision))[0]
    if top_db is not None:
        np.maximum(levels, levels.max() - top_db, out=levels)
    return levels.astype(np.float32, copy=False)


def _logarithms(values: NDArray[np.floating]) -> NDArray[np.floating]:
    # the natural logarithm is several times quicker than log10, which no SIMD loop serves
    np.log(values, out=values)
    values *= DECIBELS_PER_NEPER
    return values
