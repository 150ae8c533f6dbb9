"""The rows of a recording over time, and their way through the cache."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile
from broken import damage, write
from tiny import SR, ends, make_unit, write_noise

from audiofw.audio.parts import Gap
from audiofw.cache.store import Cache
from audiofw.errors import DataError
from audiofw.extraction import over_time
from audiofw.extraction.over_time import recipe_over_time, rows_over_time
from audiofw.parallel.executors import Lost


@pytest.fixture
def unit():
    return make_unit(pooling=ends)


@pytest.fixture(autouse=True)
def few_at_a_time(monkeypatch):
    monkeypatch.setattr(over_time, "STORED", 4)


def listed(path, unit, cache=None, hop=0.25, **options):
    part = cache and cache.recipe_cache(recipe_over_time(unit, 0.5, hop))
    return list(rows_over_time(path, unit, 0.5, hop, recipe_cache=part, **options))


def same(some, others):
    assert [row.end for row in some] == [row.end for row in others]
    for one, other in zip(some, others, strict=True):
        np.testing.assert_array_equal(one.made, other.made)


@pytest.mark.parametrize("seconds", [0.3, 0.5, 1.25, 3.0])  # less than a window, one block, several
def test_rows_from_the_cache_are_those_of_the_recording(tmp_path, unit, monkeypatch, seconds):
    path = write_noise(tmp_path / "x.wav", seconds).path
    with Cache(tmp_path / "cache") as cache:
        plain, first = listed(path, unit), listed(path, unit, cache)
        same(first, plain)
        monkeypatch.setattr(over_time, "windows", lambda *_: pytest.fail("it was read again"))
        same(listed(path, unit, cache), plain)


def test_workers_and_hop_are_respected(tmp_path, unit):
    path = write_noise(tmp_path / "x.wav", 3.0).path
    same(listed(path, unit, n_jobs=2), listed(path, unit))
    with Cache(tmp_path / "cache") as cache:
        assert len(listed(path, unit, cache)) != len(listed(path, unit, cache, hop=0.5))


def test_what_could_not_be_used_is_tried_again_and_all_after_it(tmp_path, unit):
    path = tmp_path / "x.wav"
    y = 0.1 * np.random.default_rng(0).standard_normal(4 * SR)
    y[2 * SR : 3 * SR] = 0
    soundfile.write(path, y, SR, subtype="FLOAT")
    with Cache(tmp_path / "cache") as cache:
        first, again = listed(path, unit, cache), listed(path, unit, cache)
    assert [isinstance(row.made, Lost) for row in first] == [isinstance(row.made, Lost) for row in again]
    assert sum(isinstance(row.made, Lost) for row in first) == 3  # of half a second, within one of silence
    same([row for row in first if not isinstance(row.made, Lost)], [r for r in again if not isinstance(r.made, Lost)])


def test_a_changed_recording_is_read_again(tmp_path, unit):
    path = write_noise(tmp_path / "x.wav", 2.0).path
    with Cache(tmp_path / "cache") as cache:
        first = listed(path, unit, cache)
        write_noise(path, 2.0, scale=0.2)
        same(listed(path, unit, cache), listed(path, unit))
    assert not np.array_equal(first[0].made, listed(path, unit)[0].made)


def test_the_end_that_a_file_lacks_follows_its_rows_each_time(tmp_path, unit):
    path = write_noise(tmp_path / "x.wav", 3.0).path
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with Cache(tmp_path / "cache") as cache:
        for _ in range(2):
            *rows, gap = listed(path, unit, cache)
            assert isinstance(gap, Gap)
            assert rows[-1].end == pytest.approx(gap.start, abs=0.01)


@pytest.mark.parametrize("suffix", ["ogg", "flac", "mp3"])
def test_windows_that_reach_into_a_hole_are_lost_each_time(tmp_path, unit, suffix):
    path = tmp_path / f"x.{suffix}"
    write(path, 8.0)
    damage(path, "zeroed", n=3000)
    with Cache(tmp_path / "cache") as cache:
        for _ in range(2):
            rows = listed(path, unit, cache)
            lost = [isinstance(row.made, Lost) for row in rows]
            assert 0 < sum(lost) < len(lost) / 2
            first = lost.index(True)
            assert all(lost[first : first + sum(lost)])  # they follow each other
            assert str(rows[first].made.error).startswith("damaged: ")
            assert rows[-1].end == pytest.approx(8.0, abs=0.06)


def test_a_file_that_is_not_audio_raises(tmp_path, unit):
    (tmp_path / "x.wav").write_bytes(b"x")
    with Cache(tmp_path / "cache") as cache, pytest.raises(DataError, match="not audio"):
        listed(tmp_path / "x.wav", unit, cache)
