"""tabulate: the same table with any workers and cache, bad clips are isolated, and the table never contains NaN."""

from __future__ import annotations

import json
import logging
import os
import signal
import threading
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import librosa
import numpy as np
import pytest
import soundfile
from threadpoolctl import threadpool_limits
from tiny import SR, Tiny, clip, ends, flat, levels, make_unit, write_noise

from audiofw.audio.segments import Segments
from audiofw.cache.store import Cache
from audiofw.contract.registry import load_menus
from audiofw.errors import ConfigError, DataError, PluginError
from audiofw.extraction.extract import join, tabulate
from audiofw.extraction.failures import Failure
from audiofw.extraction.recording import Copy, Unit


@pytest.fixture
def record(tmp_path):
    """Write a recording of noise and return its clip."""

    def write(name: str, seconds: float = 0.5, sr: int = SR, scale: float = 0.1) -> SimpleNamespace:
        return write_noise(tmp_path / name, seconds, sr, scale)

    return write


@pytest.fixture
def clips(record, tmp_path):
    """Clips of many lengths, with an empty file, one that is not audio, and a missing one."""
    clips = [record(f"{i:02}.wav", seconds=0.1 + 0.03 * (i % 17), sr=(SR, 11025)[i % 2]) for i in range(40)]
    (tmp_path / "empty.wav").touch()
    (tmp_path / "text.wav").write_text("no audio" * 99)
    for at, name in ((2, "empty.wav"), (17, "text.wav"), (33, "gone.wav")):
        clips.insert(at, clip(tmp_path / name))
    return clips


def assert_same(one, other):
    np.testing.assert_array_equal(one.X, other.X)
    np.testing.assert_array_equal(one.kept, other.kept)
    assert one.failures == other.failures


def test_each_row_is_its_clips_own(clips):
    unit = make_unit(pooling=ends)
    table = tabulate(clips, unit, n_jobs=2)
    assert (table.X.shape, table.X.dtype) == ((40, 2), np.float32)
    assert table.kept.tolist() == [i for i in range(43) if i not in (2, 17, 33)]
    for row, i in zip(table.X, table.kept, strict=True):
        np.testing.assert_array_equal(row, unit(clips[i].path)[0])


def test_a_bad_file_is_a_failure_with_its_reason_and_no_more(clips):
    table = tabulate(clips, make_unit(), n_jobs=2)
    folder = clips[0].path.parent
    assert table.failures == [
        Failure("empty.wav", str(folder / "empty.wav"), "empty file (0 bytes)"),
        Failure("text.wav", str(folder / "text.wav"), "not audio, or damaged: Format not recognised"),
        Failure("gone.wav", str(folder / "gone.wav"), "no such file"),
    ]


@pytest.mark.parametrize("pad_to", ["duration", "longest"])
def test_the_table_is_the_same_whatever_the_workers(clips, pad_to):
    one = tabulate(clips, make_unit(), n_jobs=1, pad_to=pad_to)
    assert len(set(map(bytes, one.X))) == 40
    assert_same(one, tabulate(clips, make_unit(), n_jobs=2, pad_to=pad_to))
    assert_same(one, tabulate(clips, make_unit(), n_jobs=7, pad_to=pad_to))
    assert_same(one, tabulate(clips, make_unit(holds_gil=True), n_jobs=2, pad_to=pad_to))


@pytest.mark.parametrize("holds_gil", [False, True])
@pytest.mark.parametrize("n_jobs", [1, 3])
def test_the_table_is_the_same_from_a_cold_a_half_warm_and_a_warm_cache(clips, tmp_path, holds_gil, n_jobs):
    unit = make_unit(holds_gil=holds_gil)
    recipe_cache = Cache(tmp_path / "cache").recipe_cache(unit.recipe())
    bare = tabulate(clips, unit, n_jobs=1)
    half = tabulate(clips[::2], unit, n_jobs=n_jobs, recipe_cache=recipe_cache)
    mixed = tabulate(clips, unit, n_jobs=n_jobs, recipe_cache=recipe_cache)
    warm = tabulate(clips, unit, n_jobs=n_jobs, recipe_cache=recipe_cache)
    assert (bare.cached, half.cached, mixed.cached, warm.cached) == (0, 0, len(half.kept), 40)
    assert_same(bare, mixed)
    assert_same(bare, warm)


