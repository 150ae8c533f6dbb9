"""Ripples of the mel spectrogram: modulation in time, in frequency and in both."""

from typing import Annotated

from annotated_types import Ge, Gt, Interval

from audiofw import hookimpl


@hookimpl
def register_features(register):
    register(ripples, names=names)


def ripples(
    y,
    sr,
    *,
    rates: list[Annotated[float, Gt(0)]] = (3.0, 6.0, 12.0, 24.0),
    scales: list[Annotated[float, Gt(0)]] = (16.0, 8.0, 4.0),
    group: Annotated[int, Ge(1)] = 8,
    root: Annotated[float, Interval(gt=0, le=1)] = 0.15,
    top_db: Annotated[float, Gt(0)] = 80.0,
    n_mels: Annotated[int, Ge(1)] = 64,
    n_fft: Annotated[int, Ge(1)] = 1024,
    hop_length: Annotated[int, Ge(1)] = 256,
    fmin: Annotated[float, Ge(0)] = 0.0,
    fmax: Annotated[float, Gt(0)] | None = None,
):
    """Strength of the mel spectrogram's ripples along time, along frequency, and rising or falling in pitch.

    It tells rhythm, roughness, harmonics, formants and glides, wherever they begin and about wherever they lie in
    pitch, so that it depends little on the speaker, the microphone and the moment. The loudness of the clip does not
    count. Best pooled by `functionals` and told apart by `svm`.

    Parameters
    ----------
    rates
        Ripples along time, in cycles a second.
    scales
        Ripples along frequency, in bands a cycle.
    group
        Bands whose ripples are averaged: more forgive larger differences in pitch.
    root
        Power of the mel bands that counts as level, relative to the loudest: like decibels, with quiet noise nearer to
        nothing.
    top_db
        Dynamic range: what lies further below the loudest is raised to this floor.
    n_mels
        Number of mel bands.
    n_fft
        Samples in a frame, and length of its FFT.
    hop_length
        Samples from one frame to the next.
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


FULL = 50.0  # level of the loudest band: a unit in which ripples of a hearable strength are about 1


def names(sr, *, rates, scales, group, n_mels, fmin, fmax, **_):
    """Name each kind of ripple at the middle of each group of bands, as ``6Hz_per8_up_500Hz``."""
    from audiofw.spectral import mel_frequencies, ripple_kinds

    middles = mel_frequencies(n_mels + 2, fmin=fmin, fmax=fmax or sr / 2)[1:-1]
    places = [f"{middles[first : first + group].mean():.0f}Hz" for first in range(0, n_mels, group)]
    return [f"{_kind(*kind)}_{place}" for kind in ripple_kinds(rates, scales) for place in places]


def _kind(rate, scale):
    """Name a kind: ``level``, ``per8``, ``6Hz`` or ``6Hz_per8_up``."""
    words = [f"{abs(rate):g}Hz"] * bool(rate) + [f"per{scale:g}"] * bool(scale)
    if rate and scale:
        words.append("up" if rate > 0 else "down")
    return "_".join(words or ["level"]).replace(".", ",")  # a dot would end the row's name
