"""Stretches of recordings are clips like any other: extracted, cached and kept apart by what they cover."""

import numpy as np
import pytest
import soundfile
from tiny import SR, flat, levels, make_unit

from audiofw.audio.stretch import Stretch, stretch_name
from audiofw.cache.store import Cache
from audiofw.data.dataset import Clip
from audiofw.extraction.extract import tabulate


@pytest.fixture
def steps(tmp_path):
    """A recording whose level rises every second, and its five stretches of a second."""
    y = np.repeat([0.1, 0.2, 0.3, 0.4, 0.5], SR) * np.random.default_rng(0).choice([-1, 1], 5 * SR)
    soundfile.write(tmp_path / "steps.wav", y, SR, subtype="FLOAT")
    return [
        Clip(tmp_path / "steps.wav", stretch_name("steps.wav", i, i + 1), "x", start=float(i), end=i + 1.0)
        for i in range(5)
    ]


def loudness(y, sr):
    return np.full((1, 1), np.abs(y).max())


@pytest.mark.parametrize("holds_gil", [False, True])
def test_rows_of_stretches_are_of_those_seconds_from_a_cold_and_a_warm_cache(steps, tmp_path, holds_gil):
    unit = make_unit(loudness, holds_gil=holds_gil)
    for cached in (0, 5):
        with Cache(tmp_path / "cache") as cache:
            table = tabulate(steps, unit, recipe_cache=cache.recipe_cache(unit.recipe()), n_jobs=2)
        assert table.cached == cached
        np.testing.assert_allclose(table.X[:, 0], [0.1, 0.2, 0.3, 0.4, 0.5], rtol=1e-5)


def test_the_cache_keeps_the_whole_and_its_stretches_apart(steps, tmp_path):
    unit = make_unit(loudness, duration=None)
    path, stretch = steps[1].path, steps[1].stretch
    with Cache(tmp_path / "cache") as cache:
        rows = cache.recipe_cache(unit.recipe())
        for sound in (Stretch(path), stretch):
            assert rows.get(path, sound.key) is None
            rows.put(path, unit(sound), sound.key)
        assert rows.get(path)[0, 0] == pytest.approx(0.5)
        assert rows.get(path, stretch.key)[0, 0] == pytest.approx(0.2)
        assert rows.get(path, Stretch(path, 1.0, 2.5).key) is None


def test_a_path_alone_is_the_whole_recording(steps):
    unit = make_unit(levels, flat, duration=None)
    np.testing.assert_array_equal(unit(steps[0].path), unit(Stretch(steps[0].path)))


def test_a_stretch_beyond_the_end_is_a_failure_of_its_own(steps):
    beyond = steps[0]._replace(name="steps.wav@7-8", start=7.0, end=8.0)
    table = tabulate([*steps, beyond], make_unit(loudness))
    assert [failure.name for failure in table.failures] == ["steps.wav@7-8"]
    assert table.kept.tolist() == [0, 1, 2, 3, 4]
