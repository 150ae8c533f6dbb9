"""Data sets whose labels have times: tables of every kind, layouts of public data, what does not fit."""

import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiofw.data.dataset import Dataset, find_clips
from audiofw.data.intime import keep_together
from audiofw.data.stretches import StretchOptions
from audiofw.errors import ConfigError, DataError

SR = 4000
EVENTS = StretchOptions(widen=False)
WINDOWS = StretchOptions(unit="windows", duration=2.0, hop=2.0)


@pytest.fixture
def recorded(tmp_path):
    """Make silent recordings of ten seconds, or as many as given."""

    def make(*names: str, seconds: float = 10.0, folder: str = "birds") -> Path:
        for name in names:
            path = tmp_path / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, np.zeros(round(seconds * SR)), SR)
        return tmp_path / folder

    return make


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def shown(dataset: Dataset):
    return [(clip.name, clip.label) for clip in dataset.clips]


PRAAT = """File type = "ooTextFile"
Object class = "TextGrid"

0
10
<exists>
1
"IntervalTier"
"calls"
0
10
3
0
1
""
1
2
"wren"
2
10
""
"""
RAVEN = "Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tAnnotation\n"


def test_a_table_beside_each_recording_is_its_own(recorded):
    root = recorded("north/a.wav", "north/b.wav")
    write(root / "north/a.Table.1.selections.txt", f"{RAVEN}1\tS\t1\t1.0\t2.5\twren\n2\tS\t1\t4.0\t5.0\trobin\n")
    write(root / "north/b.txt", "3.0\t4.0\twren\n")
    found = find_clips(root, annotations=str(root), cut=EVENTS)
    assert shown(found) == [
        ("north/a.wav@1-2.5", "wren"), ("north/a.wav@4-5", "robin"), ("north/b.wav@3-4", "wren")
    ]  # fmt: skip
    first = found.clips[0]
    assert (first.path, first.start, first.end) == (root / "north/a.wav", 1.0, 2.5)
    assert (first.group, first.recording) == ("north/a.wav", "north/a.wav")


@pytest.mark.parametrize("spec", ["labels.csv", "tables", "tables/*.csv"])
def test_one_table_for_all_is_matched_by_name(recorded, monkeypatch, tmp_path, spec):
    root = recorded("a.wav", "b.wav")
    monkeypatch.chdir(tmp_path)
    table = {"tables": "tables/all.csv"}.get(spec, spec.replace("*", "all"))
    write(tmp_path / table, "file,start,end,label\na.wav,1,2,wren\nb,3,4,robin\n")
    assert shown(find_clips(root, annotations=spec, cut=EVENTS)) == [("a.wav@1-2", "wren"), ("b.wav@3-4", "robin")]


def test_ravens_other_channels_are_said_to_be_ignored(recorded, caplog):
    header = "Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tBegin File\tSpecies\n"
    rows = "1\tSpectrogram 1\t1\t1\t2\ta.wav\twren\n2\tSpectrogram 2\t2\t3\t4\ta.wav\trobin\n"
    birds = recorded("a.wav")
    table = write(birds / "a.Table.1.selections.txt", header + rows)
    clips = shown(find_clips(birds, annotations=str(table), cut=EVENTS))
    assert clips == [("a.wav@1-2", "wren"), ("a.wav@3-4", "robin")]
    assert (
        f"1 rows of label tables are of a channel other than the first, e.g. {table}: line 3: channel 2" in caplog.text
    )
    caplog.clear()
    write(table, header + rows.replace("\t2\t3", "\t1\t3"))
    find_clips(birds, annotations=str(table), cut=EVENTS)
    assert not caplog.text


def test_a_manifest_with_times_needs_no_option(recorded):
    root = recorded("a.wav", "b.wav")
    table = write(root / "all.csv", "file,start,end,label,site,fold\na.wav,1,2,wren,x,train\nb.wav,3,4,robin,x,test\n")
    clips = find_clips(table, columns={"group": "site"}, cut=EVENTS).clips
    assert [(clip.name, clip.group, clip.fold) for clip in clips] == [
        ("a.wav@1-2", "x", "train"), ("b.wav@3-4", "x", "test")
    ]  # fmt: skip


