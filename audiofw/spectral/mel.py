"""Mel spectrogram, MFCCs and onset strength."""

from __future__ import annotations

import math
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from audiofw.spectral.decibels import power_to_db
from audiofw.spectral.filterbanks import Band, dct_matrix, mel_bands
from audiofw.spectral.fourier import checked_spectrogram, fill_powers, n_fft_of
from audiofw.spectral.frames import Cut, Framing, Signal, cut, even_blocks, one_of, positive, scratch, whole

# Values of the power spectrogram held at a time while computing mel bands: 256 frames of an n_fft of 2048.
CHUNK_VALUES = 2**18


def melspectrogram(
    y: Signal = None,
    *,
    sr: float = 22050,
    S: Signal = None,
    n_mels: int = 128,
    fmin: float = 0.0,
    fmax: float | None = None,
    htk: bool = False,
    norm: str | float | None = "slaney",
    power: float = 2.0,
    **framing: Unpack[Framing],
) -> NDArray[np.float32]:
    """Mel spectrogram, as ``librosa.feature.melspectrogram``; convert it to dB with :func:`power_to_db`.

    Parameters
    ----------
    y : np.ndarray [shape=(n,)], optional
        Signal.
    sr : float
        Its sampling rate in Hz.
    S : np.ndarray [shape=(1 + n_fft // 2, frames)], optional
        Spectrogram, used instead of ``y``.
    n_mels, fmin, fmax, htk, norm
        See :func:`mel_filterbank`.
    power : float > 0
        Exponent of the magnitude: 2 for power, 1 for amplitude.
    **framing
        See :class:`Framing`.

    Returns
    -------
    np.ndarray [shape=(n_mels, frames)]
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
    >>> S = spectral.melspectrogram(y, n_mels=64)
    >>> S.shape
    (64, 44)
    >>> db = spectral.power_to_db(S, ref=np.max)
    >>> float(db.max())
    0.0
    """
    if S is not None:
        S = checked_spectrogram(S)
        bands = mel_bands(sr, n_fft_of(S, **framing), n_mels, fmin, fmax, htk, norm)
        return sum_bands(bands, S.T.astype(np.float32, copy=False), np.empty((S.shape[1], n_mels), np.float32)).T
    signal = cut(y, **framing)
    bands = mel_bands(sr, signal.frames.n_fft, n_mels, fmin, fmax, htk, norm)
    return _mel_of_signal(signal, bands, n_mels, positive("power", power))


