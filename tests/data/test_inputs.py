"""Recordings to predict: in files, folders, archives and manifests."""

import shutil
import tarfile
from pathlib import Path

import pytest
from folders import fill, write

from audiofw.data.inputs import InputRecording, count, find_sounds, is_one


@pytest.fixture
def pets(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return fill(tmp_path / "pets", "dog/1.wav", "cat/2.wav", "notes.txt")


def found(*words: str) -> list[tuple[str, str]]:
    return [(sound.name, sound.reason) for sound in find_sounds(words)]


@pytest.mark.parametrize("form", ["zip", "tar", "gztar"])
def test_the_recordings_of_an_archive_are_named_by_it(pets, form):
    archive = Path(shutil.make_archive("pets", form, pets)).name
    assert found(archive) == [(f"{archive}/cat/2.wav", ""), (f"{archive}/dog/1.wav", "")]
    assert [sound.below for sound in find_sounds([archive])] == ["cat/2.wav", "dog/1.wav"]
    assert all(sound.path and sound.path.read_bytes() == b"RIFF" for sound in find_sounds([archive]))
    assert count([archive]) is None
    assert not is_one([archive])


def test_an_archive_without_a_suffix_is_known_by_its_content(pets):
    Path("pets.backup").write_bytes(Path(shutil.make_archive("pets", "zip", pets)).read_bytes())
    assert len(found("pets.backup")) == 2


@pytest.mark.parametrize(
    ("name", "make", "reason"),
    [
        ("cut.zip", lambda path: path.write_bytes(b"PK\x03\x04 and no more"), "damaged"),
        ("empty.zip", lambda path: shutil.make_archive("empty", "zip", fill(Path("none"), "notes.txt")), "no sound in"),
        ("out.tar", lambda path: _with_a_link_out(path), "link"),
        ("empty.csv", lambda path: path.write_text(""), "lists no clips"),
        ("other.csv", lambda path: path.write_text("a,b\n1,2\n"), "no column found for the path; name it path"),
        ("latin.csv", lambda path: path.write_bytes(b"path\n\xe9.wav\n"), "not UTF-8"),
    ],
)
def test_what_cannot_be_used_is_one_row_with_the_reason(pets, name, make, reason):
    make(Path(name))
    ((said, why),) = found(name)
    assert said == name
    assert reason in why
    assert not why.startswith(name)


def _with_a_link_out(path: Path) -> None:
    with tarfile.open(path, "w") as archive:
        member = tarfile.TarInfo("a.wav")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(member)


def test_a_manifest_stands_for_each_recording_that_it_lists_once(pets):
    rows = "file_name;label;start\ndog/1.wav;dog;0\ndog/1.wav;dog;1\ngone.wav;dog;0\ncat/2.wav;;\n"
    write(pets / "list.csv", rows)
    assert found("pets/list.csv") == [
        ("pets/dog/1.wav", ""),
        ("gone.wav", "listed in pets/list.csv, but missing"),
        ("pets/cat/2.wav", ""),
    ]
    assert count(["pets/list.csv"]) is None
    assert not is_one(["pets/list.csv"])


def test_a_recording_and_stdin_are_one_each(pets):
    assert count(["pets/dog/1.wav", "-"]) == 2
    assert is_one(["pets/dog/1.wav"])
    assert is_one(["-"])
    assert list(find_sounds([""])) == [InputRecording("", None, "an empty name")]
