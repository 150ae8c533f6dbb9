"""Labels, groups and folds from folders and data.pattern."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

import pytest
from folders import fill, folds, groups, labels, names, write

from audiofw.data.dataset import find_clips
from audiofw.data.labels import encode_several, join_labels, split_labels
from audiofw.errors import ConfigError, DataError


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
        ("[a-z]+", "has none of the groups label, group, fold; write e.g."),
        ("(?P<lable>x)", r"unknown group 'lable' \(did you mean 'label'\?\)"),
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


# --- one class only ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["dog_{}.wav", "dog-1-{}.wav", "dog.{}.wav", "dog {}.wav", "dog{}.wav"])
def test_labels_in_file_names_are_found_by_the_pattern_that_the_error_suggests(audiofw, tmp_path: Path, name: str):
    kinds = [name, name.replace("dog", "cat")]
    fill(tmp_path / "x/recordings", *(kind.format(i) for kind in kinds for i in range(10)))
    outcome = audiofw(f"data.source={tmp_path / 'x'}")
    assert outcome.code == 1
    assert "only one class, 'recordings' (20 clips)" in outcome.err
    assert f"as in recordings/{kinds[1].format(0)}, set e.g. data.pattern=" in outcome.err
    suggested = re.search(r"data\.pattern='(.*?)'", outcome.err)
    assert suggested
    assert set(labels(find_clips(tmp_path / "x", pattern=suggested[1])).values()) == {"cat", "dog"}


# --- spelling ------------------------------------------------------------------------------------------------------

NFC, NFD = "Grünfink", unicodedata.normalize("NFD", "Grünfink")


def test_a_label_is_one_class_however_its_accents_are_stored(tmp_path: Path):
    fill(tmp_path, f"{NFC}/1.wav", f"{NFD}/2.wav", "low/1.wav")
    assert set(labels(find_clips(tmp_path)).values()) == {NFC, "low"}
    assert len(find_clips(tmp_path).clips) == 3
    for spelling in (NFC, NFD):
        assert set(labels(find_clips(tmp_path, exclude=[spelling])).values()) == {"low"}
        assert set(labels(find_clips(tmp_path, include=[spelling])).values()) == {NFC}


def test_a_pattern_matches_names_however_their_accents_are_stored(tmp_path: Path):
    fill(tmp_path, f"{NFD}_1.wav", f"{NFC}_2.wav", "low_1.wav")
    found = find_clips(tmp_path, pattern=f"(?P<label>{NFC}|low)_")
    assert list(labels(found).values()).count(NFC) == 2


@pytest.mark.parametrize("spelt", [("Dog", "dog"), ("dog", "dog "), ("a b", "a  b"), ("A b", "ab")])
def test_labels_that_differ_only_in_case_or_blanks_are_doubted(tmp_path: Path, caplog, spelt):
    fill(tmp_path, *(f"{label}/1.wav" for label in (*spelt, "cat")))
    assert len(set(labels(find_clips(tmp_path)).values())) == 3
    assert f"the labels {', '.join(map(repr, sorted(spelt)))} differ only in case or spaces" in caplog.text


@pytest.mark.parametrize("form", ["fold{}", "Fold {}", "split_{}", "part-{}", "cv{}"])
def test_labels_that_look_like_folds_are_doubted(tmp_path: Path, caplog, form):
    fill(tmp_path, *(f"{form.format(i)}/{i}.wav" for i in range(1, 11)))
    find_clips(tmp_path)
    assert "look like folds, not classes; set the labels with data.pattern" in caplog.text


def test_labels_that_are_training_and_test_sets_are_doubted(tmp_path: Path, caplog):
    fill(tmp_path, "train/1.wav", "Val/2.wav", "test/3.wav")
    find_clips(tmp_path)
    assert "the labels Val, test, train look like folds, not classes" in caplog.text


def test_usual_labels_are_not_doubted(tmp_path: Path, caplog):
    fill(tmp_path, "fold/1.wav", "dog/1.wav", "set1/1.wav", "1/1.wav", "2/1.wav")
    find_clips(tmp_path)
    assert not caplog.text


# --- several labels ------------------------------------------------------------------------------------------------


def test_several_labels_are_one_text_whatever_their_order():
    assert join_labels([" dog", "cat", "dog", ""]) == join_labels(["cat", "dog"]) == "cat;dog"
    assert split_labels(join_labels(["dog", "cat"])) == ["cat", "dog"]
    assert (join_labels([]), split_labels("")) == ("", [])


def test_a_label_that_contains_the_separator_is_refused():
    with pytest.raises(DataError, match="'a;b' contains ';'"):
        join_labels(["a;b"])


def test_texts_are_encoded_by_class():
    classes, y = encode_several(["cat;dog", "", "dog"])
    assert (classes, y.tolist()) == (["cat", "dog"], [[1, 1], [0, 0], [0, 1]])
    assert encode_several(["dog"], ["dog", "bird"])[1].tolist() == [[1, 0]]


def test_folders_name_several_labels_with_commas(tmp_path: Path):
    fill(tmp_path, "dog,cat/1.wav", "cat, dog/2.wav", "bird/3.wav")
    found = labels(find_clips(tmp_path, task="multilabel"))
    assert found == {"dog,cat/1.wav": "cat;dog", "cat, dog/2.wav": "cat;dog", "bird/3.wav": "bird"}


def test_cells_name_several_labels_with_semicolons_and_empty_ones_none(tmp_path: Path, caplog):
    fill(tmp_path, "1.wav", "2.wav", "3.wav")
    table = write(tmp_path / "t.csv", 'path,label\n1.wav,dog; cat\n2.wav,\n3.wav,"a, b"\n')
    assert labels(find_clips(table, task="multilabel")) == {"1.wav": "cat;dog", "2.wav": "", "3.wav": "a, b"}
    assert "1 of 3 clips have no label: they count as none of the classes" in caplog.text


def test_the_separator_may_be_another(tmp_path: Path):
    found = find_clips(fill(tmp_path, "dog+cat/1.wav", "a,b/2.wav"), task="multilabel", separator="+")
    assert [clip.label for clip in found.clips] == ["a,b", "cat;dog"]


def test_a_pattern_may_give_several_labels(tmp_path: Path):
    fill(tmp_path, "dog,cat_1.wav", "dog_2.wav")
    found = find_clips(tmp_path, task="multilabel", pattern=r"(?P<label>[a-z,]+)_")
    assert [clip.label for clip in found.clips] == ["cat;dog", "dog"]


@pytest.mark.parametrize(("separator", "task", "why"), [("", "multilabel", "is empty"), ("+", "single", "needs task")])
def test_a_separator_that_nothing_can_read_is_refused(tmp_path: Path, separator: str, task: str, why: str):
    with pytest.raises(ConfigError, match=rf"data\.separator.*{why}"):
        find_clips(fill(tmp_path, "dog/1.wav"), task=task, separator=separator)


def test_a_class_that_looks_like_several_labels_is_doubted(tmp_path: Path, caplog):
    fill(tmp_path, "dog,cat/1.wav", "dog,cat/2.wav", "dog/3.wav", "cat/4.wav", "rock, scissors/5.wav")
    assert "dog,cat" in labels(find_clips(tmp_path)).values()
    assert "2 clips have a label such as 'dog,cat', which looks like several labels" in caplog.text
    assert "task=multilabel 'data.separator=,'" in caplog.text


def test_a_comma_in_a_label_is_not_doubted_if_its_parts_are_no_labels(tmp_path: Path, caplog):
    fill(tmp_path, "male speech, man speaking/1.wav", "male speech, man speaking/2.wav", "dog/3.wav")
    find_clips(tmp_path)
    assert caplog.text == ""


def test_a_folder_named_background_holds_clips_of_none_of_several_labels(tmp_path: Path, caplog):
    fill(tmp_path, "dog/1.wav", "background/2.wav", "background,dog/3.wav")
    assert [clip.label for clip in find_clips(tmp_path, task="multilabel").clips] == ["dog", "", "dog"]
    assert "1 of 3 clips have no label: they count as none of the classes" in caplog.text
    assert {clip.label for clip in find_clips(tmp_path).clips} == {"dog", "background", "background,dog"}


def test_a_table_may_have_a_row_for_each_of_several_labels(tmp_path: Path):
    fill(tmp_path, "1.wav", "2.wav", "3.wav")
    table = write(
        tmp_path / "t.csv", "path,label,group\n1.wav,dog,a\n1.wav,cat;bird,a\n1.wav,dog,a\n2.wav,,b\n3.wav,cat,b\n"
    )
    found = find_clips(table, task="multilabel")
    assert [clip.label for clip in found.clips] == ["bird;cat;dog", "", "cat"]
    with pytest.raises(DataError, match=r"listed twice, .*or set task=multilabel if a clip may have several labels"):
        find_clips(table)


def test_rows_of_a_clip_must_agree_in_all_but_the_labels(tmp_path: Path):
    fill(tmp_path, "1.wav")
    table = write(tmp_path / "t.csv", "path,label,group\n1.wav,dog,a\n1.wav,cat,b\n")
    with pytest.raises(DataError, match=r"'1\.wav' is listed twice"):
        find_clips(table, task="multilabel")


def test_a_table_without_labels_leaves_those_of_folders(tmp_path: Path):
    fill(tmp_path, "dog,cat/1.wav", "dog/2.wav")
    write(tmp_path / "metadata.csv", 'file_name,group\n"dog,cat/1.wav",a\ndog/2.wav,b\n')
    assert [clip.label for clip in find_clips(tmp_path, task="multilabel").clips] == ["cat;dog", "dog"]
