"""Selecting clips: data.include, data.exclude, data.limit and data.skip."""

from __future__ import annotations

from pathlib import Path

import pytest
from folders import fill, folds, names, write, zipped

from audiofw.data.dataset import find_clips
from audiofw.errors import ConfigError


def test_include_and_exclude_choose_classes_by_exact_label(tmp_path: Path):
    fill(tmp_path, "dog/1.wav", "cat/1.wav", "cats/1.wav")
    assert names(find_clips(tmp_path, include=["cat", "dog"], exclude=["dog"])) == ["cat/1.wav"]
    found = find_clips(tmp_path, exclude=["cat"])
    assert names(found) == ["cats/1.wav", "dog/1.wav"]
    assert found.passed_over == {"in an excluded class": 1}


@pytest.mark.parametrize("option", ["include", "exclude"])
def test_unknown_class_is_refused_with_the_nearest(tmp_path: Path, option: str):
    fill(tmp_path, "dog/1.wav", "cat/1.wav")
    with pytest.raises(ConfigError, match=rf"data\.{option}: no class 'dgo' \(did .* 'dog'\?\); classes: cat, dog"):
        find_clips(tmp_path, **{option: ["dgo"]})


def test_leaving_out_every_class_is_refused(tmp_path: Path):
    with pytest.raises(ConfigError, match="excludes every class"):
        find_clips(fill(tmp_path, "dog/1.wav"), exclude=["dog"])


def test_limit_spreads_over_the_clips_of_each_class(tmp_path: Path):
    fill(tmp_path, *(f"dog/{number:02d}.wav" for number in range(12)), "cat/1.wav")
    found = find_clips(tmp_path, limit=3)
    assert names(found) == ["cat/1.wav", "dog/02.wav", "dog/06.wav", "dog/10.wav"]
    assert found.passed_over == {"beyond data.limit": 9}
    assert len(find_clips(tmp_path, limit=100).clips) == 13


def test_limit_below_one_is_refused(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"data\.limit=0: must be 1 or more clips"):
        find_clips(fill(tmp_path, "dog/1.wav"), limit=0)


# --- data.skip -----------------------------------------------------------------------------------------------------


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    return fill(tmp_path / "pets", "dog/1.wav", "dog/2.wav", "dog/deep/3.wav", "cat/1.wav")


def test_clips_listed_by_name_are_left_out_and_counted(tmp_path: Path, pets: Path, caplog):
    skip = write(tmp_path / "skip.txt", "# bad ones\n\n  dog/1.wav  \ncat/1.wav # a dog, really\ndog/1.wav\n")
    found = find_clips(pets, skip=str(skip))
    assert names(found) == ["dog/2.wav", "dog/deep/3.wav"]
    assert found.passed_over == {"listed in data.skip": 2}
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("glob", "left"),
    [
        ("dog/*", ["cat/1.wav"]),
        ("*/1.wav", ["dog/2.wav", "dog/deep/3.wav"]),
        ("dog/[!1].wav", ["cat/1.wav", "dog/1.wav", "dog/deep/3.wav"]),
        ("dog/?.wav", ["cat/1.wav", "dog/deep/3.wav"]),
    ],
)
def test_glob_leaves_out_all_that_it_matches(tmp_path: Path, pets: Path, glob: str, left: list[str]):
    assert names(find_clips(pets, skip=str(write(tmp_path / "skip.txt", f"{glob}\n")))) == left


def test_name_with_the_signs_of_globs_and_comments_means_itself(tmp_path: Path):
    fill(tmp_path / "x", "dog/take [1] #2.wav", "dog/take 1 #2.wav", "dog/#1.wav", "dog/take")
    skip = write(tmp_path / "skip.txt", "dog/take [1] #2.wav\n[d]og/#1.wav\n")
    assert names(find_clips(tmp_path / "x", skip=str(skip))) == ["dog/take 1 #2.wav"]


def test_skipping_is_as_if_the_clips_were_not_there(tmp_path: Path, caplog):
    fill(tmp_path / "x", "train/dog_1.wav", "test/cat_1.wav", "train/noise.wav", "stray_1.wav")
    skip = write(tmp_path / "skip.txt", "train/noise.wav\nstray_1.wav\n")
    found = find_clips(tmp_path / "x", skip=str(skip), pattern="(?P<label>[a-z]+)_", include=["dog", "cat"])
    assert folds(found) == {"test/cat_1.wav": "test", "train/dog_1.wav": "train"}
    assert found.passed_over == {"listed in data.skip": 2}
    assert caplog.text == ""


def test_skipped_clips_make_room_under_the_limit(tmp_path: Path, pets: Path):
    skip = write(tmp_path / "skip.txt", "dog/1.wav\n")
    assert names(find_clips(pets, skip=str(skip), limit=1)) == ["cat/1.wav", "dog/2.wav", "dog/deep/3.wav"]


