"""audio.containers: cut files, appended files, and what follows the samples, for every format with a header."""

from __future__ import annotations

import struct

import numpy as np
import pytest
import soundfile
from broken import SR, read, sweep, write

from audiofw.audio.decode import Reader

CONTAINERS = {
    "WAV": "PCM_16",
    "WAVEX": "PCM_24",
    "RF64": "PCM_16",
    "W64": "FLOAT",
    "AIFF": "FLOAT",
    "AU": "ULAW",
    "CAF": "PCM_16",
    "SVX": "PCM_16",
    "NIST": "PCM_16",
    "VOC": "PCM_16",
    "AVR": "PCM_16",
    "MPC2K": "PCM_16",
    "WVE": "ALAW",
    "HTK": "PCM_16",
    "MAT4": "PCM_16",
    "MAT5": "PCM_16",
    "SDS": "PCM_16",
}
UNSTATED = {"IRCAM": "PCM_16", "PAF": "PCM_16", "PVF": "PCM_16", "XI": "DPCM_16"}
"""Formats whose header states no length."""


@pytest.fixture(scope="module")
def wholes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[bytes, np.ndarray]]:
    folder, made = tmp_path_factory.mktemp("wholes"), {}
    for container, subtype in (CONTAINERS | UNSTATED).items():
        y = write(folder / container, 0.5, format=container, subtype=subtype)
        made[container] = (folder / container).read_bytes(), y
    return made


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("cut", [0.3, 0.6, 0.95])
def test_a_cut_file_says_how_much_is_missing(wholes, tmp_path, container, cut):
    content, whole = wholes[container]
    path = tmp_path / "a.x"
    path.write_bytes(content[: int(cut * len(content))])
    y, notes, reader = read(path)
    assert (cut - 0.15) * len(whole) < len(y) < (cut + 0.01) * len(whole)
    np.testing.assert_array_equal(y, whole[: len(y)])
    seconds = len(whole) / reader.samplerate
    assert notes == [f"cut short: {len(y) / reader.samplerate:.2f} s of the {seconds:.2f} s in its header"]
    assert reader.gaps[0].end == pytest.approx(seconds, abs=0.01)


BLOCKS = [
    ("WAV", "IMA_ADPCM", 2),
    ("WAV", "MS_ADPCM", 2),
    ("WAV", "GSM610", 1),
    ("WAV", "NMS_ADPCM_16", 1),
    ("W64", "IMA_ADPCM", 2),
    ("W64", "GSM610", 1),
    ("AIFF", "IMA_ADPCM", 2),
    ("AIFF", "GSM610", 1),
]


