"""Features of the waveform itself, and changes over time."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, Literal, Unpack, get_args

import numpy as np
from numpy.typing import NDArray

from audiofw.spectral.fourier import checked_spectrogram, spectrogram
from audiofw.spectral.frames import Cut, Framing, PadMode, Signal, cut, even_blocks, framed, one_of, scratch, whole

RISE_FRAMES = 64  # frames processed at a time

DeltaMode = Literal["interp", "nearest", "mirror", "constant", "wrap"]
# SciPy's names of boundary modes -> NumPy's
PADDING: dict[str, Any] = {
    "interp": "edge",
    "nearest": "edge",
    "mirror": "reflect",
    "constant": "constant",
    "wrap": "wrap",
}


def rms(
    y: Signal = None,
    *,
    S: Signal = None,
    frame_length: int = 2048,
    hop_length: int = 512,
    center: bool = True,
    pad_mode: PadMode = "constant",
) -> NDArray[np.float32]:
    """Root-mean-square level of each frame, as ``librosa.feature.rms``.

    Parameters
    ----------
    y : np.ndarray [shape=(n,)], optional
        Signal.
    S : np.ndarray [shape=(1 + frame_length // 2, frames)], optional
        Magnitude spectrogram, ideally with a rectangular window, used instead of ``y``.
    frame_length, hop_length : int
        Frame length, and samples between successive frames.
    center : bool
        If True, frame t is centred on sample ``t * hop_length`` and the signal is padded as in ``pad_mode``; if False,
        frame t starts at that sample.

    Returns
    -------
    np.ndarray [shape=(1, frames)]
        RMS level, on the scale of the signal.

    Raises
    ------
    ValueError
        If the signal, the spectrogram or an argument cannot be used.

    Examples
    --------
    >>> import numpy as np
    >>> from audiofw import spectral
    >>> y = np.sin(2 * np.pi * 440 * np.arange(22050) / 22050)  # one second of A4, at 22 050 Hz
    >>> round(float(spectral.rms(y)[0, 10]), 2)  # of a sine: 1 / sqrt(2)
    0.71
    """
    whole("frame_length", frame_length, 1)
    if S is not None:
        return _rms_of_spectrum(checked_spectrogram(S), frame_length)
    return level(cut(y, n_fft=frame_length, hop_length=hop_length, center=center, pad_mode=pad_mode))


def level(signal: Cut) -> NDArray[np.float32]:
    """Root-mean-square level of each frame, shape ``(1, frames)``."""
    power = np.empty((signal.n_frames, 1, 1))
    for frame, rows in signal.blocks(0, signal.n_frames):
        block = framed(signal, frame, rows)
        np.matmul(block[:, np.newaxis, :], block[:, :, np.newaxis], out=power[frame : frame + rows])
    return np.sqrt(power.reshape(1, -1) / signal.frames.n_fft).astype(np.float32)


def _rms_of_spectrum(S: NDArray[np.floating], frame_length: int) -> NDArray[np.float32]:
    if len(S) != frame_length // 2 + 1:
        raise ValueError(f"frame_length={frame_length} does not fit S with {len(S)} rows: use {2 * len(S) - 2}")
    # every bin except those at 0 Hz and at half the sampling rate counts twice (negative frequencies)
    weights = np.full(len(S), 2.0, S.dtype)
    weights[0] = 1.0
    if frame_length % 2 == 0:
        weights[-1] = 1.0
    return np.sqrt(np.square(S.T) @ weights)[np.newaxis].astype(np.float32) / np.float32(frame_length)


def zero_crossing_rate(
    y: NDArray[np.floating],
    *,
    frame_length: int = 2048,
    hop_length: int = 512,
    center: bool = True,
    threshold: float = 1e-10,
) -> NDArray[np.float32]:
    """Fraction of sign changes in each frame, as ``librosa.feature.zero_crossing_rate``.

    Samples within ``threshold`` of zero count as positive. Other parameters, the return value ``(1, frames)`` and
    errors are those of :func:`rms`.

    Examples
    --------
    >>> import numpy as np
    >>> from audiofw import spectral
    >>> y = np.sin(2 * np.pi * 440 * np.arange(22050) / 22050)  # one second of A4, at 22 050 Hz
    >>> rate = spectral.zero_crossing_rate(y)[0, 10]  # two crossings per cycle
    >>> round(float(rate) * 22050 / 2)
    441
    """
    whole("frame_length", frame_length, 1)
    signal = cut(y, n_fft=frame_length, hop_length=hop_length, center=center)
    negative = signal.y < -_as_tight(threshold, signal.y.dtype)
    crossings = np.flatnonzero(negative[1:] != negative[:-1]) + 1
    starts = signal.origin + hop_length * np.arange(signal.n_frames)
    # the first sample of a frame has no predecessor in it, and padding at the ends never changes sign
    counts = np.searchsorted(crossings, starts + frame_length) - np.searchsorted(crossings, starts + 1)
    return (counts / frame_length).astype(np.float32)[np.newaxis]


def _as_tight(threshold: float, dtype: Any) -> np.floating:
    """Largest number of ``dtype`` that does not exceed ``threshold``, so that comparing needs no type conversion."""
    rounded = np.dtype(dtype).type(threshold)
    return np.nextafter(rounded, rounded.dtype.type(0)) if rounded > np.float64(threshold) else rounded


def spectral_flux(y: Signal = None, *, S: Signal = None, **framing: Unpack[Framing]) -> NDArray[np.float32]:
    """Spectral flux: mean increase of the magnitudes since the previous frame; decreases count as 0.

    Half-wave rectified spectral flux (Dixon, "Onset detection revisited", DAFx 2006), averaged rather than summed over
    the bins, so that it depends less on ``n_fft``. librosa has no equivalent: its
    :func:`~audiofw.spectral.onset_strength` uses mel bands in dB.

    Parameters
    ----------
    y : np.ndarray [shape=(n,)], optional
        Signal.
    S : np.ndarray [shape=(bins, frames)], optional
        Magnitude spectrogram, used instead of ``y``.
    **framing
        See :class:`audiofw.spectral.Framing`.

    Returns
    -------
    np.ndarray [shape=(1, frames)]
        Flux; 0 for the first frame.

    Raises
    ------
    ValueError
        If the signal, the spectrogram or an argument cannot be used.

    Examples
    --------
    >>> import numpy as np
    >>> from audiofw import spectral
    >>> y = np.sin(2 * np.pi * 440 * np.arange(22050) / 22050)  # one second of A4, at 22 050 Hz
    >>> y[:11025] = 0  # the tone begins after half a second
    >>> round(int(spectral.spectral_flux(y).argmax()) * 512 / 22050, 2)
    0.49
    """
    return rise_of(spectrogram(y, S=S, **framing).T)


def rise_of(rows: NDArray[np.floating]) -> NDArray[np.float32]:
    """Mean increase of each row over the previous one, shape ``(1, rows)``."""
    out = np.zeros((1, len(rows)), np.float32)
    for start, count in even_blocks(0, len(rows) - 1, RISE_FRAMES):
        change = scratch("rise", (count, rows.shape[1]), rows.dtype)
        np.subtract(rows[start + 1 : start + 1 + count], rows[start : start + count], out=change)
        out[0, start + 1 : start + 1 + count] = np.maximum(change, 0, out=change).mean(axis=1)
    return out


def delta(
    data: NDArray[np.floating],
    *,
    width: int = 9,
    order: int = 1,
    axis: int = -1,
    mode: DeltaMode = "interp",
) -> NDArray[np.float32]:
    """Local slope (``order=1``) or curvature (2) of features over time, per frame, as ``librosa.feature.delta``.

    Parameters
    ----------
    data : np.ndarray [shape=(..., frames)]
        Features.
    width : int, odd, 3 or more
        Number of frames to which a polynomial of degree ``order`` is fitted (Savitzky-Golay filter).
    mode : str
        Boundary handling: ``interp`` uses the polynomial of the outermost full window; for the others see
        ``scipy.signal.savgol_filter``. With fewer frames than ``width``, where librosa raises an error for ``interp``,
        the outer frames are repeated (``nearest``), so that a single frame has slope 0.

    Returns
    -------
    np.ndarray [shape like data]
        float32.

    Raises
    ------
    ValueError
        If an argument is out of range or ``data`` is empty.

    Examples
    --------
    >>> import numpy as np
    >>> from audiofw import spectral
    >>> spectral.delta(np.array([[0.0, 1.0, 2.0, 3.0]]), width=3).tolist()
    [[1.0, 1.0, 1.0, 1.0]]
    """
    if whole("width", width, 3) % 2 == 0:
        raise ValueError(f"width={width} is out of range: an odd number, 3 or more")
    whole("order", order, 1, width - 1)
    one_of("mode", mode, get_args(DeltaMode))
    series = np.moveaxis(np.atleast_1d(np.asarray(data, np.float64)), axis, -1)
    if not series.size:
        raise ValueError(f"data is empty: shape {np.shape(data)}")
    margin = [(0, 0)] * (series.ndim - 1) + [(width // 2, width // 2)]
    if mode == "interp" and series.shape[-1] >= width:
        # the highest derivative of a polynomial is constant, so the outermost full window's holds up to the end
        slopes = np.pad(_slopes(series, width, order), margin, mode="edge")
    else:
        slopes = _slopes(np.pad(series, margin, mode=PADDING[mode]), width, order)
    return np.moveaxis(slopes, -1, axis).astype(np.float32)


def _slopes(series: NDArray[np.float64], width: int, order: int) -> NDArray[np.float64]:
    """``order``-th derivative of the polynomial fitted to every window of ``width`` frames."""
    frames = series.shape[-1] - width + 1
    slopes = np.zeros((*series.shape[:-1], frames))
    for k, weight in enumerate(_slope_weights(width, order)):
        slopes += weight * series[..., k : k + frames]
    return slopes


@lru_cache(maxsize=16)
def _slope_weights(width: int, order: int) -> tuple[float, ...]:
    # least squares gives the polynomial's coefficients; its order-th derivative is the last one times order!
    positions = np.arange(width) - width // 2
    fit = np.linalg.pinv(np.vander(positions, order + 1, increasing=True).astype(np.float64))
    return tuple((math.factorial(order) * fit[order]).tolist())