def test_a_metadata_file_with_times_in_a_folder_needs_no_option(recorded):
    root = recorded("a.wav", "b.wav")
    write(root / "metadata.csv", "file_name,start,end,label\na.wav,1,2,wren\na.wav,2,3,robin\nb.wav,1,2,wren\n")
    assert len(find_clips(root, cut=EVENTS).clips) == 3


def test_a_manifest_without_times_is_what_it_was(recorded):
    root = recorded("a.wav", "b.wav")
    table = write(root / "all.csv", "file,label,duration\na.wav,wren,1\nb.wav,robin,2\n")
    clips = find_clips(table).clips
    assert [(clip.name, clip.start, clip.group) for clip in clips] == [("a.wav", None, None), ("b.wav", None, None)]


def test_times_of_other_files_are_suspected_and_can_be_switched_off(recorded):
    root = recorded("a.wav", "b.wav")
    table = write(root / "all.csv", "file,label,start,end\na.wav,wren,100,101\nb.wav,robin,200,201\n")
    with pytest.raises(DataError, match=r"all rows .* start after their recordings, .*data\.columns\.start= without"):
        find_clips(table)
    assert shown(find_clips(table, columns={"start": ""})) == [("a.wav", "wren"), ("b.wav", "robin")]


def test_windows_are_labelled_by_what_is_in_them(recorded):
    root = recorded("a.wav", "b.wav")
    table = write(root / "all.csv", "file,start,end,label\na.wav,2,4,wren\na.wav,8.5,10,robin\nb.wav,0,1.5,wren\n")
    assert shown(find_clips(table, cut=WINDOWS)) == [
        ("a.wav@0-2", "background"), ("a.wav@2-4", "wren"), ("a.wav@4-6", "background"), ("a.wav@6-8", "background"),
        ("a.wav@8-10", "robin"), ("b.wav@0-2", "wren"), *((f"b.wav@{i}-{i + 2}", "background") for i in (2, 4, 6, 8)),
    ]  # fmt: skip
    assert {label for _, label in shown(find_clips(table, cut=WINDOWS._replace(background=None)))} == {"wren", "robin"}
    few = find_clips(table, cut=WINDOWS._replace(background_ratio=1.0))
    assert [label for _, label in shown(few)].count("background") == 3
    assert few.passed_over == {"beyond windows.background_ratio": 4}


def test_several_labels_of_a_window_are_one_text_where_that_is_the_task(recorded):
    root = recorded("a.wav")
    table = write(root / "all.csv", "file,start,end,label\na.wav,0,2,wren\na.wav,1,4,robin;tit\na.wav,0,2,robin\n")
    several = find_clips(table, cut=WINDOWS, task="multilabel").clips
    assert [clip.label for clip in several] == ["robin;tit;wren", "robin;tit", "", "", ""]
    events = find_clips(table, cut=EVENTS, task="multilabel")
    assert shown(events) == [("a.wav@0-2", "robin;wren"), ("a.wav@1-4", "robin;tit")]
    single = find_clips(table, cut=EVENTS)
    assert shown(single) == [("a.wav@0-2", "robin"), ("a.wav@0-2#2", "wren"), ("a.wav@1-4", "robin;tit")]


def test_a_recording_without_a_table_is_said_and_left_out_or_background(recorded, caplog):
    caplog.set_level(logging.WARNING)
    root = recorded("a.wav", "b.wav", "c.wav")
    write(root / "a.txt", "0.0\t10.0\twren\n")
    write(root / "c.txt", "")  # nothing was heard in it
    found = find_clips(root, annotations=str(root), cut=WINDOWS)
    assert {clip.recording for clip in found.clips} == {"a.wav", "c.wav"}
    assert "1 of 3 recordings have no labels, e.g. b.wav; left out" in caplog.text
    assert found.passed_over["recording without labels"] == 1
    both = find_clips(root, annotations=str(root), cut=WINDOWS._replace(unlabelled="background"))
    assert [clip.label for clip in both.clips if clip.recording == "b.wav"] == ["background"] * 5


