"""Spectro-temporal modulation of the mel spectrogram."""

from typing import Annotated

from annotated_types import Interval, MaxLen

from audiofw import hookimpl


@hookimpl
def register_features(register):
    register(ripples, names=names, onnx=onnx)


def ripples(
    y,
    sr,
    *,
    rates: Annotated[list[Annotated[float, Interval(ge=0.1, le=1000)]], MaxLen(16)] = (3.0, 6.0, 12.0, 24.0),
    scales: Annotated[list[Annotated[float, Interval(ge=2, le=1024)]], MaxLen(16)] = (16.0, 8.0, 4.0),
    group: Annotated[int, Interval(ge=1, le=1024)] = 4,
    root: Annotated[float, Interval(ge=0.01, le=1)] = 0.15,
    top_db: Annotated[float, Interval(gt=0, le=400)] = 80.0,
    n_mels: Annotated[int, Interval(ge=1, le=1024)] = 64,
    n_fft: Annotated[int, Interval(ge=2, le=65536)] = 1024,
    hop_length: Annotated[int, Interval(ge=1, le=1_000_000)] = 256,
    fmin: Annotated[float, Interval(ge=0, le=500_000)] = 0.0,
    fmax: Annotated[float, Interval(gt=0, le=500_000)] | None = None,
):
    """Spectro-temporal modulation: ripples of the mel spectrogram along time, frequency and both.

    Wavelets measure how strongly the levels fluctuate at each modulation rate (rhythm, roughness), spectral scale
    (harmonics, formants) and rising or falling combination of the two (glides). The magnitudes barely change when a
    sound starts later, is slightly higher or was recorded with another microphone, and not at all with the loudness
    of the clip. Works best with pooling=functionals and model=kernel_ridge.

    Parameters
    ----------
    rates
        Temporal modulation rates, in Hz.
    scales
        Spectral modulation scales, in mel bands per cycle.
    group
        Neighbouring mel bands averaged into one output row; a larger group tolerates larger differences in pitch.
    root
        Exponent that compresses the mel power, relative to its maximum; like dB, but quiet noise counts for less.
    top_db
        Dynamic range in dB: lower values are clipped to top_db below the maximum.
    n_mels
        Number of mel bands.
    n_fft
        Frame length and FFT size, in samples.
    hop_length
        Samples between successive frames.
    fmin
        Lowest frequency, in Hz.
    fmax
        Highest frequency, in Hz; null: half the sampling rate.
    """
    from audiofw import spectral

    power = spectral.melspectrogram(y, sr=sr, n_fft=n_fft, hop_length=hop_length, n_mels=n_mels, fmin=fmin, fmax=fmax)
    decibels = spectral.power_to_db(power, ref="max", top_db=top_db)
    levels = FULL * 10 ** (root / 10 * decibels)
    return spectral.ripples(levels, frame_rate=sr / hop_length, rates=tuple(rates), scales=tuple(scales), group=group)


FULL = 50.0  # level of the loudest band, chosen so that clearly audible modulation has a magnitude of about 1


def names(sr, *, rates, scales, group, n_mels, fmin, fmax, **_):
    """Rate, scale, direction and frequency of each ripple, as ``6Hz_per8_up_500Hz``.

    6Hz: levels that rise and fall 6 times a second; per8: peaks that are 8 mel bands apart, such as harmonics; up and
    down: both together, gliding up or down; level: the mean level; 500Hz: the centre of the bands.
    """
    from audiofw.spectral import mel_frequencies, ripple_kinds

    middles = mel_frequencies(n_mels + 2, fmin=fmin, fmax=fmax or sr / 2)[1:-1]
    places = [f"{middles[first : first + group].mean():.0f}Hz" for first in range(0, n_mels, group)]
    return [f"{_kind(*kind)}_{place}" for kind in ripple_kinds(rates, scales) for place in places]


def onnx(graph, y, sr, *, rates, scales, group, root, top_db, n_mels, hop_length, **options):
    """Compute the same in ONNX."""
    power = graph.melspectrogram(y, sr=sr, n_mels=n_mels, hop_length=hop_length, **options)
    decibels = graph.power_to_db(power, ref="max", top_db=top_db)
    levels = graph.Mul(graph.Pow(10.0, graph.Mul(decibels, root / 10)), FULL)
    rate = sr / hop_length
    return graph.ripples(levels, bands=n_mels, frame_rate=rate, rates=rates, scales=scales, group=group)


def _kind(rate, scale):
    """Name a ripple: ``level``, ``per8``, ``6Hz`` or ``6Hz_per8_up``."""
    words = [f"{abs(rate):g}Hz"] * bool(rate) + [f"per{scale:g}"] * bool(scale)
    if rate and scale:
        words.append("up" if rate > 0 else "down")
    return "_".join(words or ["level"]).replace(".", ",")  # row names must not contain a dot
