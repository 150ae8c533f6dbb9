"""Archives that are rejected before anything is written."""

from __future__ import annotations

import errno
import gzip
import io
import shutil
import stat
import struct
import tarfile
import zipfile
from pathlib import Path

import pytest
from disks import Disk, Place, watched
from packing import SOUND, make_archive, make_odd_tar, make_tar, make_zip, names_in

from audiofw.cache import fileindex
from audiofw.data import limits, unpack
from audiofw.data.archive import ArchiveMember, is_archive, open_members
from audiofw.data.limits import check_members
from audiofw.data.unpack import unpack_archive
from audiofw.errors import DataError


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


LEADING_OUT = ["../out.wav", "dog/../../out.wav", "/out.wav", "C:/out.wav", "C:out.wav", "..\\out.wav", "\\\\host\\x"]


@pytest.mark.parametrize("make", [make_zip, make_tar])
@pytest.mark.parametrize("name", LEADING_OUT)
def test_path_that_leads_out_is_refused(tmp_path: Path, cache: Path, make, name: str):
    path = make(tmp_path / "a", {"dog/1.wav": SOUND, name: SOUND})
    before = names_in(tmp_path)
    with pytest.raises(DataError, match="points outside the archive; pack it with plain relative paths"):
        unpack_archive(path, cache_dir=cache)
    assert [name for name in names_in(tmp_path) if not name.endswith((".index", ".lock"))] == before


@pytest.mark.parametrize("make", [make_zip, make_tar])
@pytest.mark.parametrize(
    ("names", "says"),
    [
        (["n" * 300 + ".wav"], r"'nnn.*…' has a name of 304 bytes; shorten it to 255 and pack again"),
        (["dog/" + "ä" * 130 + ".wav"], r"'dog/ä.*…' has a name of 264 bytes; shorten it"),
        (["n" * 300 + "/1.wav"], "has a name of 300 bytes"),
        (["d/" * 1500 + "1.wav"], r"'d/d/.*…' is in too many folders, one in another; pack it with fewer"),
        ([("d" * 200 + "/") * 25 + "1.wav"], "is in too many folders"),
        (["dog/a", "dog/a/x.wav"], "'dog/a' is both a file and a folder; rename one and pack again"),
        (["dog/a/b/x.wav", "dog/a"], "'dog/a' is both a file and a folder"),
    ],
)
def test_name_that_no_folder_can_hold_is_refused(tmp_path: Path, cache: Path, make, names: list[str], says: str):
    path = make(tmp_path / "a", {"dog/1.wav": SOUND, **dict.fromkeys(names, SOUND)})
    with pytest.raises(DataError, match=says) as refused:
        unpack_archive(path, cache_dir=cache)
    assert len(str(refused.value)) < len(str(path)) + 250
    assert not [name for name in names_in(cache) if name.endswith(".wav")]


def test_longest_names_are_unpacked(tmp_path: Path, cache: Path):
    names = ["n" * 251 + ".wav", "d/" * 99 + "1.wav"]
    folder = unpack_archive(make_zip(tmp_path / "a", dict.fromkeys(names, SOUND)), cache_dir=cache)
    assert names_in(folder) == sorted(names)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
def test_links_are_refused(tmp_path: Path, cache: Path, kind: bytes):
    with pytest.raises(DataError, match=r"'dog/odd.wav' is a link; pack plain files"):
        unpack_archive(make_odd_tar(tmp_path / "a.tar", kind, "/etc/passwd"), cache_dir=cache)


@pytest.mark.parametrize("kind", [tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE])
def test_devices_and_pipes_are_refused(tmp_path: Path, cache: Path, kind: bytes):
    with pytest.raises(DataError, match=r"'dog/odd.wav' is a device or pipe"):
        unpack_archive(make_odd_tar(tmp_path / "a.tar", kind), cache_dir=cache)


def test_link_in_a_zip_is_refused(tmp_path: Path, cache: Path):
    info = zipfile.ZipInfo("dog/odd.wav")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(DataError, match="is a link"):
        unpack_archive(tmp_path / "a.zip", cache_dir=cache)


def test_name_held_twice_is_refused(tmp_path: Path, cache: Path):
    path = tmp_path / "a.tar"
    make_tar(path, {"dog/1.wav": SOUND, "./dog//1.wav": SOUND})
    with pytest.raises(DataError, match="twice; pack each file once"):
        unpack_archive(path, cache_dir=cache)