def test_every_row_that_does_not_fit_is_named_and_nothing_else_is_lost(recorded, caplog):
    caplog.set_level(logging.WARNING)
    root = recorded("a.wav")
    table = write(
        root / "labels.csv",
        "file,start,end,label\na.wav,1,2,wren\na.wav,1.5,3,wren\na.wav,9,11,robin\na.wav,12,13,robin\nb.wav,1,2,robin\n"
        "a.wav,3,3,robin\na.wav,x,4,robin\na.wav,3,4,\n",
    )
    found = find_clips(root, annotations=str(table), cut=EVENTS)
    assert [name for name, _ in shown(found)] == ["a.wav@1-2", "a.wav@1.5-3", "a.wav@9-10"]
    for line in (
        "labels.csv: line 3: overlaps another 'wren', line 2; both are used",
        "labels.csv: line 4: ends at 11 s, but a.wav at 10 s; used up to there",
        "labels.csv: line 5: starts at 12 s, but a.wav ends at 10 s",
        "labels.csv: line 6: no recording 'b.wav' in ",
        "labels.csv: line 7: has no length: 3 s to 3 s",
        "labels.csv: line 8: column 'start': 'x' is not a number",
        "labels.csv: line 9: column 'label': the label is empty",
    ):
        assert line in caplog.text
    assert sorted(flaw.line for flaw in found.flaws) == [5, 6, 7, 8, 9]
    with pytest.raises(DataError, match=r"labels\.csv: line \d: "):
        find_clips(root, annotations=str(table), cut=EVENTS, on_error="raise")


def test_of_very_many_bad_rows_the_first_are_named(recorded, caplog):
    caplog.set_level(logging.WARNING)
    root = recorded("a.wav")
    bad = "".join(f"b.wav,{i},{i + 1},wren\n" for i in range(50))
    table = write(root / "labels.csv", f"file,start,end,label\na.wav,1,2,wren\n{bad}")
    found = find_clips(root, annotations=str(table), cut=EVENTS)
    assert len(found.flaws) == 50
    assert caplog.text.count("no recording 'b.wav'") == 10
    assert "40 more rows of label tables cannot be used; all are in failures.csv" in caplog.text


def test_tables_that_match_nothing_are_an_error_that_says_so(recorded, tmp_path):
    root = recorded("a.wav")
    write(tmp_path / "labels/other.txt", "1\t2\twren\n")
    with pytest.raises(DataError, match=r"other\.txt: no recording in .* matches the name of this table; its 1 labels"):
        find_clips(root, annotations=str(tmp_path / "labels"), cut=EVENTS)
    with pytest.raises(ConfigError, match=r"data\.annotations=nowhere: no label table found"):
        find_clips(root, annotations="nowhere", cut=EVENTS)


def test_other_texts_in_a_folder_of_tables_are_ignored_with_a_warning(recorded, caplog):
    caplog.set_level(logging.WARNING)
    root = recorded("a.wav")
    write(root / "a.txt", "1\t2\twren\n")
    write(root / "README.txt", "Recorded in May.\nBy us.\n")
    write(root / "weather.csv", "day,rain\n1,2\n")
    write(root / ".cache/b.txt", "1\t2\twren\n")
    assert shown(find_clips(root, annotations=str(root), cut=EVENTS)) == [("a.wav@1-2", "wren")]
    assert "README.txt: no columns for start and end; ignored, and 1 more files" in caplog.text
    with pytest.raises(ConfigError, match=r"weather\.csv: no column found for the start"):
        find_clips(root, annotations=str(root / "weather.csv"), cut=EVENTS)


def test_tables_in_an_archive_are_found(recorded, tmp_path):
    root = recorded("a.wav", "b.wav")
    write(root / "labels/a.TextGrid", PRAAT)
    archive = shutil.make_archive(str(tmp_path / "birds"), "zip", tmp_path, "birds")
    found = find_clips(archive, annotations="birds/labels", cut=EVENTS, cache_dir=tmp_path / "cache")
    assert shown(found) == [("birds/a.wav@1-2", "wren")]


