"""A model takes recordings in whatever form Python code has them, in several threads, and as a stream."""

import io
import json
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile
import threadpoolctl
from bundles import make_run
from conftest import tone, write_wav

import audiofw
from audiofw.errors import AudiofwError, ConfigError, DataError

SR = 22050


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("recordings")
    make_run(folder, "model=lda", "split=kfold")
    return folder


@pytest.fixture(scope="module")
def model(folder):
    return audiofw.load_model(folder / "run")


@pytest.fixture(scope="module")
def file(folder) -> Path:
    return folder / "sounds" / "mid" / "3.wav"


def forms(file: Path) -> dict:
    y, sr = soundfile.read(file, dtype="float32")
    return {
        "text": str(file),
        "path": file,
        "samples": (y, sr),
        "double": (y.astype(float), float(sr)),
        "stereo": (np.stack([y, y]), np.int64(sr)),
        "bytes": file.read_bytes(),
        "bytearray": bytearray(file.read_bytes()),
        "memoryview": memoryview(file.read_bytes()),
        "file": io.BytesIO(file.read_bytes()),
    }


FORMS = ("text", "path", "samples", "double", "stereo", "bytes", "bytearray", "memoryview", "file")


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_recording_gives_the_same_probabilities(model, file, form):
    np.testing.assert_array_equal(model.predict_proba(forms(file)[form]), model.predict_proba(file))


def test_forms_can_be_mixed_in_a_batch(model, file):
    batch = list(forms(file).values())
    assert model.predict(batch).tolist() == ["mid"] * len(batch)
    assert model.predict(each for each in batch[:4]).tolist() == ["mid"] * 4
    assert model.predict(np.array([str(file), str(file)])).tolist() == ["mid"] * 2
    assert model.predict([(*forms(file)["samples"],), (*forms(file)["samples"],)]).tolist() == ["mid"] * 2


def test_an_open_file_is_read_from_where_it_is(model, file):
    with file.open("rb") as opened:
        assert model.predict(opened).tolist() == ["mid"]
        with pytest.raises(DataError, match="the recording: empty file"):
            model.predict(opened)


Y = tone(900).astype(np.float32)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (None, "an object of type NoneType is not a recording; give a path, samples"),
        (3.5, "an object of type float is not a recording"),
        ({"a.wav": 1}, "an object of type dict is not a recording"),
        ({"a.wav"}, "an object of type set is not a recording"),
        ([], "no recordings to predict"),
        ([Y.tolist()], "the recording: an object of type list is not a recording"),
        ([(Y, SR), None], "recording 1, counted from 0: an object of type NoneType"),
        (Y, "the recording: samples without their sampling rate"),
        ((SR, Y), "the recording: samples and their rate the wrong way round"),
        ((Y, 0), "a sampling rate of 0; give a whole number of Hz"),
        ((Y, "22050"), "a sampling rate of '22050'"),
        ((Y, 22050.5), "a sampling rate of 22050.5"),
        ((Y, float("nan")), "a sampling rate of nan"),
        ((Y, True), "a sampling rate of True"),
        (((32767 * Y).astype(np.int16), SR), "samples of type int16; give floating-point samples"),
        ((Y + 0j, SR), "samples of type complex64"),
        ((np.stack([Y, Y], axis=1), SR), r"samples of shape \(11025, 2\), not \(n,\) or \(channels, n\): transpose it"),
        ((Y.reshape(1, 1, -1), SR), r"samples of shape \(1, 1, 11025\)"),
        ((np.float32(1), SR), "an object of type float32 is not a recording|an object of type tuple"),
        ((Y[:0], SR), "the recording: contains no samples"),
        ((Y * np.nan, SR), "the recording: contains NaN"),
        ((0 * Y, SR), "the recording: silent"),
        (b"", "the recording: empty file"),
        (b"not audio", "the recording: not audio"),
        (io.StringIO("text"), "the recording: a file opened as text; open it in binary mode"),
        ("a\0b", "is not a path"),
        ("missing.wav", "missing.wav: no such file"),
        (Path(), "a folder, not a file"),
    ],
)
def test_what_is_not_a_recording_is_one_line_of_ours(model, given, reason):
    with pytest.raises(AudiofwError, match=reason) as caught:
        model.predict(given)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("given", [None, (Y, 0), (Y[:0], SR), b"not audio", "missing.wav", Path()], ids=str)
