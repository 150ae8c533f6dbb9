"""Unpack an archive once, safely, into a cache folder named by the archive's content.

For every archive, the cache contains ``archives/<digest>/files/…`` and ``complete.json`` with the digest of each file.
A folder is used only while every file has its digest; the index of files remembers those that have not been touched
since they were hashed. The folder is created atomically by renaming ``<digest>.<random>.part``; a killed run leaves
only such a part, which the next run removes. Nothing is written before the name, type and size of every member have
been checked, and never more than the declared size.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import secrets
import shutil
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from audiofw.data.archive import CHUNK, DAMAGE, ArchiveMember, open_members, unreadable
from audiofw.data.limits import Limits, check_members, check_room
from audiofw.errors import DataError, first_line
from audiofw.system.atomic import write_whole
from audiofw.system.faults import reason, remedy, warn_of_cache
from audiofw.system.hashing import content_hash
from audiofw.system.locks import alone, is_free
from audiofw.system.paths import cache_root

if TYPE_CHECKING:
    from audiofw.cache.fileindex import Content, FileIndex

log = logging.getLogger(__name__)

MARKER, FILES, INDEX = "complete.json", "files", "files.index"


def unpack_archive(
    archive: Path,
    *,
    max_unpacked_gb: float = 100,
    max_ratio: float = 200,
    max_entries: int = 200_000,
    cache_dir: Path | None = None,
) -> Path:
    """Return the folder with the files of an archive, unpacked now or by an earlier run.

    Parameters
    ----------
    archive : Path
        A zip or tar file, recognised by its content.
    max_unpacked_gb : float
        Maximum unpacked size in GB.
    max_ratio : float
        Maximum ratio of the unpacked size to the size of the archive, checked above 100 MB.
    max_entries : int
        Maximum number of files and folders.
    cache_dir : Path, optional
        The cache; by default `audiofw.system.paths.cache_root`.

    Returns
    -------
    Path

    Raises
    ------
    DataError
        If the archive is unsafe, damaged, encrypted or too large.
    """
    limits = Limits(max_unpacked_gb, max_ratio, max_entries)
    store = (cache_dir or cache_root()) / "archives"
    with _explained(archive, store):
        store.mkdir(parents=True, exist_ok=True)
        from audiofw.cache.fileindex import FileIndex  # its numpy is not needed for folders

        index = FileIndex(store / INDEX)
        content = _content(archive, index)
        home = store / content.digest.hex()
        if not _complete(home, index):
            with alone(store / f"{home.name}.lock", f"unpacking {archive.name}") as locked:
                # the previous holder of the lock may have unpacked it
                if not _complete(home, index):
                    _remove_leftovers(store, home.name if locked else None)
                    _unpack_to(home, archive, limits, index, content)
        _remember(index)
    return home / FILES


# --- content of the archive ------------------------------------------------------------------------


def _content(archive: Path, index: FileIndex) -> Content:
    """Hash the content of an archive; an unchanged archive is hashed only once."""
    content = index.content(archive)
    if content is None:
        archive.open("rb").close()  # raises the reason if it cannot be read
        raise _changed(archive)
    return content


def _remember(index: FileIndex) -> None:
    try:
        index.save()
    except OSError as error:  # the next run hashes again
        warn_of_cache(error)


def _changed(archive: Path) -> DataError:
    return DataError(f"{archive}: changed while it was being read; run again when it has been copied completely")


# --- atomic unpacking ------------------------------------------------------------------------------


def _unpack_to(home: Path, archive: Path, limits: Limits, index: FileIndex, content: Content) -> None:
    """Unpack an archive into ``home``, and check at the end that it still has the content that gave the name."""
    part = home.with_name(f"{home.name}.{secrets.token_hex(4)}.part")
    try:
        with open_members(archive, limits.max_entries) as members:
            files = check_members(members, archive, limits)
            total = sum(member.size for member in files.values())
            check_room(files.values(), archive, home.parent)
            (part / FILES).mkdir(parents=True)
            digests = _write_all(files, archive, part / FILES, total)
        if not index.still(archive, content):
            raise _changed(archive)
        write_whole(part / MARKER, json.dumps({"digests": digests}, ensure_ascii=False).encode())
        _settle(part, home, index)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _complete(home: Path, index: FileIndex) -> bool:
    """Whether a folder holds the files that its marker lists, and nothing else, each with its content."""
    try:
        if (home / FILES).is_symlink():
            return False
        digests = json.loads((home / MARKER).read_text(encoding="utf-8"))["digests"]
        files = {path.relative_to(home / FILES).as_posix(): path for path in _files(home / FILES)}
        whole = files.keys() == digests.keys() and all(
            (content := index.content(path)) is not None and content.digest.hex() == digests[name]
            for name, path in files.items()
        )
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return False
    _remember(index)
    return whole


def _files(folder: Path) -> Iterator[Path]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _files(Path(entry.path))
            elif entry.is_symlink():
                raise OSError(errno.ELOOP, "a link, which was not unpacked", entry.path)
            else:
                yield Path(entry.path)


def _settle(part: Path, home: Path, index: FileIndex) -> None:
    if os.path.lexists(home) and not _complete(home, index):  # a dangling link is in the way, too
        log.warning("%s: incomplete; unpacking again", home)
        scrap = home.with_name(f"{home.name}.{secrets.token_hex(4)}.part")
        home.rename(scrap)
        _remove(scrap)
    try:
        part.rename(home)
    except OSError:
        # on a file system without locks, another process may have been faster
        if not _complete(home, index):
            raise


def _remove_leftovers(store: Path, ours: str | None) -> None:
    """Remove parts left by killed processes: those whose lock is free, and those of the lock held by this process."""
    for part in store.glob("*.part"):
        digest = part.name.split(".")[0]
        if digest == ours or is_free(store / f"{digest}.lock"):
            _remove(part)


def _remove(part: Path) -> None:
    if part.is_symlink() or part.is_file():  # not a folder of ours; what a link points to stays
        part.unlink(missing_ok=True)
    else:
        shutil.rmtree(part, ignore_errors=True)


# --- writing ---------------------------------------------------------------------------------------


def _write_all(files: dict[str, ArchiveMember], archive: Path, folder: Path, total: int) -> dict[str, str]:
    """Write the files; returns the digest of each, in hexadecimal digits."""
    digests = {}
    log.debug("unpacking %s: %d files, %.1f MB", archive, len(files), total / 1e6)
    with _progress(archive.name, total) as advance:
        for name, member in files.items():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            digests[name] = _write(member, target, advance)
    return digests


def _write(member: ArchiveMember, target: Path, advance: Callable[[int], None]) -> str:
    # a plain open() ignores the archive's file modes (setuid, unreadable), and "x" never follows an existing link
    written, digest = 0, content_hash()
    with member.open() as source, target.open("xb") as out:
        while chunk := source.read(CHUNK):
            written += len(chunk)
            if written > member.size:
                break
            out.write(chunk)
            digest.update(chunk)
            advance(len(chunk))
    if written != member.size:
        raise zipfile.BadZipFile(f"{member.name!r} does not have its declared size")
    return str(digest.hexdigest())


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


# --- errors ----------------------------------------------------------------------------------------


@contextmanager
def _explained(archive: Path, store: Path) -> Iterator[None]:
    """Convert the libraries' exceptions into one-line errors that name the archive and the remedy."""
    try:
        yield
    except DAMAGE as error:
        raise DataError(f"{archive}: damaged or cut short ({first_line(error)}); download or pack it again") from error
    except NotImplementedError as error:
        raise DataError(f"{archive}: {first_line(error)}; pack it with plain deflate") from error
    except OSError as error:
        # gzip and bz2 raise OSError without a file name for broken data, as does an impossible seek
        if error.filename is None and error.errno in (None, errno.EINVAL):
            raise DataError(
                f"{archive}: damaged or cut short ({first_line(error)}); download or pack it again"
            ) from error
        if str(error.filename) == str(archive):
            raise unreadable(archive, error) from error
        raise DataError(
            f"{archive}: cannot be unpacked into {store}: {reason(error)}; {remedy(error, cache_root())}"
        ) from error
