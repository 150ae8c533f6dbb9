"""Unpacking: a folder is complete or absent, and a changed archive is detected."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import filelock
import pytest
from packing import SOUND, make_zip, names_in

from audiofw.cache import fileindex
from audiofw.data import unpack
from audiofw.data.unpack import unpack_archive
from audiofw.errors import DataError


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def age(path: Path) -> None:
    """Set the times of a file to some time ago."""
    os.utime(path, (time.time() - 100, time.time() - 100))


# --- complete or absent --------------------------------------------------------------------------------------------


def parts(cache: Path) -> list[Path]:
    return list((cache / "archives").glob("*.part"))


def test_second_call_reuses_what_the_first_unpacked(tmp_path: Path, cache: Path, monkeypatch):
    path = make_zip(tmp_path / "a.zip", {"dog/1.wav": SOUND})
    first = unpack_archive(path, cache_dir=cache)
    monkeypatch.setattr(unpack, "_unpack_to", lambda *_: pytest.fail("unpacked again"))
    assert unpack_archive(path, cache_dir=cache) == first


def test_copy_under_another_name_shares_the_folder(tmp_path: Path, cache: Path):
    path = make_zip(tmp_path / "a.zip", {"dog/1.wav": SOUND})
    copy = Path(shutil.copy(path, tmp_path / "b.zip"))
    assert unpack_archive(path, cache_dir=cache) == unpack_archive(copy, cache_dir=cache)


@pytest.mark.parametrize("harm", ["deleted", "cut", "added", "changed", "swapped", "link", "no marker", "bad marker"])
def test_half_done_folder_is_unpacked_again(tmp_path: Path, cache: Path, harm: str):
    path = make_zip(tmp_path / "a.zip", {"dog/1.wav": SOUND, "dog/2.wav": SOUND[::-1]})
    folder = unpack_archive(path, cache_dir=cache)
    marker = folder.parent / "complete.json"
    match harm:
        case "deleted":
            (folder / "dog/1.wav").unlink()
        case "cut":
            (folder / "dog/1.wav").write_bytes(SOUND[:-1])
        case "added":
            (folder / "dog/3.wav").write_bytes(b"")
        case "changed":
            (folder / "dog/1.wav").write_bytes(SOUND[:-1] + b"!")
        case "swapped":
            (folder / "dog/1.wav").rename(folder / "3.wav")
            (folder / "dog/2.wav").rename(folder / "dog/1.wav")
            (folder / "3.wav").rename(folder / "dog/2.wav")
        case "link":
            (folder / "dog/1.wav").rename(tmp_path / "1.wav")
            (folder / "dog/1.wav").symlink_to(tmp_path / "1.wav")
        case "no marker":
            marker.unlink()
        case "bad marker":
            marker.write_text("{")
    assert unpack_archive(path, cache_dir=cache) == folder
    assert names_in(folder) == ["dog/1.wav", "dog/2.wav"]
    assert (folder / "dog/1.wav").read_bytes() == SOUND
    assert json.loads(marker.read_text())["digests"].keys() == {"dog/1.wav", "dog/2.wav"}
    assert not parts(cache)


@pytest.mark.parametrize("target", ["missing", "file", "empty folder"])
def test_link_in_the_place_of_the_folder_is_replaced(tmp_path: Path, cache: Path, target: str):
    path = make_zip(tmp_path / "a.zip", {"dog/1.wav": SOUND})
    folder = unpack_archive(path, cache_dir=cache)
    shutil.rmtree(folder.parent)
    if target == "file":
        (tmp_path / target).write_text("mine")
    elif target == "empty folder":
        (tmp_path / target).mkdir()
    folder.parent.symlink_to(tmp_path / target)
    assert unpack_archive(path, cache_dir=cache) == folder
    assert not folder.parent.is_symlink()
    assert names_in(folder) == ["dog/1.wav"]
    assert (tmp_path / target).exists() == (target != "missing")
    assert not parts(cache)


def test_link_in_the_place_of_the_files_is_not_followed(tmp_path: Path, cache: Path):
    path = make_zip(tmp_path / "a.zip", {"dog/1.wav": SOUND})
    folder = unpack_archive(path, cache_dir=cache)
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    assert unpack_archive(path, cache_dir=cache) == folder
    assert not folder.is_symlink()
    assert names_in(folder) == names_in(tmp_path / "elsewhere") == ["dog/1.wav"]


def test_interrupt_leaves_nothing(tmp_path: Path, cache: Path, monkeypatch):
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    path = make_zip(tmp_path / "a.zip", {"dog/1.wav": SOUND})
    with monkeypatch.context() as patch:
        patch.setattr(unpack, "_write", interrupted)
        with pytest.raises(KeyboardInterrupt):
            unpack_archive(path, cache_dir=cache)
    assert not parts(cache)
    assert names_in(unpack_archive(path, cache_dir=cache)) == ["dog/1.wav"]


SLOW_UNPACKER = """
import logging, sys
from pathlib import Path
from audiofw.data import unpack

