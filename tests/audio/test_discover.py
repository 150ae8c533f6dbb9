"""The files below a folder: which are clips, in which order, and which are ignored."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from folders import fill, names, zipped

from audiofw.audio import discover
from audiofw.data.dataset import find_clips
from audiofw.errors import DataError


def test_clips_are_sorted_by_name_whatever_the_disk_says(tmp_path: Path, monkeypatch):
    fill(tmp_path, "b/2.wav", "a/1.wav", "b/10.wav", "B/1.wav")
    forth = names(find_clips(tmp_path))
    listing = Path.iterdir
    monkeypatch.setattr(Path, "iterdir", lambda self: reversed(list(listing(self))))
    assert names(find_clips(tmp_path)) == forth == ["B/1.wav", "a/1.wav", "b/10.wav", "b/2.wav"]


def test_extensions_of_any_case_and_undecodable_sound_count_as_clips(tmp_path: Path):
    fill(tmp_path, "dog/1.WAV", "dog/2.Mp3", "dog/3.m4a", "dog/4.wma")
    assert len(find_clips(tmp_path).clips) == 4


def test_hidden_and_other_files_are_counted_not_read(tmp_path: Path):
    fill(tmp_path, "dog/1.wav", "dog/._1.wav", ".git/2.wav", "__MACOSX/dog/1.wav", "README.md", "LICENSE", "dog/x.TXT")
    found = find_clips(tmp_path)
    assert names(found) == ["dog/1.wav"]
    assert found.passed_over == {
        "hidden": 3,
        "not audio (.md)": 1,
        "not audio (.txt)": 1,
        "not audio (no extension)": 1,
    }


def test_links_are_followed_without_loops(tmp_path: Path):
    fill(tmp_path / "data", "dog/1.wav")
    fill(tmp_path / "far", "2.wav", "3.wav")
    try:
        (tmp_path / "data/dog/linked.wav").symlink_to(tmp_path / "far/2.wav")
    except OSError:
        pytest.skip("this file system knows no links")
    (tmp_path / "data/cat").symlink_to(tmp_path / "far")
    (tmp_path / "data/dog/up").symlink_to(tmp_path / "data")
    (tmp_path / "far/home").symlink_to(tmp_path)
    (tmp_path / "data/same").symlink_to(tmp_path / "far")
    (tmp_path / "data/dog/gone.wav").symlink_to(tmp_path / "nothing.wav")
    found = find_clips(tmp_path / "data")
    assert names(found) == ["cat/2.wav", "cat/3.wav", "dog/1.wav", "dog/linked.wav"]
    assert found.passed_over == {"broken link": 1, "link to a folder already read": 3}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_pipe_named_like_sound_is_passed_over(tmp_path: Path):
    fill(tmp_path, "dog/1.wav")
    os.mkfifo(tmp_path / "dog/2.wav")
    assert find_clips(tmp_path).passed_over == {"not a plain file": 1}


@pytest.mark.skipif(sys.platform != "linux", reason="needs file names of any bytes")
def test_names_that_are_not_utf8_can_be_shown_and_stay_apart(tmp_path: Path):
    fill(tmp_path, "dog/1.wav")
    for byte in (b"\xc4", b"\xd6"):
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/dog/" + byte + b".wav")).write_bytes(b"")
    found = find_clips(tmp_path)
    assert names(found) == ["dog/1.wav", "dog/\\xc4.wav", "dog/\\xd6.wav"]
    assert all(clip.path.is_file() and clip.name.encode() for clip in found.clips)


def test_empty_folder_is_said_to_be_empty(tmp_path: Path):
    with pytest.raises(DataError, match=f"^{tmp_path}: empty; use"):
        find_clips(tmp_path)


def test_no_audio_says_what_was_found_instead(tmp_path: Path):
    zipped(tmp_path / "a.zip", "x/1.txt", "x/2.txt", "x/inner.zip")
    with pytest.raises(DataError, match=r"a.zip: no audio files \(.wav, .*\); found 2 not audio \(.txt\), 1 not"):
        find_clips(tmp_path / "a.zip")


def test_every_readable_extension_is_one_of_libsndfiles():
    soundfile = pytest.importorskip("soundfile")
    known = {f".{name.lower()}" for name in soundfile.available_formats()}
    aliases = {".wave", ".oga", ".opus", ".mp2", ".aif", ".aifc", ".snd", ".sph", ".sf", ".8svx", ".iff"}
    assert discover.READABLE - aliases <= known
    assert not discover.UNREADABLE & known
