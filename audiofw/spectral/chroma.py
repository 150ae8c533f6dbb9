"""Pitch classes."""

from __future__ import annotations

from functools import lru_cache
from typing import Unpack

import numpy as np
from numpy.typing import NDArray

from audiofw.spectral.filterbanks import frozen, normalize
from audiofw.spectral.fourier import n_fft_of, spectrogram
from audiofw.spectral.frames import Framing, Signal, positive, whole


def chroma_stft(
    y: Signal = None,
    *,
    sr: float = 22050,
    S: Signal = None,
    norm: float | None = np.inf,
    tuning: float = 0.0,
    n_chroma: int = 12,
    ctroct: float = 5.0,
    octwidth: float | None = 2.0,
    base_c: bool = True,
    **framing: Unpack[Framing],
) -> NDArray[np.float32]:
    """Energy of each pitch class, as ``librosa.feature.chroma_stft`` with ``tuning=0``.

    Parameters
    ----------
    y : np.ndarray [shape=(n,)], optional
        Signal.
    sr : float
        Its sampling rate in Hz.
    S : np.ndarray [shape=(1 + n_fft // 2, frames)], optional
        Power spectrogram, used instead of ``y``.
    norm : float, optional
        Order of the norm by which each frame is divided; None for no normalisation.
    tuning : float
        Deviation from A440 in fractions of a chroma bin. librosa estimates it by default, which takes far longer than
        everything else; the default here is concert pitch.
    n_chroma, ctroct, octwidth, base_c
        See :func:`chroma_filterbank`.
    **framing
        See :class:`Framing`.

    Returns
    -------
    np.ndarray [shape=(n_chroma, frames)]
        float32.

    Raises
    ------
    ValueError
        If the signal, the spectrogram or an argument cannot be used.

    Examples
    --------
    >>> import numpy as np
    >>> from audiofw import spectral
    >>> y = np.sin(2 * np.pi * 440 * np.arange(22050) / 22050)  # one second of A4, at 22 050 Hz
    >>> chroma = spectral.chroma_stft(y)
    >>> chroma.shape
    (12, 44)
    >>> int(chroma[:, 20].argmax())  # 0 is C, so 9 is A
    9
    """
    S = spectrogram(y, S=S, power=2, **framing)
    bank = chroma_filterbank(
        sr=sr,
        n_fft=n_fft_of(S, **framing),
        n_chroma=n_chroma,
        tuning=tuning,
        ctroct=ctroct,
        octwidth=octwidth,
        base_c=base_c,
    )
    return normalize((bank @ S).astype(np.float32, copy=False), norm, axis=0)


@lru_cache(maxsize=16)
def chroma_filterbank(
    *,
    sr: float,
    n_fft: int,
    n_chroma: int = 12,
    tuning: float = 0.0,
    ctroct: float = 5.0,
    octwidth: float | None = 2.0,
    norm: float | None = 2.0,
    base_c: bool = True,
) -> NDArray[np.float32]:
    """Gaussian filters that map FFT bins to pitch classes, as ``librosa.filters.chroma``; read-only.

    ``tuning`` is the deviation from A440 in fractions of a chroma bin; ``ctroct`` and ``octwidth`` are the centre and
    width of the octave weighting (``octwidth=None``: no weighting); ``norm`` normalises each column; row 0 is C, or A
    with ``base_c=False``. Shape ``(n_chroma, 1 + n_fft // 2)``.

    Examples
    --------
    >>> from audiofw import spectral
    >>> spectral.chroma_filterbank(sr=22050, n_fft=2048).shape
    (12, 1025)
    """
    whole("n_chroma", n_chroma, 1)
    pitch = _chroma_of_bins(positive("sr", sr), whole("n_fft", n_fft, 2), n_chroma, tuning)
    width = np.append(np.maximum(np.diff(pitch), 1.0), 1.0)
    half = np.round(n_chroma / 2)
    distance = np.remainder(np.subtract.outer(pitch, np.arange(n_chroma)).T + half + 10 * n_chroma, n_chroma) - half
    weights = normalize(np.exp(-0.5 * (2 * distance / width) ** 2), norm, axis=0)
    if octwidth is not None:
        weights *= np.exp(-0.5 * ((pitch / n_chroma - ctroct) / positive("octwidth", octwidth)) ** 2)
    if base_c:
        weights = np.roll(weights, -3 * (n_chroma // 12), axis=0)
    return frozen(np.ascontiguousarray(weights[:, : n_fft // 2 + 1], np.float32))


def _chroma_of_bins(sr: float, n_fft: int, n_chroma: int, tuning: float) -> NDArray[np.float64]:
    """Pitch of all ``n_fft`` bins, in chroma bins above A0; 0 Hz is placed 1.5 octaves below the next bin."""
    a0 = 440.0 * 2.0 ** (tuning / n_chroma) / 16
    pitch = n_chroma * np.log2(np.linspace(0, sr, n_fft, endpoint=False)[1:] / a0)
    return np.concatenate([[pitch[0] - 1.5 * n_chroma], pitch])
