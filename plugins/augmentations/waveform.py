"""Waveform augmentation: training clips as another day, room, microphone or voice might have produced them."""

from typing import Annotated

from annotated_types import Interval, Len

from audiofw import hookimpl


@hookimpl
def register_augmentations(register):
    register(waveform)


def waveform(
    y,
    sr,
    rng,
    *,
    probability: Annotated[float, Interval(ge=0, le=1)] = 0.5,
    shift: Annotated[float, Interval(ge=0, le=1)] = 0.0,
    speed: Annotated[float, Interval(ge=0, le=0.9)] = 0.1,
    stretch: Annotated[float, Interval(ge=0, le=0.9)] = 0.0,
    pitch: Annotated[float, Interval(ge=0, le=48)] = 0.0,
    equalise: Annotated[float, Interval(ge=0, le=60)] = 6.0,
    low_pass: Annotated[float, Interval(ge=0, le=10)] = 0.0,
    freq_mask: Annotated[float, Interval(ge=0, le=10)] = 0.0,
    time_mask: Annotated[float, Interval(ge=0, lt=1)] = 0.0,
    noise: Annotated[list[Annotated[float, Interval(ge=-60, le=120)]], Len(2, 2)] | None = (15.0, 45.0),
    gain: Annotated[float, Interval(ge=0, le=60)] = 6.0,
):
    """A chain of random changes to the waveform: speed, equalisation, noise, gain and more.

    Each change is applied with the given probability and a random strength; a strength of 0 switches it off.

    Parameters
    ----------
    probability
        Probability of each change.
    shift
        Circular time shift, up to this fraction of the clip.
    speed
        Playback speed, up to this fraction faster or slower; changes tempo and pitch together, like a tape.
    stretch
        Time stretching, up to this fraction faster or slower; keeps the pitch.
    pitch
        Pitch shift, up to this many semitones up or down; keeps the tempo.
    equalise
        Random equaliser, up to this many dB up or down per octave, like a different microphone.
    low_pass
        Low-pass filter, with a cutoff up to this many octaves below half the sampling rate, like a telephone.
    freq_mask
        Frequency masking: attenuate a band up to this many octaves wide.
    time_mask
        Time masking: attenuate a passage up to this fraction of the clip.
    noise
        Add noise between white and brown, with a signal-to-noise ratio in this range [min, max], in dB; null: none.
    gain
        Gain, up to this many dB up or down.
    """
    from audiofw.audio import effects

    _check_range(noise)

    def by_chance(strength):
        return strength and rng.random() < probability

    if by_chance(shift):
        y = effects.rolled(y, rng.uniform(-shift, shift))
    if by_chance(speed):
        y = effects.resampled(y, 1 + rng.uniform(-speed, speed))
    if by_chance(stretch or pitch):
        y = effects.stretched(y, sr, 1 + rng.uniform(-stretch, stretch), rng.uniform(-pitch, pitch))
    if by_chance(equalise):
        y = effects.equalised(y, sr, equalise, rng)
    if by_chance(low_pass):
        y = effects.low_passed(y, sr, sr / 2 ** (1 + rng.uniform(0, low_pass)))
    if by_chance(freq_mask):
        y = effects.without_a_band(y, sr, rng.uniform(0, freq_mask), rng)
    if by_chance(time_mask):
        y = effects.with_a_gap(y, sr, rng.uniform(0, time_mask), rng)
    if by_chance(noise):
        y = effects.noisy(y, rng.uniform(*noise), rng, fall=rng.uniform(0, 2))
    if by_chance(gain):
        y = effects.amplified(y, rng.uniform(-gain, gain))
    return y


def _check_range(limits):
    """Raise even when noise happens not to be drawn, so that a bad range is always reported."""
    if limits is None or (len(limits) == 2 and limits[0] <= limits[1]):
        return
    from audiofw import ConfigError

    raise ConfigError(f"augmentation.noise={list(limits)}: give a range [min, max] in dB, e.g. [10, 40], or null")
