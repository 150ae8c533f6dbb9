"""Finding clips: labels, groups and folds from folders, patterns and manifests, and what is passed over."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from audiofw import dataset
from audiofw.dataset import Clip, Dataset, find_clips
from audiofw.errors import ConfigError, DataError


def fill(folder: Path, *names: str) -> Path:
    """Make a folder with some files; what they hold does not matter here."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"RIFF")
    return folder


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding=encoding)
    return path


def zipped(path: Path, *names: str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, b"RIFF")
    return path


def names(found: Dataset) -> list[str]:
    return [clip.name for clip in found.clips]


def labels(found: Dataset) -> dict[str, str]:
    return {clip.name: clip.label for clip in found.clips}


def folds(found: Dataset) -> dict[str, str | None]:
    return {clip.name: clip.fold for clip in found.clips}


def groups(found: Dataset) -> dict[str, str | None]:
    return {clip.name: clip.group for clip in found.clips}


# --- sources -------------------------------------------------------------------------------------------------------


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
    monkeypatch.setattr("audiofw.demo.demo_archive", lambda cache: zipped(tmp_path / "d.zip", f"{cache.name}/1.wav"))
    assert labels(find_clips("demo", cache_dir=tmp_path / "mine")) == {"mine/1.wav": "mine"}


def test_missing_source_suggests_the_nearest_name(tmp_path: Path):
    fill(tmp_path, "animals.zip")
    with pytest.raises(DataError, match=r"no such file or folder: .*animls.zip \(did you mean 'animals.zip'\?\)"):
        find_clips(str(tmp_path / "animls.zip"))


def test_missing_folder_of_a_source_is_named(tmp_path: Path):
    with pytest.raises(DataError, match=r"there is no folder .*nowhere"):
        find_clips(str(tmp_path / "nowhere" / "a.zip"))


def test_comma_in_a_missing_source_explains_the_sweep():
    with pytest.raises(DataError, match=r"to sweep, write data\.source=choice\(a\.zip,b\.zip\)"):
        find_clips("a.zip, b.zip")


def test_web_address_is_not_downloaded():
    with pytest.raises(DataError, match="is a web address; download it first"):
        find_clips("https://example.org/a.zip")


def test_empty_source_is_a_mistake_in_the_config():
    with pytest.raises(ConfigError, match=r"data\.source is empty; give zip, .* a folder, a CSV manifest or 'demo'"):
        find_clips(" ")


def test_unknown_file_says_what_is_accepted(tmp_path: Path):
    (tmp_path / "a.rar").write_bytes(b"Rar!")
    with pytest.raises(DataError, match=r"give zip, tar, tar.gz \(tgz\), .* a folder, a CSV manifest or 'demo'"):
        find_clips(tmp_path / "a.rar")


def test_single_recording_is_no_dataset(tmp_path: Path):
    with pytest.raises(DataError, match="a single recording; give the folder or archive"):
        find_clips(fill(tmp_path, "dog.wav") / "dog.wav")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_pipe_as_source_does_not_hang(tmp_path: Path):
    os.mkfifo(tmp_path / "a.zip")
    with pytest.raises(DataError, match="neither a file nor a folder"):
        find_clips(tmp_path / "a.zip")


# --- files ---------------------------------------------------------------------------------------------------------


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
    assert found.passed_over == {"broken link": 1, "link to a folder that is read already": 3}


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
    with pytest.raises(DataError, match=f"^{tmp_path}: empty; give"):
        find_clips(tmp_path)


def test_no_audio_says_what_was_found_instead(tmp_path: Path):
    zipped(tmp_path / "a.zip", "x/1.txt", "x/2.txt", "x/inner.zip")
    with pytest.raises(
        DataError, match=r"a.zip: no audio found; looked for .wav, .* found 2 not audio \(.txt\), 1 not"
    ):
        find_clips(tmp_path / "a.zip")


def test_clips_at_the_root_have_no_label_and_three_ways_to_get_one(tmp_path: Path):
    fill(tmp_path, "1.wav", "2.wav")
    with pytest.raises(DataError, match=r"2 of 2 clips have no label, e\.g\. 1\.wav; put .* data\.pattern, .*metadata"):
        find_clips(tmp_path)


def test_a_few_clips_at_the_root_are_counted_and_told(tmp_path: Path, caplog):
    fill(tmp_path, "stray.wav", "dog/1.wav")
    found = find_clips(tmp_path)
    assert names(found) == ["dog/1.wav"]
    assert found.passed_over == {"no label": 1}
    assert "1 of 2 clips have no label, e.g. stray.wav" in caplog.text


