"""A stretch of a recording is read alone, and as the same seconds of the whole are."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiofw.audio import mpeg
from audiofw.audio.decode import MP3_LEAD
from audiofw.audio.load import load, load_stretch, load_whole
from audiofw.audio.stretch import Stretch, stretch_name
from audiofw.errors import DataError

SR = 8000


@pytest.fixture
def noise(tmp_path) -> Path:
    soundfile.write(tmp_path / "noise.wav", 0.1 * np.random.default_rng(0).standard_normal(10 * SR), SR)
    return tmp_path / "noise.wav"


@pytest.mark.parametrize(
    ("start", "end", "name"),
    [
        (None, None, "rec.wav"),
        (12.5, 15.0, "rec.wav@12.5-15"),
        (0.0, 0.1 + 0.2, "rec.wav@0-0.3"),
        (1000.0, 1000.00049, "rec.wav@1000-1000"),
        (None, 2.0, "rec.wav@0-2"),
        (2.0, None, "rec.wav@2-"),
    ],
)
def test_a_name_has_the_seconds_to_the_millisecond(start, end, name):
    assert stretch_name("rec.wav", start, end) == name


@pytest.mark.parametrize(
    ("stretch", "offset", "duration", "expected"),
    [
        ((None, None), 1.5, 3.0, (1.5, 3.0)),
        ((2.0, 6.0), 0.0, None, (2.0, 4.0)),
        ((2.0, 6.0), 0.0, 3.0, (2.0, 3.0)),
        ((2.0, 6.0), 1.0, 60.0, (3.0, 3.0)),
        ((0.1, 0.3), 0.0, None, (0.1, 0.2)),
        ((2.0, None), 0.0, None, (2.0, None)),
        ((None, 2.0), 0.0, None, (0.0, 2.0)),
    ],
)
def test_offset_and_duration_are_of_the_stretch(stretch, offset, duration, expected):
    assert Stretch(Path("rec.wav"), *stretch).to_read(offset, duration) == expected


def test_an_offset_beyond_the_stretch_is_refused():
    with pytest.raises(DataError, match="beyond the end of the stretch"):
        Stretch(Path("rec.wav"), 1.0, 2.0).to_read(offset=1.0)


def test_stretches_of_one_file_have_keys_of_their_own():
    stretches = [(None, None), (0.0, 1.0), (0.0, 1.0000001), (1.0, None), (None, 1.0)]
    assert len({Stretch(Path("rec.wav"), *each).key for each in stretches}) == len(stretches)


def test_a_whole_stretch_is_that_part_of_the_whole(noise):
    whole, sr, *_ = load_whole(noise)
    part, *_ = load_whole(Stretch(noise, 2.25, 3.5))
    np.testing.assert_array_equal(part, whole[int(2.25 * sr) : int(3.5 * sr)])


@pytest.mark.parametrize("name", ["long.wav", "long.flac", "long.ogg", "long.mp3", "long.opus"])
def test_nothing_before_a_stretch_is_decoded(tmp_path, monkeypatch, name):
    sr, seconds = 16000, 120
    y = 0.3 * np.sin(2 * np.pi * np.cumsum(np.linspace(100, 4000, seconds * sr)) / sr)
    with soundfile.SoundFile(tmp_path / name, "w", sr, 1, format="OGG" if name.endswith("opus") else None,
                             subtype="OPUS" if name.endswith("opus") else None) as file:  # fmt: skip
        for at in range(0, y.size, sr):
            file.write(y[at : at + sr])
    whole, _ = load(tmp_path / name, sample_rate=None, duration=None)

    decoded = []
    read_into, read = soundfile.SoundFile.buffer_read_into, soundfile.SoundFile.read

    def counting_read_into(file, buffer, dtype):
        decoded.append(len(buffer))
        return read_into(file, buffer, dtype)

    def counting_read(file, frames=-1, **options):
        decoded.append(frames)
        return read(file, frames, **options)

    monkeypatch.setattr(soundfile.SoundFile, "buffer_read_into", counting_read_into)
    monkeypatch.setattr(soundfile.SoundFile, "read", counting_read)
    part, _ = load_stretch(Stretch(tmp_path / name, 100.0, 103.0), sample_rate=None)
    assert sum(decoded) <= 3 * sr + (MP3_LEAD + 1152) * name.endswith("mp3")
    np.testing.assert_allclose(part, whole[100 * sr : 103 * sr], atol=2e-3)  # opus starts anew at a seek


@pytest.mark.parametrize(("sr", "channels"), [(16000, 1), (44100, 2)])
@pytest.mark.parametrize("level", [0.0, 0.95])
def test_far_into_an_mp3_file_the_frames_before_are_not_visited(tmp_path, monkeypatch, sr, channels, level):
    monkeypatch.setattr(mpeg, "NEAR", 10)
    rng, t = np.random.default_rng(0), np.arange(12 * sr) / sr
    y = 0.2 * np.sin(2 * np.pi * 700 * t) + 0.1 * rng.standard_normal(t.size) * (np.sin(3 * t) > 0)
    y = np.stack([y, 0.5 * y], axis=1) if channels == 2 else y
    path = tmp_path / "long.mp3"
    soundfile.write(path, y, sr, bitrate_mode="VARIABLE", compression_level=level)
    whole, *_ = load_whole(path)
    monkeypatch.setattr(soundfile.SoundFile, "seek", refuse_to_go_far(soundfile.SoundFile.seek))
    for start, end in ((4.0, 5.0), (7.3, 8.1), (11.5, 12.0)):
        assert mpeg.start_near(path, int(start * sr), MP3_LEAD)
        part, *_ = load_whole(Stretch(path, start, end))
        np.testing.assert_allclose(part, whole[int(start * sr) : int(start * sr) + part.size], atol=1e-6)
        assert part.size == int(round(end - start, 9) * sr)


def refuse_to_go_far(seek):
    def seek_nearby(file, frames, whence=0):
        assert frames == 0
        return seek(file, frames, whence)

    return seek_nearby


def test_an_mp3_file_that_miscounts_its_frames_is_read_as_ever(tmp_path, monkeypatch):
    monkeypatch.setattr(mpeg, "NEAR", 10)
    path = tmp_path / "long.mp3"
    soundfile.write(path, 0.1 * np.random.default_rng(0).standard_normal(12 * SR), SR, bitrate_mode="VARIABLE")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 3 // 4])  # cut short: fewer frames than its header counts
    assert mpeg.start_near(path, 5 * SR, MP3_LEAD) is None
    whole, *_ = load_whole(path)
    part, *_ = load_whole(Stretch(path, 5.0, 6.0))
    np.testing.assert_allclose(part, whole[5 * SR : 6 * SR], atol=1e-6)
