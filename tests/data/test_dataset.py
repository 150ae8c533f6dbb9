"""Data sources: archives, folders, the demo, and invalid ones."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from folders import fill, labels, zipped

from audiofw.data import dataset
from audiofw.data.dataset import Clip, find_clips
from audiofw.errors import ConfigError, DataError


def test_folder_gives_one_class_per_parent_folder(tmp_path: Path):
    fill(tmp_path, "dog/1.wav", "cat/deep/2.ogg", "cat/3.flac")
    found = find_clips(str(tmp_path))
    assert found.root == tmp_path
    assert found.clips == [
        Clip(tmp_path / "cat/3.flac", "cat/3.flac", "cat"),
        Clip(tmp_path / "cat/deep/2.ogg", "cat/deep/2.ogg", "deep"),
        Clip(tmp_path / "dog/1.wav", "dog/1.wav", "dog"),
    ]
    assert found.passed_over == {}


def test_archives_and_folder_give_the_same_clips(tmp_path: Path):
    fill(tmp_path / "pets", "dog/1.wav", "cat/2.wav")
    zipped(tmp_path / "a.zip", "pets/dog/1.wav", "pets/cat/2.wav")
    with tarfile.open(tmp_path / "a.tgz", "w:gz") as archive:
        archive.add(tmp_path / "pets", "pets")
    whole = {"pets/cat/2.wav": "cat", "pets/dog/1.wav": "dog"}
    assert labels(find_clips(str(tmp_path / "pets"))) == {"cat/2.wav": "cat", "dog/1.wav": "dog"}
    assert labels(find_clips(tmp_path / "a.zip")) == labels(find_clips(tmp_path / "a.tgz")) == whole


def test_archive_is_unpacked_into_the_given_cache(tmp_path: Path):
    found = find_clips(zipped(tmp_path / "a.zip", "dog/1.wav"), cache_dir=tmp_path / "here")
    assert found.root.is_relative_to(tmp_path / "here")
    assert found.clips[0].path.is_file()


def test_limits_of_the_archive_are_handed_on(tmp_path: Path):
    with pytest.raises(DataError, match=r"data\.max_unpacked_gb"):
        find_clips(zipped(tmp_path / "a.zip", "dog/1.wav"), max_unpacked_gb=1e-9)


def test_home_and_current_directory_are_understood(tmp_path: Path, monkeypatch):
    fill(tmp_path / "pets", "dog/1.wav")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert find_clips("~/pets").root == find_clips("pets").root == tmp_path / "pets"


def test_word_demo_gives_the_made_sounds(monkeypatch, tmp_path: Path):
    made = "audiofw.data.demo.demo_archive"
    monkeypatch.setattr(made, lambda cache: zipped(tmp_path / "d.zip", f"{cache.name}/1.wav"))
    assert labels(find_clips("demo", cache_dir=tmp_path / "mine")) == {"mine/1.wav": "mine"}


def test_missing_source_suggests_the_nearest_name(tmp_path: Path):
    fill(tmp_path, "animals.zip")
    with pytest.raises(DataError, match=r"no such file or folder: .*animls.zip \(did you mean 'animals.zip'\?\)"):
        find_clips(str(tmp_path / "animls.zip"))


def test_missing_folder_of_a_source_is_named(tmp_path: Path):
    with pytest.raises(DataError, match=r"the folder .*nowhere does not exist"):
        find_clips(str(tmp_path / "nowhere" / "a.zip"))


def test_comma_in_a_missing_source_explains_the_sweep():
    with pytest.raises(DataError, match=r"to sweep, write data\.source=choice\(a\.zip,b\.zip\)"):
        find_clips("a.zip, b.zip")


def test_web_address_is_not_downloaded():
    with pytest.raises(DataError, match="is a web address; download it first"):
        find_clips("https://example.org/a.zip")


def test_empty_source_is_a_mistake_in_the_config():
    with pytest.raises(
        ConfigError, match=r"data\.source is empty; set it to zip, .* a folder, a CSV manifest or 'demo'"
    ):
        find_clips(" ")


def test_unknown_file_says_what_is_accepted(tmp_path: Path):
    (tmp_path / "a.rar").write_bytes(b"Rar!")
    with pytest.raises(DataError, match=r"use zip, tar, tar.gz \(tgz\), .* a folder, a CSV manifest or 'demo'"):
        find_clips(tmp_path / "a.rar")


def test_single_recording_is_no_dataset(tmp_path: Path):
    with pytest.raises(DataError, match="a single recording; use the folder or archive"):
        find_clips(fill(tmp_path, "dog.wav") / "dog.wav")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_pipe_as_source_does_not_hang(tmp_path: Path):
    os.mkfifo(tmp_path / "a.zip")
    with pytest.raises(DataError, match="neither a file nor a folder"):
        find_clips(tmp_path / "a.zip")


# --- the module ----------------------------------------------------------------------------------------------------


def test_finding_clips_loads_no_numeric_library():
    code = "import sys, audiofw.data.dataset; print([m for m in ('numpy', 'librosa', 'sklearn') if m in sys.modules])"
    here = {**os.environ, "PYTHONPATH": str(Path(dataset.__file__).parents[2])}
    assert subprocess.check_output([sys.executable, "-c", code], text=True, env=here) == "[]\n"


def test_nothing_is_said_of_a_clean_dataset(tmp_path: Path, caplog, capfd):
    with caplog.at_level(logging.INFO):
        find_clips(fill(tmp_path, "dog/1.wav", "cat/1.wav"))
    assert caplog.text == "".join(capfd.readouterr()) == ""
