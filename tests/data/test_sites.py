"""Groups of site and day."""

import logging

import pytest
from conftest import tone, write_wav

from audiofw.data.dataset import find_clips


def made(folder, names):
    for name in names:
        write_wav(folder / name, tone(440, 0.05))
    return folder


DAYS = [f"{label}/{site}_2025061{day}_0{hour}0000.wav" for label in ("a", "b") for site in ("HILL", "POND")
        for day in (1, 2) for hour in (4, 5)]  # fmt: skip


@pytest.fixture
def said(caplog):
    caplog.set_level(logging.INFO, logger="audiofw")
    return caplog


def test_dated_names_are_grouped_by_site_and_day_and_it_is_said(tmp_path, said):
    clips = find_clips(made(tmp_path, DAYS), recorder="auto").clips
    assert {clip.group for clip in clips} == {f"{site} 2025-06-1{day}" for site in ("HILL", "POND") for day in (1, 2)}
    assert clips[0].recorded.at(0) == "2025-06-11T04:00:00"
    assert "16 recordings have dates in name or header, so they are grouped by site and day: 4 groups" in said.text


def test_without_it_nothing_is_read(tmp_path, said):
    clips = find_clips(made(tmp_path, DAYS), recorder="none").clips
    assert {(clip.group, clip.recorded.time) for clip in clips} == {(None, None)}
    assert not said.text


def test_given_groups_stay(tmp_path, said):
    clips = find_clips(made(tmp_path, DAYS), recorder="auto", pattern="(?P<group>HILL|POND)").clips
    assert {clip.group for clip in clips} == {"HILL", "POND"}
    assert clips[0].recorded.day == "2025-06-11"
    assert not said.text


def test_names_without_dates_have_no_groups(tmp_path, said):
    clips = find_clips(made(tmp_path, ["a/1.wav", "a/2.wav", "b/POND_20250611_040000.wav"]), recorder="auto").clips
    assert {clip.group for clip in clips} == {None}
    assert not said.text


@pytest.mark.parametrize(
    ("names", "why"),
    [
        ([*DAYS, "b/x.wav"], "1 of 17 recordings have no date in name or header, e.g. b/x.wav"),
        ([name for name in DAYS if "HILL" in name], "only 2 of them, e.g. HILL 2025-06-11"),
    ],
)
def test_groups_that_would_not_do_are_not_made_and_it_is_said(tmp_path, said, names, why):
    clips = find_clips(made(tmp_path, names), recorder="auto").clips
    assert {clip.group for clip in clips} == {None}
    assert clips[0].recorded.day == "2025-06-11"
    assert f"no groups of site and day: {why}" in said.text


def test_recordings_with_label_tables_take_their_folder_as_the_site(tmp_path, said):
    names = [f"{folder}/2025061{day}_040000.WAV" for folder in ("north", "south") for day in (1, 2)]
    rows = "".join(f"{name},{start},{start + 0.02},x\n" for name in names for start in (0.0, 0.02))
    made(tmp_path, names)
    (tmp_path / "events.csv").write_text("file_name,start,end,label\n" + rows)
    clips = find_clips(tmp_path / "events.csv", recorder="auto").clips
    groups = [clip.group for clip in clips]
    assert sorted(set(groups)) == [f"{folder} 2025-06-1{day}" for folder in ("north", "south") for day in (1, 2)]
