"""A hole in a compressed recording: what is intact is read at its right time, the rest is silent and said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from broken import DAMAGES, SR, damage, read, sweep, write

from audiofw.audio import ogg
from audiofw.audio.decode import Reader
from audiofw.audio.load import load, load_stretch
from audiofw.audio.stretch import Stretch

FORMATS = {
    "a.ogg": {},
    "a.opus": {"format": "OGG", "subtype": "OPUS"},
    "a.flac": {},
    "a.mp3": {},
    "a.caf": {"subtype": "ALAC_16"},
}
SECONDS = 8.0


@pytest.fixture(scope="module")
def wholes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[bytes, np.ndarray]]:
    """Each file's bytes, and its samples."""
    folder = tmp_path_factory.mktemp("wholes")
    made = {}
    for name, options in FORMATS.items():
        y = write(folder / name, SECONDS, **options)
        made[name] = (folder / name).read_bytes(), y
    return made


@pytest.fixture
def broken(wholes, tmp_path):
    """Damage a copy of a file; return its path and the samples of the whole."""

    def make(name: str, how: str, at: float = 0.5, n: int = 4000) -> tuple[Path, np.ndarray]:
        content, y = wholes[name]
        (tmp_path / name).write_bytes(content)
        damage(tmp_path / name, how, at, n)
        return tmp_path / name, y

    return make


def assert_intact(y: np.ndarray, whole: np.ndarray, gaps: list, sr: int, tolerance: float = 0.05) -> None:
    """Check that all is there but the gaps, which are silent."""
    lost = np.zeros(len(whole), bool)
    for gap in gaps:
        begin, end = round(gap.start * sr), round(gap.end * sr)
        lost[begin:end] = True
        assert not y[begin:end].any()
    at = min(len(y), len(whole))
    np.testing.assert_allclose(y[:at][~lost[:at]], whole[:at][~lost[:at]], atol=tolerance)
    assert lost[at:].all()


@pytest.mark.parametrize("how", DAMAGES)
@pytest.mark.parametrize("name", [name for name in FORMATS if name != "a.caf"])
def test_a_hole_is_silent_and_said_and_what_follows_is_at_its_time(broken, name, how):
    path, whole = broken(name, how)
    y, notes, reader = read(path)
    (gap,) = reader.gaps
    assert notes == [gap.reason]
    assert gap.reason.startswith("damaged: ")
    assert 2 < gap.start < gap.end < 6
    assert abs(len(y) - len(whole)) < 1200
    assert_intact(y, whole, reader.gaps, reader.samplerate)


@pytest.mark.parametrize(("how", "missing"), [("zeroed", 1.0), ("removed", SECONDS / 2 + 1)])
def test_damaged_packets_of_apple_lossless_are_known_by_their_ends(broken, how, missing):
    path, whole = broken("a.caf", how)
    y, _, reader = read(path)
    assert 0 < sum(gap.end - gap.start for gap in reader.gaps) < missing  # what follows a removal cannot be found
    assert_intact(y, whole, reader.gaps, SR)


@pytest.mark.parametrize("name", FORMATS)
def test_two_holes_are_two_gaps(broken, name):
    path, whole = broken(name, "zeroed", 0.3, 500)
    damage(path, "zeroed", 0.75, 500)
    y, notes, reader = read(path)
    assert len(reader.gaps) == len(notes) == 2
    assert_intact(y, whole, reader.gaps, reader.samplerate)