def test_a_timeline_needs_a_recording(model, given):
    with pytest.raises(DataError):
        model.timeline(given, window=0.3)


def test_a_closed_file_is_one_line_of_ours(model, file):
    opened = file.open("rb")
    opened.close()
    with pytest.raises(DataError, match=r"the recording: cannot be read: .*closed file"):
        model.predict(opened)


def test_nothing_is_left_behind(model, file, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    model.predict([file.read_bytes(), forms(file)["samples"]])
    with pytest.raises(DataError):
        model.predict(b"not audio")
    assert list(tmp_path.iterdir()) == []


# ---- threads


def test_threads_get_the_answers_that_one_gets(model, folder):
    files = sorted((folder / "sounds").rglob("*.wav"))
    alone, filters = model.predict_proba(files, n_jobs=1), list(warnings.filters)
    threads = {lib["filepath"]: lib["num_threads"] for lib in threadpoolctl.threadpool_info()}

    def ask(i: int) -> np.ndarray:
        if i % 3 == 0:
            return model.predict_proba(files[i], n_jobs=1)[0]
        if i % 3 == 1:
            return model.predict_proba(files[i].read_bytes())[0]
        return model.predict_proba(files, n_jobs=2)[i]

    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(ask, range(len(files))))
    np.testing.assert_array_equal(together, alone)
    assert warnings.filters == filters
    now = {lib["filepath"]: lib["num_threads"] for lib in threadpoolctl.threadpool_info()}
    assert {path: now[path] for path in threads} == threads


# ---- over time


@pytest.fixture(scope="module")
def long(folder) -> Path:
    """Two seconds each of a low, a silent and a high sound."""
    parts = [tone(200, 1.8), np.zeros(round(1.8 * SR)), tone(4000, 1.8)]
    return write_wav(folder / "long.wav", np.concatenate(parts))


def test_a_timeline_has_segments_and_says_what_could_not_be_used(model, long):
    (segments,) = model.timeline(long, window=0.6)
    assert [(round(s.start, 6), round(s.end, 6), s.label) for s in segments] == [
        (0.0, 1.8, "low"),
        (1.8, 3.6, ""),
        (3.6, 5.4, "high"),
    ]
    assert segments[1].error.startswith("silent")
    assert segments[0].confidence > 0.5


def test_a_timeline_is_that_of_the_command(model, long, folder, audiofw):
    outcome = audiofw("predict", str(folder / "run"), str(long), "--window", "0.6", "--hop", "0.3", "--format", "json")
    (segments,) = model.timeline([(soundfile.read(long)[0], SR)], window=0.6, hop=0.3)
    said = [(one["start"], one["end"], one.get("label", "")) for one in json.loads(outcome.out)]
    assert [(round(s.start, 6), round(s.end, 6), s.label) for s in segments] == said


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({}, "window=None: the model was not trained on windows"),
        ({"window": 0}, "window=0: must be a number of seconds"),
        ({"window": float("nan")}, "window=nan"),
        ({"window": 1, "hop": 0.001}, "hop=0.001: too short for window=1"),
        ({"window": 1, "unknown": 2}, "unknown=2: must be between 0 and 1"),
    ],
)
def test_wrong_options_of_a_timeline_are_refused(model, long, options, reason):
    with pytest.raises(ConfigError, match=reason):
        model.timeline(long, **options)


# ---- a stream


def blocks_of(y: np.ndarray, n: int) -> list[np.ndarray]:
    return [y[..., start : start + n] for start in range(0, y.shape[-1], n)]


