"""Segments of a recording: trimming as in librosa, the loudest part, or windows over its whole length."""

import librosa
import numpy as np
import pytest

from audiofw.audio.segments import Segments, loudest, trimmed

SR = 8000


def ramp(seconds: float) -> np.ndarray:
    """Samples whose value is their position."""
    return np.arange(1, round(seconds * SR) + 1, dtype=np.float32) / SR


def burst(seconds: float, at: float, length: float = 0.2) -> np.ndarray:
    """Faint noise with one loud burst."""
    rng = np.random.default_rng(0)
    y = 1e-4 * rng.standard_normal(round(seconds * SR)).astype(np.float32)
    y[round(at * SR) : round((at + length) * SR)] += rng.standard_normal(round(length * SR)).astype(np.float32)
    return y


@pytest.mark.parametrize("top_db", [20, 40, 60])
@pytest.mark.parametrize("at", [0.0, 0.7, 1.8])
def test_trimming_equals_librosas(top_db, at):
    y = burst(2, at)
    np.testing.assert_array_equal(trimmed(y, top_db), librosa.effects.trim(y, top_db=top_db)[0])


def test_silence_is_not_trimmed_away():
    assert trimmed(np.zeros(SR, np.float32), 40).size == SR


def test_the_loudest_part_holds_the_burst():
    start = loudest(burst(5, at=3.3), SR)
    assert 2.5 * SR <= start <= 3.3 * SR
    assert loudest(burst(5, at=4.8), SR) == 4 * SR


def test_one_part_is_the_beginning_or_the_event():
    y = burst(5, at=3.3)
    (beginning,) = Segments(1.0).cut(y, SR)
    np.testing.assert_array_equal(beginning, y[:SR])
    (event,) = Segments(1.0, focus="event").cut(y, SR)
    assert np.abs(event).max() == np.abs(y).max()


def test_windows_overlap_are_of_one_length_and_reach_the_end():
    windows = Segments(1.0, hop=0.5).cut(ramp(2.7), SR)
    assert [round(float(w[0]), 1) for w in windows] == [0.0, 0.5, 1.0, 1.5, 1.7]
    assert {w.size for w in windows} == {SR}
    assert windows[-1][-1] == ramp(2.7)[-1]


def test_windows_are_the_callers_own_to_change():
    y = ramp(2.0)
    first, second, *_ = Segments(1.0, hop=0.5).cut(y, SR)
    first[:] = 0
    assert second.all()
    assert y.all()


def test_a_clip_shorter_than_a_window_is_one_part():
    assert [w.size for w in Segments(3.0, hop=1.0).cut(ramp(0.4), SR)] == [round(0.4 * SR)]


def test_at_most_so_many_windows():
    assert len(Segments(1.0, hop=0.1, most=4).cut(ramp(9), SR)) == 4


@pytest.mark.parametrize(
    ("segments", "seconds"),
    [
        (Segments(3.0), 3.0),
        (Segments(None), None),
        (Segments(3.0, trim=40), None),
        (Segments(3.0, focus="event"), 60.0),
        (Segments(90.0, focus="event"), 90.0),
        (Segments(3.0, hop=1.0, most=5), 7.0),
    ],
)
def test_no_more_is_read_than_is_looked_at(segments, seconds):
    assert segments.to_read == seconds


def test_a_sample_too_many_from_resampling_makes_no_second_window():
    assert len(Segments(1.0, hop=0.5).cut(ramp(1.0 + 1 / SR), SR)) == 1
