"""The short-time Fourier transform and spectrograms."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from audiofw.spectral.frames import Cut, Framing, Signal, cut, positive, scratch, whole, windowed

# NumPy 2 can write the FFT into a given array. For float32, SciPy is faster; importing scipy.fft takes time.
NUMPY_FFT_HAS_OUT = int(np.__version__.split(".")[0]) >= 2


def stft(y: NDArray[np.floating], **framing: Unpack[Framing]) -> NDArray[np.complex64]:
    """Short-time Fourier transform, as ``librosa.stft``.

    Parameters
    ----------
    y : np.ndarray [shape=(n,)]
        Signal.
    **framing
        See :class:`Framing`; as in librosa, ``hop_length`` defaults to a quarter of ``win_length`` here.

    Returns
    -------
    np.ndarray [shape=(1 + n_fft // 2, frames)]
        complex64.

    Raises
    ------
    ValueError
        If the signal or an argument cannot be used.

    Examples
    --------
    >>> import numpy as np
    >>> from audiofw import spectral
    >>> y = np.sin(2 * np.pi * 440 * np.arange(22050) / 22050)  # one second of A4, at 22 050 Hz
    >>> S = spectral.stft(y)
    >>> S.shape, S.dtype.name
    ((1025, 44), 'complex64')
    """
    framing.setdefault("hop_length", None)
    signal = cut(y, **framing)
    out = np.empty((signal.n_frames, signal.bins), np.complex64)
    for frame, spectrum in spectra(signal, 0, signal.n_frames):
        out[frame : frame + len(spectrum)] = spectrum
    return out.T


def spectrogram(
    y: Signal = None,
    *,
    S: Signal = None,
    power: float = 1.0,
    **framing: Unpack[Framing],
) -> NDArray[np.floating]:
    """Spectrogram, ``abs(librosa.stft(y)) ** power``.

    Parameters
    ----------
    y : np.ndarray [shape=(n,)]
        Signal; not needed if ``S`` is given.
    S : np.ndarray [shape=(1 + n_fft // 2, frames)], optional
        Existing spectrogram: checked and returned as it is, so that several features can share it.
    power : float > 0
        1 for magnitude, 2 for power.
    **framing
        See :class:`Framing`.

    Returns
    -------
    np.ndarray [shape=(1 + n_fft // 2, frames)]
        float32, or the dtype of ``S`` if given.

    Raises
    ------
    ValueError
        If the signal or an argument cannot be used.

    Examples
    --------
    >>> import numpy as np
    >>> from audiofw import spectral
    >>> y = np.sin(2 * np.pi * 440 * np.arange(22050) / 22050)  # one second of A4, at 22 050 Hz
    >>> S = spectral.spectrogram(y, power=2.0)
    >>> spectral.fft_frequencies()[S[:, 20].argmax()].round(1).item()  # the bin nearest to 440 Hz
    441.4
    """
    if S is not None:
        return checked_spectrogram(S)
    positive("power", power)
    signal = cut(y, **framing)
    out = np.empty((signal.n_frames, signal.bins), np.float32)
    fill_powers(out, signal, power=power)
    return out.T


def fft_frequencies(*, sr: float = 22050, n_fft: int = 2048) -> NDArray[np.float64]:
    """Centre of each FFT bin in Hz, shape ``(1 + n_fft // 2,)``, as ``librosa.fft_frequencies``.

    Examples
    --------
    >>> from audiofw import spectral
    >>> spectral.fft_frequencies(sr=8000, n_fft=8).tolist()
    [0.0, 1000.0, 2000.0, 3000.0, 4000.0]
    """
    return np.fft.rfftfreq(whole("n_fft", n_fft, 1), d=1.0 / positive("sr", sr)).astype(np.float64)


def n_fft_of(S: NDArray[np.floating], n_fft: int = 2048, **_: Any) -> int:
    """FFT size of a spectrogram: the given ``n_fft`` if it matches, otherwise the even size that does."""
    return n_fft if n_fft // 2 + 1 == len(S) else 2 * (len(S) - 1)


def spectra(signal: Cut, first: int, last: int) -> Iterator[tuple[int, NDArray[np.complexfloating]]]:
    """Yield ``(index of the first frame, complex spectra)`` block by block; the spectra are in a scratch buffer."""
    for frame, rows in signal.blocks(first, last):
        yield frame, _rfft(windowed(signal, frame, rows))


def _rfft(block: NDArray[np.floating]) -> NDArray[np.complexfloating]:
    if block.dtype == np.float64 and NUMPY_FFT_HAS_OUT:
        bins = block.shape[1] // 2 + 1
        return np.fft.rfft(block, axis=-1, out=scratch("spectrum", (len(block), bins), np.complex128))
    import scipy.fft

    return scipy.fft.rfft(block, axis=-1, workers=1)


def fill_powers(out: NDArray[np.float32], signal: Cut, first: int = 0, power: float = 2.0) -> None:
    """Fill ``out``, shape ``(frames, bins)``, with ``abs(spectrum) ** power`` of the frames starting at ``first``."""
    for frame, spectrum in spectra(signal, first, first + len(out)):
        row = frame - first
        _fill_power(out[row : row + len(spectrum)], spectrum, power)


def _fill_power(out: NDArray[np.float32], spectrum: NDArray[np.complexfloating], power: float) -> None:
    parts = spectrum.view(spectrum.real.dtype)
    np.multiply(parts, parts, out=parts)
    np.add(parts[:, ::2], parts[:, 1::2], out=out, casting="same_kind")
    if power == 1:
        np.sqrt(out, out=out)
    elif power != 2:
        np.power(out, power / 2, out=out)


def checked_spectrogram(S: Any) -> NDArray[np.floating]:
    S = np.asarray(S)
    if S.ndim != 2 or not S.size or not np.issubdtype(S.dtype, np.floating):
        raise ValueError(f"S must be real, with shape (bins, frames), got {S.dtype} of shape {S.shape}")
    # written so that NaN fails, too
    if not (S.min() >= 0 and S.max() < np.inf):
        raise ValueError("S must be finite and not negative: pass a magnitude or power spectrogram")
    return np.asarray(S, order="F")
