"""Ripples: each filter responds to its own ripple at any phase; row names; segment-wise pooling by `functionals`."""

from __future__ import annotations

import numpy as np
import pytest

from audiofw import spectral
from audiofw.contract.registry import load_menus
from audiofw.errors import ConfigError

RATE, BANDS, FRAMES = 86.0, 64, 430
KINDS = spectral.ripple_kinds()


@pytest.fixture(scope="module")
def menus():
    return load_menus()


def ripple(rate: float, scale: float, phase: float = 0.0, frames: int = FRAMES) -> np.ndarray:
    """Synthesise one ripple; it rises in pitch when rate and scale have the same sign."""
    bands, time = np.mgrid[:BANDS, :frames]
    angle = rate * time / RATE - (bands / scale if scale else 0)
    return np.cos(2 * np.pi * angle + phase).astype(np.float32)


def strengths(S: np.ndarray) -> np.ndarray:
    """Mean strength of each kind of ripple, away from the edges."""
    rows = spectral.ripples(S, frame_rate=RATE).reshape(len(KINDS), BANDS // 8, -1)
    return rows[1:, 2:-2, 100:-100].mean(axis=(1, 2))


@pytest.mark.parametrize(("rate", "scale"), [(r, s) for r, s in KINDS if r and s])
def test_rising_and_falling_ripples_are_distinguished(rate, scale):
    found = dict(zip(KINDS[1:], strengths(ripple(rate, scale)), strict=True))
    assert found[rate, scale] > 10 * found[-rate, scale]
    assert max((kind for kind in found if all(kind)), key=found.get) == (rate, scale)


@pytest.mark.parametrize("rate", [3.0, 6.0, 12.0, 24.0])
def test_a_purely_temporal_modulation_has_no_scale(rate):
    found = dict(zip(KINDS[1:], strengths(ripple(rate, 0.0)), strict=True))
    assert max(found, key=found.get) == (rate, 0.0)


def test_the_phase_of_a_ripple_makes_no_difference():
    np.testing.assert_allclose(strengths(ripple(6.0, 8.0)), strengths(ripple(6.0, 8.0, phase=2.0)), atol=1e-3)


def test_constant_levels_have_no_ripples():
    assert np.abs(strengths(np.full((BANDS, FRAMES), 7.0))).max() < 1e-4


def test_the_first_rows_are_the_levels():
    S = np.random.default_rng(0).random((BANDS, 30)).astype(np.float32)
    levels = spectral.ripples(S, frame_rate=RATE)[:8]
    np.testing.assert_allclose(levels, S.reshape(8, 8, 30).mean(axis=1), rtol=1e-5)


@pytest.mark.parametrize("shape", [(64, 1), (1, 5), (13, 40), (64, 2)])
def test_any_shape_of_spectrogram_works(shape):
    rows = spectral.ripples(np.ones(shape), frame_rate=RATE)
    assert rows.shape == (len(KINDS) * -(-shape[0] // 8), shape[1])
    assert np.isfinite(rows).all()


def test_ripples_too_quick_for_the_frames_have_no_strength():
    rows = spectral.ripples(ripple(6.0, 8.0), frame_rate=RATE, rates=[60.0], scales=[8.0]).reshape(5, -1)
    assert rows[1].any()
    assert not rows[2:].any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"frame_rate": 0}, "frame_rate"),
        ({"rates": [0]}, "rates"),
        ({"scales": [-1]}, "scales"),
        ({"group": 0}, "group"),
    ],
)
def test_an_argument_out_of_range_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        spectral.ripples(np.ones((8, 8)), **{"frame_rate": RATE, **options})


def test_a_spectrogram_that_is_not_finite_is_refused():
    with pytest.raises(ValueError, match="finite"):
        spectral.ripples(np.full((8, 8), np.nan), frame_rate=RATE)


def test_loudness_makes_no_difference(menus):
    y = np.random.default_rng(0).standard_normal(8000).astype(np.float32) / 10
    feature = menus.choose("feature", {"name": "ripples"})
    np.testing.assert_allclose(feature(y.copy(), 22050), feature(y / 8, 22050), atol=1e-3)


def test_rows_are_named_by_kind_and_place(menus):
    feature = menus.choose_member("feature", "ripples", {"rates": [6.5], "scales": [8.0], "n_mels": 16, "group": 8})
    names = feature.plugin.names(16000, **feature.options)
    kinds = [name.rsplit("_", 1)[0] for name in names[::2]]
    assert kinds == ["level", "per8", "6,5Hz", "6,5Hz_per8_up", "6,5Hz_per8_down"]


# -- functionals -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pool(menus):
    plain = {"statistics": [], "squash": None}
    return lambda frames, **options: menus.choose("pooling", {"name": "functionals", **plain, **options})(frames)


def test_parts_of_equal_duration_are_means_in_order(pool):
    frames = np.array([[1.0, 3.0, 5.0, 9.0, 2.0, 4.0]])
    np.testing.assert_allclose(pool(frames, parts=[3, 1], by_change=0.0), [2, 7, 3, 4])


def test_a_frame_may_be_shared_by_two_parts(pool):
    np.testing.assert_allclose(pool(np.array([[0.0, 6.0, 3.0]]), parts=[2], by_change=0.0), [2, 4])


def test_parts_of_equal_change_pass_over_silence(pool):
    word = np.array([[0.0, 4.0, 8.0, 8.0, 4.0, 0.0], [0.0, 0.0, 6.0, 6.0, 6.0, 0.0]])
    padded = np.pad(word, ((0, 0), (30, 50)))
    np.testing.assert_allclose(pool(padded, parts=[4]), pool(word, parts=[4]), atol=0.8)
    assert np.abs(pool(padded, parts=[4], by_change=0.0) - pool(word, parts=[4], by_change=0.0)).max() > 3


def test_what_never_changes_has_parts_of_equal_duration(pool):
    np.testing.assert_allclose(pool(np.full((2, 9), 3.0), parts=[2]), [3, 3, 3, 3])


def test_statistics_are_those_of_numpy_and_squashed_like_logarithms(pool):
    frames = np.abs(np.random.default_rng(0).normal(size=(3, 20)))
    plain = pool(frames, statistics=["mean", "std"], quantiles=[0.1], delta=True, parts=[])
    expected = [
        m
        for x in (frames, np.diff(frames, axis=1))
        for m in (x.mean(axis=1), x.std(axis=1), np.quantile(x, 0.1, axis=1))
    ]
    np.testing.assert_allclose(plain, np.concatenate(expected))
    squashed = pool(frames, statistics=["mean", "std"], quantiles=[0.1], delta=True, parts=[], squash=0.5)
    np.testing.assert_allclose(squashed, np.sign(plain) * np.log1p(2 * np.abs(plain)))


def test_decibels_are_logarithms_already(pool):
    frames = np.random.default_rng(0).normal(size=(3, 20)) - 40
    np.testing.assert_array_equal(pool(frames, parts=[2], squash=0.5), pool(frames, parts=[2], squash=None))


def test_nothing_to_measure_is_refused(pool):
    with pytest.raises(ConfigError, match="all empty"):
        pool(np.ones((2, 3)), parts=[])


def test_numbers_are_named_by_statistic_and_part(menus):
    pooling = menus.choose_member("pooling", "functionals", {"parts": [2]})
    names = pooling.plugin.names(["a", "b"], 10, **pooling.options)
    assert names == [f"{row}.{what}" for what in ("mean", "std", "max", "mean@1/2", "mean@2/2") for row in "ab"]
