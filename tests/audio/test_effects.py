"""Each effect does what its name says, by the requested amount."""

import numpy as np
import pytest
from conftest import tone

from audiofw.audio import effects

SR = 22050


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def sine(frequency: float = 440.0, seconds: float = 2.0, sr: int = SR) -> np.ndarray:
    return tone(frequency, seconds, sr, noise=0).astype(np.float32)


def hiss(seconds: float = 1.0, sr: int = SR) -> np.ndarray:
    return np.random.default_rng(1).standard_normal(round(seconds * sr)).astype(np.float32) / 10


def power(y: np.ndarray) -> float:
    return float(np.mean(y.astype(float) ** 2))


def pitch(y: np.ndarray, sr: int = SR) -> float:
    return float(np.abs(np.fft.rfft(y * np.hanning(y.size), 2**18)).argmax() * sr / 2**18)


def share_above(y: np.ndarray, frequency: float, sr: int = SR) -> float:
    spectrum = np.abs(np.fft.rfft(y.astype(float))) ** 2
    return float(spectrum[np.fft.rfftfreq(y.size, 1 / sr) > frequency].sum() / spectrum.sum())


@pytest.mark.parametrize("fall", [0, 1, 2])
@pytest.mark.parametrize("snr", [20, 0, -6])
def test_noise_stands_as_far_below_the_sound_as_it_is_told(rng, snr, fall):
    y = sine()
    assert 10 * np.log10(power(y) / power(effects.noisy(y, snr, rng, fall) - y)) == pytest.approx(snr, abs=0.3)


@pytest.mark.parametrize(("fall", "slope"), [(0, 0), (1, -3), (2, -6)])
def test_noise_falls_by_three_db_an_octave_for_each_power_of_f(rng, fall, slope):
    spectrum = np.abs(np.fft.rfft(effects.noise(2**16, rng, fall))) ** 2
    low, high = spectrum[1000:2000].mean(), spectrum[8000:16000].mean()
    assert 10 * np.log10(high / low) / 3 == pytest.approx(slope, abs=0.3)


def test_silence_stays_silent_in_noise(rng):
    assert not effects.noisy(np.zeros(100, np.float32), 0, rng).any()


def test_gain_is_exact():
    y = sine()
    np.testing.assert_allclose(effects.amplified(y, -12), y * 10 ** (-12 / 20), rtol=1e-6)


def test_a_shift_loses_nothing():
    assert effects.rolled(np.arange(10, dtype=np.float32), 0.3).tolist() == [7, 8, 9, 0, 1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("ratio", [0.8, 1.25])
def test_speed_changes_length_and_pitch(ratio):
    faster = effects.resampled(sine(), ratio)
    assert faster.size == pytest.approx(2 * SR / ratio, abs=2)
    assert pitch(faster) == pytest.approx(440 * ratio, rel=0.002)


@pytest.mark.parametrize("rate", [0.8, 1.25])
def test_stretching_changes_the_length_and_keeps_pitch_and_level(rate):
    y = effects.stretched(sine(), SR, rate)
    assert y.size == round(2 * SR / rate)
    assert pitch(y) == pytest.approx(440, rel=0.002)
    assert 10 * np.log10(power(y) / power(sine())) == pytest.approx(0, abs=1)


def test_stretching_takes_less_or_more_time_over_every_event():
    y = np.zeros(2 * SR, np.float32)
    y[SR // 2 : SR // 2 + 2000] = hiss()[:2000]
    loudest = np.convolve(effects.stretched(y, SR, 0.8) ** 2, np.ones(2500)).argmax() - 1250
    assert loudest / SR == pytest.approx((0.5 + 1000 / SR) / 0.8, abs=0.05)


@pytest.mark.parametrize("semitones", [-3, 2, 12])
def test_pitch_changes_by_semitones_and_keeps_the_length(semitones):
    y = effects.stretched(sine(), SR, 1.0, semitones)
    assert y.size == 2 * SR
    assert pitch(y) == pytest.approx(440 * 2 ** (semitones / 12), rel=0.003)


def test_a_curve_over_octaves_is_followed():
    octave = np.log2(440 / 50)
    for db in (-20.0, 6.0):
        y = effects.filtered(sine(), SR, np.array([octave - 1, octave, octave + 1]), np.array([0, db, 0]))
        assert 10 * np.log10(power(y) / power(sine())) == pytest.approx(db, abs=0.3)


def test_an_equaliser_stays_within_its_range(rng):
    y = hiss()
    gain = np.abs(np.fft.rfft(effects.equalised(y, SR, 6, rng))) / np.abs(np.fft.rfft(y))
    db = 20 * np.log10(np.convolve(gain, np.ones(50) / 50, "valid"))
    assert -7 < db.min() < -1 < 1 < db.max() < 7


def test_a_low_pass_leaves_what_is_below_alone():
    low = effects.low_passed(hiss() + sine(1000, 1.0), SR, 3000)
    assert share_above(low, 3000) < 1e-4
    tall, short = effects.low_passed(sine(1000), SR, 3000), effects.low_passed(sine(1000), SR, 900)
    assert power(tall) == pytest.approx(power(sine()), rel=0.01)
    assert power(short) < 1e-3


def test_a_band_is_taken_out(rng):
    y = hiss()
    out = effects.without_a_band(y, SR, 1.0, rng)
    kept = np.abs(np.fft.rfft(out)) / np.abs(np.fft.rfft(y))
    f = np.fft.rfftfreq(y.size, 1 / SR)[kept < 0.01]
    assert np.log2(f.max() / f.min()) == pytest.approx(1, abs=0.1)
    assert np.median(kept) == pytest.approx(1, abs=0.01)


def test_a_gap_is_as_long_as_its_share(rng):
    y = np.ones(SR, np.float32)
    assert (effects.with_a_gap(y, SR, 0.2, rng) < 0.01).mean() == pytest.approx(0.2, abs=0.01)


def test_8_khz_leaves_nothing_above_4_khz_and_all_below():
    y = hiss() + sine(1000, 1.0)
    low = effects.band_limited(y, SR, 8000)
    assert share_above(y, 4000) > 0.03
    assert share_above(low, 4050) < 1e-6
    assert effects.band_limited(sine(1000), SR, 8000)[1000:-1000] == pytest.approx(sine(1000)[1000:-1000], abs=0.001)
    assert effects.band_limited(y, 6000, 8000) is y  # nothing above it


def test_a_room_echoes_after_the_sound_and_keeps_its_power(rng):
    y = np.zeros(2 * SR, np.float32)
    y[:SR] = hiss()
    wet = effects.reverberant(y, SR, 0.5, rng)
    assert wet.size == y.size
    assert power(wet) == pytest.approx(power(y), rel=0.15)
    tail = [power(wet[SR + at : SR + at + 1000]) for at in (500, 5500)]
    assert 10 * np.log10(tail[0] / tail[1]) == pytest.approx(60 * 5000 / (0.5 * SR), abs=5)


@pytest.mark.parametrize("sr", [8000, 22050, 44100, 96000])
@pytest.mark.parametrize("form", ["mp3", "ogg"])
def test_a_lossy_file_holds_the_same_sound_at_the_same_place_but_not_the_same_samples(form, sr):
    y = 3 * effects.band_limited(hiss(sr=sr), sr, 4000)  # also beyond full scale
    back = effects.encoded(y, sr, form)
    assert back.size == y.size
    assert np.corrcoef(y, back)[0, 1] > 0.9
    assert np.abs(back - y).max() > 0.001