def test_names_that_differ_in_case_only_are_two_files(tmp_path: Path, cache: Path):
    if (tmp_path / "CASE").mkdir() or (tmp_path / "case").exists():
        pytest.skip("this file system knows no case")
    folder = unpack_archive(make_zip(tmp_path / "a.zip", {"Dog/1.wav": SOUND, "dog/1.wav": SOUND}), cache_dir=cache)
    assert len(names_in(folder)) == 2


def test_file_that_is_also_a_folder_is_refused(tmp_path: Path, cache: Path):
    with pytest.raises(DataError, match="'dog' is both a file and a folder"):
        unpack_archive(make_zip(tmp_path / "a.zip", {"dog": SOUND, "dog/1.wav": SOUND}), cache_dir=cache)


def test_empty_archive_is_refused(tmp_path: Path, cache: Path):
    for path in (make_zip(tmp_path / "a.zip", {}), make_tar(tmp_path / "a.tar", {})):
        with pytest.raises(DataError, match="empty archive"):
            unpack_archive(path, cache_dir=cache)


def test_encrypted_zip_is_refused(tmp_path: Path, cache: Path):
    path = make_zip(tmp_path / "a.zip", {"dog/1.wav": SOUND})
    content = bytearray(path.read_bytes())
    content[6] |= 1  # the flag in the member's header and in the central directory
    content[content.rindex(b"PK\1\2") + 8] |= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match="encrypted; pack it again without a password"):
        unpack_archive(path, cache_dir=cache)


def test_unknown_packing_method_is_named(tmp_path: Path, cache: Path):
    path = make_zip(tmp_path / "a.zip", {"dog/1.wav": SOUND})
    content = bytearray(path.read_bytes())
    content[8] = content[content.rindex(b"PK\1\2") + 10] = 97
    path.write_bytes(content)
    with pytest.raises(DataError, match="pack it with plain deflate"):
        unpack_archive(path, cache_dir=cache)


def test_too_large_an_archive_is_refused_before_a_byte_is_written(tmp_path: Path, cache: Path, monkeypatch):
    monkeypatch.setattr(unpack, "_write_all", lambda *_: pytest.fail("it wrote"))
    with pytest.raises(DataError, match=r"more than 1e-06 GB; if you trust it, raise data\.max_unpacked_gb"):
        unpack_archive(make_zip(tmp_path / "a.zip", {"dog/1.wav": SOUND}), cache_dir=cache, max_unpacked_gb=1e-6)


@pytest.mark.parametrize("kind", ["zip", "w:gz"])
def test_zip_bomb_is_refused_by_its_ratio(tmp_path: Path, cache: Path, monkeypatch, kind: str):
    monkeypatch.setattr(limits, "RATIO_FLOOR", 10**6)
    silence = {"dog/1.wav": bytes(2 * 10**6)}
    path = make_archive(tmp_path / "a", silence, kind, zipfile.ZIP_DEFLATED)
    with pytest.raises(DataError, match=r"200 times its size, as a zip bomb does; .* raise data\.max_ratio"):
        unpack_archive(path, cache_dir=cache)
    assert names_in(unpack_archive(path, cache_dir=cache, max_ratio=10_000)) == ["dog/1.wav"]


def test_some_silence_is_no_bomb(tmp_path: Path, cache: Path):
    path = make_tar(tmp_path / "a.tgz", {"dog/1.wav": bytes(2 * 10**6)}, "w:gz")
    assert path.stat().st_size * 200 < 2 * 10**6
    assert names_in(unpack_archive(path, cache_dir=cache)) == ["dog/1.wav"]


def test_member_longer_than_it_declares_is_refused(tmp_path: Path):
    member = ArchiveMember("dog/1.wav", 100, "file", lambda: io.BytesIO(bytes(101)))
    with pytest.raises(zipfile.BadZipFile, match="does not have its declared size"):
        unpack._write(member, tmp_path / "1.wav", lambda _: None)
    assert (tmp_path / "1.wav").stat().st_size <= 100


def test_lying_size_in_a_zip_is_refused(tmp_path: Path, cache: Path):
    path = make_zip(tmp_path / "a.zip", {"dog/1.wav": bytes(100_000)}, packing=zipfile.ZIP_DEFLATED)
    content = bytearray(path.read_bytes())
    directory = content.rindex(b"PK\1\2")
    content[directory + 24 : directory + 28] = (10).to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(DataError, match="damaged or cut short"):
        unpack_archive(path, cache_dir=cache)
    assert not list(cache.rglob("*.wav"))