def _mel_of_signal(signal: Cut, bands: tuple[Band, ...], n_mels: int, power: float) -> NDArray[np.float32]:
    # chunk by chunk through a reused buffer, without a power spectrogram of the whole signal
    out = np.empty((signal.n_frames, n_mels), np.float32)
    for first, rows in even_blocks(0, signal.n_frames, CHUNK_VALUES // signal.bins):
        powers = scratch("powers", (rows, signal.bins), np.float32)
        fill_powers(powers, signal, first, power)
        sum_bands(bands, powers, out[first : first + rows])
    return out.T


def sum_bands(bands: tuple[Band, ...], rows: NDArray[np.float32], out: NDArray[np.float32]) -> NDArray[np.float32]:
    """``out[:] = rows @ filter_bank.T``, skipping its zeros; BLAS is faster on ``(frames, bins)`` than transposed."""
    for filters, bins, weights in bands:
        np.matmul(rows[:, bins], weights, out=out[:, filters])
    return out


def dct(
    S: NDArray[np.floating], *, n_mfcc: int | None = None, dct_type: int = 2, norm: str | None = "ortho"
) -> NDArray[np.float32]:
    """Discrete cosine transform of each frame, ``scipy.fft.dct(S, axis=0)[:n_mfcc]``.

    ``S`` has shape ``(bands, frames)``; ``n_mfcc=None`` returns all rows; ``dct_type`` is 1 to 4; ``norm`` is
    ``"ortho"`` or None.

    Examples
    --------
    >>> import numpy as np
    >>> from audiofw import spectral
    >>> spectral.dct(np.ones((4, 1))).round(3).tolist()  # a constant has only the first coefficient
    [[2.0], [0.0], [0.0], [0.0]]
    """
    S = np.asarray(S)
    if S.ndim != 2 or not S.size:
        raise ValueError(f"S must have shape (bands, frames), got {S.shape}")
    whole("dct_type", dct_type, 1, 4)
    one_of("norm", norm, ["ortho", None])
    if dct_type == 1:
        whole("bands of S for dct_type=1", len(S), 2)
    rows = len(S) if n_mfcc is None else whole("n_mfcc", n_mfcc, 1, len(S))
    return (dct_matrix(len(S), rows, dct_type, norm) @ S).astype(np.float32)


def mfcc(
    y: Signal = None,
    *,
    sr: float = 22050,
    S: Signal = None,
    n_mfcc: int = 20,
    dct_type: int = 2,
    norm: str | None = "ortho",
    lifter: float = 0,
    mel_norm: str | float | None = "slaney",
    **mel: Any,
) -> NDArray[np.float32]:
    """Mel-frequency cepstral coefficients, as ``librosa.feature.mfcc``.

    Parameters
    ----------
    y : np.ndarray [shape=(n,)], optional
        Signal.
    sr : float
        Its sampling rate in Hz.
    S : np.ndarray [shape=(n_mels, frames)], optional
        Mel spectrogram in dB, used instead of ``y``.
    n_mfcc : int
        Number of coefficients, at most ``n_mels``.
    dct_type, norm
        See :func:`dct`.
    lifter : float >= 0
        Cepstral liftering by ``1 + lifter / 2 * sin(pi * n / lifter)``; 0 for none.
    mel_norm, **mel
        ``norm`` and the other parameters of :func:`melspectrogram`.

    Returns
    -------
    np.ndarray [shape=(n_mfcc, frames)]
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
    >>> spectral.mfcc(y, n_mfcc=13).shape
    (13, 44)
    """
    if not 0 <= lifter < math.inf:
        raise ValueError(f"lifter={lifter} is out of range: 0 or more")
    if S is None:
        S = power_to_db(melspectrogram(y, sr=sr, norm=mel_norm, **mel))
    cepstra = dct(S, n_mfcc=n_mfcc, dct_type=dct_type, norm=norm)
    if lifter > 0:
        cepstra *= lifter_weights(n_mfcc, lifter)[:, np.newaxis]
    return cepstra


def lifter_weights(n_mfcc: int, lifter: float) -> NDArray[np.float32]:
    return (1 + lifter / 2 * np.sin(np.pi * np.arange(1, n_mfcc + 1) / lifter)).astype(np.float32)


def onset_strength(
    y: Signal = None,
    *,
    sr: float = 22050,
    S: Signal = None,
    lag: int = 1,
    center: bool = True,
    n_fft: int = 2048,
    hop_length: int = 512,
    **mel: Any,
) -> NDArray[np.float32]:
    """Onset strength: mean increase of the mel bands in dB over ``lag`` frames, as ``librosa.onset.onset_strength``.

    Parameters
    ----------
    y : np.ndarray [shape=(n,)], optional
        Signal.
    sr : float
        Its sampling rate in Hz.
    S : np.ndarray [shape=(bands, frames)], optional
        Spectrogram in dB, used instead of ``y``.
    lag : int
        Distance of the two frames that are compared.
    center : bool
        Shift the result by half a frame, so that onsets are aligned with frame centres.
    n_fft, hop_length, **mel
        See :func:`melspectrogram`.

    Returns
    -------
    np.ndarray [shape=(frames,)]
        float32, in dB; as in librosa, ``lag`` frames longer if ``center=False``.

    Raises
    ------
    ValueError
        If the signal, the spectrogram or an argument cannot be used.

    Examples
    --------
    >>> import numpy as np
    >>> from audiofw import spectral
    >>> y = np.sin(2 * np.pi * 440 * np.arange(22050) / 22050)  # one second of A4, at 22 050 Hz
    >>> spectral.onset_strength(y, hop_length=256).shape
    (87,)
    """
    whole("lag", lag, 1)
    if S is None:
        S = power_to_db(melspectrogram(y, sr=sr, n_fft=n_fft, hop_length=hop_length, **mel))
    S = np.atleast_2d(S)
    rise = np.maximum(S[:, lag:] - S[:, :-lag], 0).mean(axis=0)
    shift = lag + (whole("n_fft", n_fft, 1) // (2 * whole("hop_length", hop_length, 1)) if center else 0)
    strength = np.pad(rise, (shift, 0)).astype(np.float32)
    return strength[: S.shape[1]] if center else strength