def test_clips_of_a_manifest_and_an_archive_are_skipped_by_their_names(tmp_path: Path):
    fill(tmp_path, "audio/1.wav", "audio/2.wav")
    manifest = write(tmp_path / "meta/l.csv", "file,label\n../audio/1.wav,dog\n../audio/2.wav,cat\n")
    archive = zipped(tmp_path / "a.zip", "x/dog/1.wav", "x/cat/1.wav")
    skip = str(write(tmp_path / "skip.txt", "../audio/1.wav\nx/dog/1.wav\n"))
    assert names(find_clips(manifest, skip=skip)) == ["../audio/2.wav"]
    assert names(find_clips(archive, skip=skip)) == ["x/cat/1.wav"]


def test_lines_that_match_nothing_make_one_warning_with_the_nearest_name(tmp_path: Path, pets: Path, caplog):
    skip = write(tmp_path / "skip.txt", "dog/1.wav\n\ndgo/2.wav\nbird/*\n")
    assert len(find_clips(pets, skip=str(skip)).clips) == 3
    assert len(caplog.records) == 1
    assert "2 of its 3 lines match no clip, e.g. line 3, 'dgo/2.wav' (did you mean 'dog/2.wav'?)" in caplog.text


def test_leaving_out_every_clip_by_name_is_refused(tmp_path: Path, pets: Path):
    with pytest.raises(ConfigError, match=r"data\.skip: .* excludes every clip"):
        find_clips(pets, skip=str(write(tmp_path / "skip.txt", "*\n")))


def test_missing_skip_list_is_refused_before_the_data_are_touched(tmp_path: Path):
    write(tmp_path / "skip.txt", "")
    with pytest.raises(ConfigError, match=r"data\.skip: no such file: .*skp\.txt \(did you mean 'skip\.txt'\?\)"):
        find_clips("nowhere", skip=str(tmp_path / "skp.txt"))


@pytest.mark.parametrize(
    ("content", "says"), [("ä".encode("latin-1"), "not UTF-8"), (None, "cannot be read"), ("", "is empty; set it to")]
)
def test_skip_list_that_cannot_be_used_is_one_line(tmp_path: Path, pets: Path, content: bytes | str | None, says: str):
    skip = tmp_path / "skip"
    if content is None:
        skip.mkdir()
    elif content:
        skip.write_bytes(content)
    with pytest.raises(ConfigError, match=rf"^data\.skip.*{says}[^\n]*$"):
        find_clips(pets, skip=str(skip) if content != "" else " ")


def test_skip_list_is_found_from_the_home_and_the_current_folder(tmp_path: Path, pets: Path, monkeypatch):
    write(tmp_path / "my skip.txt", "\ufeffdog/1.wav\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert len(find_clips(pets, skip="~/my skip.txt").clips) == len(find_clips(pets, skip="my skip.txt").clips) == 3


def test_skip_list_is_set_from_the_command_line_whatever_its_name(audiofw, tmp_path: Path, pets: Path):
    write(tmp_path / "bad, or worse.txt", "dog/*\n")
    outcome = audiofw(f"data.source={pets}", "data.skip=bad, or worse.txt")
    assert outcome.code == 1
    assert "only one class, 'cat' (1 clips)" in outcome.err


# --- several labels ------------------------------------------------------------------------------------------------


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    rows = ["1.wav,cat;dog", "2.wav,dog", "3.wav,", "4.wav,cat", "5.wav,bird", "6.wav,bird;dog"]
    fill(tmp_path, *(row.partition(",")[0] for row in rows))
    return write(tmp_path / "t.csv", "\n".join(["path,label", *rows]))


def test_an_excluded_label_is_removed_and_a_clip_without_another_is_left_out(mixed: Path):
    found = find_clips(mixed, task="multilabel", exclude=["dog"])
    assert {clip.name: clip.label for clip in found.clips} == {
        "1.wav": "cat", "3.wav": "", "4.wav": "cat", "5.wav": "bird", "6.wav": "bird"
    }  # fmt: skip
    assert found.passed_over == {"in an excluded class": 1}


def test_an_included_label_of_several_is_kept_alone(mixed: Path):
    found = find_clips(mixed, task="multilabel", include=["bird", "cat"])
    assert [clip.label for clip in found.clips] == ["cat", "", "cat", "bird", "bird"]
    with pytest.raises(ConfigError, match="no class 'cat;dog'"):
        find_clips(mixed, task="multilabel", include=["cat;dog"])


def test_the_limit_holds_for_each_label(mixed: Path):
    found = find_clips(mixed, task="multilabel", limit=1)
    taken = [label for clip in found.clips for label in clip.label.split(";")]
    assert len(taken) == len(set(taken))
    assert {"bird", "cat"} <= set(taken)
