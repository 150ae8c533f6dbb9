"""audio.load: bit-identical to librosa.load, with a short reason for files that cannot be used."""

from __future__ import annotations

import contextlib
import errno
import os
import warnings
from pathlib import Path

import librosa
import numpy as np
import pytest
import soundfile

from audiofw.audio.load import load
from audiofw.errors import DataError

FORMATS = {
    "u8.wav": {"subtype": "PCM_U8"},
    "16.wav": {"subtype": "PCM_16"},
    "24.wav": {"subtype": "PCM_24"},
    "32.wav": {"subtype": "PCM_32"},
    "float.wav": {"subtype": "FLOAT"},
    "double.wav": {"subtype": "DOUBLE"},
    "16.flac": {"subtype": "PCM_16"},
    "24.flac": {"subtype": "PCM_24"},
    "vorbis.ogg": {"subtype": "VORBIS"},
    "opus.ogg": {"subtype": "OPUS"},
    "layer3.mp3": {},
    "16.aiff": {"subtype": "PCM_16"},
    "16.au": {"subtype": "PCM_16"},
}


REMEDY = "convert to wav or flac, e.g. with ffmpeg -i {path} {flac}"
RAW = "convert to wav or flac, e.g. with ffmpeg -f s16le -ar RATE -ac CHANNELS -i FILE out.flac"


def sound(seconds: float, sr: int, channels: int = 1) -> np.ndarray:
    """A chord with noise, different in every channel."""
    rng = np.random.default_rng(7)
    t = np.arange(int(seconds * sr))[:, None] / sr
    y = 0.3 * np.sin(2 * np.pi * (220 + 110 * np.arange(channels)) * t) + 0.05 * rng.standard_normal((len(t), channels))
    return y[:, 0] if channels == 1 else y


def write(path: Path, y: np.ndarray, sr: int, **options: str) -> Path:
    soundfile.write(path, y, sr, **options)
    return path


def assert_same_as_librosa(path: Path, sample_rate: int | None, duration: float | None, offset: float) -> None:
    y, sr = load(path, sample_rate=sample_rate, duration=duration, offset=offset)
    expected, expected_sr = librosa.load(path, sr=sample_rate, duration=duration, offset=offset)
    assert (sr, y.dtype, y.flags.c_contiguous) == (expected_sr, np.float32, True)
    np.testing.assert_array_equal(y, expected)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("channels", [1, 2])
def test_every_format_equals_librosa(tmp_path, name, channels):
    path = write(tmp_path / name, sound(1.3, 48000, channels), 48000, **FORMATS[name])
    assert_same_as_librosa(path, 22050, 1.0, 0.0)
    assert_same_as_librosa(path, None, None, 0.25)


@pytest.mark.parametrize("native", [8000, 11025, 16000, 22050, 44100, 48000, 96000])
@pytest.mark.parametrize("target", [8000, 22050, 44100, None])
def test_every_rate_equals_librosa(tmp_path, native, target):
    path = write(tmp_path / "a.wav", sound(0.7, native), native)
    for duration, offset in ((0.5, 0.0), (3.0, 0.1), (None, 0.33333), (0.33333, 0.0)):
        assert_same_as_librosa(path, target, duration, offset)


@pytest.mark.parametrize("name", ["16.wav", "16.flac", "vorbis.ogg"])
def test_six_channels_equal_librosa(tmp_path, name):
    path = write(tmp_path / name, sound(0.6, 44100, 6), 44100, **FORMATS[name])
    assert_same_as_librosa(path, 22050, 0.4, 0.1)


@pytest.mark.parametrize("offset", [0.0, 0.5, 1.17])
@pytest.mark.parametrize("native", [16000, 44100])
def test_mp3_read_from_the_middle_equals_librosa(tmp_path, native, offset):
    path = write(tmp_path / "a.mp3", sound(1.3, native, 2), native)
    assert_same_as_librosa(path, 22050, 3.0, offset)


def test_mp3_without_a_header_of_its_length_equals_librosa_and_goes_on_where_it_stops(tmp_path):
    whole = write(tmp_path / "a.mp3", sound(1.3, 44100), 44100).read_bytes()
    second = whole.index(b"\xff\xfb", 4)  # remove the first frame, which contains the length
    path = tmp_path / "b.mp3"
    path.write_bytes(whole[second:])
    y, _ = load(path, sample_rate=None, duration=1.0, offset=0.2)
    expected, _ = librosa.load(path, sr=None, duration=1.0, offset=0.2)  # ends at libsndfile's estimate
    assert expected.size < y.size == 44100
    np.testing.assert_array_equal(y[: expected.size], expected)