# --- pattern -------------------------------------------------------------------------------------------------------


def test_pattern_reads_label_and_group_of_spoken_digits(tmp_path: Path):
    fill(tmp_path, "0_george_0.wav", "7_lucas_12.wav")
    found = find_clips(tmp_path, pattern=r"(?P<label>\d)_(?P<group>\w+)_")
    assert [(clip.label, clip.group) for clip in found.clips] == [("0", "george"), ("7", "lucas")]


def test_pattern_adds_folds_to_folder_labels(tmp_path: Path):
    fill(tmp_path, "esc10/001 - Dog bark/1-100032-A.ogg", "esc10/002-Rain/5-2-A.ogg")
    found = find_clips(tmp_path, pattern=r"(?P<fold>\d)-")
    assert [(clip.label, clip.fold) for clip in found.clips] == [("001 - Dog bark", "1"), ("002-Rain", "5")]


def test_pattern_is_searched_in_the_path_if_not_in_the_file_name(tmp_path: Path):
    fill(tmp_path, "s1/dog/a.wav", "s2/dog/b.wav")
    found = find_clips(tmp_path, pattern=r"^(?P<group>s\d)/")
    assert groups(found) == {"s1/dog/a.wav": "s1", "s2/dog/b.wav": "s2"}
    assert set(labels(found).values()) == {"dog"}


def test_clips_without_the_patterns_label_are_counted_and_told(tmp_path: Path, caplog):
    fill(tmp_path, "dog_1.wav", "cat_1.wav", "noise.wav")
    found = find_clips(tmp_path, pattern="(?P<label>[a-z]+)_")
    assert labels(found) == {"cat_1.wav": "cat", "dog_1.wav": "dog"}
    assert found.passed_over == {"no match for data.pattern": 1}
    assert "does not match 1 of 3 clips, e.g. noise.wav" in caplog.text


def test_clips_without_the_patterns_group_stay(tmp_path: Path, caplog):
    fill(tmp_path, "dog/s1_1.wav", "dog/odd.wav")
    found = find_clips(tmp_path, pattern="(?P<group>s[0-9])_")
    assert groups(found) == {"dog/odd.wav": None, "dog/s1_1.wav": "s1"}
    assert found.passed_over == {}
    assert "does not match 1 of 2 clips, e.g. dog/odd.wav" in caplog.text


@pytest.mark.parametrize("pattern", ["(?P<label>x+)_", "(?P<fold>x+)_", "(?P<group>dog)|(?P<label>x)"])
def test_pattern_that_matches_no_clip_shows_one(tmp_path: Path, pattern: str):
    fill(tmp_path, "dog/1.wav", "dog/2.wav")
    with pytest.raises(DataError, match=r"does not match 2 of 2 clips of .*, e\.g\. dog/1.wav"):
        find_clips(tmp_path, pattern=pattern)


@pytest.mark.parametrize(
    ("pattern", "says"),
    [
        ("(?P<label>", "is not a regular expression"),
        ("[a-z]+", "names none of label, group, fold; write e.g."),
        ("(?P<lable>x)", r"no such group 'lable' \(did you mean 'label'\?\)"),
    ],
)
def test_wrong_pattern_is_refused_before_the_data_are_touched(pattern: str, says: str):
    with pytest.raises(ConfigError, match=says):
        find_clips("nowhere", pattern=pattern)


# --- splits --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("top", ["", "wrapped/twice/"])
def test_split_folders_are_folds_and_not_labels(tmp_path: Path, top: str):
    fill(tmp_path, f"{top}train/dog/1.wav", f"{top}Test/dog/2.wav", f"{top}valid/deep/cat/3.wav")
    found = find_clips(tmp_path)
    assert {clip.name.removeprefix(top): (clip.label, clip.fold) for clip in found.clips} == {
        "Test/dog/2.wav": ("dog", "test"),
        "train/dog/1.wav": ("dog", "train"),
        "valid/deep/cat/3.wav": ("cat", "validation"),
    }


def test_split_folder_that_stands_alone_is_a_fold(tmp_path: Path):
    found = find_clips(fill(tmp_path, "pets/train/dog/1.wav", "pets/train/cat/2.wav"))
    assert set(folds(found).values()) == {"train"}