def test_a_warm_cache_is_not_computed_again(clips, tmp_path):
    recipe_cache = Cache(tmp_path / "cache").recipe_cache(make_unit().recipe())
    cold = tabulate(clips, make_unit(), recipe_cache=recipe_cache)

    def broken(y, sr):
        if y.size != SR // 2 + 1:  # lets the trial pass
            raise AssertionError
        return levels(y, sr)

    assert_same(cold, tabulate(clips, make_unit(broken), recipe_cache=recipe_cache))


def test_short_clip_is_padded_with_its_floor(record):
    X = tabulate([record("long.wav", 0.5), record("short.wav", 0.2)], make_unit()).X
    own, padding = X[1, :32], X[1, 32:]
    assert X.shape == (2, 80)
    assert own.min() > 0
    assert set(padding) == {own.min()}


def test_short_clip_is_padded_with_zeros_on_request(record):
    X = tabulate([record("long.wav", 0.5), record("short.wav", 0.2)], make_unit(), pad_value="zero").X
    assert X[1, :32].all()
    assert not X[1, 32:].any()


def test_width_comes_from_the_duration_and_not_from_the_clips(record):
    X = tabulate([record("a.wav", 0.1), record("b.wav", 0.2)], make_unit()).X
    assert X.shape == (2, 80)


def test_width_of_the_longest_comes_from_the_clips(record):
    X = tabulate([record("a.wav", 0.1), record("b.wav", 0.2), record("c.wav", 0.1)], make_unit(), pad_to="longest").X
    assert X.shape == (3, 32)
    assert X[2, 16:].tolist() == [X[2, :16].min()] * 16


@pytest.mark.parametrize("native", [8000, 11025, 12000, 22050, 44100, 48000])
@pytest.mark.parametrize("target", [8000, 12000, 22050])
def test_no_full_clip_is_longer_than_the_duration_promises(record, native, target):
    def samples(y, sr):
        return y[None]

    unit = make_unit(samples, sample_rate=target, duration=0.04)
    table = tabulate([record("a.wav", 0.1, sr=native)], unit)
    assert table.X.shape[1] in (round(0.04 * target) + 1, round(0.04 * target) + 2)


def test_a_row_longer_than_the_width_fails_alone(record):
    def longer_when_loud(y, sr):
        return levels(np.tile(y, 2) if np.abs(y).max() > 1 else y, sr)

    table = tabulate([record("a.wav"), record("b.wav", scale=1.0), record("c.wav")], make_unit(longer_when_loud))
    assert table.kept.tolist() == [0, 2]
    assert table.failures[0].reason.startswith("its row has 160 values, more than the 80 for audio.duration")


@pytest.mark.parametrize("open_end", [{"duration": None}, {"sample_rate": None}, {"duration": 1e9}])
def test_rows_of_one_width_need_no_duration(record, open_end):
    recordings = [record("a.wav", 0.1), record("b.wav", 0.2, sr=16000)]
    assert tabulate(recordings, make_unit(pooling=ends, **open_end)).X.shape == (2, 2)
    with pytest.raises(
        DataError, match=r"b\.wav: its row has \d+ values, but that of a\.wav has 16; set audio\.duration"
    ):
        tabulate(recordings, make_unit(**open_end))
    assert tabulate(recordings, make_unit(**open_end), pad_to="longest").X.shape[0] == 2


def test_the_first_failure_is_raised_on_request(clips):
    folder = clips[0].path.parent
    for n_jobs in (1, 3):
        with pytest.raises(DataError) as caught:
            tabulate(clips, make_unit(), on_error="raise", n_jobs=n_jobs)
        assert str(caught.value) == f"{folder / 'empty.wav'}: empty file (0 bytes)"


def test_all_clips_failing_is_an_error_with_the_reasons(tmp_path, record):
    silent = record("silent.wav", scale=0.0)
    with pytest.raises(DataError) as caught:
        tabulate([clip(tmp_path / "a.wav"), clip(tmp_path / "b.wav"), silent], make_unit())
    message = str(caught.value)
    assert message.startswith("none of 3 clips could be used (first: a.wav): no such file (2 ×); silent: every")
    assert "\n" not in message


def test_no_clips_is_an_error():
    with pytest.raises(DataError, match="no clips"):
        tabulate([], make_unit())


def fail(*given):
    raise ValueError("cannot\nbe")


LINE_OF_FAIL = f"tests/extraction/test_extract.py:{fail.__code__.co_firstlineno + 1}"


def refuse(*given):
    raise ConfigError("feature.hop=0: give 1 or more")


