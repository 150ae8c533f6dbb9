"""Reading zip and tar archives with any file name and any kind of damage."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import stat
import tarfile
import unicodedata
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packing import SOUND, make_archive, make_tar, make_zip, names_in

from audiofw.data.archive import is_archive
from audiofw.data.unpack import unpack_archive
from audiofw.errors import DataError


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


# --- reading -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_tar_of_any_packing_is_unpacked_whatever_its_name(tmp_path: Path, cache: Path, mode: str):
    folder = unpack_archive(make_tar(tmp_path / "odd.name", {"./dog/1.wav": SOUND}, mode), cache_dir=cache)
    assert (folder / "dog/1.wav").read_bytes() == SOUND


def test_zip_is_unpacked_whatever_its_name(tmp_path: Path, cache: Path):
    folder = unpack_archive(make_zip(tmp_path / "a.tar", {"dog/1.wav": SOUND, "cat//2.wav": b""}), cache_dir=cache)
    assert names_in(folder) == ["cat/2.wav", "dog/1.wav"]


def test_tar_that_ends_in_a_zip_is_a_tar(tmp_path: Path, cache: Path):
    inner = make_zip(tmp_path / "inner.zip", {"x.txt": b"x"}).read_bytes()
    outer = make_tar(tmp_path / "outer.tar", {"dog/1.wav": SOUND, "inner.zip": inner})
    assert names_in(unpack_archive(outer, cache_dir=cache)) == ["dog/1.wav", "inner.zip"]


def test_other_files_are_no_archives(tmp_path: Path):
    (tmp_path / "a.zip").write_text("<html>not found</html>")
    assert not is_archive(tmp_path / "a.zip")
    assert not is_archive(tmp_path)


def test_file_that_may_not_be_read_is_named(tmp_path: Path, monkeypatch):
    def refuse(path: Path, *_: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    path = make_zip(tmp_path / "a.zip", {"dog/1.wav": SOUND})
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(DataError, match=r"a\.zip: cannot be read \(Permission denied\); check its permissions"):
        is_archive(path)


def test_zip_cut_short_is_still_known_for_an_archive(tmp_path: Path):
    path = make_zip(tmp_path / "a.zip", {"dog/1.wav": SOUND})
    path.write_bytes(path.read_bytes()[:100])
    assert is_archive(path)


def test_backslashes_of_old_windows_zips_are_folders(tmp_path: Path, cache: Path):
    folder = unpack_archive(make_zip(tmp_path / "a.zip", {"dog\\1.wav": SOUND}), cache_dir=cache)
    assert names_in(folder) == ["dog/1.wav"]


def test_members_never_keep_the_archives_modes(tmp_path: Path, cache: Path):
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as archive:
        for name, mode in {"dog/setuid.wav": 0o4777, "dog/secret.wav": 0}.items():
            info = tarfile.TarInfo(name)
            info.mode, info.size = mode, len(SOUND)
            archive.addfile(info, io.BytesIO(SOUND))
    for file in unpack_archive(path, cache_dir=cache).rglob("*.wav"):
        assert file.stat().st_mode & (stat.S_ISUID | stat.S_IXUSR) == 0
        assert file.stat().st_mode & stat.S_IRUSR


# --- damage --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["zip", "w", "w:gz", "w:xz", "w:bz2"])
@pytest.mark.parametrize("part", [0.3, 0.6, 0.95])
def test_archive_cut_short_is_refused_and_leaves_nothing(tmp_path: Path, cache: Path, kind: str, part: float):
    noise = {f"dog/{n}.wav": os.urandom(3000) for n in range(8)}
    path = tmp_path / "a"
    make_archive(path, noise, kind)
    whole = path.read_bytes()
    # a plain tar ends with kilobytes of zeros, some of which may be missing
    used = 8 * (512 + 3072) if kind == "w" else len(whole)
    path.write_bytes(whole[: int(part * used)])
    with pytest.raises(DataError, match=r"damaged or cut short .*; download or pack it again"):
        unpack_archive(path, cache_dir=cache)
    assert not list(cache.rglob("*.wav"))
    assert not list(cache.rglob("*.part"))


def test_tar_cut_exactly_between_two_members_is_refused(tmp_path: Path, cache: Path):
    path = make_tar(tmp_path / "a.tar", {"dog/1.wav": bytes(512), "dog/2.wav": bytes(512)})
    path.write_bytes(path.read_bytes()[:1024])
    with pytest.raises(DataError, match="no end mark"):
        unpack_archive(path, cache_dir=cache)


def test_flipped_bit_in_a_zip_is_noticed(tmp_path: Path, cache: Path):
    path = make_zip(tmp_path / "a.zip", {"dog/1.wav": SOUND})
    content = bytearray(path.read_bytes())
    content[200] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match="Bad CRC-32"):
        unpack_archive(path, cache_dir=cache)


@pytest.mark.parametrize("mode", ["w:gz", "w:bz2", "w:xz"])
def test_wrong_checksum_of_a_packed_tar_is_noticed(tmp_path: Path, cache: Path, mode: str):
    path = make_tar(tmp_path / "a", {f"dog/{n}.wav": os.urandom(300_000) for n in range(3)}, mode)
    content = bytearray(path.read_bytes())
    content[400_000] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match="damaged or cut short"):
        unpack_archive(path, cache_dir=cache)


def test_zip_whose_directory_lost_an_entry_is_refused(tmp_path: Path, cache: Path):
    path = make_zip(tmp_path / "a.zip", {"dog/1.wav": SOUND, "dog/2.wav": SOUND})
    content = bytearray(path.read_bytes())
    # a comment length that covers the next entry
    content[content.index(b"PK\1\2") + 32] = 46 + len("dog/2.wav")
    path.write_bytes(content)
    with pytest.raises(DataError, match="entries are missing from its directory"):
        unpack_archive(path, cache_dir=cache)


@settings(deadline=None, max_examples=60)
@given(
    kind=st.sampled_from(["zip", "w", "w:gz", "w:xz"]), where=st.floats(0, 1), byte=st.binary(min_size=1, max_size=3)
)
def test_damage_anywhere_is_an_error_of_ours_or_harmless(tmp_path_factory, kind: str, where: float, byte: bytes):
    folder = tmp_path_factory.mktemp("damage")
    files = {"dog/1.wav": SOUND, "cat/2.wav": SOUND[:100]}
    path = folder / "a"
    make_archive(path, files, kind, zipfile.ZIP_DEFLATED)
    content = bytearray(path.read_bytes())
    place = int(where * (len(content) - len(byte)))
    content[place : place + len(byte)] = byte
    path.write_bytes(content)
    with contextlib.suppress(DataError):
        assert len(names_in(unpack_archive(path, cache_dir=folder / "cache"))) == 2


@pytest.mark.parametrize("name", ["Gebüsch/音.wav", unicodedata.normalize("NFD", "Gebüsch/Ä.wav")])
def test_names_that_are_utf8_without_the_flag_are_read(tmp_path: Path, cache: Path, name: str):
    path = make_zip(tmp_path / "a.zip", {name: SOUND})
    content = bytearray(path.read_bytes())
    for mark, at in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        flags = content.index(mark) + at
        content[flags + 1] &= ~0x08
    path.write_bytes(content)
    assert names_in(unpack_archive(path, cache_dir=cache)) == [name]


def test_names_in_code_page_437_stay_so(tmp_path: Path, cache: Path):
    path = make_zip(tmp_path / "a.zip", {"x_y.wav": SOUND})
    path.write_bytes(path.read_bytes().replace(b"x_y", b"x\x81y"))
    assert names_in(unpack_archive(path, cache_dir=cache)) == ["xüy.wav"]
