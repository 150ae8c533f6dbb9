"""Unpack an archive once, safely, into a cache folder named by the archive's content.

The cache holds, for every archive, ``archives/<digest>/files/…`` and beside it ``complete.json``: how many
files and bytes were unpacked. A folder comes into being whole, by one rename of a
``<digest>.<random>.part``, so a killed run leaves only such a part, and whoever unpacks next removes it.
Nothing is written before the name, kind and size of every member have been checked, and then no more than
was declared.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import lzma
import os
import re
import secrets
import shutil
import stat
import struct
import sys
import tarfile
import time
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from audiofw.errors import DataError
from audiofw.locks import alone, try_lock
from audiofw.places import cache_root

log = logging.getLogger(__name__)

ACCEPTED = "zip, tar, tar.gz (tgz), tar.bz2 or tar.xz"
CHUNK = 1 << 20
GB = 10**9
RATIO_FLOOR = 100 * 10**6  # silence packs a thousandfold: below 100 MB a high ratio harms nobody
QUIET_NS = 2 * 10**9  # a file touched this recently may change again without a new time stamp
LONGEST_TAR_HEADER = 1 << 20
ZIP_END = 22  # bytes of the record that ends a zip, without its comment
MARKER, FILES = "complete.json", "files"
DAMAGE = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    struct.error,
    ValueError,
)


class Limits(NamedTuple):
    """How much an archive may grow: in all (GB), and for each of its own bytes."""

    max_unpacked_gb: float = 100
    max_ratio: float = 200


class Member(NamedTuple):
    """One entry of an archive, as it names itself."""

    name: str
    size: int
    kind: str  # "file", "folder", or what it is instead
    open: Callable[[], Any]


def is_archive(path: Path) -> bool:
    """Whether a file is an archive that can be unpacked, by its content and not by its name."""
    return path.is_file() and _format(path) is not None


def unpack(
    archive: Path, *, max_unpacked_gb: float = 100, max_ratio: float = 200, cache_dir: Path | None = None
) -> Path:
    """Folder with the files of an archive, unpacked now or by an earlier run.

    Parameters
    ----------
    archive : Path
        A zip or tar file, recognised by its content.
    max_unpacked_gb : float
        Refuse what would unpack to more than this (GB).
    max_ratio : float
        Refuse what unpacks to more than this many times its own size (and to more than 100 MB).
    cache_dir : Path, optional
        The cache; by default `audiofw.places.cache_root`.

    Raises
    ------
    DataError
        For an archive that is unsafe, damaged, encrypted or too large.
    """
    store = (cache_dir or cache_root()) / "archives"
    with _explained(archive, store):
        store.mkdir(parents=True, exist_ok=True)
        home = store / content_digest(archive, store)
        if not _complete(home):
            with alone(store / f"{home.name}.lock", f"unpacking {archive.name}"):
                # whoever held the lock before us may have done the work
                if not _complete(home):
                    _remove_leftovers(store, home.name)
                    _unpack_to(home, archive, Limits(max_unpacked_gb, max_ratio))
    return home / FILES


# --- the content's name ----------------------------------------------------------------------------


def content_digest(archive: Path, store: Path) -> str:
    """Hash of a file's bytes, remembered under its size and times so that a large archive is hashed once.

    As in git's index, it is remembered only if the file had been quiet for two seconds when it was hashed:
    a younger one could change again within the same time stamp.
    """
    note = store / "seen" / f"{_hash(str(archive.resolve()).encode('utf-8', 'surrogateescape'))}.json"
    before = _identity(archive)
    with suppress(OSError, ValueError, KeyError, TypeError):
        seen = json.loads(note.read_text())
        if seen["identity"] == before:
            return str(seen["digest"])
    started = time.time_ns()
    with archive.open("rb") as file:
        digest = hashlib.file_digest(file, _blake).hexdigest()
    _check_unchanged(archive, before)
    if started - max(before["mtime_ns"], before["ctime_ns"]) > QUIET_NS:
        _write_note(note, {"identity": before, "digest": digest})
    return digest


def _blake() -> Any:
    return hashlib.blake2b(digest_size=16)


def _hash(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def _identity(path: Path) -> dict[str, int]:
    at = path.stat()
    return {"size": at.st_size, "mtime_ns": at.st_mtime_ns, "ctime_ns": at.st_ctime_ns, "inode": at.st_ino}


def _check_unchanged(archive: Path, before: dict[str, int]) -> None:
    if _identity(archive) != before:
        raise DataError(f"{archive}: changed while it was being read; run again once it is copied whole")


def _write_note(note: Path, content: dict[str, Any]) -> None:
    with suppress(OSError):  # only a shortcut: without it the next run hashes again
        note.parent.mkdir(exist_ok=True)
        fresh = note.with_suffix(f".{secrets.token_hex(4)}")
        fresh.write_text(json.dumps(content))
        fresh.replace(note)


# --- one whole folder or none ----------------------------------------------------------------------


def _unpack_to(home: Path, archive: Path, limits: Limits) -> None:
    before = _identity(archive)
    part = home.with_name(f"{home.name}.{secrets.token_hex(4)}.part")
    try:
        with _members(archive) as members:
            files = _checked(members, archive, limits)
            total = sum(member.size for member in files.values())
            _check_room(files.values(), archive, home.parent)
            (part / FILES).mkdir(parents=True)
            _write_all(files, archive, part / FILES, total)
        _check_unchanged(archive, before)
        (part / MARKER).write_text(json.dumps({"files": len(files), "bytes": total}))
        _settle(part, home)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _complete(home: Path) -> bool:
    """Whether a folder is all there: as many files and bytes as its marker says."""
    try:
        marker = json.loads((home / MARKER).read_text())
        return bool(marker == dict(zip(("files", "bytes"), _measure(home / FILES), strict=True)))
    except (OSError, ValueError):
        return False


def _measure(folder: Path) -> tuple[int, int]:
    files = size = 0
    with os.scandir(folder) as entries:
        for entry in entries:
            inside = _measure(Path(entry.path)) if entry.is_dir(follow_symlinks=False) else (1, entry.stat().st_size)
            files, size = files + inside[0], size + inside[1]
    return files, size


def _settle(part: Path, home: Path) -> None:
    if home.exists() and not _complete(home):
        log.warning("%s: incomplete; unpacked again", home)
        scrap = home.with_name(f"{home.name}.{secrets.token_hex(4)}.part")
        home.rename(scrap)
        shutil.rmtree(scrap, ignore_errors=True)
    try:
        part.rename(home)
    except OSError:
        # on a file system without locks, another process may have been first
        if not _complete(home):
            raise


def _remove_leftovers(store: Path, ours: str) -> None:
    """Remove the parts of dead processes: those whose lock nobody holds, and any of the lock that we hold."""
    for part in store.glob("*.part"):
        digest = part.name.split(".")[0]
        with (store / f"{digest}.lock").open("ab") as lock:
            # our own lock shows as taken; where there are no locks, nobody can tell who is dead
            free = try_lock(lock)
            if free or (free is False and digest == ours):
                shutil.rmtree(part, ignore_errors=True)


# --- what is refused -------------------------------------------------------------------------------


def _checked(members: Iterable[Member], archive: Path, limits: Limits) -> dict[str, Member]:
    """The files of an archive by their clean names, or the reason to refuse it."""
    files: dict[str, Member] = {}
    total = 0
    for member in members:
        name = _clean_name(member, archive)
        if member.kind not in ("file", "folder"):
            raise DataError(f"{archive}: {member.name!r} is {member.kind}; pack plain files and folders only")
        if member.kind == "folder":
            continue
        if name in files:
            raise DataError(f"{archive}: holds {member.name!r} twice; pack each file once")
        if member.size < 0:  # tarfile would go back and list the same members for ever
            raise tarfile.ReadError("a negative size")
        total += member.size
        _check_growth(total, archive, limits)
        files[name] = member
    if not files:
        raise DataError(f"{archive}: an empty archive; pack the recordings again")
    return files


def _clean_name(member: Member, archive: Path) -> str:
    """A member's path below the folder it is unpacked to: without `.`, doubled slashes and backslashes."""
    path = member.name.replace("\\", "/")
    parts = [part for part in path.split("/") if part not in ("", ".")]
    leads_out = path.startswith("/") or ".." in parts or any(re.match(r"[A-Za-z]:", part) for part in parts)
    if leads_out or "\0" in path or (member.kind == "file" and not parts):
        raise DataError(
            f"{archive}: the path {member.name!r} leads out of the archive; pack it with plain relative paths"
        )
    return "/".join(parts)