def test_full_disk_is_foreseen(tmp_path: Path, cache: Path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 10, 0))
    with pytest.raises(DataError, match=r"needs 4\.1 kB in .* has 0 bytes free; free some space, or set AUDIOFW_CACHE"):
        unpack_archive(make_zip(tmp_path / "a.zip", {"dog/1.wav": SOUND}), cache_dir=cache)


def test_cache_that_cannot_be_written_is_named(tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    path = make_zip(tmp_path / "a.zip", {"dog/1.wav": SOUND})
    with pytest.raises(DataError, match="set AUDIOFW_CACHE to another folder"):
        unpack_archive(path, cache_dir=tmp_path / "file")


def test_negative_tar_size_does_not_loop(tmp_path: Path, cache: Path):
    first, second = tarfile.TarInfo("dog/1.wav"), tarfile.TarInfo("dog/2.wav")
    header = bytearray(second.tobuf(tarfile.GNU_FORMAT))
    header[124:136] = b"\xff" * 10 + (-1024 & 0xFFFF).to_bytes(2, "big")
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    (tmp_path / "a.tar").write_bytes(first.tobuf() + bytes(header) + bytes(1024))
    with pytest.raises(DataError, match=r"damaged or cut short .*a negative size"):
        unpack_archive(tmp_path / "a.tar", cache_dir=cache)


def test_tar_header_with_a_name_of_megabytes_is_refused(tmp_path: Path, cache: Path):
    with tarfile.open(tmp_path / "a.tgz", "w:gz") as archive:
        archive.addfile(tarfile.TarInfo("dog/1.wav"))
        info = tarfile.TarInfo("././@LongLink")
        info.type, info.size = tarfile.GNUTYPE_LONGNAME, 2 << 20
        archive.addfile(info, io.BytesIO(b"x" * info.size))
        archive.addfile(tarfile.TarInfo("dog/2.wav"))
    with pytest.raises(DataError, match="a name of impossible length"):
        unpack_archive(tmp_path / "a.tgz", cache_dir=cache)


@pytest.mark.parametrize("make", [make_zip, make_tar])
def test_too_many_files_are_refused_before_any_is_made(tmp_path: Path, cache: Path, make):
    path = make(tmp_path / "a", {f"dog/{i}.wav": SOUND for i in range(11)})
    with pytest.raises(DataError, match=r"contains more than 10 files and folders; .* raise data\.max_entries"):
        unpack_archive(path, cache_dir=cache, max_entries=10)
    assert not [name for name in names_in(cache) if name.endswith(".wav")]
    assert len(names_in(unpack_archive(path, cache_dir=cache, max_entries=11))) == 11


@pytest.mark.parametrize("comment", [b"", b"a comment"])
@pytest.mark.parametrize("forced", [False, True])
def test_a_zips_directory_is_counted_without_reading_it_whole(
    tmp_path: Path, cache: Path, monkeypatch, comment, forced
):
    if forced:
        monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 5)  # above this size, zip64 records are written
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for i in range(2000):
            archive.writestr(f"{i}", b"")
        archive.comment = comment
    monkeypatch.setattr(zipfile, "ZipFile", lambda *_: pytest.fail("the directory was read whole"))
    with pytest.raises(DataError, match="contains more than 1999 files"):
        unpack_archive(path, cache_dir=cache, max_entries=1999)


def forged_zip(path: Path, forge) -> Path:
    """Write a zip of 2000 empty files with zip64 records, and change its bytes."""
    with zipfile.ZipFile(path, "w") as archive:
        for i in range(2000):
            archive.writestr(f"{i}", b"")
    content = bytearray(path.read_bytes())
    forge(content)
    path.write_bytes(content)
    return path


def point_elsewhere(content: bytearray) -> None:
    """Let the zip64 locator point to a record, at the beginning, that says that the directory is small."""
    record = content[-98:-42]
    struct.pack_into("<Q", record, 40, 46)
    content[:0] = record
    struct.pack_into("<Q", content, len(content) - 34, 0)


def end_twice(content: bytearray) -> None:
    """Let the directory's position, in the end record, read like the beginning of another end record."""
    (size,) = struct.unpack_from("<Q", content, len(content) - 98 + 40)
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 2000, 2000, size, int.from_bytes(b"PK\5\6", "little"), 0)
    content[-98:] = end


