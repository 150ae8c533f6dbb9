"""The magnitude of the short-time Fourier transform."""

from typing import Annotated, Literal

from annotated_types import Ge, Gt

from audiofw import hookimpl


@hookimpl
def register_features(register):
    register(stft, names=names)


def stft(
    y,
    sr,
    *,
    n_fft: Annotated[int, Ge(1)] = 2048,
    hop_length: Annotated[int, Ge(1)] | None = None,
    win_length: Annotated[int, Ge(1)] | None = None,
    window: str = "hann",
    center: bool = True,
    pad_mode: Literal["constant", "edge", "linear_ramp", "reflect", "symmetric"] = "constant",
    db: bool = True,
    ref: int | float | str = "max",
    amin: Annotated[float, Gt(0)] = 1e-5,
    top_db: Annotated[float, Ge(0)] | None = 80.0,
    dtype: Literal["float64", "float32"] = "float64",
):
    """Spectrogram, in dB unless db=false: one row per FFT bin, one column per frame; librosa's, faster.

    Parameters
    ----------
    n_fft
        Samples in a frame, and length of its FFT; n_fft / 2 + 1 rows come of it.
    hop_length
        Samples from one frame to the next; null: a quarter of win_length.
    win_length
        Samples under the window, amid zeros up to n_fft; null: n_fft.
    window
        Window of each frame: hann, hamming, blackman, boxcar, or another of scipy.signal.get_window.
    center
        Centre the frames on every hop_length-th sample, padding both ends; false: begin them there.
    pad_mode
        What is padded at the ends: constant is silence.
    db
        Levels in dB; false: plain magnitude, and ref, amin and top_db have no effect.
    ref
        What 0 dB is: max, the loudest value of the clip, or an amplitude.
    amin
        Amplitude below this counts as this.
    top_db
        Dynamic range: levels further below the loudest are raised to this floor; null: no floor.
    dtype
        Precision of the FFT: float32 is quicker and up to 0.001 dB off.
    """
    from audiofw import spectral

    magnitude = spectral.spectrogram(
        y,
        n_fft=n_fft,
        hop_length=hop_length,
        win_length=win_length,
        window=window,
        center=center,
        pad_mode=pad_mode,
        dtype=dtype,
    )
    return spectral.amplitude_to_db(magnitude, ref=ref, amin=amin, top_db=top_db) if db else magnitude


def names(sr, *, n_fft, **_):
    """Name the bins by their frequencies."""
    from audiofw.spectral import fft_frequencies

    return [f"stft_{frequency:.0f}Hz" for frequency in fft_frequencies(sr=sr, n_fft=n_fft)]