def test_classes_that_are_called_like_splits_are_labels(tmp_path: Path):
    found = find_clips(fill(tmp_path, "train/1.wav", "test/2.wav"))
    assert labels(found) == {"test/2.wav": "test", "train/1.wav": "train"}
    assert set(folds(found).values()) == {None}


def test_vehicle_called_train_beside_a_bus_is_a_label(tmp_path: Path):
    found = find_clips(fill(tmp_path, "train/1.wav", "bus/2.wav"))
    assert labels(found) == {"bus/2.wav": "bus", "train/1.wav": "train"}


def test_clip_directly_in_a_split_folder_has_no_label_where_others_have(tmp_path: Path):
    found = find_clips(fill(tmp_path, "train/dog/1.wav", "test/stray.wav"))
    assert names(found) == ["train/dog/1.wav"]
    assert found.passed_over == {"no label": 1}


def test_split_folders_are_folds_when_the_pattern_gives_labels(tmp_path: Path):
    found = find_clips(fill(tmp_path, "train/dog_1.wav", "test/cat_1.wav"), pattern="(?P<label>[a-z]+)_")
    assert [(clip.label, clip.fold) for clip in found.clips] == [("cat", "test"), ("dog", "train")]


# --- manifests -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_manifest_of_usual_column_names_needs_no_option(tmp_path: Path, delimiter: str, encoding: str):
    fill(tmp_path, "audio/1.wav", "audio/2.wav", "audio/unlisted.wav")
    lines = ["Filename,split,category,speaker", "audio/2.wav,test,dög,ann", "audio/1.wav, Valid ,cat,"]
    manifest = write(tmp_path / "list.csv", "\n".join(lines).replace(",", delimiter) + "\n\n", encoding)
    found = find_clips(manifest)
    assert found.root == tmp_path
    assert found.clips == [
        Clip(tmp_path / "audio/1.wav", "audio/1.wav", "cat", None, "validation"),
        Clip(tmp_path / "audio/2.wav", "audio/2.wav", "dög", "ann", "test"),
    ]


def test_manifests_columns_can_be_named(tmp_path: Path):
    fill(tmp_path, "1.wav")
    manifest = write(tmp_path / "list.tsv", "label\twhere\tbird\n?\t1.wav\twren\n")
    columns = {"path": "where", "label": "bird", "group": None, "fold": None}
    assert labels(find_clips(manifest, columns=columns)) == {"1.wav": "wren"}


def test_quoted_cells_keep_their_commas(tmp_path: Path):
    fill(tmp_path, "a, b.wav")
    assert labels(find_clips(write(tmp_path / "l.csv", 'file,label\n"a, b.wav","x, y"\n'))) == {"a, b.wav": "x, y"}


def test_users_manifest_may_point_outside_of_its_folder(tmp_path: Path):
    fill(tmp_path, "audio/1.wav", "audio/2.wav")
    far = tmp_path / "audio/2.wav"
    found = find_clips(write(tmp_path / "meta/list.csv", f"file,label\n../audio/1.wav,dog\n{far},cat\n"))
    assert labels(found) == {"../audio/1.wav": "dog", "../audio/2.wav": "cat"}
    assert found.clips[0].path == tmp_path / "audio/1.wav"


def test_manifest_written_on_windows_is_understood(tmp_path: Path):
    fill(tmp_path, "audio/1.wav")
    assert names(find_clips(write(tmp_path / "l.csv", "file,label\naudio\\1.wav,dog\n"))) == ["audio/1.wav"]


def test_pattern_can_add_to_a_manifest(tmp_path: Path):
    fill(tmp_path, "s1_1.wav")
    manifest = write(tmp_path / "l.csv", "file,label,group\ns1_1.wav,dog,?\n")
    found = find_clips(manifest, pattern="(?P<group>s[0-9])_")
    assert found.clips[0][2:] == ("dog", "s1", None)


def test_manifest_without_labels_takes_those_of_the_folders(tmp_path: Path):
    fill(tmp_path, "dog/1.wav")
    found = find_clips(write(tmp_path / "l.csv", "file,fold\ndog/1.wav,3\n"))
    assert found.clips[0][2:] == ("dog", None, "3")