@pytest.mark.parametrize("forge", [point_elsewhere, end_twice])
def test_a_zip_with_a_second_end_record_is_counted_as_zipfile_would(tmp_path: Path, cache: Path, monkeypatch, forge):
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 5)
    path = forged_zip(tmp_path / "a.zip", forge)
    assert len(zipfile.ZipFile(path).namelist()) == 2000
    monkeypatch.setattr(zipfile, "ZipFile", lambda *_: pytest.fail("the directory was read whole"))
    with pytest.raises(DataError, match="contains more than 1999 files"):
        unpack_archive(path, cache_dir=cache, max_entries=1999)


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE, tarfile.XGLTYPE])
@pytest.mark.parametrize("first", [b"", tarfile.TarInfo("dog/1.wav").tobuf()])
def test_a_chain_of_tar_headers_is_refused_in_one_line(tmp_path: Path, cache: Path, kind: bytes, first: bytes):
    info = tarfile.TarInfo("x")
    info.type, info.size = kind, 11
    block = info.tobuf(tarfile.GNU_FORMAT) + b"11 path=ab\n".ljust(512, b"\0")
    path = tmp_path / "a.tar"
    path.write_bytes(first + 5000 * block + tarfile.TarInfo("dog/2.wav").tobuf() + bytes(1024))
    with pytest.raises(DataError, match="damaged or cut short"):
        unpack_archive(path, cache_dir=cache)
    assert is_archive(path) is bool(first)


def pax(**headers: str) -> bytes:
    info = tarfile.TarInfo("dog/1.wav")
    info.pax_headers = headers
    return info.tobuf(tarfile.PAX_FORMAT)


def test_a_map_of_holes_is_not_read(tmp_path: Path, cache: Path):
    count = 100_000
    header = pax(**{"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "9"})
    tar = header[:-512] + tarfile.TarInfo("dog/1.wav").tobuf()
    (tmp_path / "a.tar").write_bytes(tar + f"{count}\n".encode() + b"0\n" * (2 * count))
    read = []
    with (
        pytest.raises(DataError, match=r"'dog/1.wav' is a sparse file; pack plain files"),
        open_members(tmp_path / "a.tar") as members,
    ):
        check_members((read.append(member) or member for member in members), tmp_path / "a.tar", limits.Limits())
    assert len(read) == 1


def test_the_comments_of_a_tar_are_not_kept_and_count_as_its_content(tmp_path: Path, cache: Path, monkeypatch):
    monkeypatch.setattr(limits, "RATIO_FLOOR", 10**6)
    path = tmp_path / "a.tgz"
    with gzip.open(path, "wb") as file:
        file.write(4 * pax(comment="x" * 500_000) + bytes(1024))
    with pytest.raises(DataError, match="200 times its size, as a zip bomb does"):
        unpack_archive(path, cache_dir=cache)
    with open_members(path) as members:
        assert sum(member.header for member in members) > 4 * 500_000


def test_comments_on_all_of_a_tar_are_short(tmp_path: Path, cache: Path):
    many = "".join(f"{len(str(i)) + 13} key{i}=value\n" for i in range(1000)).encode()
    info = tarfile.TarInfo("pax_global_header")
    info.type, info.size = tarfile.XGLTYPE, len(many)
    padded = many + bytes(-len(many) % 512)
    (tmp_path / "a.tar").write_bytes(tarfile.TarInfo("1.wav").tobuf() + info.tobuf() + padded + bytes(1024))
    with pytest.raises(DataError, match="a name of impossible length"):
        unpack_archive(tmp_path / "a.tar", cache_dir=cache)


def test_a_full_cache_is_one_line(audiofw, tmp_path: Path, monkeypatch):
    """Even if the index of files cannot be written, either."""
    path = make_zip(tmp_path / "a.zip", {"dog/1.wav": SOUND})
    full = {"disk": Disk(str(tmp_path.resolve() / "cache"), code=errno.ENOSPC)}
    monkeypatch.setenv("AUDIOFW_CACHE", full["disk"].root)
    monkeypatch.setattr(fileindex, "QUIET_NS", 0)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 10, 0))
    full["disk"].at, full["disk"].lasts = Place("open", "archives/.files.index.#.tmp"), True
    with watched(full["disk"]):
        outcome = audiofw(f"data.source={path}", "hydra.run.dir=run")
    assert outcome.code == 1
    (line,) = outcome.err.splitlines()
    assert "needs 4.1 kB in" in line