def _check_growth(total: int, archive: Path, limits: Limits) -> None:
    if total > limits.max_unpacked_gb * GB:
        raise DataError(
            f"{archive}: unpacks to more than {limits.max_unpacked_gb:g} GB; "
            "if you trust it, raise data.max_unpacked_gb"
        )
    if total > RATIO_FLOOR and total > limits.max_ratio * archive.stat().st_size:
        raise DataError(
            f"{archive}: unpacks to more than {limits.max_ratio:g} times its size, as a zip bomb does; "
            "if you trust it, raise data.max_ratio"
        )


def _check_room(files: Iterable[Member], archive: Path, store: Path) -> None:
    block = 4096  # a small file still takes a block
    need = sum(-(-member.size // block) * block for member in files)
    free = shutil.disk_usage(store).free
    if need > free:
        raise DataError(
            f"{archive}: needs {need / GB:.1f} GB in {store}, which has {free / GB:.1f} GB free; "
            "make room, or set AUDIOFW_CACHE to a folder on a larger disk"
        )


@contextmanager
def _explained(archive: Path, store: Path) -> Iterator[None]:
    """Turn what the libraries raise into one line that names the archive and the remedy."""
    try:
        yield
    except DAMAGE as error:
        raise DataError(f"{archive}: damaged or cut short ({_one_line(error)}); download or pack it again") from error
    except NotImplementedError as error:
        raise DataError(f"{archive}: {_one_line(error)}; pack it with plain deflate") from error
    except OSError as error:
        # gzip and bz2 say so that their data are broken, and a seek to where nothing can be has no file name
        if error.filename is None and error.errno in (None, errno.EINVAL):
            raise DataError(
                f"{archive}: damaged or cut short ({_one_line(error)}); download or pack it again"
            ) from error
        if str(error.filename) == str(archive):
            raise DataError(f"{archive}: cannot be read ({error.strerror}); mend its permissions") from error
        raise DataError(
            f"{archive}: cannot be unpacked into {store} ({_one_line(error)}); set AUDIOFW_CACHE to another folder"
        ) from error


def _one_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), "").rstrip(": ") or type(error).__name__


