"""The mel spectrogram, in dB."""

from typing import Annotated, Literal

from annotated_types import Ge, Gt

from audiofw import hookimpl


@hookimpl
def register_features(register):
    register(mel, names=names)


def mel(
    y,
    sr,
    *,
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
    norm: Literal["slaney"] | None = "slaney",
    power: Annotated[float, Gt(0)] = 2.0,
    ref: int | float | str = "max",
    amin: Annotated[float, Gt(0)] = 1e-10,
    top_db: Annotated[float, Ge(0)] | None = 80.0,
    dtype: Literal["float64", "float32"] = "float64",
    engine: Literal["audiofw", "librosa"] = "audiofw",
):
    """Mel spectrogram in dB: one row per mel band, one column per frame; librosa's, faster.

    Parameters
    ----------
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
    norm
        slaney gives the bands' filters equal area; null gives them peaks of 1.
    power
        Power of the magnitude: 2 for energy, 1 for amplitude.
    ref
        What 0 dB is: max, the loudest value of the clip, or a power.
    amin
        Power below this counts as this.
    top_db
        Dynamic range: levels further below the loudest are raised to this floor; null: no floor.
    dtype
        Precision of the FFT: float32 is quicker and up to 0.001 dB off.
    engine
        Whose code: audiofw's own is several times quicker and at most 0.00005 dB off; librosa's gives its very bits.
    """
    bands, to_db, extra = _choose(engine, dtype)
    S = bands(
        y=y,
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
        norm=norm,
        power=power,
        **extra,
    )
    return to_db(S, ref=ref, amin=amin, top_db=top_db)


def names(sr, *, n_mels, fmin, fmax, htk, **_):
    """Name the bands by their middle frequencies."""
    from audiofw.spectral import mel_frequencies

    middles = mel_frequencies(n_mels + 2, fmin=fmin, fmax=fmax or sr / 2, htk=htk)[1:-1]
    return [f"mel_{middle:.0f}Hz" for middle in middles]


def _choose(engine, dtype):
    """Give the two functions, which have the same names and arguments in both, and what only ours takes."""
    if engine == "audiofw":
        from audiofw import spectral

        return spectral.melspectrogram, spectral.power_to_db, {"dtype": dtype}
    import librosa
    import numpy as np

    def to_db(S, ref, **options):
        return librosa.power_to_db(S, ref=np.max if ref == "max" else ref, **options)

    return librosa.feature.melspectrogram, to_db, {}