@pytest.mark.parametrize(("container", "subtype", "channels"), BLOCKS)
def test_a_block_of_samples_that_is_cut_is_not_decoded(tmp_path, container, subtype, channels):
    path = tmp_path / "a.x"
    y = np.stack([sweep(0.5)] * channels, axis=1)
    soundfile.write(path, y, SR, format=container, subtype=subtype)
    whole, _, _ = read(path)
    content = path.read_bytes()
    for size in range(len(content) // 2, len(content) // 2 + 60, 7):
        path.write_bytes(content[:size])
        y, notes, _ = read(path)
        assert 0.3 * len(whole) < len(y) < 0.6 * len(whole)
        np.testing.assert_array_equal(y, whole[: len(y)])
        assert "cut short" in notes[0]


@pytest.mark.parametrize("container", CONTAINERS | UNSTATED)
@pytest.mark.parametrize("parts", [2, 3])
def test_appended_files_are_read_to_the_end_of_the_last(wholes, tmp_path, container, parts):
    content, whole = wholes[container]
    path = tmp_path / "a.x"
    path.write_bytes(content * parts)
    y, _, reader = read(path)
    if container == "XI":  # each begins from the last value of the one before
        assert len(y) == parts * len(whole)
    else:
        np.testing.assert_array_equal(y, np.tile(whole, parts))
    assert not reader.gaps
    at = len(whole) + 100
    np.testing.assert_array_equal(read(path, start=at, frames=50)[0], y[at : at + 50])
    with Reader(path) as reader:
        assert reader.length() == len(y)


@pytest.mark.parametrize("container", ["WAV", "AIFF", "CAF"])
def test_an_appended_file_of_another_rate_is_named(wholes, tmp_path, container):
    content, whole = wholes[container]
    soundfile.write(tmp_path / "b", np.zeros(100), 8000, format=container, subtype=CONTAINERS[container])
    path = tmp_path / "a.x"
    path.write_bytes(content + (tmp_path / "b").read_bytes())
    y, notes, _ = read(path)
    assert len(y) == len(whole)
    assert notes == ["continues at 0.50 s with 1 channels at 8000 Hz; that part is ignored"]


@pytest.mark.parametrize("container", ["WAV", "AIFF", "W64", "AU", "CAF"])
def test_a_file_appended_to_a_cut_one_is_read(wholes, tmp_path, container):
    content, whole = wholes[container]
    path = tmp_path / "a.x"
    path.write_bytes(content[: len(content) // 4 * 2] + content)
    y, notes, reader = read(path)
    n = len(y) - len(whole)
    assert 0.4 * len(whole) < n < 0.6 * len(whole)
    np.testing.assert_array_equal(y, np.concatenate([whole[:n], whole]))
    assert any("cut short" in note for note in notes)
    assert reader.gaps


def test_samples_of_aiff_may_come_before_their_description(tmp_path):
    path = tmp_path / "a.aiff"
    whole = write(path, 0.5, subtype="PCM_16")
    content = path.read_bytes()
    common, sound = content.find(b"COMM"), content.find(b"SSND")
    (n,) = struct.unpack(">I", content[common + 4 : common + 8])
    described = content[common : common + 8 + n]
    path.write_bytes(content[:common] + content[common + len(described) : sound] + content[sound:] + described)
    y, notes, _ = read(path)
    np.testing.assert_array_equal(y, whole)
    assert not notes


TAILS = {
    "text": b"Recorded on 3 May near the gr\xc3\xbcne bridge.\r\n" * 4,
    "XML": b"<?xml version='1.0'?><recorder serial='12'/>",
    "ID3v1": b"TAG" + bytes(range(125)),
    "ID3v2": b"ID3\4\0\0" + bytes(range(90)),
    "APEv2": b"APETAGEX" + bytes([208, 7, 0, 0]) + bytes(range(100)),
    "APEv1": bytes(range(100)) + b"APETAGEX" + bytes(range(24)),
    "a picture": b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 4,
    "an archive": b"PK\3\4" + bytes(range(256)) * 4,
    "zeros": bytes(700),
    "a few bytes": bytes([7, 200, 3, 9]),
}


@pytest.mark.parametrize("tail", TAILS)
@pytest.mark.parametrize("container", CONTAINERS)
def test_bytes_behind_the_samples_are_not_samples(wholes, tmp_path, container, tail):
    content, whole = wholes[container]
    path = tmp_path / "a.x"
    path.write_bytes(content + TAILS[tail])
    y, notes, _ = read(path)
    np.testing.assert_array_equal(y, whole)
    assert notes == ([] if tail != "a few bytes" else ["4 bytes after its samples are ignored"])


@pytest.mark.parametrize("container", CONTAINERS)
def test_samples_behind_a_length_that_is_too_short_are_samples(wholes, tmp_path, container):
    content, whole = wholes[container]
    path = tmp_path / "a.x"
    more = np.random.default_rng(0).bytes(127 * 40)  # as many as SDS has in 40 packets
    path.write_bytes(content + more)
    y, notes, _ = read(path)
    assert len(y) > len(whole)
    assert notes == ["the length in its header is wrong; read to the end of the file"]
