"""Magnitude of the short-time Fourier transform."""

from typing import Annotated, Literal

from annotated_types import Interval

from audiofw import hookimpl


@hookimpl
def register_features(register):
    register(stft, names=names, onnx=onnx)


def stft(
    y,
    sr,
    *,
    n_fft: Annotated[int, Interval(ge=2, le=65536)] = 2048,
    hop_length: Annotated[int, Interval(ge=1, le=1_000_000)] | None = None,
    win_length: Annotated[int, Interval(ge=1, le=65536)] | None = None,
    window: str = "hann",
    center: bool = True,
    pad_mode: Literal["constant", "edge", "linear_ramp", "reflect", "symmetric"] = "constant",
    db: bool = True,
    ref: Annotated[float, Interval(ge=1e-15, le=1e15)] | Literal["max"] = "max",
    amin: Annotated[float, Interval(ge=1e-30, le=1)] = 1e-5,
    top_db: Annotated[float, Interval(gt=0, le=400)] | None = 80.0,
    dtype: Literal["float64", "float32"] = "float64",
):
    """STFT magnitude spectrogram, in dB unless db=false, one row per FFT bin; same values as librosa, faster.

    Parameters
    ----------
    n_fft
        Frame length and FFT size, in samples; gives n_fft / 2 + 1 rows.
    hop_length
        Samples between successive frames; null: a quarter of win_length.
    win_length
        Window length in samples, zero-padded to n_fft; null: n_fft.
    window
        Window function: hann, hamming, blackman, boxcar or any other name that scipy.signal.get_window accepts.
    center
        Centre frame t on sample t × hop_length by padding both ends; false: frame t starts at that sample.
    pad_mode
        How the ends are padded when center=true, as in numpy.pad; constant pads with zeros.
    db
        Convert to dB; false: linear magnitude, and ref, amin and top_db are ignored.
    ref
        Reference for 0 dB: max (the clip's maximum) or an amplitude.
    amin
        Smallest amplitude; lower values are raised to it before taking the logarithm.
    top_db
        Dynamic range in dB: lower values are clipped to top_db below the maximum; null: no clipping.
    dtype
        FFT precision; float32 is faster, with errors of up to 0.001 dB.
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
    """Name the bins by their centre frequencies."""
    from audiofw.spectral import fft_frequencies

    return [f"stft_{frequency:.0f}Hz" for frequency in fft_frequencies(sr=sr, n_fft=n_fft)]


def onnx(graph, y, sr, *, db, ref, amin, top_db, **options):
    """Compute the same in ONNX."""
    magnitude = graph.spectrogram(y, **options)
    return graph.amplitude_to_db(magnitude, ref=ref, amin=amin, top_db=top_db) if db else magnitude
