"""A plugin's bug ends the work and names plugin, clip and line; a bad clip is listed, and too many are a bug."""

from __future__ import annotations

import inspect
import sys
import traceback
from dataclasses import replace
from pathlib import Path

import librosa
import numpy as np
import pytest
from tiny import SR, Tiny, ends, flat, levels, make_unit, write_noise

from audiofw.cache.store import Cache
from audiofw.data.dataset import Clip
from audiofw.errors import ClipError, ConfigError, DataError, PluginError
from audiofw.extraction.extract import tabulate
from audiofw.extraction.failures import Failures
from audiofw.extraction.recording import Copy
from audiofw.parallel.executors import Lost

WHOLE = SR // 2  # samples of a clip here; the made-up noise has one more
LANES = pytest.mark.parametrize(
    ("n_jobs", "holds_gil"), [(1, False), (3, False), (2, True)], ids=["alone", "threads", "processes"]
)


@pytest.fixture
def clips(tmp_path):
    """Make many clips, of which some are loud: ``clips(30, loud=[12, 20])``."""

    def make(n: int, loud: list[int] | tuple[int, ...] = ()) -> list[Clip]:
        return [write_noise(tmp_path / f"{i:03}.wav", scale=1.0 if i in loud else 0.1) for i in range(n)]

    return make


def is_loud(y) -> bool:
    return float(np.abs(y).max()) > 1


def peak_of_loud(y):
    return y[y.size] if is_loud(y) else y[0]  # the bug


def buggy(y, sr):
    peak_of_loud(y)
    return levels(y, sr)


THE_BUG = f"tests/extraction/test_failures.py:{inspect.getsourcelines(peak_of_loud)[1] + 1}"


@LANES
def test_a_bug_ends_the_work_and_names_plugin_clip_line_and_exception(clips, n_jobs, holds_gil):
    these = clips(30, loud=[12, 20])
    with pytest.raises(PluginError) as caught:
        tabulate(these, make_unit(buggy, holds_gil=holds_gil), n_jobs=n_jobs)
    error, where = caught.value, str(these[12].path)
    assert str(error) == (
        f"feature=buggy: {where}: {THE_BUG}: IndexError: index 4000 is out of bounds for axis 0 with size 4000"
    )
    assert (error.plugin, error.clip) == ("feature=buggy", where)


@LANES
def test_the_traceback_shows_the_plugins_frames_wherever_it_ran(clips, n_jobs, holds_gil):
    with pytest.raises(PluginError) as caught:
        tabulate(clips(4, loud=[2]), make_unit(buggy, holds_gil=holds_gil), n_jobs=n_jobs)
    shown = "".join(traceback.format_exception(caught.value))
    assert "return y[y.size] if is_loud(y) else y[0]  # the bug" in shown
    assert "IndexError: index 4000" in shown
    assert ("RemoteTraceback" in shown) == holds_gil


@LANES
def test_what_was_under_way_is_in_the_cache_at_the_next_try(clips, tmp_path, n_jobs, holds_gil):
    calls, mended = tmp_path / "calls", tmp_path / "mended"

    def counted(y, sr):
        if y.size == WHOLE:
            with calls.open("a") as file:
                file.write("x")
        if not mended.exists():
            peak_of_loud(y)
        return levels(y, sr)

    def count() -> int:
        return len(calls.read_text())

    these, unit = clips(60, loud=[40]), make_unit(counted, holds_gil=holds_gil)
    recipe_cache = Cache(tmp_path / "cache").recipe_cache(unit.recipe())
    with pytest.raises(PluginError, match="IndexError"):
        tabulate(these, unit, n_jobs=n_jobs, recipe_cache=recipe_cache)
    first = count()
    assert 41 <= first <= 60
    mended.touch()
    table = tabulate(these, unit, n_jobs=n_jobs, recipe_cache=recipe_cache)
    assert table.cached == first - 1  # all but the clip with the bug
    assert count() - first == 60 - table.cached
    assert len(table.kept) == 60


@LANES
def test_a_bug_is_listed_on_request_however_many_clips_have_it(clips, n_jobs, holds_gil):
    these = clips(8, loud=[1, 3, 4, 6])
    table = tabulate(these, make_unit(buggy, holds_gil=holds_gil), n_jobs=n_jobs, on_plugin_error="skip")
    assert [failure.name for failure in table.failures] == ["001.wav", "003.wav", "004.wav", "006.wav"]
    assert {failure.reason.partition(": IndexError")[0] for failure in table.failures} == {f"feature=buggy: {THE_BUG}"}
    assert table.kept.tolist() == [0, 2, 5, 7]