@pytest.mark.parametrize("name", FORMATS)
def test_a_stretch_beside_a_hole_is_whole_and_one_over_it_is_not(broken, name):
    path, whole = broken(name, "zeroed")
    _, _, reader = read(path)
    (gap,), sr = reader.gaps, reader.samplerate
    for start in (0.5, gap.end + 0.5):
        y, notes, _ = read(path, start=round(start * sr), frames=sr // 2, lead=23040)
        np.testing.assert_allclose(y, whole[round(start * sr) :][: sr // 2], atol=0.02)
        assert not notes or name == "a.caf"
    y, notes, reader = read(path, start=round((gap.start - 0.25) * sr), frames=sr // 2)
    assert len(y) == sr // 2
    assert reader.gaps[0].start == pytest.approx(gap.start, abs=1 / sr)
    assert len(notes) == 1
    inside, notes, _ = read(path, start=round((gap.start + 0.01) * sr), frames=50)
    assert not inside.any()
    assert len(notes) == 1


def test_blocks_of_a_damaged_file_are_small(broken):
    path, _ = broken("a.flac", "zeroed")
    with Reader(path) as reader:
        blocks = list(reader.blocks(1000))
        assert max(map(len, blocks)) <= 4096
        assert sum(map(len, blocks)) == reader.hint


def test_load_says_what_was_lost(broken, caplog):
    path, _ = broken("a.ogg", "flipped", n=1)
    y, _ = load(path, sample_rate=None, duration=None)
    assert len(y) == SECONDS * SR
    assert "a.ogg: damaged: " in caplog.text
    assert "could not be read and is silent instead" in caplog.text


@pytest.mark.parametrize("name", ["a.ogg", "a.opus"])
@pytest.mark.parametrize("cut", [0.4, 0.95])
def test_an_ogg_file_without_its_last_page_is_cut(wholes, tmp_path, name, cut):
    content, whole = wholes[name]
    path = tmp_path / name
    path.write_bytes(content[: int(cut * len(content))])
    y, notes, reader = read(path)
    assert notes == [f"cut short: its last page is missing; it ends after {len(y) / reader.samplerate:.2f} s"]
    np.testing.assert_array_equal(y, whole[: len(y)])
    assert [(gap.start, gap.end) for gap in reader.gaps] == [(len(y) / reader.samplerate,) * 2]
    assert read(path, frames=SR // 2)[1] == []  # the requested part is complete


def test_apple_lossless_ends_where_its_packets_do(wholes, tmp_path):
    content, whole = wholes["a.caf"]
    path = tmp_path / "a.caf"
    path.write_bytes(content[: int(0.6 * len(content))])
    y, notes, _ = read(path)
    assert notes == [f"cut short: {len(y) / SR:.2f} s of the {SECONDS:.2f} s in its header"]
    np.testing.assert_array_equal(y, whole[: len(y)])


@pytest.mark.parametrize("index", [True, False])
def test_frames_of_an_mp3_file_that_are_lost_are_counted(broken, index):
    path, whole = broken("a.mp3", "removed", n=3000)
    if not index:
        content = path.read_bytes()
        path.write_bytes(content[content.find(content[:2], 4) :])
    y, _, reader = read(path)
    (gap,) = reader.gaps
    if index:
        assert abs(len(y) - len(whole)) < 1200
    else:  # nothing tells how much there was
        assert gap.end - gap.start < 0.5


def test_the_index_of_a_damaged_mp3_file_is_not_believed_if_it_counts_years(broken):
    path, whole = broken("a.mp3", "removed", n=3000)
    content = path.read_bytes()
    counted = next(at for tag in (b"Xing", b"Info") if (at := content.find(tag)) > 0) + 8
    path.write_bytes(content[:counted] + b"\xf0" + content[counted + 1 :])
    y, _, reader = read(path)
    assert len(y) <= len(whole)
    assert all(gap.end < 10 for gap in reader.gaps)


@pytest.mark.parametrize("tag", [b"ID3\4\0\0\0\0\0\x0a" + bytes(10), b"TAG" + bytes(125), b"APETAGEX" + bytes(24)])
def test_a_tag_between_joined_mp3_files_is_no_damage(tmp_path, tag):
    path = tmp_path / "a.mp3"
    one = write(path, 1.0)
    path.write_bytes(path.read_bytes() + tag + path.read_bytes())
    y, _, reader = read(path)
    assert abs(len(y) - 2 * len(one)) < 3000
    assert not reader.gaps


@pytest.mark.parametrize("name", ["a.flac", "a.ogg", "a.opus"])
@pytest.mark.parametrize("at", [0.25, 0.75])
def test_a_hole_in_joined_files_is_in_its_part(wholes, tmp_path, name, at):
    content, whole = wholes[name]
    path = tmp_path / name
    path.write_bytes(content + content)
    damage(path, "zeroed", at, 2000)
    y, _, reader = read(path)
    assert len(y) == 2 * len(whole)
    assert len(reader.gaps) == 1
    assert_intact(y, np.concatenate([whole, whole]), reader.gaps, reader.samplerate)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("order", ["cut, whole", "whole, cut"])
def test_a_cut_file_among_joined_ones_is_named(wholes, tmp_path, name, order):
    content, whole = wholes[name]
    cut = content[: int(0.6 * len(content))]
    path = tmp_path / name
    path.write_bytes(cut + content if order == "cut, whole" else content + cut)
    y, notes, reader = read(path)
    assert 1.3 * len(whole) < len(y) <= 2 * len(whole)
    assert reader.gaps
    assert any(word in notes[0] for word in ("cut short", "damaged"))
    first, last = (y, y[-len(whole) :]) if order == "whole, cut" else (y, y[len(y) - len(whole) :])
    if name != "a.mp3":  # of joined MP3 files, the padding stays
        np.testing.assert_allclose((first if order == "whole, cut" else last)[: len(whole)], whole, atol=1e-6)


def test_silence_is_no_damage(tmp_path):
    y = sweep(4.0)
    y[SR : int(1.7 * SR)] = 0
    for name, subtype in (("a.caf", "ALAC_16"), ("b.caf", "ALAC_24"), ("a.flac", "PCM_16"), ("a.ogg", "VORBIS")):
        soundfile.write(tmp_path / name, np.stack([y, np.roll(y, 5000)], axis=1), SR, subtype=subtype)
        assert not read(tmp_path / name)[2].gaps


@pytest.mark.parametrize("mode", ["CONSTANT", "VARIABLE"])
def test_mp3_without_an_index_is_one_piece_where_the_estimate_ends(tmp_path, mode):
    path = tmp_path / "a.mp3"
    y = np.concatenate([np.zeros(3 * SR, np.float32), sweep(4.0)])
    soundfile.write(path, y, SR, bitrate_mode=mode, compression_level=0.3)
    whole, _, _ = read(path)
    content = path.read_bytes()
    path.write_bytes(content[content.find(content[:2], 4) :])
    y, _, reader = read(path)
    delay = 1105  # samples of the encoder and the decoder, which are known from the index alone
    np.testing.assert_allclose(y[delay : delay + len(whole)], whole[: len(y) - delay], atol=1e-5)
    assert not reader.gaps


def test_an_mp3_file_without_an_index_that_ends_within_a_frame_is_cut(tmp_path):
    path = tmp_path / "a.mp3"
    write(path, 3.0)
    content = path.read_bytes()
    path.write_bytes(content[content.find(content[:2], 4) : -30])
    _, notes, reader = read(path)
    assert notes[0].startswith("cut short: its last frame is incomplete")
    assert reader.gaps


@pytest.mark.parametrize("name", ["a.ogg", "a.opus"])
def test_a_broadcast_that_is_recorded_from_its_middle_is_no_damage(wholes, tmp_path, name):
    content, whole = wholes[name]
    pages = list(ogg.pages(content))
    first = next(page for page in pages if page.position > 0)
    late = next(page for page in pages if page.at > 0.7 * len(content))
    path = tmp_path / name
    path.write_bytes(content[: first.at] + content[late.at :])
    y, notes, _ = read(path)
    assert not notes
    assert 0.1 * len(whole) < len(y) < 0.4 * len(whole)
    if name == "a.ogg":  # libsndfile begins an Opus stream from its middle 6.5 ms early
        np.testing.assert_array_equal(y, whole[len(whole) - len(y) :])


def test_pages_are_found_by_bisection(tmp_path):
    path = tmp_path / "long.ogg"
    with soundfile.SoundFile(path, "w", SR, 1) as file:
        for second in range(120):
            file.write(sweep(1.0, seed=second))
    content = path.read_bytes()
    assert len(content) > 4 * ogg.SMALL
    damage(path, "zeroed", 0.5, 100)
    damaged = path.read_bytes()
    for start in (0, 20, 80, 110):
        assert ogg.is_whole(damaged, start * SR, (start + 5) * SR, SR)
    assert not ogg.is_whole(damaged, 58 * SR, 62 * SR, SR)
    part, _ = load_stretch(Stretch(path, 100.0, 103.0), sample_rate=None)
    path.write_bytes(content)
    np.testing.assert_array_equal(part, load(path, sample_rate=None, duration=None)[0][100 * SR : 103 * SR])


@pytest.mark.parametrize("name", ["a.ogg", "a.flac", "a.mp3", "a.opus", "a.caf"])
def test_any_damage_is_read_or_refused_in_one_line(wholes, tmp_path, name):
    content, whole = wholes[name]
    path, rng = tmp_path / name, np.random.default_rng(1)
    for _ in range(12):
        path.write_bytes(content)
        for _ in range(rng.integers(1, 4)):
            damage(path, rng.choice(list(DAMAGES)), rng.uniform(0.1, 0.95), int(rng.integers(1, 3000)))
        y, _, reader = read(path)
        assert len(y) <= len(whole) + 4000
        lost = sum(gap.end - gap.start for gap in reader.gaps)
        assert len(y) / reader.samplerate + lost > 0.9 * SECONDS or reader.gaps