@pytest.mark.parametrize(
    ("plugins", "expected"),
    [
        ({"feature": fail}, f"feature=fail: {LINE_OF_FAIL}: ValueError: cannot be"),
        ({"pooling": fail}, f"pooling=fail: {LINE_OF_FAIL}: ValueError: cannot be"),
        ({"feature": lambda y, sr: y}, "feature=<lambda>: returned an array of shape (4001,), not (rows, frames)"),
        ({"feature": lambda y, sr: None}, "feature=<lambda>: returned an array of object, not of real numbers"),
        ({"feature": lambda y, sr: [["a"]]}, "feature=<lambda>: returned an array of <U1, not of real numbers"),
        ({"feature": lambda y, sr: [[1j]]}, "returned an array of complex128, not of real numbers: take its np.abs"),
        ({"feature": lambda y, sr: [[np.nan]]}, "feature=<lambda>: returned NaN"),
        ({"feature": lambda y, sr: [[1e300]]}, "feature=<lambda>: returned infinity"),
        ({"feature": lambda y, sr: np.ones((3, 0))}, "feature=<lambda>: returned no frames"),
        ({"feature": lambda y, sr: [[1, 2], [3]]}, "feature=<lambda>: did not return an array: "),
        ({"pooling": lambda frames: frames}, "pooling=<lambda>: returned an array of shape (2, 40), not (d)"),
        ({"pooling": lambda frames: []}, "pooling=<lambda>: returned an empty vector"),
        ({"pooling": lambda frames: [np.inf]}, "pooling=<lambda>: returned infinity"),
    ],
)
def test_a_plugin_that_breaks_its_contract_is_told_before_any_file_is_read(tmp_path, plugins, expected):
    with pytest.raises(PluginError) as caught:
        tabulate([clip(tmp_path / "not there.wav")], make_unit(**plugins))
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_plugins_own_refusal_is_passed_on(tmp_path):
    with pytest.raises(ConfigError, match=r"^feature\.hop=0: give 1 or more$"):
        tabulate([clip(tmp_path / "not there.wav")], make_unit(refuse))


def test_nan_never_reaches_the_table(record):
    def relative(y, sr):
        with np.errstate(all="ignore"):
            return levels(y / y.max(), sr)

    recordings = [record("a.wav"), record("silent.wav", scale=0.0)]
    table = tabulate(recordings, make_unit(relative, silence="keep"))
    assert table.kept.tolist() == [0]
    assert table.failures[0].reason == "feature=relative: returned NaN"


def test_plugins_may_change_what_they_are_given_and_use_a_buffer_again(record):
    buffer = threading.local()

    def spoil(y, sr):
        frames = levels(y, sr)
        y[:] = np.nan
        return frames

    def reuse(frames):
        buffer.row = getattr(buffer, "row", np.empty(2, dtype=np.float32))
        buffer.row[:] = ends(frames)
        frames[:] = np.nan
        return buffer.row

    recordings = [record(f"{'a' * i}.wav", 0.3) for i in range(1, 40)]
    expected = tabulate(recordings, make_unit(pooling=ends)).X
    np.testing.assert_array_equal(tabulate(recordings, make_unit(spoil, reuse), n_jobs=2).X, expected)


@pytest.mark.parametrize("samples", [1, 2, 99, 100])
def test_a_clip_shorter_than_a_frame_gets_as_much_silence_as_it_needs(record, samples):
    def zero_frames(y, sr):
        return levels(y, sr)

    def raises(y, sr):
        if y.size < 100:
            y[:] = np.nan
            raise ValueError("too short")
        return levels(y, sr)

    short = record("short.wav", samples / SR)
    expected = levels(np.pad(soundfile.read(short.path, dtype="float32")[0], (0, 100 - samples)), SR).ravel()
    for feature in (zero_frames, raises):
        np.testing.assert_array_equal(make_unit(feature)(short.path)[0], expected)


@pytest.mark.parametrize("samples", [1, 100, 3000])
def test_a_feature_that_copes_with_a_short_clip_is_given_no_silence(record, samples):
    def mel(y, sr):
        return librosa.feature.melspectrogram(y=y, sr=sr, n_mels=16)

    short = record("short.wav", samples / SR)
    y = librosa.load(short.path, sr=SR)[0]
    with pytest.warns(UserWarning, match="n_fft") if samples < 2048 else pytest.MonkeyPatch.context():
        expected = mel(y, SR).T.ravel()
        np.testing.assert_array_equal(make_unit(mel)(short.path)[0], expected)