@pytest.mark.parametrize("n", [100, 4410, 10**6])
def test_a_stream_gets_an_answer_for_each_window(model, long, n):
    y = soundfile.read(long, dtype="float32")[0]
    answers = list(model.listen(blocks_of(y, n), SR, window=0.9))
    assert [answer.label for answer in answers] == ["low", "low", "", "", "high", "high"]
    assert answers[2].error.startswith("silent")
    np.testing.assert_allclose([answer.end for answer in answers], 0.9 * np.arange(1, 7))
    np.testing.assert_allclose([answer.start for answer in answers], 0.9 * np.arange(6), atol=1e-12)


@pytest.mark.parametrize("sr", [SR, 44100])
def test_an_answer_is_that_for_a_file_with_the_same_samples(model, sr):
    y = tone(900, 0.6, sr).astype(np.float32)
    (answer,) = model.listen(blocks_of(y, 1000), sr, window=0.6)
    np.testing.assert_allclose(answer.probabilities, model.predict_proba((y, sr))[0], atol=1e-12)


def test_an_answer_comes_before_more_samples_are_asked_for(model):
    asked = 0

    def blocks():
        nonlocal asked
        for block in blocks_of(tone(900, 3).astype(np.float32), 441):  # of 20 ms
            asked += 1
            yield block

    for answer in model.listen(blocks(), SR, window=0.6, hop=0.2):
        assert answer.end <= asked * 441 / SR < answer.end + 0.02 + 1e-9
    assert asked == 150


def test_a_window_is_as_long_as_a_clip_by_default(model):
    answers = list(model.listen([np.stack([tone(900, 2)] * 2)], SR))
    assert [round(answer.end, 6) for answer in answers] == [0.6, 1.2, 1.8]


@pytest.mark.parametrize(
    ("blocks", "sr", "reason"),
    [
        ([[0.1, 0.2]], SR, "a block of the stream: an object of type list does not hold samples"),
        ([np.zeros(10, np.int16)], SR, "a block of the stream: samples of type int16"),
        ([Y], 0, "sr: a sampling rate of 0"),
    ],
)
def test_what_is_not_a_stream_of_samples_is_refused(model, blocks, sr, reason):
    with pytest.raises(DataError, match=reason):
        list(model.listen(blocks, sr))


# ---- operating points


def test_only_classes_at_their_thresholds_are_predicted(model, file, audiofw, folder):
    least = model.operating_thresholds(recall=0.9)
    (shares,) = model.predict_proba(file)
    reached = {str(name) for name, share, t in zip(model.classes_, shares, least, strict=True) if share >= t}
    assert reached == set(model.detected(shares, least))
    assert model.predict(file, recall=0.9).tolist() == ["mid"]
    outcome = audiofw("predict", str(folder / "run"), str(file), "--recall", "0.9", "--format", "json")
    (record,) = json.loads(outcome.out)
    assert record["predicted"] == "mid"
    assert set(record["labels"]) == reached


def test_where_no_class_reaches_its_threshold_it_is_unknown(model):
    noise = np.random.default_rng(0).standard_normal(SR).astype(np.float32)
    shares = model.predict_proba((noise, SR))[0]
    made = model.predictions((noise, SR))[0]
    assert model.at(made, np.full(3, np.inf)).label == "unknown"
    assert model.at(made, np.zeros(3)).label == model.classes_[shares.argmax()]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--precision", "0.9", "--recall", "0.9"], "--precision cannot be combined with --recall"),
        (["--precision", "0.9", "--window", "1"], "--precision and --recall are for whole recordings"),
        (["--precision", "0.9", "--coverage", "0.9"], "--coverage cannot be combined with --precision"),
        (["--recall", "0"], "--recall=0: must be above 0"),
        (["--recall", "2"], "'2' is not a number between 0 and 1"),
    ],
)
def test_wrong_operating_points_are_one_line(audiofw, folder, file, words, reason):
    outcome = audiofw("predict", str(folder / "run"), str(file), *words)
    assert outcome.code == 2
    assert reason in outcome.err
    assert outcome.err.count("\n") == 1
