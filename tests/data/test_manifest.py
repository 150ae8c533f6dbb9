"""Manifests: a user's own, and the metadata.csv of a dataset."""

from __future__ import annotations

import unicodedata
import zipfile
from pathlib import Path

import pytest
from folders import fill, folds, groups, labels, names, write

from audiofw.data.dataset import Clip, find_clips
from audiofw.errors import ConfigError, DataError


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
    assert found.clips[0][2:5] == ("dog", "s1", None)


def test_manifest_without_labels_takes_those_of_the_folders(tmp_path: Path):
    fill(tmp_path, "dog/1.wav")
    found = find_clips(write(tmp_path / "l.csv", "file,fold\ndog/1.wav,3\n"))
    assert found.clips[0][2:5] == ("dog", None, "3")


@pytest.mark.parametrize(
    ("header", "columns", "says"),
    [
        ("where,label", None, r"no column found for the path; set data\.columns\.path to one of where, label"),
        ("file,label", {"label": "lable"}, r"no column 'lable' \(did you mean 'label'\?\) .* columns: file, label"),
        ("file,label", {"lable": "x"}, r"unknown key 'lable' \(did you mean 'label'\?\)"),
    ],
)
def test_missing_column_lists_those_there_are(tmp_path: Path, header: str, columns, says: str):
    fill(tmp_path, "1.wav")
    with pytest.raises(ConfigError, match=says):
        find_clips(write(tmp_path / "l.csv", f"{header}\n1.wav,dog\n"), columns=columns)


def test_columns_without_a_manifest_are_a_mistake(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"data\.columns is set, but .* has no metadata\.csv"):
        find_clips(fill(tmp_path, "dog/1.wav"), columns={"label": "species"})


def test_rows_without_a_file_are_counted_and_told(tmp_path: Path, caplog):
    fill(tmp_path, "1.wav")
    found = find_clips(write(tmp_path / "l.csv", "file,label\n1.wav,dog\ngone.wav,dog\n,cat\n"))
    assert names(found) == ["1.wav"]
    assert found.passed_over == {"listed in the manifest, but missing": 2}
    assert "2 of its files do not exist, e.g. 'gone.wav'" in caplog.text


def test_manifest_whose_files_are_all_missing_is_an_error(tmp_path: Path):
    with pytest.raises(DataError, match=r"2 of its files do not exist, e\.g\. 'a\.wav'; paths are relative to the man"):
        find_clips(write(tmp_path / "l.csv", "file,label\na.wav,dog\nb.wav,dog\n"))


def test_row_without_a_label_is_counted(tmp_path: Path):
    fill(tmp_path, "1.wav", "2.wav")
    found = find_clips(write(tmp_path / "l.csv", "file,label\n1.wav,dog\n2.wav,\n"))
    assert names(found) == ["1.wav"]
    assert found.passed_over == {"no label": 1}


def test_file_listed_twice_with_two_labels_is_refused(tmp_path: Path):
    fill(tmp_path, "1.wav")
    with pytest.raises(DataError, match=r"'./1.wav' is listed twice, as dog and as cat; keep one row per clip"):
        find_clips(write(tmp_path / "l.csv", "file,label\n1.wav,dog\n./1.wav,cat\n"))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "lists no clips"),
        (b"file,label\n", "lists no clips; it needs a header row with column names"),
        ("file,label\nä.wav,dog\n".encode("utf-16"), "not UTF-8; save it as CSV"),
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
    assert "ignored, since it has no column for the path; columns: microphone, height" in caplog.text


@pytest.mark.parametrize("way", ["../secret.wav", "{absolute}"])
def test_metadata_csv_cannot_reach_out_of_the_dataset(tmp_path: Path, way: str):
    fill(tmp_path, "secret.wav", "data/1.wav")
    listed = way.format(absolute=tmp_path / "secret.wav")
    write(tmp_path / "data/metadata.csv", f"file_name,label\n1.wav,dog\n{listed},cat\n")
    with pytest.raises(DataError, match="is outside the dataset; list only files inside it"):
        find_clips(tmp_path / "data")


@pytest.mark.parametrize("stored", ["NFC", "NFD"])
@pytest.mark.parametrize("listed", ["NFC", "NFD"])
def test_listed_files_are_found_however_their_accents_are_stored(tmp_path: Path, stored: str, listed: str):
    for name in ("Gebüsch/Äste 1.wav", "Gebüsch/2.wav"):
        fill(tmp_path, unicodedata.normalize(stored, name))
    rows = unicodedata.normalize(listed, "file,label\nGebüsch/Äste 1.wav,dog\nGebüsch/2.wav,Bär\n")
    found = find_clips(write(tmp_path / "l.csv", rows))
    assert list(labels(found).values()) == ["Bär", "dog"]
    assert all(clip.path.is_file() for clip in found.clips)


@pytest.mark.parametrize("header", ["file,label,label", "file,label,Label", "file,file,label", "File,label,file"])
def test_a_column_given_twice_is_refused(tmp_path: Path, header: str):
    fill(tmp_path, "1.wav")
    with pytest.raises(DataError, match=r"l\.csv: two columns for the (label|path): .*; rename one"):
        find_clips(write(tmp_path / "l.csv", f"{header}\n1.wav,1.wav,dog\n"))


def test_a_column_that_is_not_used_may_not_be_given_twice_either(tmp_path: Path):
    fill(tmp_path, "1.wav")
    manifest = write(tmp_path / "l.csv", "file,label,note,note\n1.wav,dog,a,b\n")
    with pytest.raises(DataError, match=r"l\.csv: two columns named 'note'; rename or remove one"):
        find_clips(manifest)


def test_columns_that_are_not_used_may_differ_in_case_only_or_have_no_name(tmp_path: Path):
    fill(tmp_path, "1.wav")
    manifest = write(tmp_path / "l.csv", "file,label,,,Label\n1.wav,dog,a,b,x\n")
    assert labels(find_clips(manifest, columns={"label": "label"})) == {"1.wav": "dog"}