def test_a_feature_that_fails_on_a_clip_of_any_length_keeps_its_first_reason(record):
    def picky(y, sr):
        raise ValueError(f"{y.size} samples")

    with pytest.raises(PluginError, match=r"feature=picky: \S+: ValueError: 50 samples"):
        make_unit(picky)(record("short.wav", 50 / SR).path)
    with pytest.raises(PluginError, match=r"feature=picky: \S+: ValueError: 20000 samples"):
        make_unit(picky, duration=None)(record("long.wav", 20_000 / SR).path)


def test_the_table_equals_a_plain_librosa_script(record):
    def mel(y, sr):
        bands = librosa.feature.melspectrogram(y=y, sr=sr)
        return librosa.power_to_db(bands, ref=np.max)

    recordings = [record(f"{i}.wav", 0.3 + 0.1 * i, sr=16000) for i in range(4)]
    with threadpool_limits(1):  # with more threads, BLAS sums in a different order
        rows = [flat(mel(*librosa.load(recording.path, duration=0.5))) for recording in recordings]
    expected = np.array([np.pad(row, (0, max(map(len, rows)) - len(row))) for row in rows])
    unit = make_unit(mel, sample_rate=22050)
    np.testing.assert_array_equal(tabulate(recordings, unit, pad_to="longest", pad_value="zero").X, expected)


def test_a_table_beyond_memory_is_told_in_one_line(record):
    unit = make_unit(pooling=lambda frames: np.zeros(10**7, dtype=np.float32))
    with pytest.raises(DataError, match=r"1000000 rows × 10000000 columns needs 40000\.0 GB of memory; use"):
        tabulate([record("a.wav")] * 1_000_000, unit)


def test_a_unit_that_holds_the_gil_works_in_other_processes(record):
    def process(frames):
        return [os.getpid()]

    recordings = [record(f"{i}.wav", 0.1) for i in range(8)]
    X = tabulate(recordings, replace(make_unit(pooling=process, holds_gil=True)), n_jobs=2).X
    assert np.float32(os.getpid()) not in X
    assert np.float32(os.getpid()) in tabulate(recordings, make_unit(pooling=process), n_jobs=2).X


def test_a_clip_that_kills_its_worker_fails_alone(record):
    def deadly(y, sr):
        if np.abs(y).max() > 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return levels(y, sr)

    recordings = [record(f"{i}.wav", scale=1.0 if i == 4 else 0.1) for i in range(9)]
    table = tabulate(recordings, make_unit(deadly, holds_gil=True), n_jobs=2)
    assert table.kept.tolist() == [0, 1, 2, 3, 5, 6, 7, 8]
    assert table.failures[0].reason == "worker died: killed or out of memory"


PLUGIN = """
import numpy as np
from audiofw import hookimpl

@hookimpl
def register_features(register):
    register(peaks, holds_gil=True)

def peaks(y, sr, *, hop: int = 100):
    '''Loudest sample of each frame.'''
    return np.abs(y[: y.size // hop * hop]).reshape(1, -1, hop).max(axis=2)
"""


def test_a_dropped_plugin_works_in_other_processes(record, tmp_path):
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "peaks.py").write_text(PLUGIN)
    feature = load_menus([tmp_path / "plugins"]).choose("feature", {"name": "peaks", "hop": 400})
    recordings = [record(f"{i}.wav") for i in range(6)]
    table = tabulate(recordings, replace(make_unit(), feature=feature), n_jobs=2)
    assert table.X.shape == (6, 10)
    assert not table.failures


def test_an_interrupt_leaves_no_thread_behind(clips):
    class Interrupting:
        def get(self, path, part):
            return None

        def put(self, path, array, part):
            if path.name == "10.wav":
                signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        tabulate(clips, make_unit(), n_jobs=2, recipe_cache=Interrupting())
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("audiofw")]


def test_recipe_is_json_and_holds_all_that_shapes_a_row():
    unit = make_unit()
    variants = [
        unit,
        replace(unit, offset=0.1),
        replace(unit, silence="keep"),
        replace(unit, segments=Segments(duration=None)),
        replace(unit, segments=Segments(duration=0.5, hop=0.1)),
        replace(unit, copy=Copy(Tiny(levels), 1, 0)),
        replace(unit, copy=Copy(Tiny(levels), 2, 0)),
        replace(unit, copy=Copy(Tiny(levels), 1, 1)),
        replace(unit, sample_rate=None),
        replace(unit, pooling=Tiny(ends)),
        replace(unit, feature=Tiny(levels, options={"hop": 50})),
    ]
    texts = {json.dumps(variant.recipe(), sort_keys=True) for variant in variants}
    assert len(texts) == len(variants)
    assert unit.recipe()["libraries"].keys() >= {"libsndfile", "soxr", "numpy"}