logging.basicConfig(level=logging.INFO, format="%(message)s")
write = unpack._write
def slowly(*args):
    digest = write(*args)
    print("wrote", flush=True)
    sys.stdin.read()  # until it is closed
    return digest
unpack._write = slowly
print(unpack.unpack_archive(Path(sys.argv[1]), cache_dir=Path(sys.argv[2])))
"""


def unpacker(path: Path, cache: Path) -> subprocess.Popen[str]:
    """Unpack in another process, which stops after the first file until its standard input is closed."""
    # -P and PYTHONPATH: use this test's checkout, wherever pytest was started
    here = {**os.environ, "PYTHONPATH": str(Path(unpack.__file__).parents[2])}
    words = [sys.executable, "-c", SLOW_UNPACKER, str(path), str(cache)]
    pipe = subprocess.PIPE
    return subprocess.Popen(words, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=here)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs kill -9")
@pytest.mark.parametrize("next_one", ["a.zip", "b.zip"])
def test_killed_unpacker_leaves_a_part_that_the_next_one_removes(tmp_path: Path, cache: Path, next_one: str):
    path = make_zip(tmp_path / "a.zip", {"dog/1.wav": SOUND, "dog/2.wav": SOUND})
    make_zip(tmp_path / "b.zip", {"cat/1.wav": SOUND})
    process = unpacker(path, cache)
    assert process.stdout is not None
    assert process.stdout.readline() == "wrote\n"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    [part] = parts(cache)
    assert names_in(part) == ["files/dog/1.wav"]

    unpack_archive(tmp_path / next_one, cache_dir=cache)
    assert not parts(cache)
    assert names_in(unpack_archive(path, cache_dir=cache)) == ["dog/1.wav", "dog/2.wav"]


def test_part_of_a_living_process_is_left_alone(tmp_path: Path, cache: Path):
    path = make_zip(tmp_path / "a.zip", {"dog/1.wav": SOUND, "dog/2.wav": SOUND})
    process = unpacker(path, cache)
    assert process.stdout is not None
    process.stdout.readline()
    unpack_archive(make_zip(tmp_path / "b.zip", {"cat/1.wav": SOUND}), cache_dir=cache)
    assert len(parts(cache)) == 1
    out, err = process.communicate()
    assert process.returncode == 0, err
    assert names_in(Path(out.split()[-1])) == ["dog/1.wav", "dog/2.wav"]


def test_two_processes_unpack_once(tmp_path: Path, cache: Path):
    path = make_zip(tmp_path / "a.zip", {f"dog/{n}.wav": SOUND for n in range(5)})
    first = unpacker(path, cache)
    assert first.stdout.readline() == "wrote\n"
    second = unpacker(path, cache)
    assert "waiting" in second.stderr.readline()
    both = [first, second]
    outs = [process.communicate() for process in both]
    assert [process.returncode for process in both] == [0, 0], outs
    assert [out.count("wrote") for out, _ in outs] == [4, 0]  # one line of the first was read before
    assert outs[0][0].split()[-1] == outs[1][0].split()[-1]
    assert not parts(cache)


def test_where_locks_do_not_exist_two_at_once_still_agree(tmp_path: Path, cache: Path, monkeypatch):
    path = make_zip(tmp_path / "a.zip", {f"dog/{n}.wav": SOUND for n in range(5)})
    together = threading.Barrier(2, timeout=20)
    settle = unpack._settle

    def settle_together(*args: Path) -> None:
        together.wait()
        settle(*args)

    def refuse(*args: Any, **kwargs: Any) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(filelock.FileLock, "acquire", refuse)
    monkeypatch.setattr(unpack, "_settle", settle_together)
    folders: list[Path] = []
    threads = [threading.Thread(target=lambda: folders.append(unpack_archive(path, cache_dir=cache))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(folders) == 2
    assert folders[0] == folders[1]
    assert len(names_in(folders[0])) == 5
    assert not parts(cache)


# --- a changed archive is detected ---------------------------------------------------------------------------------


def test_archive_rewritten_in_place_with_the_same_size_and_time_is_noticed(tmp_path: Path, cache: Path):
    path = make_zip(tmp_path / "a.zip", {"dog/1.wav": b"old old"})
    age(path)
    old = unpack_archive(path, cache_dir=cache)
    times, size = (path.stat().st_atime_ns, path.stat().st_mtime_ns), path.stat().st_size
    new_content = make_zip(tmp_path / "b.zip", {"dog/1.wav": b"new new"}).read_bytes()
    path.write_bytes(new_content)
    os.utime(path, ns=times)
    assert path.stat().st_size == size
    new = unpack_archive(path, cache_dir=cache)
    assert (new / "dog/1.wav").read_bytes() == b"new new"
    assert (old / "dog/1.wav").read_bytes() == b"old old"


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that were hashed."""
    read: list[str] = []
    original = fileindex.hash_file

    def counted(path: Path) -> fileindex.Content | None:
        read.append(path.name)
        return original(path)

    monkeypatch.setattr(fileindex, "hash_file", counted)
    return read


