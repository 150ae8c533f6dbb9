"""Mel-frequency cepstral coefficients."""

from typing import Annotated, Literal

from annotated_types import Ge, Gt, Interval

from audiofw import hookimpl


@hookimpl
def register_features(register):
    register(mfcc, names=names)


def mfcc(
    y,
    sr,
    *,
    n_mfcc: Annotated[int, Ge(1)] = 20,
    dct_type: Annotated[int, Interval(ge=1, le=4)] = 2,
    norm: Literal["ortho"] | None = "ortho",
    lifter: Annotated[float, Ge(0)] = 0.0,
    n_fft: Annotated[int, Ge(1)] = 2048,
    hop_length: Annotated[int, Ge(1)] = 512,
    win_length: Annotated[int, Ge(1)] | None = None,
    window: str = "hann",
    center: bool = True,
    pad_mode: Literal["constant", "edge", "linear_ramp", "reflect", "symmetric"] = "constant",
    n_mels: Annotated[int, Ge(1)] = 128,
    fmin: Annotated[float, Ge(0)] = 0.0,
    fmax: Annotated[float, Gt(0)] | None = None,
    htk: bool = False,
    mel_norm: Literal["slaney"] | None = "slaney",
    power: Annotated[float, Gt(0)] = 2.0,
    ref: int | float | str = 1.0,
    amin: Annotated[float, Gt(0)] = 1e-10,
    top_db: Annotated[float, Ge(0)] | None = 80.0,
    dtype: Literal["float64", "float32"] = "float64",
):
    """Mel-frequency cepstral coefficients: one row each, one column per frame; librosa's, faster.

    Parameters
    ----------
    n_mfcc
        Number of coefficients, up to n_mels.
    dct_type
        Type of the discrete cosine transform.
    norm
        ortho keeps the transform's scale; null is SciPy's plain one.
    lifter
        Liftering, which raises the higher coefficients; 0: none.
    n_fft
        Samples in a frame, and length of its FFT.
    hop_length
        Samples from one frame to the next.
    win_length
        Samples under the window, amid zeros up to n_fft; null: n_fft.
    window
        Window of each frame: hann, hamming, blackman, boxcar, or another of scipy.signal.get_window.
    center
        Centre the frames on every hop_length-th sample, padding both ends; false: begin them there.
    pad_mode
        What is padded at the ends: constant is silence.
    n_mels
        Number of mel bands.
    fmin
        Lowest frequency, in Hz.
    fmax
        Highest frequency, in Hz; null: half the sampling rate.
    htk
        HTK's formula for mels in place of Slaney's.
    mel_norm
        slaney gives the bands' filters equal area; null gives them peaks of 1.
    power
        Power of the magnitude: 2 for energy, 1 for amplitude.
    ref
        What 0 dB is: a power, or max, the loudest value of the clip.
    amin
        Power below this counts as this.
    top_db
        Dynamic range: levels further below the loudest are raised to this floor; null: no floor.
    dtype
        Precision of the FFT: float32 is quicker and less exact.
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
    """Name the coefficients by their number."""
    return [f"mfcc{i}" for i in range(n_mfcc)]
