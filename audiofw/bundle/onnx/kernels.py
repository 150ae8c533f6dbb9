"""The filter of audiofw's resampler, measured, for programs that have to resample as audiofw does."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from audiofw.audio.load import resample

RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 88200, 96000)
REACH = 116  # half-length of the impulse response, in samples of the lower of the two rates
FINEST = 16  # coefficients per sample
IMPULSES = 48
MOST_VALUES = 15_000  # four for each coefficient


def kernels(target: int) -> dict[str, Any]:
    """Measure the impulse response for usual rates, as coefficients of uniform cubic B-splines.

    Returns
    -------
    dict
        ``reach``, and ``of``: by sampling rate, ``step`` between coefficients and ``coefficients`` from ``-reach``.
    """
    return {"reach": REACH, "of": {rate: _kernel(rate, target) for rate in RATES if rate != target}}


def _kernel(rate: int, target: int) -> dict[str, Any]:
    t, h = _measure(rate, target)
    step = max(np.diff(t).max(), 1 / FINEST)
    found = _through(h) if step > 1 / FINEST else _near(t, h)
    return {"step": float(step), "coefficients": [float(f"{value:.9g}") for value in found]}


def _through(h: np.ndarray) -> np.ndarray:
    """Coefficients of a spline through equally spaced values: no others are used. Beyond its ends, it is 0."""
    from scipy.linalg import solve_banded

    bands = np.repeat([[1 / 6], [4 / 6], [1 / 6]], len(h), axis=1)
    return np.pad(solve_banded((1, 1), bands, h), 1)


def _near(t: np.ndarray, h: np.ndarray) -> np.ndarray:
    """Coefficients of the spline with the least squared distance from values at any places."""
    from scipy.interpolate import make_lsq_spline

    thin = slice(None, None, max(1, len(t) // MOST_VALUES))
    knots = np.arange(-REACH * FINEST - 3, REACH * FINEST + 4) / FINEST
    return make_lsq_spline(t[thin], h[thin], knots).c


def _measure(rate: int, target: int) -> tuple[np.ndarray, np.ndarray]:
    """Resample impulses: places within ``REACH`` of their centres, in order, and the response there."""
    scale = min(1.0, target / rate)
    gap = math.ceil(2.5 * REACH / scale) | 1  # odd, so that the impulses have different phases
    y = np.zeros(gap * (IMPULSES + 1), np.float32)
    y[gap::gap] = 1
    made = resample(y, rate, target).astype(np.float64)
    place = np.arange(len(made)) * (rate / target)
    centre = gap * np.clip(np.round(place / gap), 1, IMPULSES)
    t = np.round((place - centre) * scale, 9)
    near = np.abs(t) <= REACH
    t, of = np.unique(np.concatenate([t[near], -t[near]]), return_inverse=True)
    return t, np.bincount(of, np.tile(made[near], 2)) / np.bincount(of) / scale