@pytest.mark.parametrize("frames", [1, 2, 5, 100])
@pytest.mark.parametrize("native", [8000, 96000])
def test_a_handful_of_samples_equals_librosa(tmp_path, native, frames):
    path = write(tmp_path / "a.wav", np.full(frames, 0.5), native)
    y, _ = load(path, silence="keep")
    np.testing.assert_array_equal(y, librosa.load(path, duration=3.0)[0])
    assert y.size >= 1


def test_only_the_first_seconds_are_read(tmp_path):
    y, sr = load(write(tmp_path / "a.wav", sound(2.0, 8000), 8000), sample_rate=None, duration=0.5)
    assert (y.size, sr) == (4000, 8000)


def test_a_name_that_is_not_ascii_is_read(tmp_path):
    path = write(tmp_path / "vögel 🐦, {1}=a.wav", sound(0.2, 8000), 8000)
    assert load(path)[0].size == 4410


def reason(path: Path, **options: object) -> str:
    with pytest.raises(DataError) as caught:
        load(path, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 120
    return message


def test_missing_file_and_folder_are_told_apart(tmp_path):
    assert reason(tmp_path / "none.wav") == "no such file"
    assert reason(tmp_path) == "a folder, not a file"


def test_file_that_cannot_be_opened_says_why(tmp_path):
    (tmp_path / "loop.wav").symlink_to(tmp_path / "loop.wav")
    assert reason(tmp_path / "loop.wav") == f"cannot be opened: {os.strerror(errno.ELOOP)}"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_file_without_permission_says_so(tmp_path):
    path = write(tmp_path / "a.wav", sound(0.1, 8000), 8000)
    path.chmod(0)
    assert "Permission denied" in reason(path)


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.wav", b"", "empty file (0 bytes)"),
        ("a.wav", b"<html>Not found</html>" * 50, "not audio, or damaged: Format not recognised"),
        ("a.mp3", b"abc" * 1000, "not audio, or damaged: no mp3 frame found"),
        ("a.wav", b"RIFF\0\0\0\0WAVE", "not audio, or damaged: Error in WAV file. No 'data' chunk marker"),
        ("a.raw", b"\0\1" * 500, "raw samples without a header: " + RAW),
        ("a.wma", b"abc" * 1000, "libsndfile cannot read wma: " + REMEDY),
        ("a.aac", b"\xff\xf1" * 500, "libsndfile cannot read aac: " + REMEDY),
        (
            "a.wav",
            b"\0\0\0\x20ftypM4A " + bytes(999),
            "libsndfile cannot read mp4/m4a: " + REMEDY,
        ),
        (
            "a.wav",
            b"version https://git-lfs.github.com/spec/v1\n",
            "a Git LFS pointer, not the recording: run 'git lfs pull'",
        ),
    ],
)
def test_unreadable_content_gets_its_reason(tmp_path, name, content, expected):
    path = tmp_path / name
    path.write_bytes(content)
    assert reason(path) == expected.format(path=name, flac=f"{path.stem}.flac")


@pytest.mark.skipif(not Path("/dev/fd").exists(), reason="needs pipes with a path, as of the shell's <(cat a.wav)")
def test_a_pipe_is_refused():
    reading, writing = os.pipe()
    os.write(writing, b"RIFF" * 1000)
    os.close(writing)
    try:
        assert reason(Path(f"/dev/fd/{reading}")).startswith("a pipe, not a file: save it first")
    finally:
        os.close(reading)


def test_no_samples_is_an_error(tmp_path):
    assert reason(write(tmp_path / "a.wav", np.zeros((0, 1)), 8000)) == "contains no samples"


def test_offset_beyond_the_end_is_an_error(tmp_path):
    for name in ("a.wav", "a.mp3", "a.ogg"):
        path = write(tmp_path / name, sound(1.0, 8000), 8000)
        assert reason(path, offset=5.0) == "audio.offset of 5 s is beyond its end at 1 s"
        assert "beyond its end" in reason(path, offset=1.0)