def seem_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every file appear to have been written long ago; its ctime cannot be set."""
    monkeypatch.setattr(fileindex, "QUIET_NS", -(10**18))
    monkeypatch.setattr(fileindex, "TICK_NS", 10**18)  # and with a fine-grained clock


def test_quiet_archive_is_hashed_once(tmp_path: Path, cache: Path, monkeypatch, hashed: list[str]):
    path = make_zip(tmp_path / "a.zip", {"dog/1.wav": SOUND})
    seem_quiet(monkeypatch)
    first = unpack_archive(path, cache_dir=cache)
    assert hashed == ["a.zip"]
    for _ in range(2):  # then it is known of each file, too, that it has its content
        assert unpack_archive(path, cache_dir=cache) == first
        assert hashed == ["a.zip", "1.wav"]


def test_archive_written_a_moment_ago_is_hashed_again(tmp_path: Path, cache: Path, hashed: list[str]):
    path = make_zip(tmp_path / "a.zip", {"dog/1.wav": SOUND})
    unpack_archive(path, cache_dir=cache)
    before = hashed.count("a.zip")
    unpack_archive(path, cache_dir=cache)
    assert hashed.count("a.zip") == before + 1


def test_archive_that_changes_between_naming_and_unpacking_is_refused(tmp_path: Path, cache: Path, monkeypatch):
    path = make_zip(tmp_path / "a.zip", {"dog/1.wav": b"old old"})
    other = make_zip(tmp_path / "b.zip", {"dog/1.wav": b"new new"}).read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(unpack, "_remove_leftovers", lambda *_: path.write_bytes(other))
        with pytest.raises(DataError, match="changed while it was being read"):
            unpack_archive(path, cache_dir=cache)
    assert not list(cache.rglob("*.wav"))
    assert (unpack_archive(path, cache_dir=cache) / "dog/1.wav").read_bytes() == b"new new"


def test_archive_that_grows_while_it_is_read_is_refused(tmp_path: Path, cache: Path, monkeypatch):
    path = make_zip(tmp_path / "a.zip", {"dog/1.wav": SOUND})
    write = unpack._write

    def meanwhile(*args) -> str:
        with path.open("ab") as file:
            file.write(b"more")
        return write(*args)

    monkeypatch.setattr(unpack, "_write", meanwhile)
    with pytest.raises(DataError, match="changed while it was being read"):
        unpack_archive(path, cache_dir=cache)
    assert not list(cache.rglob("*.wav"))


@pytest.mark.parametrize(
    "harm", [b"", b"{}", b"audiofw files 1\n" + bytes(56), None], ids=["empty", "short", "zeros", "folder"]
)
def test_broken_index_costs_only_hashing(tmp_path: Path, cache: Path, monkeypatch, hashed: list[str], harm):
    path = make_zip(tmp_path / "a.zip", {"dog/1.wav": SOUND})
    seem_quiet(monkeypatch)
    first = unpack_archive(path, cache_dir=cache)
    index = cache / "archives/files.index"
    index.unlink()
    if harm is None:
        index.mkdir()
    else:
        index.write_bytes(harm)
    assert unpack_archive(path, cache_dir=cache) == first
    assert hashed == ["a.zip", "a.zip", "1.wav"]


def test_archive_that_cannot_be_read_is_said_to_be(tmp_path: Path, cache: Path):
    with pytest.raises(DataError, match=r"gone\.zip: cannot be read \(No such file"):
        unpack_archive(tmp_path / "gone.zip", cache_dir=cache)


def test_progress_is_shown_on_a_terminal_only(tmp_path: Path, cache: Path, monkeypatch, capsys):
    assert not sys.stderr.isatty()
    with unpack._progress("a.zip", 10**9) as advance:
        advance(5 * 10**8)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with unpack._progress("a.zip", 10**9) as advance:
        advance(5 * 10**8)
    captured = capsys.readouterr()
    assert "a.zip" in captured.err
    assert captured.out == ""
