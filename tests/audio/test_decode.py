"""audio.decode: every sample is read, whatever length the header states, and problems are noted."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiofw.audio.decode import Reader
from audiofw.audio.load import load

av = pytest.importorskip("av", reason="PyAV, the second decoder, is in the extra 'test'")
av.logging.set_level(av.logging.PANIC)

SR = 22050
N = 11025


def sound(n: int = N, seed: int = 0) -> np.ndarray:
    """A tone with noise, so that no two passages are equal."""
    rng = np.random.default_rng(seed)
    return (0.3 * np.sin(np.arange(n) * 0.05) + 0.05 * rng.standard_normal(n)).astype(np.float32)


def read(path: Path, **options: int) -> tuple[np.ndarray, list[str]]:
    with Reader(path) as reader:
        return reader.read(**options), reader.notes


def second_opinion(path: Path) -> np.ndarray:
    """Decode with PyAV (FFmpeg): one channel of float samples."""
    with av.open(str(path)) as container:
        frames = list(container.decode(audio=0))
    steps = [1 if frame.format.is_planar else frame.layout.nb_channels for frame in frames]
    y = np.concatenate([frame.to_ndarray()[0, ::step] for frame, step in zip(frames, steps, strict=True)])
    scale = {np.int16: 2**15, np.int32: 2**31}.get(y.dtype.type, 1)
    return (y.astype(np.float64) / scale if y.dtype != np.uint8 else (y.astype(float) - 128) / 128).astype(np.float32)


# --- containers -------------------------------------------------------------------------------------------


def riff(b: bytes) -> list[tuple[int, str]]:
    return [(4, "<I"), (b.find(b"data") + 4, "<I")]


def w64(b: bytes) -> list[tuple[int, str]]:
    return [(16, "<Q"), (b.find(b"data") + 16, "<Q")]


def aiff(b: bytes) -> list[tuple[int, str]]:
    return [(4, ">I"), (b.find(b"SSND") + 4, ">I"), (b.find(b"COMM") + 10, ">I")]


def nist(b: bytes) -> list[tuple[int, str]]:
    at = b.find(b"sample_count -i ") + 16
    return [(at, f"{b[at:].index(10)}s")]


LENGTHS: dict[str, Callable[[bytes], list[tuple[int, str]]]] = {
    "WAV": riff,
    "WAVEX": riff,
    "RF64": lambda b: [(20, "<Q"), (28, "<Q"), (36, "<Q")],
    "W64": w64,
    "AIFF": aiff,
    "AU": lambda b: [(8, ">I")],
    "CAF": lambda b: [(b.find(b"data") + 4, ">q")],
    "SVX": lambda b: [(4, ">I"), (b.find(b"BODY") + 4, ">I")],
    "NIST": nist,
    "VOC": lambda b: [(27, "<3s")],
    "AVR": lambda b: [(26, ">I")],
    "MPC2K": lambda b: [(30, "<I")],
    "WVE": lambda b: [(18, ">I")],
    "HTK": lambda b: [(0, ">I")],
    "MAT4": lambda b: [(b.find(b"wavedata") - 12, "<I")],
    "MAT5": lambda b: [(b.find(b"wavedata") + 12, "<I")],
    "SDS": lambda b: [(10, "<7")],
}
"""Where the header of each container states a length; IRCAM, PAF, PVF and, as libsndfile writes it, XI state none."""

RATES = {"WVE": 8000, "HTK": 20000}  # others cannot be stated there

VARYING = ("DWVW", "ALAC")  # codecs whose number of samples cannot be computed from the number of bytes

CONTAINERS = [
    (container, subtype)
    for container in LENGTHS
    for subtype in soundfile.available_subtypes(container)
    if not subtype.startswith((*VARYING, "MPEG"))
]


def restate(content: bytes, fields: list[tuple[int, str]], wrong: str) -> bytes:
    """Write another length into a header."""
    for at, form in fields:
        size = 3 if form == "<7" else struct.calcsize(form)
        length = to_int(content[at : at + size], form)
        most = to_int(b"9" * size if form[0].isdigit() else b"\x7f" * 3 if form == "<7" else b"\xff" * size, form)
        made = {"zero": 0, "too short": length // 3 // 4 * 4, "too long": length * 3, "unknown": most}[wrong]
        content = content[:at] + to_bytes(made, size, form) + content[at + size :]
    return content


def to_int(field: bytes, form: str) -> int:
    """Read a number: as text, in three bytes, in bytes of seven bits, or as `struct` does."""
    if form[0].isdigit():
        return int(field)
    if form == "<7":
        return sum(byte << 7 * number for number, byte in enumerate(field))
    return int.from_bytes(field, "little" if form[0] == "<" else "big", signed=form.endswith("q"))


def to_bytes(number: int, size: int, form: str) -> bytes:
    if form[0].isdigit():
        return str(number).zfill(size).encode()
    if form == "<7":
        return bytes(number >> 7 * place & 127 for place in range(size))
    return number.to_bytes(size, "little" if form[0] == "<" else "big", signed=form.endswith("q"))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Path]:
    folder, made = tmp_path_factory.mktemp("containers"), {}

    def write(container: str, subtype: str) -> Path:
        if (container, subtype) not in made:
            path = folder / f"{container}-{subtype}.{container.lower()}"
            try:
                soundfile.write(path, sound(), RATES.get(container, SR), format=container, subtype=subtype)
            except soundfile.LibsndfileError as error:
                pytest.skip(f"libsndfile does not write it: {error}")
            made[container, subtype] = path
        return made[container, subtype]

    return write


WRONG = [
    (*each, wrong)
    for each in CONTAINERS
    for wrong in ("zero", "too short", "too long", "unknown")
    if (each[0], wrong) != ("NIST", "unknown")  # five digits are a length
]


@pytest.mark.parametrize(("container", "subtype", "wrong"), WRONG)
def test_a_wrong_length_in_a_header_loses_no_sample(written, tmp_path, container, subtype, wrong):
    right = written(container, subtype)
    whole, notes = read(right)
    assert not notes
    content = right.read_bytes()
    path = tmp_path / right.name
    path.write_bytes(restate(content, LENGTHS[container](content), wrong))
    y, notes = read(path)
    assert len(whole) <= len(y) <= len(whole) + 320  # block codecs pad the last block
    same = len(whole) // 60 * 60 if container == "SDS" else len(whole)  # of the last block, libsndfile reads zeros
    np.testing.assert_array_equal(y[:same], whole[:same])
    assert bool(notes) == (wrong != "unknown")
    assert all(("cut short" in note) == (wrong == "too long") for note in notes)
    part, notes = read(path, start=5000, frames=1000)
    if subtype != "GSM610" or container != "AIFF":
        np.testing.assert_array_equal(part, whole[5000:6000])


@pytest.mark.parametrize(("container", "subtype"), CONTAINERS)
def test_a_second_decoder_hears_the_same(written, container, subtype):
    path = written(container, subtype)
    y, _ = read(path)
    try:
        other = second_opinion(path)
    except av.error.FFmpegError:
        pytest.skip("FFmpeg does not read it")
    n = min(len(y), len(other))
    assert n > 0.97 * len(y)
    if subtype.startswith("G72"):
        return  # decoders of this codec family differ slightly
    tolerance = 0.02 if "ADPCM" in subtype or subtype.startswith("GSM") else 1e-6
    np.testing.assert_allclose(y[:n], other[:n], atol=tolerance)


@pytest.mark.parametrize("container", ["WAV", "RF64", "W64", "AIFF", "AU", "CAF", "NIST", "SVX", "AVR", "VOC"])
def test_a_second_decoder_hears_as_much_of_a_cut_file(written, tmp_path, container):
    content = written(container, "PCM_16").read_bytes()
    path = tmp_path / f"a.{container.lower()}"
    path.write_bytes(content[: int(0.6 * len(content)) // 2 * 2])
    y, notes = read(path)
    assert "cut short" in notes[0]
    try:
        other = second_opinion(path)
    except av.error.FFmpegError:
        pytest.skip("FFmpeg does not read it")
    np.testing.assert_allclose(y, other[: len(y)], atol=1e-6)
    assert len(y) == len(other)


@pytest.mark.parametrize("wrong", ["zero", "unknown"])
def test_both_decoders_read_what_a_recorder_left_that_lost_power(written, tmp_path, wrong):
    content = written("WAV", "PCM_16").read_bytes()
    path = tmp_path / "a.wav"
    path.write_bytes(restate(content, riff(content), wrong))
    np.testing.assert_allclose(read(path)[0], second_opinion(path), atol=1e-6)


def test_a_cut_file_gives_what_there_is_and_says_how_much_is_missing(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, sound(SR), SR)
    path.write_bytes(path.read_bytes()[: 44 + SR])
    y, notes = read(path)
    assert len(y) == SR // 2
    assert notes == ["cut short: 0.50 s of the 1.00 s in its header"]
    assert read(path, frames=SR // 4)[1] == []  # the requested part is complete


def test_load_warns_of_a_cut_file(tmp_path, caplog):
    path = tmp_path / "a.wav"
    soundfile.write(path, sound(SR), SR)
    path.write_bytes(path.read_bytes()[:3000])
    load(path)
    assert "a.wav: cut short: 0.07 s of the 1.00 s in its header" in caplog.text


@pytest.mark.parametrize(
    "tail", [b"LIST\4\0\0\0INFO", b"id3 \2\0\0\0xy", bytes(700), b"TAG" + bytes(125), b"LIST\xff\xff\0\0IN"]
)
def test_what_follows_the_samples_is_not_taken_for_samples(tmp_path, tail):
    path = tmp_path / "a.wav"
    soundfile.write(path, sound(), SR)
    path.write_bytes(path.read_bytes() + tail)
    y, notes = read(path)
    assert (len(y), notes) == (N, [])


def test_a_file_without_samples_stays_empty(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, np.zeros((0, 1)), SR)
    path.write_bytes(path.read_bytes() + b"LIST\4\0\0\0INFO")
    assert read(path)[0].size == 0


# --- compressed streams -----------------------------------------------------------------------------------


def flac_total(content: bytes, total: int) -> bytes:
    return (
        content[:21] + bytes([content[21] & 0xF0 | total >> 32]) + struct.pack(">I", total & 0xFFFFFFFF) + content[26:]
    )


@pytest.mark.parametrize("total", [0, N // 3, 3 * N])
@pytest.mark.parametrize("tagged", [False, True])
def test_flac_is_read_to_its_end_whatever_its_header_says(tmp_path, total, tagged):
    path = tmp_path / "a.flac"
    soundfile.write(path, sound(), SR)
    whole, _ = read(path)
    path.write_bytes((b"ID3\4\0\0\0\0\0\x0a" + bytes(10)) * tagged + flac_total(path.read_bytes(), total))
    y, notes = read(path)
    np.testing.assert_array_equal(y, whole)
    assert bool(notes) == (total != 0)
    np.testing.assert_array_equal(read(path, start=9000, frames=1000)[0], whole[9000:10000])
    np.testing.assert_array_equal(load(path, sample_rate=None, duration=None)[0], whole)


@pytest.mark.parametrize(
    ("name", "subtype"), [("a.flac", "PCM_16"), ("a.ogg", "VORBIS"), ("a.opus", "OPUS"), ("a.mp3", None)]
)
def test_joined_files_are_read_to_the_end_of_the_last(tmp_path, name, subtype):
    path, sr = tmp_path / name, 48000 if name == "a.opus" else SR
    soundfile.write(path, sound(SR), sr, format="OGG" if name == "a.opus" else None, subtype=subtype)
    one, _ = read(path)
    path.write_bytes(path.read_bytes() * 2)
    y, notes = read(path)
    assert abs(len(y) - 2 * len(one)) < 3000
    if name != "a.opus":  # FFmpeg drops most of the second part of these
        assert abs(len(y) - second_opinion(path).size) < 3000
    assert "which were all read" in notes[0]
    if name != "a.mp3":
        np.testing.assert_array_equal(y, np.concatenate([one, one]))
        np.testing.assert_array_equal(read(path, start=SR + 100, frames=50)[0], one[100:150])


def test_parts_that_differ_in_rate_are_left_out_and_said(tmp_path):
    a, b = tmp_path / "a.flac", tmp_path / "b.flac"
    soundfile.write(a, sound(), SR)
    soundfile.write(b, sound(), 8000)
    a.write_bytes(a.read_bytes() + b.read_bytes())
    y, notes = read(a)
    assert len(y) == N
    assert "continues at 0.50 s with 1 channels at 8000 Hz; that part is ignored" in notes[0]


def mp3(path: Path, sr: int, channels: int, mode: str) -> tuple[bytes, int]:
    """Silence, then sound, so that an estimate from the first frame is wrong; and the offset of the frame count."""
    y = np.concatenate([np.zeros(4 * SR, np.float32), sound(2 * SR)])
    y = np.stack([y, y], axis=1) if channels == 2 else y
    soundfile.write(path, y, sr, format="MP3", bitrate_mode=mode, compression_level=0.3)
    content = path.read_bytes()
    return content, max(content.find(b"Xing"), content.find(b"Info"))


def without_index(content: bytes) -> bytes:
    """Remove the first frame, which contains the number of frames; each frame starts with the same twelve bits."""
    second = next(i for i in range(4, len(content)) if content[i : i + 2] == content[:2])
    return content[second:]


@pytest.mark.parametrize("mode", ["CONSTANT", "VARIABLE"])
@pytest.mark.parametrize(("sr", "channels"), [(44100, 1), (44100, 2), (16000, 1), (8000, 2), (48000, 2)])
def test_mp3_without_an_index_is_read_whole(tmp_path, sr, channels, mode):
    content, _ = mp3(tmp_path / "a.mp3", sr, channels, mode)
    whole, _ = read(tmp_path / "a.mp3")
    path = tmp_path / "b.mp3"
    path.write_bytes(without_index(content))
    y, notes = read(path)
    assert abs(len(y) - len(whole)) < 3000
    assert abs(len(y) - second_opinion(path).size) < 3000
    assert not any("cut short" in note for note in notes)


@pytest.mark.parametrize("frames", [0, 20, 9000, 0xFFFFFFFF])
def test_mp3_with_a_wrong_index_is_read_whole(tmp_path, frames):
    content, at = mp3(tmp_path / "a.mp3", 44100, 2, "VARIABLE")
    whole, _ = read(tmp_path / "a.mp3")
    path = tmp_path / "b.mp3"
    path.write_bytes(content[: at + 8] + struct.pack(">I", frames) + content[at + 12 :])
    assert abs(len(read(path)[0]) - len(whole)) < 3000


def test_a_cut_mp3_says_how_much_is_missing(tmp_path):
    content, _ = mp3(tmp_path / "a.mp3", 44100, 1, "CONSTANT")
    path = tmp_path / "b.mp3"
    path.write_bytes(content[: len(content) // 2])
    assert read(path)[1][0].startswith("cut short: 1.")


@pytest.mark.parametrize("cut", [0.3, 0.5, 0.8])
def test_all_that_decodes_of_a_cut_flac_is_kept(tmp_path, cut):
    path = tmp_path / "a.flac"
    soundfile.write(path, sound(4 * SR), SR, subtype="PCM_16")
    whole, _ = read(path)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * cut)])
    y, notes = read(path)
    assert (cut - 0.1) * len(whole) < len(y) < (cut + 0.05) * len(whole)
    np.testing.assert_array_equal(y, whole[: len(y)])
    assert notes[0].startswith("damaged or cut short after")
    parts, _ = read(path, start=100)
    np.testing.assert_array_equal(parts, y[100:])


def test_blocks_of_an_mp3_file_join_without_a_gap(tmp_path):
    sr = 16000
    y = 0.3 * np.sin(2 * np.pi * np.cumsum(np.linspace(100, 4000, 20 * sr)) / sr)
    soundfile.write(tmp_path / "chirp.mp3", y, sr)
    whole, _ = soundfile.read(tmp_path / "chirp.mp3", dtype="float32")
    with Reader(tmp_path / "chirp.mp3") as reader:
        blocks = np.concatenate(list(reader.blocks(5000)))
    np.testing.assert_allclose(blocks, whole, atol=1e-5)
