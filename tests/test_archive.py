"""Unpacking: what is refused, that a folder is whole or absent, and that a changed archive is noticed."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiofw import archive as archive_module
from audiofw import locks
from audiofw.archive import content_digest, is_archive, unpack
from audiofw.errors import DataError

SOUND = b"RIFF" + bytes(range(256)) * 8


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def make_zip(path: Path, files: dict[str, bytes], packing: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content, compress_type=packing)
    return path


def make_tar(path: Path, files: dict[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def make_odd_tar(path: Path, kind: bytes, linkname: str = "") -> Path:
    with tarfile.open(path, "w") as archive:
        info = tarfile.TarInfo("dog/odd.wav")
        info.type, info.linkname = kind, linkname
        archive.addfile(info)
    return path


def names_in(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def age(path: Path) -> None:
    """Let a file look as if nobody had touched it for a while."""
    os.utime(path, (time.time() - 100, time.time() - 100))


# --- what is read --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_tar_of_any_packing_is_unpacked_whatever_its_name(tmp_path: Path, cache: Path, mode: str):
    folder = unpack(make_tar(tmp_path / "odd.name", {"./dog/1.wav": SOUND}, mode), cache_dir=cache)
    assert (folder / "dog/1.wav").read_bytes() == SOUND


def test_zip_is_unpacked_whatever_its_name(tmp_path: Path, cache: Path):
    folder = unpack(make_zip(tmp_path / "a.tar", {"dog/1.wav": SOUND, "cat//2.wav": b""}), cache_dir=cache)
    assert names_in(folder) == ["cat/2.wav", "dog/1.wav"]


def test_tar_that_ends_in_a_zip_is_a_tar(tmp_path: Path, cache: Path):
    inner = make_zip(tmp_path / "inner.zip", {"x.txt": b"x"}).read_bytes()
    outer = make_tar(tmp_path / "outer.tar", {"dog/1.wav": SOUND, "inner.zip": inner})
    assert names_in(unpack(outer, cache_dir=cache)) == ["dog/1.wav", "inner.zip"]


def test_other_files_are_no_archives(tmp_path: Path):
    (tmp_path / "a.zip").write_text("<html>not found</html>")
    assert not is_archive(tmp_path / "a.zip")
    assert not is_archive(tmp_path)


def test_zip_cut_short_is_still_known_for_an_archive(tmp_path: Path):
    path = make_zip(tmp_path / "a.zip", {"dog/1.wav": SOUND})
    path.write_bytes(path.read_bytes()[:100])
    assert is_archive(path)


def test_backslashes_of_old_windows_zips_are_folders(tmp_path: Path, cache: Path):
    folder = unpack(make_zip(tmp_path / "a.zip", {"dog\\1.wav": SOUND}), cache_dir=cache)
    assert names_in(folder) == ["dog/1.wav"]


def test_members_never_keep_the_archives_modes(tmp_path: Path, cache: Path):
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as archive:
        for name, mode in {"dog/setuid.wav": 0o4777, "dog/secret.wav": 0}.items():
            info = tarfile.TarInfo(name)
            info.mode, info.size = mode, len(SOUND)
            archive.addfile(info, io.BytesIO(SOUND))
    for file in unpack(path, cache_dir=cache).rglob("*.wav"):
        assert file.stat().st_mode & (stat.S_ISUID | stat.S_IXUSR) == 0
        assert file.stat().st_mode & stat.S_IRUSR


# --- what is refused -----------------------------------------------------------------------------------------------

LEADING_OUT = ["../out.wav", "dog/../../out.wav", "/out.wav", "C:/out.wav", "C:out.wav", "..\\out.wav", "\\\\host\\x"]


@pytest.mark.parametrize("make", [make_zip, make_tar])
@pytest.mark.parametrize("name", LEADING_OUT)
def test_path_that_leads_out_is_refused(tmp_path: Path, cache: Path, make, name: str):
    path = make(tmp_path / "a", {"dog/1.wav": SOUND, name: SOUND})
    before = names_in(tmp_path)
    with pytest.raises(DataError, match="leads out of the archive; pack it with plain relative paths"):
        unpack(path, cache_dir=cache)
    assert [name for name in names_in(tmp_path) if not name.endswith((".json", ".lock"))] == before


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
def test_links_are_refused(tmp_path: Path, cache: Path, kind: bytes):
    with pytest.raises(DataError, match=r"'dog/odd.wav' is a link; pack plain files"):
        unpack(make_odd_tar(tmp_path / "a.tar", kind, "/etc/passwd"), cache_dir=cache)


@pytest.mark.parametrize("kind", [tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE])
def test_devices_and_pipes_are_refused(tmp_path: Path, cache: Path, kind: bytes):
    with pytest.raises(DataError, match=r"'dog/odd.wav' is a device or pipe"):
        unpack(make_odd_tar(tmp_path / "a.tar", kind), cache_dir=cache)


def test_link_in_a_zip_is_refused(tmp_path: Path, cache: Path):
    info = zipfile.ZipInfo("dog/odd.wav")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(DataError, match="is a link"):
        unpack(tmp_path / "a.zip", cache_dir=cache)


def test_name_held_twice_is_refused(tmp_path: Path, cache: Path):
    path = tmp_path / "a.tar"
    make_tar(path, {"dog/1.wav": SOUND, "./dog//1.wav": SOUND})
    with pytest.raises(DataError, match="twice; pack each file once"):
        unpack(path, cache_dir=cache)


def test_names_that_differ_in_case_only_are_two_files(tmp_path: Path, cache: Path):
    if (tmp_path / "CASE").mkdir() or (tmp_path / "case").exists():
        pytest.skip("this file system knows no case")
    folder = unpack(make_zip(tmp_path / "a.zip", {"Dog/1.wav": SOUND, "dog/1.wav": SOUND}), cache_dir=cache)
    assert len(names_in(folder)) == 2


def test_file_that_is_also_a_folder_is_refused(tmp_path: Path, cache: Path):
    with pytest.raises(DataError, match="cannot be unpacked"):
        unpack(make_zip(tmp_path / "a.zip", {"dog": SOUND, "dog/1.wav": SOUND}), cache_dir=cache)


def test_empty_archive_is_refused(tmp_path: Path, cache: Path):
    for path in (make_zip(tmp_path / "a.zip", {}), make_tar(tmp_path / "a.tar", {})):
        with pytest.raises(DataError, match="empty archive"):
            unpack(path, cache_dir=cache)


def test_encrypted_zip_is_refused(tmp_path: Path, cache: Path):
    path = make_zip(tmp_path / "a.zip", {"dog/1.wav": SOUND})
    content = bytearray(path.read_bytes())
    content[6] |= 1  # the flag, in the member's own header and in the directory at the end
    content[content.rindex(b"PK\1\2") + 8] |= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match="encrypted; decrypt it and pack it again without a password"):
        unpack(path, cache_dir=cache)


def test_unknown_packing_method_is_named(tmp_path: Path, cache: Path):
    path = make_zip(tmp_path / "a.zip", {"dog/1.wav": SOUND})
    content = bytearray(path.read_bytes())
    content[8] = content[content.rindex(b"PK\1\2") + 10] = 97
    path.write_bytes(content)
    with pytest.raises(DataError, match="pack it with plain deflate"):
        unpack(path, cache_dir=cache)


def test_too_large_an_archive_is_refused_before_a_byte_is_written(tmp_path: Path, cache: Path, monkeypatch):
    monkeypatch.setattr(archive_module, "_write_all", lambda *_: pytest.fail("it wrote"))
    with pytest.raises(DataError, match=r"more than 1e-06 GB; if you trust it, raise data\.max_unpacked_gb"):
        unpack(make_zip(tmp_path / "a.zip", {"dog/1.wav": SOUND}), cache_dir=cache, max_unpacked_gb=1e-6)


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_zip_bomb_is_refused_by_its_ratio(tmp_path: Path, cache: Path, monkeypatch, kind: str):
    monkeypatch.setattr(archive_module, "RATIO_FLOOR", 10**6)
    silence = {"dog/1.wav": bytes(2 * 10**6)}
    path = tmp_path / f"a.{kind}"
    make_zip(path, silence, packing=zipfile.ZIP_DEFLATED) if kind == "zip" else make_tar(path, silence, "w:gz")
    with pytest.raises(DataError, match=r"200 times its size, as a zip bomb does; .* raise data\.max_ratio"):
        unpack(path, cache_dir=cache)
    assert names_in(unpack(path, cache_dir=cache, max_ratio=10_000)) == ["dog/1.wav"]


def test_some_silence_is_no_bomb(tmp_path: Path, cache: Path):
    path = make_tar(tmp_path / "a.tgz", {"dog/1.wav": bytes(2 * 10**6)}, "w:gz")
    assert path.stat().st_size * 200 < 2 * 10**6
    assert names_in(unpack(path, cache_dir=cache)) == ["dog/1.wav"]


def test_member_longer_than_it_declares_is_refused(tmp_path: Path):
    member = archive_module.Member("dog/1.wav", 100, "file", lambda: io.BytesIO(bytes(101)))
    with pytest.raises(zipfile.BadZipFile, match="not as long as it declares"):
        archive_module._write(member, tmp_path / "1.wav", lambda _: None)
    assert (tmp_path / "1.wav").stat().st_size <= 100


def test_lying_size_in_a_zip_is_refused(tmp_path: Path, cache: Path):
    path = make_zip(tmp_path / "a.zip", {"dog/1.wav": bytes(100_000)}, packing=zipfile.ZIP_DEFLATED)
    content = bytearray(path.read_bytes())
    directory = content.rindex(b"PK\1\2")
    content[directory + 24 : directory + 28] = (10).to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(DataError, match="damaged or cut short"):
        unpack(path, cache_dir=cache)
    assert not list(cache.rglob("*.wav"))


def test_full_disk_is_foreseen(tmp_path: Path, cache: Path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 10, 0))
    with pytest.raises(DataError, match=r"has 0\.0 GB free; make room, or set AUDIOFW_CACHE"):
        unpack(make_zip(tmp_path / "a.zip", {"dog/1.wav": SOUND}), cache_dir=cache)


def test_cache_that_cannot_be_written_is_named(tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    path = make_zip(tmp_path / "a.zip", {"dog/1.wav": SOUND})
    with pytest.raises(DataError, match="set AUDIOFW_CACHE to another folder"):
        unpack(path, cache_dir=tmp_path / "file")


def test_negative_tar_size_does_not_loop(tmp_path: Path, cache: Path):
    first, second = tarfile.TarInfo("dog/1.wav"), tarfile.TarInfo("dog/2.wav")
    header = bytearray(second.tobuf(tarfile.GNU_FORMAT))
    header[124:136] = b"\xff" * 10 + (-1024 & 0xFFFF).to_bytes(2, "big")
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    (tmp_path / "a.tar").write_bytes(first.tobuf() + bytes(header) + bytes(1024))
    with pytest.raises(DataError, match=r"damaged or cut short .*a negative size"):
        unpack(tmp_path / "a.tar", cache_dir=cache)


def test_tar_header_with_a_name_of_megabytes_is_refused(tmp_path: Path, cache: Path):
    with tarfile.open(tmp_path / "a.tgz", "w:gz") as archive:
        archive.addfile(tarfile.TarInfo("dog/1.wav"))
        info = tarfile.TarInfo("././@LongLink")
        info.type, info.size = tarfile.GNUTYPE_LONGNAME, 2 << 20
        archive.addfile(info, io.BytesIO(b"x" * info.size))
        archive.addfile(tarfile.TarInfo("dog/2.wav"))
    with pytest.raises(DataError, match="a name of impossible length"):
        unpack(tmp_path / "a.tgz", cache_dir=cache)


# --- damage --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["zip", "w", "w:gz", "w:xz", "w:bz2"])
@pytest.mark.parametrize("part", [0.3, 0.6, 0.95])
def test_archive_cut_short_is_refused_and_leaves_nothing(tmp_path: Path, cache: Path, kind: str, part: float):
    noise = {f"dog/{n}.wav": os.urandom(3000) for n in range(8)}
    path = tmp_path / "a"
    make_zip(path, noise) if kind == "zip" else make_tar(path, noise, kind)
    whole = path.read_bytes()
    # a plain tar ends in kilobytes of zeros, of which some may well be missing
    used = 8 * (512 + 3072) if kind == "w" else len(whole)
    path.write_bytes(whole[: int(part * used)])
    with pytest.raises(DataError, match=r"damaged or cut short .*; download or pack it again"):
        unpack(path, cache_dir=cache)
    assert not list(cache.rglob("*.wav"))
    assert not list(cache.rglob("*.part"))


def test_tar_cut_exactly_between_two_members_is_refused(tmp_path: Path, cache: Path):
    path = make_tar(tmp_path / "a.tar", {"dog/1.wav": bytes(512), "dog/2.wav": bytes(512)})
    path.write_bytes(path.read_bytes()[:1024])
    with pytest.raises(DataError, match="no end mark"):
        unpack(path, cache_dir=cache)


def test_flipped_bit_in_a_zip_is_noticed(tmp_path: Path, cache: Path):
    path = make_zip(tmp_path / "a.zip", {"dog/1.wav": SOUND})
    content = bytearray(path.read_bytes())
    content[200] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match="Bad CRC-32"):
        unpack(path, cache_dir=cache)


@pytest.mark.parametrize("mode", ["w:gz", "w:bz2", "w:xz"])
def test_wrong_checksum_of_a_packed_tar_is_noticed(tmp_path: Path, cache: Path, mode: str):
    path = make_tar(tmp_path / "a", {f"dog/{n}.wav": os.urandom(300_000) for n in range(3)}, mode)
    content = bytearray(path.read_bytes())
    content[400_000] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match="damaged or cut short"):
        unpack(path, cache_dir=cache)


def test_zip_whose_directory_lost_an_entry_is_refused(tmp_path: Path, cache: Path):
    path = make_zip(tmp_path / "a.zip", {"dog/1.wav": SOUND, "dog/2.wav": SOUND})
    content = bytearray(path.read_bytes())
    # a comment length that swallows the entry behind it
    content[content.index(b"PK\1\2") + 32] = 46 + len("dog/2.wav")
    path.write_bytes(content)
    with pytest.raises(DataError, match="its directory has lost entries"):
        unpack(path, cache_dir=cache)


@settings(deadline=None, max_examples=60)
@given(
    kind=st.sampled_from(["zip", "w", "w:gz", "w:xz"]), where=st.floats(0, 1), byte=st.binary(min_size=1, max_size=3)
)
def test_damage_anywhere_is_an_error_of_ours_or_harmless(tmp_path_factory, kind: str, where: float, byte: bytes):
    folder = tmp_path_factory.mktemp("damage")
    files = {"dog/1.wav": SOUND, "cat/2.wav": SOUND[:100]}
    path = folder / "a"
    make_zip(path, files, packing=zipfile.ZIP_DEFLATED) if kind == "zip" else make_tar(path, files, kind)
    content = bytearray(path.read_bytes())
    place = int(where * (len(content) - len(byte)))
    content[place : place + len(byte)] = byte
    path.write_bytes(content)
    with contextlib.suppress(DataError):
        assert len(names_in(unpack(path, cache_dir=folder / "cache"))) == 2


# --- whole or absent -----------------------------------------------------------------------------------------------


def parts(cache: Path) -> list[Path]:
    return list((cache / "archives").glob("*.part"))


def test_second_call_reuses_what_the_first_unpacked(tmp_path: Path, cache: Path, monkeypatch):
    path = make_zip(tmp_path / "a.zip", {"dog/1.wav": SOUND})
    first = unpack(path, cache_dir=cache)
    monkeypatch.setattr(archive_module, "_unpack_to", lambda *_: pytest.fail("unpacked again"))
    assert unpack(path, cache_dir=cache) == first


def test_copy_under_another_name_shares_the_folder(tmp_path: Path, cache: Path):
    path = make_zip(tmp_path / "a.zip", {"dog/1.wav": SOUND})
    copy = Path(shutil.copy(path, tmp_path / "b.zip"))
    assert unpack(path, cache_dir=cache) == unpack(copy, cache_dir=cache)


@pytest.mark.parametrize("harm", ["deleted", "cut", "added", "no marker", "bad marker"])
def test_half_done_folder_is_unpacked_again(tmp_path: Path, cache: Path, harm: str):
    path = make_zip(tmp_path / "a.zip", {"dog/1.wav": SOUND, "dog/2.wav": SOUND})
    folder = unpack(path, cache_dir=cache)
    marker = folder.parent / "complete.json"
    match harm:
        case "deleted":
            (folder / "dog/1.wav").unlink()
        case "cut":
            (folder / "dog/1.wav").write_bytes(SOUND[:-1])
        case "added":
            (folder / "dog/3.wav").write_bytes(b"")
        case "no marker":
            marker.unlink()
        case "bad marker":
            marker.write_text("{")
    assert unpack(path, cache_dir=cache) == folder
    assert names_in(folder) == ["dog/1.wav", "dog/2.wav"]
    assert (folder / "dog/1.wav").read_bytes() == SOUND
    assert json.loads(marker.read_text()) == {"files": 2, "bytes": 2 * len(SOUND)}
    assert not parts(cache)


def test_interrupt_leaves_nothing(tmp_path: Path, cache: Path, monkeypatch):
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    path = make_zip(tmp_path / "a.zip", {"dog/1.wav": SOUND})
    with monkeypatch.context() as patch:
        patch.setattr(archive_module, "_write", interrupted)
        with pytest.raises(KeyboardInterrupt):
            unpack(path, cache_dir=cache)
    assert not parts(cache)
    assert names_in(unpack(path, cache_dir=cache)) == ["dog/1.wav"]


SLOW_UNPACKER = """
import sys, time
from pathlib import Path
from audiofw import archive

