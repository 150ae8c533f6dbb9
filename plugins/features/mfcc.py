"""Mel-frequency cepstral coefficients."""

from typing import Annotated, Literal

from annotated_types import Interval

from audiofw import hookimpl


@hookimpl
def register_features(register):
    register(mfcc, names=names, onnx=onnx)


def mfcc(
    y,
    sr,
    *,
    n_mfcc: Annotated[int, Interval(ge=1, le=1024)] = 20,
    dct_type: Annotated[int, Interval(ge=1, le=4)] = 2,
    norm: Literal["ortho"] | None = "ortho",
    lifter: Annotated[float, Interval(ge=0, le=10_000)] = 0.0,
    n_fft: Annotated[int, Interval(ge=2, le=65536)] = 2048,
    hop_length: Annotated[int, Interval(ge=1, le=1_000_000)] = 512,
    win_length: Annotated[int, Interval(ge=1, le=65536)] | None = None,
    window: str = "hann",
    center: bool = True,
    pad_mode: Literal["constant", "edge", "linear_ramp", "reflect", "symmetric"] = "constant",
    n_mels: Annotated[int, Interval(ge=1, le=1024)] = 128,
    fmin: Annotated[float, Interval(ge=0, le=500_000)] = 0.0,
    fmax: Annotated[float, Interval(gt=0, le=500_000)] | None = None,
    htk: bool = False,
    mel_norm: Literal["slaney"] | None = "slaney",
    power: Annotated[float, Interval(gt=0, le=10)] = 2.0,
    ref: Annotated[float, Interval(ge=1e-15, le=1e15)] | Literal["max"] = 1.0,
    amin: Annotated[float, Interval(ge=1e-30, le=1)] = 1e-10,
    top_db: Annotated[float, Interval(gt=0, le=400)] | None = 80.0,
    dtype: Literal["float64", "float32"] = "float64",
):
    """Mel-frequency cepstral coefficients (MFCCs), one row each; same values as librosa, computed faster.

    Parameters
    ----------
    n_mfcc
        Number of coefficients, at most n_mels.
    dct_type
        Type of the discrete cosine transform, as in scipy.fft.dct.
    norm
        Normalisation of the DCT: ortho for an orthonormal transform, null for SciPy's unnormalised one.
    lifter
        Cepstral liftering, which emphasises higher coefficients; 0: none.
    n_fft
        Frame length and FFT size, in samples.
    hop_length
        Samples between successive frames.
    win_length
        Window length in samples, zero-padded to n_fft; null: n_fft.
    window
        Window function: hann, hamming, blackman, boxcar or any other name that scipy.signal.get_window accepts.
    center
        Centre frame t on sample t × hop_length by padding both ends; false: frame t starts at that sample.
    pad_mode
        How the ends are padded when center=true, as in numpy.pad; constant pads with zeros.
    n_mels
        Number of mel bands.
    fmin
        Lowest frequency, in Hz.
    fmax
        Highest frequency, in Hz; null: half the sampling rate.
    htk
        Use the HTK mel formula instead of Slaney's.
    mel_norm
        Normalisation of the mel filters: slaney for equal area, null for a peak of 1.
    power
        Exponent of the magnitude: 2 for power, 1 for amplitude.
    ref
        Reference for 0 dB: a power, or max (the clip's maximum).
    amin
        Smallest power; lower values are raised to it before taking the logarithm.
    top_db
        Dynamic range in dB: lower values are clipped to top_db below the maximum; null: no clipping.
    dtype
        FFT precision; float32 is faster and less accurate.
    """
    from audiofw import spectral

    bands = spectral.melspectrogram(
        y,
        sr=sr,
        n_fft=n_fft,
        hop_length=hop_length,
        win_length=win_length,
        window=window,
        center=center,
        pad_mode=pad_mode,
        n_mels=n_mels,
        fmin=fmin,
        fmax=fmax,
        htk=htk,
        norm=mel_norm,
        power=power,
        dtype=dtype,
    )
    levels = spectral.power_to_db(bands, ref=ref, amin=amin, top_db=top_db)
    return spectral.mfcc(S=levels, n_mfcc=n_mfcc, dct_type=dct_type, norm=norm, lifter=lifter)


def names(sr, *, n_mfcc, **_):
    """Name the coefficients ``mfcc0``, ``mfcc1``, …"""
    return [f"mfcc{i}" for i in range(n_mfcc)]


def onnx(graph, y, sr, *, n_mfcc, dct_type, norm, lifter, n_mels, mel_norm, ref, amin, top_db, **options):
    """Compute the same in ONNX."""
    bands = graph.melspectrogram(y, sr=sr, n_mels=n_mels, norm=mel_norm, **options)
    levels = graph.power_to_db(bands, ref=ref, amin=amin, top_db=top_db)
    return graph.mfcc(S=levels, n_mels=n_mels, n_mfcc=n_mfcc, dct_type=dct_type, norm=norm, lifter=lifter)
