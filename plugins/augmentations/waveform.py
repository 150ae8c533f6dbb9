"""Changes of the samples themselves: each training clip as another day, room, microphone or voice would give it."""

from typing import Annotated

from annotated_types import Ge, Interval

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
    speed: Annotated[float, Interval(ge=0, lt=1)] = 0.1,
    stretch: Annotated[float, Interval(ge=0, lt=1)] = 0.0,
    pitch: Annotated[float, Ge(0)] = 0.0,
    equalise: Annotated[float, Ge(0)] = 6.0,
    low_pass: Annotated[float, Ge(0)] = 0.0,
    freq_mask: Annotated[float, Ge(0)] = 0.0,
    time_mask: Annotated[float, Interval(ge=0, lt=1)] = 0.0,
    noise: list[float] | None = (15.0, 45.0),
    gain: Annotated[float, Ge(0)] = 6.0,
):
    """A chain of moderate changes, each made or not and of a strength by chance; 0 switches one off.

    Parameters
    ----------
    probability
        How often each change is made.
    shift
        Turn the clip round by up to this share of its length: what leaves at one end comes in at the other.
    speed
        Play it faster or slower by up to this share, as a tape: tempo and pitch change together.
    stretch
        Change its tempo alone by up to this share.
    pitch
        Change its pitch alone by up to so many semitones.
    equalise
        Raise or lower each octave by up to so many dB, as another microphone would.
    low_pass
        Take out all above a frequency, up to so many octaves below half the sampling rate, as a telephone does.
    freq_mask
        Take out a band of up to so many octaves.
    time_mask
        Turn down a stretch of up to this share of its length.
    noise
        Add noise, white to brown, at a ratio of signal to noise in this range of dB; null for none.
    gain
        Make it louder or quieter by up to so many dB.
    """
    from audiofw.audio import effects

    _refuse_odd_range(noise)

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


def _refuse_odd_range(limits):
    """Refuse what is no range of two numbers, also where chance would not have come to it."""
    if limits is None or (len(limits) == 2 and limits[0] <= limits[1]):
        return
    from audiofw import ConfigError

    raise ConfigError(f"augmentation.noise={list(limits)}: give the least and the most, as [10, 40], or null")