def test_a_damaged_recording_costs_its_own_labels_only(recorded):
    root = recorded("a.wav")
    write(root / "b.wav", "not a sound")
    table = write(root / "labels.csv", "file,start,end,label\na.wav,1,2,wren\nb.wav,1,2,wren\n")
    found = find_clips(root, annotations=str(table), cut=EVENTS)
    assert shown(found) == [("a.wav@1-2", "wren")]
    assert [flaw.source.name for flaw in found.flaws] == ["b.wav"]


def test_windows_need_a_duration_and_a_pattern_gives_no_labels(recorded):
    root = recorded("a.wav")
    write(root / "a.txt", "1\t2\twren\n")
    with pytest.raises(ConfigError, match=r"data\.unit=windows needs audio\.duration"):
        find_clips(root, annotations=str(root), cut=WINDOWS._replace(duration=None))
    with pytest.raises(ConfigError, match="gives labels, but they are in tables"):
        find_clips(root, annotations=str(root), pattern="(?P<label>.)", cut=EVENTS)


def test_folders_and_pattern_give_fold_and_group(recorded):
    root = recorded("train/s1-a.wav", "test/s2-b.wav")
    table = write(root / "labels.csv", "file,start,end,label\ns1-a.wav,1,2,wren\ns2-b.wav,1,2,wren\n")
    clips = find_clips(root, annotations=str(table), pattern=r"(?P<group>s\d)", cut=EVENTS).clips
    assert [(clip.fold, clip.group) for clip in clips] == [("test", "s2"), ("train", "s1")]


def test_a_skip_list_names_a_stretch_or_a_whole_recording(recorded, tmp_path):
    root = recorded("a.wav", "b.wav", "c.wav")
    rows = "".join(f"{name}.wav,{i},{i + 1},wren\n" for name in "abc" for i in range(3))
    table = write(root / "labels.csv", f"file,start,end,label\n{rows}")
    skip = write(tmp_path / "skip.txt", "a.wav\nb.wav@1-2\nc*\n")
    found = find_clips(root, annotations=str(table), skip=str(skip), cut=EVENTS)
    assert [name for name, _ in shown(found)] == ["b.wav@0-1", "b.wav@2-3"]
    assert found.passed_over["listed in data.skip"] == 7
    assert [recording.name for recording in found.recordings] == ["b.wav"]


def test_classes_and_a_limit_are_of_stretches(recorded):
    root = recorded("a.wav")
    rows = "".join(f"a.wav,{i},{i + 1},{'wren' if i % 2 else 'tit'}\n" for i in range(10))
    table = write(root / "labels.csv", f"file,start,end,label\n{rows}")
    found = find_clips(root, annotations=str(table), exclude=["tit"], limit=2, cut=EVENTS)
    assert shown(found) == [("a.wav@3-4", "wren"), ("a.wav@7-8", "wren")]


# ---- layouts of public data


def test_esc50_works_from_its_own_csv(recorded):
    root = recorded("audio/1-100032-A-0.wav", "audio/2-100038-A-14.wav", folder="ESC-50")
    table = write(
        root / "meta/esc50.csv",
        "filename,fold,target,category,esc10,src_file,take\n1-100032-A-0.wav,1,0,dog,True,100032,A\n"
        "2-100038-A-14.wav,2,14,chirping_birds,False,100038,A\n",
    )
    clips = find_clips(table).clips
    assert [(clip.name, clip.label, clip.fold, clip.group) for clip in clips] == [
        ("audio/1-100032-A-0.wav", "dog", "1", "100032"),
        ("audio/2-100038-A-14.wav", "chirping_birds", "2", "100038"),
    ]


def test_urbansound8k_works_from_its_own_csv_whose_times_are_of_other_files(recorded):
    root = recorded("audio/fold5/100032-3-0-0.wav", "audio/fold1/100263-2-0-117.wav", seconds=4.0, folder="US8K")
    table = write(
        root / "metadata/UrbanSound8K.csv",
        "slice_file_name,fsID,start,end,salience,fold,classID,class\n"
        "100032-3-0-0.wav,100032,0.0,0.317551,1,5,3,dog_bark\n"
        "100263-2-0-117.wav,100263,58.5,62.5,1,1,2,children_playing\n",
    )
    clips = find_clips(table).clips
    assert [(clip.label, clip.fold, clip.group, clip.start) for clip in clips] == [
        ("children_playing", "1", "100263", None), ("dog_bark", "5", "100032", None)
    ]  # fmt: skip