def stereo(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return np.stack([left, right], axis=1)


@pytest.mark.parametrize(("gain", "noise"), [(0.99, 0.0), (0.99, 1e-4), (0.9, 0.01)])
def test_channels_that_cancel_are_not_mixed(tmp_path, caplog, gain, noise):
    y = sound(0.5, 22050)
    reverse = -gain * y + noise * np.random.default_rng(0).standard_normal(y.size)
    path = write(tmp_path / "a.wav", stereo(y, reverse), 22050, subtype="FLOAT")
    np.testing.assert_allclose(load(path)[0], y, atol=1e-6)
    assert "a.wav: its channels cancel each other" in caplog.text


def test_a_dc_offset_neither_hides_channels_that_cancel_nor_counts_as_loud(tmp_path, caplog):
    y = 0.3 * sound(0.5, 22050)
    path = write(tmp_path / "a.wav", stereo(y + 0.2, -0.99 * y + 0.2), 22050, subtype="FLOAT")
    np.testing.assert_allclose(load(path)[0], y + 0.2, atol=1e-6)
    assert "a.wav: its channels cancel each other" in caplog.text
    path = write(tmp_path / "b.wav", stereo(0 * y + 0.9, y), 22050, subtype="FLOAT")
    np.testing.assert_allclose(load(path, channel="loudest")[0], y, atol=1e-6)


@pytest.mark.parametrize("right", ["other", "silent", "same", "quieter, in reverse"])
def test_channels_that_do_not_cancel_are_mixed_as_librosa_does(tmp_path, caplog, right):
    y, other = sound(0.5, 22050), sound(0.5, 22050, 2)[:, 1]
    made = {"other": other, "silent": 0 * y, "same": y, "quieter, in reverse": -0.5 * y}[right]
    path = write(tmp_path / "a.wav", stereo(y, made), 22050)
    assert_same_as_librosa(path, 22050, 3.0, 0.0)
    assert not caplog.text


def test_a_channel_is_taken_by_its_number_or_as_the_loudest(tmp_path):
    y = stereo(0.2 * sound(0.3, 22050), 0.8 * sound(0.3, 22050, 2)[:, 1])
    path = write(tmp_path / "a.wav", y, 22050, subtype="FLOAT")
    np.testing.assert_allclose(load(path, channel=0)[0], y[:, 0], atol=1e-6)
    np.testing.assert_allclose(load(path, channel=1)[0], y[:, 1], atol=1e-6)
    np.testing.assert_allclose(load(path, channel="loudest")[0], y[:, 1], atol=1e-6)
    assert reason(path, channel=2) == "has 2 channels, numbered from 0, but not audio.channel=2"
    assert "has 1 channel," in reason(write(tmp_path / "b.wav", y[:, 0], 22050), channel=1)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("channels", [1, 2])
def test_samples_that_are_not_finite_are_an_error(tmp_path, value, channels):
    y = sound(0.2, 8000, channels)
    y[-1] = value
    path = write(tmp_path / "a.wav", y, 8000, subtype="FLOAT")
    assert reason(path) == "contains NaN or infinite samples"


def test_opposite_infinities_are_an_error_without_a_warning(tmp_path):
    y = sound(0.2, 8000, 2)
    y[3] = np.inf, -np.inf
    path = write(tmp_path / "a.wav", y, 8000, subtype="FLOAT")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert reason(path) == "contains NaN or infinite samples"


def test_silence_is_refused_or_kept(tmp_path):
    path = write(tmp_path / "a.wav", np.zeros(8000), 8000)
    assert reason(path) == "silent: every sample is zero (audio.silence=keep accepts it)"
    y, _ = load(path, silence="keep")
    assert y.size == 22050
    assert not y.any()


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "a.mp3", "a.aiff"])
def test_file_cut_in_the_middle_gives_what_there_is(tmp_path, name):
    y = sound(3.0, 16000)
    path = write(tmp_path / name, y, 16000)
    whole = load(path, sample_rate=None, duration=None)[0]
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    part = load(path, sample_rate=None, duration=None)[0]
    assert 0.2 * whole.size < part.size < 0.8 * whole.size
    sound_until = part.size - 2000  # a lossy codec overlaps its last frames
    np.testing.assert_allclose(part[:sound_until], whole[:sound_until], atol=1e-4)


def test_damaged_flac_gives_what_stands_before_the_damage_from_the_offset_on(tmp_path, caplog):
    path = write(tmp_path / "a.flac", sound(3.0, 16000, 2), 16000)
    whole = load(path, sample_rate=None, duration=None)[0]
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    part = load(path, sample_rate=None, duration=2.0, offset=0.25)[0]
    assert 1024 <= part.size < 32000
    np.testing.assert_array_equal(part, whole[4000 : 4000 + part.size])
    assert "cut short" in caplog.text


def test_file_cut_before_its_first_samples_is_an_error(tmp_path):
    path = write(tmp_path / "a.flac", sound(1.0, 16000), 16000)
    path.write_bytes(path.read_bytes()[:200])
    assert reason(path).startswith("not audio, or damaged: ")


HEADERS = ("WAV", "RF64", "W64", "AIFF", "AU", "CAF", "FLAC", "OGG", "MP3")


@pytest.mark.parametrize("form", HEADERS)
def test_a_header_cut_off_or_spoilt_at_any_byte_is_read_or_refused_in_one_line(tmp_path, form):
    whole = write(tmp_path / "whole", sound(0.1, 22050), 22050, format=form).read_bytes()
    file = tmp_path / f"a.{form.lower()}"
    cut = [whole[:at] for at in range(64)]
    spoilt = [whole[:at] + fill + whole[at + 8 :] for at in range(0, 96, 8) for fill in (b"\xff" * 8, bytes(8))]
    for content in cut + spoilt:
        file.write_bytes(content)
        with contextlib.suppress(DataError):  # and nothing else
            load(file, sample_rate=8000, duration=None)