def raising(error):
    def fail(y, sr):
        if is_loud(y):
            raise error
        return levels(y, sr)

    return fail


def giving(result):
    def give(y, sr):
        return result if is_loud(y) else levels(y, sr)

    return give


@pytest.mark.parametrize(
    ("feature", "reason"),
    [
        (giving([[np.nan]]), "returned NaN"),
        (giving([[np.inf]]), "returned infinity"),
        (giving(np.ones((2, 0))), "returned no frames"),
        (raising(librosa.util.exceptions.ParameterError("too short")), "ParameterError: too short"),
        (raising(MemoryError()), "MemoryError: not enough memory: set audio.duration, or n_jobs=1"),
        (giving(np.ones((2, 400))), "its row has 800 values, more than the 80 for audio.duration; set pad.to=longest"),
    ],
)
def test_what_may_be_the_clips_own_is_listed_but_not_for_three_clips_and_over_one_percent(clips, feature, reason):
    table = tabulate(clips(9, loud=[2, 7]), make_unit(feature))
    assert [failure.name for failure in table.failures] == ["002.wav", "007.wav"]
    assert table.failures[0].reason.endswith(reason)
    these = clips(9, loud=[2, 5, 7])
    with pytest.raises(PluginError) as caught:
        tabulate(these, make_unit(feature), n_jobs=2)
    error = caught.value
    assert f"{these[2].path}: " in str(error)
    assert f"{reason}; plugins returned nothing usable for 3 of 9 clips (33.3 %), more than the 1 %" in str(error)
    assert str(error).endswith("skip these clips with data.on_plugin_error=skip")
    assert (error.clip, error.option) == (str(these[2].path), "data.on_plugin_error")
    assert len(tabulate(these, make_unit(feature), on_plugin_error="skip").failures) == 3


@pytest.mark.parametrize(("n", "count", "ends"), [(200, 2, False), (300, 3, False), (299, 3, True), (1000, 11, True)])
def test_the_limit_is_one_percent_and_three_clips(n, count, ends):
    failures = Failures()
    for i in range(count):
        failures.add(Clip(Path(f"{i}.wav"), f"{i}.wav", ""), Lost.by(ClipError("returned NaN")))
    for i in range(50):  # bad recordings do not count
        failures.add(Clip(Path(f"bad{i}.wav"), f"bad{i}.wav", ""), Lost.by(DataError("empty")))
    assert len(failures.listed) == count + 50
    if ends:
        with pytest.raises(PluginError, match=rf"^0\.wav: returned NaN; .* {count} of {n} clips"):
            failures.check(n)
    else:
        failures.check(n)


@pytest.mark.parametrize(
    ("feature", "reason"),
    [
        (giving(np.ones(3)), r"returned an array of shape \(3,\), not \(rows, frames\)"),
        (giving([["a"]]), "returned an array of <U1"),
        (giving([[1, 2], [3]]), "did not return an array"),
        (raising(SystemExit("enough")), "SystemExit: enough"),
        (raising(RuntimeError("no wood")), "RuntimeError: no wood"),
        (raising(PluginError("no network")), "no network"),
    ],
)
def test_what_cannot_be_the_clips_own_ends_the_work_for_one_clip(clips, feature, reason):
    with pytest.raises(PluginError, match=rf"^feature=\w+: \S+001\.wav: .*{reason}"):
        tabulate(clips(4, loud=[1]), make_unit(feature))


def test_a_clip_that_a_plugin_refuses_is_a_bad_recording_however_many_there_are(clips):
    table = tabulate(clips(6, loud=[0, 1, 2, 4]), make_unit(raising(DataError("no dog in it"))))
    assert [failure.reason for failure in table.failures] == ["no dog in it"] * 4


def test_an_option_that_a_plugin_refuses_ends_the_work_whatever_is_wanted_of_bugs(clips):
    refuse = raising(ConfigError("feature.hop=0: give 1 or more"))
    with pytest.raises(ConfigError, match=r"^feature\.hop=0: give 1 or more$"):
        tabulate(clips(4, loud=[1]), make_unit(refuse), on_plugin_error="skip")