write = archive._write
def slowly(*args):
    write(*args)
    print("wrote", flush=True)
    time.sleep(float(sys.argv[3]))
archive._write = slowly
print(archive.unpack(Path(sys.argv[1]), cache_dir=Path(sys.argv[2])))
"""


def unpacker(path: Path, cache: Path, pause: float) -> subprocess.Popen[str]:
    # -P and PYTHONPATH: the checkout that this test belongs to, wherever pytest was started
    here = {**os.environ, "PYTHONPATH": str(Path(archive_module.__file__).parents[1])}
    words = [sys.executable, "-c", SLOW_UNPACKER, str(path), str(cache), str(pause)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=here)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs kill -9")
@pytest.mark.parametrize("next_one", ["a.zip", "b.zip"])
def test_killed_unpacker_leaves_a_part_that_the_next_one_removes(tmp_path: Path, cache: Path, next_one: str):
    path = make_zip(tmp_path / "a.zip", {"dog/1.wav": SOUND, "dog/2.wav": SOUND})
    make_zip(tmp_path / "b.zip", {"cat/1.wav": SOUND})
    process = unpacker(path, cache, pause=60)
    assert process.stdout is not None
    assert process.stdout.readline() == "wrote\n"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    [part] = parts(cache)
    assert names_in(part) == ["files/dog/1.wav"]

    unpack(tmp_path / next_one, cache_dir=cache)
    assert not parts(cache)
    assert names_in(unpack(path, cache_dir=cache)) == ["dog/1.wav", "dog/2.wav"]


def test_part_of_a_living_process_is_left_alone(tmp_path: Path, cache: Path):
    path = make_zip(tmp_path / "a.zip", {"dog/1.wav": SOUND, "dog/2.wav": SOUND})
    process = unpacker(path, cache, pause=1)
    assert process.stdout is not None
    process.stdout.readline()
    unpack(make_zip(tmp_path / "b.zip", {"cat/1.wav": SOUND}), cache_dir=cache)
    assert len(parts(cache)) == 1
    out, err = process.communicate()
    assert process.returncode == 0, err
    assert names_in(Path(out.split()[-1])) == ["dog/1.wav", "dog/2.wav"]


def test_two_processes_unpack_once(tmp_path: Path, cache: Path):
    path = make_zip(tmp_path / "a.zip", {f"dog/{n}.wav": SOUND for n in range(5)})
    both = [unpacker(path, cache, pause=0.1) for _ in range(2)]
    outs = [process.communicate() for process in both]
    assert [process.returncode for process in both] == [0, 0], outs
    assert sum(out.count("wrote") for out, _ in outs) == 5
    assert outs[0][0].split()[-1] == outs[1][0].split()[-1]
    assert not parts(cache)


def test_where_locks_do_not_exist_two_at_once_still_agree(tmp_path: Path, cache: Path, monkeypatch):
    path = make_zip(tmp_path / "a.zip", {f"dog/{n}.wav": SOUND for n in range(5)})
    together = threading.Barrier(2, timeout=20)
    settle = archive_module._settle

    def settle_together(*args: Path) -> None:
        together.wait()
        settle(*args)

    for module in (archive_module, locks):
        monkeypatch.setattr(module, "try_lock", lambda _: None)
    monkeypatch.setattr(archive_module, "_settle", settle_together)
    folders: list[Path] = []
    threads = [threading.Thread(target=lambda: folders.append(unpack(path, cache_dir=cache))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(folders) == 2
    assert folders[0] == folders[1]
    assert len(names_in(folders[0])) == 5
    assert not parts(cache)


# --- a changed archive is noticed ----------------------------------------------------------------------------------


def test_archive_rewritten_in_place_with_the_same_size_and_time_is_noticed(tmp_path: Path, cache: Path):
    path = make_zip(tmp_path / "a.zip", {"dog/1.wav": b"old old"})
    age(path)
    old = unpack(path, cache_dir=cache)
    times, size = (path.stat().st_atime_ns, path.stat().st_mtime_ns), path.stat().st_size
    new_content = make_zip(tmp_path / "b.zip", {"dog/1.wav": b"new new"}).read_bytes()
    path.write_bytes(new_content)
    os.utime(path, ns=times)
    assert path.stat().st_size == size
    new = unpack(path, cache_dir=cache)
    assert (new / "dog/1.wav").read_bytes() == b"new new"
    assert (old / "dog/1.wav").read_bytes() == b"old old"


def test_quiet_archive_is_hashed_once(tmp_path: Path, monkeypatch):
    path = make_zip(tmp_path / "a.zip", {"dog/1.wav": SOUND})
    monkeypatch.setattr(archive_module, "QUIET_NS", -(10**18))  # as if written long ago; ctime cannot be set
    first = content_digest(path, tmp_path)
    monkeypatch.setattr(archive_module.hashlib, "file_digest", lambda *_: pytest.fail("hashed again"))
    assert content_digest(path, tmp_path) == first


def test_archive_written_a_moment_ago_is_hashed_again(tmp_path: Path, monkeypatch):
    path = make_zip(tmp_path / "a.zip", {"dog/1.wav": SOUND})
    content_digest(path, tmp_path)
    assert not (tmp_path / "seen").exists()


def test_archive_that_grows_while_it_is_read_is_refused(tmp_path: Path, cache: Path, monkeypatch):
    path = make_zip(tmp_path / "a.zip", {"dog/1.wav": SOUND})
    write = archive_module._write

    def meanwhile(*args) -> None:
        with path.open("ab") as file:
            file.write(b"more")
        write(*args)

    monkeypatch.setattr(archive_module, "_write", meanwhile)
    with pytest.raises(DataError, match="changed while it was being read"):
        unpack(path, cache_dir=cache)
    assert not list(cache.rglob("*.wav"))


def test_broken_note_is_ignored(tmp_path: Path, monkeypatch):
    path = make_zip(tmp_path / "a.zip", {"dog/1.wav": SOUND})
    monkeypatch.setattr(archive_module, "QUIET_NS", -(10**18))
    first = content_digest(path, tmp_path)
    [note] = (tmp_path / "seen").iterdir()
    for harm in ("", "[]", '{"identity": 3}', "\x00"):
        note.write_text(harm)
        assert content_digest(path, tmp_path) == first


def test_progress_is_shown_on_a_terminal_only(tmp_path: Path, cache: Path, monkeypatch, capsys):
    assert not sys.stderr.isatty()
    with archive_module._progress("a.zip", 10**9) as advance:
        advance(5 * 10**8)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with archive_module._progress("a.zip", 10**9) as advance:
        advance(5 * 10**8)
    captured = capsys.readouterr()
    assert "a.zip" in captured.err
    assert captured.out == ""