def test_fsdkaggle2018_works_from_its_own_csv(recorded):
    root = recorded("FSDKaggle2018.audio_train/00044347.wav", "FSDKaggle2018.audio_train/001ca53d.wav", folder="FSD")
    table = write(
        root / "FSDKaggle2018.meta/train_post_competition.csv",
        "fname,label,manually_verified,freesound_id,license\n00044347.wav,Hi-hat,0,28739,x\n001ca53d.wav,Sax,1,358827,x\n",
    )
    assert [clip.label for clip in find_clips(table).clips] == ["Hi-hat", "Sax"]


def test_recordings_lie_where_the_root_says_and_ids_need_no_suffix(recorded, tmp_path):
    recorded("deep/a.wav", "deep/er/b.flac", folder="sounds")
    table = write(tmp_path / "tables/all.csv", "file,label\na,wren\nb,robin\n")
    found = find_clips(table, columns={"root": "../sounds"})
    assert shown(found) == [("deep/a.wav", "wren"), ("deep/er/b.flac", "robin")]
    with pytest.raises(ConfigError, match=r"data\.columns\.root=gone: no such folder"):
        find_clips(table, columns={"root": "gone"})


def test_a_manifest_with_times_finds_recordings_in_the_root(recorded, tmp_path):
    recorded("deep/a.wav", folder="sounds")
    table = write(tmp_path / "tables/all.csv", "file,start,end,label\na,1,2,wren\n")
    assert shown(find_clips(table, columns={"root": "../sounds"}, cut=EVENTS)) == [("deep/a.wav@1-2", "wren")]
    with pytest.raises(DataError, match=r"1 of its files do not exist, e\.g\. 'a'"):
        find_clips(table, cut=EVENTS)


# ---- groups


@pytest.mark.parametrize(
    ("groups", "recordings", "expected"),
    [
        (["s1", "s1", "s2"], ["1", "2", "3"], ["s1", "s1", "s2"]),  # coarser than recordings
        (["x", "y", "z"], ["1", "1", "2"], ["x", "x", "z"]),  # two speakers in one recording
        (["x", "y", "y", "z", "z"], ["1", "1", "2", "2", "3"], ["x"] * 5),
        ([None, None, "x"], ["1", "1", "2"], ["1", "1", "x"]),
    ],
)
def test_all_of_a_recording_has_one_group(groups, recordings, expected):
    assert keep_together(groups, recordings) == expected


@pytest.mark.parametrize("task", ["single", "multilabel"])
def test_where_a_label_was_forgotten_there_is_no_background(recorded, task):
    root = recorded("a.wav")
    write(root / "a.txt", "0\t2\twren\n5\t5.5\t\n")
    found = find_clips(root, annotations=str(root), cut=WINDOWS, task=task)
    assert [clip.start for clip in found.clips] == [0.0, 2.0, 6.0, 8.0]
    assert [(flaw.line, flaw.reason) for flaw in found.flaws] == [(2, "the label is empty")]


def test_clips_are_in_the_order_of_recordings_and_of_time_whatever_that_of_the_rows(recorded):
    root = recorded("b.wav", "a.wav", "c.wav")
    lines = ["b.wav,9,9.5,tit", "a.wav,1,2,wren", "b.wav,1,2,wren", "b.wav,1,2,tit"]
    orders = []
    for rows in (lines, lines[::-1]):
        table = write(root / "labels.csv", "\n".join(["file,start,end,label", *rows, ""]))
        orders.append(shown(find_clips(root, annotations=str(table), cut=EVENTS)))
    assert orders[0] == orders[1] == [
        ("a.wav@1-2", "wren"), ("b.wav@1-2", "tit"), ("b.wav@1-2#2", "wren"), ("b.wav@9-9.5", "tit")
    ]  # fmt: skip
    every = find_clips(root, annotations=str(table), cut=WINDOWS._replace(unlabelled="background")).clips
    assert list(dict.fromkeys(clip.recording for clip in every)) == ["a.wav", "b.wav", "c.wav"]
