"""The mel spectrogram, in dB."""

from typing import Annotated, Literal

from annotated_types import Interval

from audiofw import hookimpl


@hookimpl
def register_features(register):
    register(mel, names=names, onnx=onnx)


def mel(
    y,
    sr,
    *,
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
    norm: Literal["slaney"] | None = "slaney",
    power: Annotated[float, Interval(gt=0, le=10)] = 2.0,
    ref: Annotated[float, Interval(ge=1e-15, le=1e15)] | Literal["max"] = "max",
    amin: Annotated[float, Interval(ge=1e-30, le=1)] = 1e-10,
    top_db: Annotated[float, Interval(gt=0, le=400)] | None = 80.0,
    dtype: Literal["float64", "float32"] = "float64",
    engine: Literal["audiofw", "librosa"] = "audiofw",
):
    """Mel spectrogram in dB, one row per mel band; same values as librosa, computed faster.

    Parameters
    ----------
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
    norm
        Normalisation of the mel filters: slaney for equal area, null for a peak of 1.
    power
        Exponent of the magnitude: 2 for power, 1 for amplitude.
    ref
        Reference for 0 dB: max (the clip's maximum) or a power.
    amin
        Smallest power; lower values are raised to it before taking the logarithm.
    top_db
        Dynamic range in dB: lower values are clipped to top_db below the maximum; null: no clipping.
    dtype
        FFT precision; float32 is faster, with errors of up to 0.001 dB.
    engine
        Implementation: audiofw is several times faster and within 0.00005 dB; librosa is bit-identical to librosa.
    """
    from audiofw.spectral import check_overlap

    check_overlap(len(y), n_fft, hop_length)
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
    """Name the bands by their centre frequencies."""
    from audiofw.spectral import mel_frequencies

    middles = mel_frequencies(n_mels + 2, fmin=fmin, fmax=fmax or sr / 2, htk=htk)[1:-1]
    return [f"mel_{middle:.0f}Hz" for middle in middles]


def onnx(graph, y, sr, *, ref, amin, top_db, engine, **options):
    """Compute the same in ONNX."""
    return graph.power_to_db(graph.melspectrogram(y, sr=sr, **options), ref=ref, amin=amin, top_db=top_db)


def _choose(engine, dtype):
    """Return melspectrogram, power_to_db and the arguments that only audiofw's melspectrogram accepts."""
    if engine == "audiofw":
        from audiofw import spectral

        return spectral.melspectrogram, spectral.power_to_db, {"dtype": dtype}
    import librosa
    import numpy as np

    def to_db(S, ref, **options):
        return librosa.power_to_db(S, ref=np.max if ref == "max" else ref, **options)

    return librosa.feature.melspectrogram, to_db, {}