def test_a_wrong_value_is_raised_where_bad_recordings_are(clips):
    these = clips(4, loud=[1])
    with pytest.raises(ClipError) as caught:
        tabulate(these, make_unit(giving([[np.nan]])), on_error="raise", on_plugin_error="skip")
    assert str(caught.value) == f"feature=give: {these[1].path}: returned NaN"


def test_poolings_and_augmentations_are_named_too(clips):
    def pool(frames):
        return {}[frames.max()] if frames.max() > 1 else ends(frames)

    def stretch(y, sr, rng):
        return y[::0] if is_loud(y) else y

    these = clips(3, loud=[1])
    with pytest.raises(PluginError, match=r"^pooling=pool: \S+001\.wav: \S+test_failures\.py:\d+: KeyError: "):
        tabulate(these, make_unit(pooling=pool))
    copy = replace(make_unit(), copy=Copy(Tiny(stretch, kind="augmentation"), 1, 0))
    with pytest.raises(PluginError, match=r"^augmentation=stretch: \S+001\.wav: \S+py:\d+: ValueError: slice step"):
        tabulate(these, copy)


def test_windows_of_one_clip_that_differ_in_width_are_a_wrong_value(clips):
    def loud_frames(y, sr):
        return levels(y, sr)[:, : 1 + int(1000 * abs(y[0])) % 7]

    unit = make_unit(loud_frames)
    unit = replace(unit, segments=replace(unit.segments, duration=0.1, hop=0.1))
    with pytest.raises(PluginError, match=r"returned rows of different lengths for windows of equal length"):
        tabulate(clips(4), unit, pad_to="longest")


def test_a_bug_of_ours_is_nobodys_recording(clips, monkeypatch):
    def broken(*given, **options):
        raise ZeroDivisionError("ours")

    these = clips(3)
    monkeypatch.setattr("audiofw.extraction.recording.load_stretch", broken)
    with pytest.raises(ZeroDivisionError, match="ours"):
        tabulate(these, make_unit(pooling=flat), on_plugin_error="skip", n_jobs=2)


def test_no_memory_for_a_recording_is_the_recordings_own(clips, monkeypatch):
    def grow(*given, **options):
        raise MemoryError

    these = clips(3)
    monkeypatch.setattr("audiofw.extraction.recording.load_stretch", grow)
    with pytest.raises(DataError, match=r"none of 3 clips could be used.*too long to fit in memory"):
        tabulate(these, make_unit())


PLUGIN = """
from audiofw import hookimpl

@hookimpl
def register_features(register):
    register(pitch, holds_gil=True)

def pitch(y, sr):
    return track(y)

def track(y):
    voiced = [abs(y).max()] if abs(y).max() < 1 else []
    return [[voiced[0]]]  # line 13
"""


def test_a_dropped_plugins_helper_is_named_from_another_process(clips, tmp_path):
    from audiofw.contract.registry import load_menus

    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "pitch.py").write_text(PLUGIN)
    feature = load_menus([tmp_path / "plugins"]).choose("feature", {"name": "pitch"})
    these = clips(6, loud=[4])
    with pytest.raises(PluginError) as caught:
        tabulate(these, replace(make_unit(pooling=ends), feature=feature), n_jobs=2)
    assert str(caught.value) == f"feature=pitch: {these[4].path}: pitch.py:13: IndexError: list index out of range"
    assert "return [[voiced[0]]]  # line 13" in "".join(traceback.format_exception(caught.value))
    assert "audiofw_plugins.pitch" in sys.modules


def finds_nothing_in_noise(y, sr):
    return levels(y, sr) if y.size == WHOLE else np.full((2, 3), np.nan)


def fails_on_noise(y, sr):
    return levels(y, sr) if y.size == WHOLE else y[y.size]


@pytest.mark.parametrize("feature", [finds_nothing_in_noise, fails_on_noise])
def test_a_feature_that_needs_real_recordings_runs_where_failures_are_skipped(clips, feature):
    these = clips(4)
    with pytest.raises(PluginError, match="on synthetic noise, before any recording"):
        tabulate(these, make_unit(feature))
    assert len(tabulate(these, make_unit(feature), on_plugin_error="skip").X) == 4
