"""Recordings are found by what tables call them."""

from pathlib import Path

import pytest

from audiofw.data.annotations.match import RecordingIndex
from audiofw.errors import DataError

ROOT = Path("/data/birds")
FOUND = RecordingIndex(
    ["north/dawn.wav", "north/dusk.wav", "south/dawn.wav", "2025.06.12.flac", "Zaunko\u0308nig.wav"], ROOT
)


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("north/dawn.wav", "north/dawn.wav"),
        ("dusk.wav", "north/dusk.wav"),
        ("dusk", "north/dusk.wav"),
        ("C:\\field\\north\\dawn.wav", "north/dawn.wav"),
        ("/mnt/card/south/dawn.WAV", "south/dawn.wav"),
        ("dusk.mp3", "north/dusk.wav"),
        ("2025.06.12", "2025.06.12.flac"),
        ("Zaunk\u00f6nig.wav", "Zaunko\u0308nig.wav"),
    ],
)
def test_a_recording_is_found_by_path_name_or_id(said, name):
    assert FOUND.find(said) == name


def test_an_unknown_and_an_ambiguous_name_are_refused():
    with pytest.raises(DataError, match=r"no recording 'noon\.wav' in /data/birds"):
        FOUND.find("noon.wav")
    with pytest.raises(DataError, match=r"'dawn\.wav' may be any of 2 recordings: north/dawn\.wav, south/dawn\.wav"):
        FOUND.find("dawn.wav")


@pytest.mark.parametrize(
    ("table", "name"),
    [
        ("dusk.txt", "north/dusk.wav"),
        ("dusk.wav.txt", "north/dusk.wav"),
        ("dusk.Table.1.selections.txt", "north/dusk.wav"),
        ("dusk.BirdNET.results.csv", "north/dusk.wav"),
        ("2025.06.12.TextGrid", "2025.06.12.flac"),
        ("/data/birds/south/dawn.txt", "south/dawn.wav"),
    ],
)
def test_a_table_is_of_the_recording_that_it_is_named_after(table, name):
    assert FOUND.beside(Path(table)) == name


def test_a_table_of_no_recording_or_of_several_is_refused():
    with pytest.raises(DataError, match="no recording in /data/birds matches the name of this table"):
        FOUND.beside(Path("/labels/Label Track.txt"))
    with pytest.raises(DataError, match=r"'dawn\.txt' may be any of 2 recordings"):
        FOUND.beside(Path("/labels/dawn.txt"))