@pytest.mark.parametrize(
    ("header", "columns", "says"),
    [
        ("where,label", None, r"which column is the path\? Set data\.columns\.path to one of where, label"),
        ("file,label", {"label": "lable"}, r"no column 'lable' \(did you mean 'label'\?\) .* it has file, label"),
        ("file,label", {"lable": "x"}, r"no such key 'lable' \(did you mean 'label'\?\)"),
    ],
)
def test_missing_column_lists_those_there_are(tmp_path: Path, header: str, columns, says: str):
    fill(tmp_path, "1.wav")
    with pytest.raises(ConfigError, match=says):
        find_clips(write(tmp_path / "l.csv", f"{header}\n1.wav,dog\n"), columns=columns)


def test_columns_without_a_manifest_are_a_mistake(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"data\.columns: .* has no metadata\.csv"):
        find_clips(fill(tmp_path, "dog/1.wav"), columns={"label": "species"})


def test_rows_without_a_file_are_counted_and_told(tmp_path: Path, caplog):
    fill(tmp_path, "1.wav")
    found = find_clips(write(tmp_path / "l.csv", "file,label\n1.wav,dog\ngone.wav,dog\n,cat\n"))
    assert names(found) == ["1.wav"]
    assert found.passed_over == {"in the manifest, but no such file": 2}
    assert "2 of its files are not there, e.g. 'gone.wav'" in caplog.text


def test_manifest_whose_files_are_all_missing_is_an_error(tmp_path: Path):
    with pytest.raises(
        DataError, match=r"2 of its files are not there, e\.g\. 'a\.wav'; paths are relative to the man"
    ):
        find_clips(write(tmp_path / "l.csv", "file,label\na.wav,dog\nb.wav,dog\n"))


def test_row_without_a_label_is_counted(tmp_path: Path):
    fill(tmp_path, "1.wav", "2.wav")
    found = find_clips(write(tmp_path / "l.csv", "file,label\n1.wav,dog\n2.wav,\n"))
    assert names(found) == ["1.wav"]
    assert found.passed_over == {"no label": 1}


def test_file_listed_twice_with_two_labels_is_refused(tmp_path: Path):
    fill(tmp_path, "1.wav")
    with pytest.raises(DataError, match=r"lists './1.wav' twice, as dog and as cat; keep one line for each clip"):
        find_clips(write(tmp_path / "l.csv", "file,label\n1.wav,dog\n./1.wav,cat\n"))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "lists no clips"),
        (b"file,label\n", "lists no clips; it needs a line of column names"),
        ("file,label\nä.wav,dog\n".encode("utf-16"), "not UTF-8; save it again"),
        (b"file,label\n" + b"x" * 200_000 + b",dog\n", "cannot be read as CSV"),
    ],
)
def test_unreadable_manifest_is_one_line(tmp_path: Path, content: bytes, says: str):
    (tmp_path / "l.csv").write_bytes(content)
    with pytest.raises(DataError, match=says):
        find_clips(tmp_path / "l.csv")


@pytest.mark.parametrize("top", ["", "wrapped/"])
def test_metadata_csv_labels_the_files_it_lists(tmp_path: Path, top: str):
    fill(tmp_path, f"{top}audio/1.wav", f"{top}audio/2.wav", f"{top}audio/3.wav")
    write(tmp_path / top / "metadata.csv", "file_name,label\naudio/1.wav,dog\naudio/2.wav,cat\n")
    found = find_clips(tmp_path)
    assert labels(found) == {f"{top}audio/1.wav": "dog", f"{top}audio/2.wav": "cat"}
    assert found.passed_over == {"not in the manifest": 1}