# --- reading zip and tar alike ---------------------------------------------------------------------


class _TarHeader(tarfile.TarInfo):
    """A tar header that refuses a name of megabytes, which tarfile would read into memory."""

    def _block(self, count: int) -> int:
        names = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE)
        if self.type in names and count > LONGEST_TAR_HEADER:
            raise tarfile.ReadError("a name of impossible length")
        return int(super()._block(count))  # type: ignore[misc]


def _format(path: Path) -> str | None:
    with path.open("rb") as file:
        start = file.read(4)
    # by its first bytes: a tar whose last member is a zip ends like a zip
    if start in (b"PK\3\4", b"PK\5\6"):
        return "zip"
    try:
        with tarfile.open(path, tarinfo=_TarHeader):
            return "tar"
    except (*DAMAGE, OSError):
        pass
    return "zip" if zipfile.is_zipfile(path) else None


@contextmanager
def _members(archive: Path) -> Iterator[Iterator[Member]]:
    """Open an archive and list it; its members can be read while it is open."""
    if _format(archive) == "zip":
        with zipfile.ZipFile(archive) as opened:
            yield _zip_members(opened, archive)
    else:
        with tarfile.open(archive, tarinfo=_TarHeader) as tar:
            yield _tar_members(tar)


def _zip_members(opened: zipfile.ZipFile, archive: Path) -> Iterator[Member]:
    _check_count(opened)
    for info in opened.infolist():
        if info.flag_bits & 1:
            raise DataError(f"{archive}: encrypted; decrypt it and pack it again without a password")
        mode = stat.S_IFMT(info.external_attr >> 16)
        plain = "folder" if info.filename.endswith("/") else "file"
        kind = plain if mode in (0, stat.S_IFREG, stat.S_IFDIR) else _kind(mode == stat.S_IFLNK)
        yield Member(info.filename, info.file_size, kind, partial(opened.open, info))


def _check_count(opened: zipfile.ZipFile) -> None:
    """Refuse a zip whose directory lists less than its end says; zipfile does not count."""
    assert opened.fp is not None
    opened.fp.seek(-len(opened.comment) - ZIP_END, os.SEEK_END)
    end = opened.fp.read(ZIP_END)
    count = int.from_bytes(end[10:12], "little")
    # 65535 stands for a count that is kept elsewhere; and some bytes may follow the end
    if end.startswith(b"PK\5\6") and count not in (0xFFFF, len(opened.infolist()) & 0xFFFF):
        raise zipfile.BadZipFile("its directory has lost entries")


def _tar_members(opened: tarfile.TarFile) -> Iterator[Member]:
    for info in opened:
        plain = "file" if info.isreg() else "folder" if info.isdir() else ""
        kind = plain or _kind(info.issym() or info.islnk())
        yield Member(info.name, info.size, kind, partial(opened.extractfile, info))
    # tarfile takes a broken header for the end; the true end is a block of zeros
    assert opened.fileobj is not None
    opened.fileobj.seek(opened.offset)
    if opened.fileobj.read(tarfile.BLOCKSIZE) != tarfile.NUL * tarfile.BLOCKSIZE:
        raise tarfile.ReadError("no end mark")
    # the packer's checksum stands behind the end; but do not look for it for ever
    for _ in range(64):
        if not opened.fileobj.read(CHUNK):
            break


def _kind(link: bool) -> str:
    return "a link" if link else "a device or pipe"


def _write_all(files: dict[str, Member], archive: Path, folder: Path, total: int) -> None:
    log.debug("unpacking %s: %d files, %.1f MB", archive, len(files), total / 1e6)
    with _progress(archive.name, total) as advance:
        for name, member in files.items():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            _write(member, target, advance)


def _write(member: Member, target: Path, advance: Callable[[int], None]) -> None:
    # our own open(), never the archive's modes: no setuid, readable, and "x" follows nothing that is there
    written = 0
    with member.open() as source, target.open("xb") as out:
        while chunk := source.read(CHUNK):
            written += len(chunk)
            if written > member.size:
                break
            out.write(chunk)
            advance(len(chunk))
    if written != member.size:
        raise zipfile.BadZipFile(f"{member.name!r} is not as long as it declares")


@contextmanager
def _progress(name: str, total: int) -> Iterator[Callable[[int], None]]:
    if total < 50 * 10**6 or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    look = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*look, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(f"unpacking {name}", total=total)
        yield lambda count: bar.advance(task, count)