def test_nothing_is_shown_in_a_pipe_and_the_rate_is_logged(clips, capfd, caplog):
    with caplog.at_level(logging.DEBUG, logger="audiofw"):
        tabulate(clips, make_unit())
    assert capfd.readouterr().out == ""
    assert any(message.startswith("43 clips in ") and "0 from the cache" in message for message in caplog.messages)


# --- several rows per clip -------------------------------------------------------------------------


def windowed(**options: Any) -> Unit:
    return replace(make_unit(), segments=Segments(0.1, hop=0.05), **options)


@pytest.mark.parametrize("pad_to", ["duration", "longest"])
def test_each_window_is_a_row_of_its_clip(record, pad_to):
    clips = [record("a.wav", 0.1), record("b.wav", 0.3), record("c.wav", 0.05)]
    table = tabulate(clips, windowed(), pad_to=pad_to)
    assert table.clip_of.tolist() == [0, 1, 1, 1, 1, 1, 2]
    assert table.X.shape == (7, 16)
    y, _ = soundfile.read(clips[1].path, dtype="float32")
    for k in range(5):
        np.testing.assert_array_equal(table.X[1 + k], levels(y[400 * k : 400 * k + 800], SR).T.ravel())


def test_windows_come_from_the_cache_as_they_went_in(clips, tmp_path):
    recipe_cache = Cache(tmp_path / "cache").recipe_cache(windowed().recipe())
    cold, warm = (tabulate(clips, windowed(), recipe_cache=recipe_cache) for _ in range(2))
    assert warm.cached == len(warm.kept) < len(warm.X)
    assert_same(cold, warm)
    np.testing.assert_array_equal(cold.clip_of, warm.clip_of)


def test_a_pooling_that_learns_is_left_pictures_of_any_length(record):
    unit = replace(make_unit(), pooling=Tiny(ends, learns=True))
    table = tabulate([record("a.wav", 0.1), record("b.wav", 0.3)], unit)
    assert [picture.shape for picture in table.X] == [(2, 8), (2, 24)]
    assert table.X[[1]][0].shape == (2, 24)
    alike = tabulate([record("c.wav", 0.1), record("d.wav", 0.1)], unit)
    assert (alike.X.shape, alike.X[0].shape) == ((2,), (2, 8))


def louder(y, sr, rng):
    return y * np.float32(rng.uniform(2, 3))


def test_a_changed_copy_is_the_same_whatever_the_order_and_another_for_each_number_and_seed(record):
    clips = [record("a.wav"), record("b.wav")]

    def gains(number: int, seed: int, these: list = clips) -> np.ndarray:
        copy = replace(make_unit(pooling=ends), copy=Copy(Tiny(louder), number, seed))
        return tabulate(these, copy).X[:, 1] / tabulate(these, make_unit(pooling=ends)).X[:, 1]

    first = gains(1, 0)
    assert ((first > 1.99) & (first < 3.01)).all()
    np.testing.assert_allclose(gains(1, 0, clips[::-1]), first[::-1], rtol=1e-6)
    assert len({round(float(gain), 5) for gain in (*first, *gains(2, 0), *gains(1, 1))}) == 6


def test_copies_stand_below_the_clips_they_are_of_also_when_one_is_lost(record):
    def picky(y, sr, rng):
        if np.abs(y).max() > 0.9:
            return y * np.nan
        return y

    clips = [record("a.wav"), record("b.wav", scale=1.0), record("c.wav")]
    unit = make_unit(pooling=ends)
    copy = tabulate(clips, replace(unit, copy=Copy(Tiny(picky, kind="augmentation"), 1, 0)))
    rows = join(tabulate(clips, unit), [copy])
    assert rows.clip_of.tolist() == [0, 1, 2, 0, 2]
    assert rows.augmented.tolist() == [False] * 3 + [True] * 2
    assert [failure.reason for failure in copy.failures] == ["augmentation=picky: returned NaN"]


def test_a_copy_played_slower_is_no_longer_than_a_clip_may_be(record):
    def slower(y, sr, rng):
        return np.repeat(y, 2)

    clips = [record("long.wav", 0.5), record("short.wav", 0.1)]
    copies = tabulate(clips, replace(make_unit(), copy=Copy(Tiny(slower), 1, 0)))
    assert not copies.failures
    y, _ = soundfile.read(clips[0].path, dtype="float32")
    np.testing.assert_array_equal(copies.X[0], levels(np.repeat(y, 2)[:4000], SR).T.ravel())