def test_metadata_csv_in_an_archive_is_read(tmp_path: Path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("metadata.csv", "file_name,label\n1.wav,dog\n")
        archive.writestr("1.wav", b"RIFF")
    assert labels(find_clips(tmp_path / "a.zip")) == {"1.wav": "dog"}


def test_metadata_csv_in_split_folders_is_relative_to_them(tmp_path: Path):
    fill(tmp_path, "train/1.wav", "train/2.wav", "test/1.wav")
    write(tmp_path / "train/metadata.csv", "file_name,label\n1.wav,dog\n2.wav,cat\n")
    write(tmp_path / "test/metadata.csv", "file_name,label\n1.wav,cat\n")
    found = find_clips(tmp_path)
    assert labels(found) == {"test/1.wav": "cat", "train/1.wav": "dog", "train/2.wav": "cat"}
    assert folds(found) == {"test/1.wav": "test", "train/1.wav": "train", "train/2.wav": "train"}


def test_metadata_csv_without_labels_adds_to_folder_labels(tmp_path: Path):
    fill(tmp_path, "dog/1.wav", "cat/2.wav")
    write(tmp_path / "metadata.csv", "file_name,speaker\ndog/1.wav,rex\ndog/notes.txt,?\n")
    write(tmp_path / "dog/notes.txt", "not sound")
    found = find_clips(tmp_path)
    assert groups(found) == {"cat/2.wav": None, "dog/1.wav": "rex"}
    assert labels(found) == {"cat/2.wav": "cat", "dog/1.wav": "dog"}


def test_metadata_csv_of_something_else_is_left_alone(tmp_path: Path, caplog):
    fill(tmp_path, "dog/1.wav")
    write(tmp_path / "metadata.csv", "microphone,height\nx,2\n")
    assert labels(find_clips(tmp_path)) == {"dog/1.wav": "dog"}
    assert "not used, for it has no column for the path: microphone, height" in caplog.text


@pytest.mark.parametrize("way", ["../secret.wav", "{absolute}"])
def test_metadata_csv_cannot_reach_out_of_the_dataset(tmp_path: Path, way: str):
    fill(tmp_path, "secret.wav", "data/1.wav")
    listed = way.format(absolute=tmp_path / "secret.wav")
    write(tmp_path / "data/metadata.csv", f"file_name,label\n1.wav,dog\n{listed},cat\n")
    with pytest.raises(DataError, match="leads out of the dataset; list only files inside it"):
        find_clips(tmp_path / "data")


# --- choosing ------------------------------------------------------------------------------------------------------


def test_include_and_exclude_choose_classes_by_exact_label(tmp_path: Path):
    fill(tmp_path, "dog/1.wav", "cat/1.wav", "cats/1.wav")
    assert names(find_clips(tmp_path, include=["cat", "dog"], exclude=["dog"])) == ["cat/1.wav"]
    found = find_clips(tmp_path, exclude=["cat"])
    assert names(found) == ["cats/1.wav", "dog/1.wav"]
    assert found.passed_over == {"of a class left out": 1}


@pytest.mark.parametrize("option", ["include", "exclude"])
def test_unknown_class_is_refused_with_the_nearest(tmp_path: Path, option: str):
    fill(tmp_path, "dog/1.wav", "cat/1.wav")
    with pytest.raises(ConfigError, match=rf"data\.{option}: no class 'dgo' \(did .* 'dog'\?\); there are cat, dog"):
        find_clips(tmp_path, **{option: ["dgo"]})


def test_leaving_out_every_class_is_refused(tmp_path: Path):
    with pytest.raises(ConfigError, match="leaves out every class"):
        find_clips(fill(tmp_path, "dog/1.wav"), exclude=["dog"])


def test_limit_spreads_over_the_clips_of_each_class(tmp_path: Path):
    fill(tmp_path, *(f"dog/{number:02d}.wav" for number in range(12)), "cat/1.wav")
    found = find_clips(tmp_path, limit=3)
    assert names(found) == ["cat/1.wav", "dog/02.wav", "dog/06.wav", "dog/10.wav"]
    assert found.passed_over == {"beyond data.limit": 9}
    assert len(find_clips(tmp_path, limit=100).clips) == 13


def test_limit_below_one_is_refused(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"data\.limit: 0 clips"):
        find_clips(fill(tmp_path, "dog/1.wav"), limit=0)


# --- the module ----------------------------------------------------------------------------------------------------


def test_every_readable_extension_is_one_of_libsndfiles():
    soundfile = pytest.importorskip("soundfile")
    known = {f".{name.lower()}" for name in soundfile.available_formats()}
    aliases = {".wave", ".oga", ".opus", ".mp2", ".aif", ".aifc", ".snd", ".sph", ".sf", ".8svx", ".iff"}
    assert dataset.READABLE - aliases <= known
    assert not dataset.UNREADABLE & known


def test_finding_clips_loads_no_numeric_library():
    code = "import sys, audiofw.dataset; print([m for m in ('numpy', 'librosa', 'sklearn') if m in sys.modules])"
    here = {**os.environ, "PYTHONPATH": str(Path(dataset.__file__).parents[1])}
    assert subprocess.check_output([sys.executable, "-c", code], text=True, env=here) == "[]\n"


def test_nothing_is_said_of_a_clean_dataset(tmp_path: Path, caplog, capfd):
    with caplog.at_level(logging.INFO):
        find_clips(fill(tmp_path, "dog/1.wav", "cat/1.wav"))
    assert caplog.text == "".join(capfd.readouterr()) == ""
