"""Unpack an archive once, safely, into a cache folder named by the archive's content.

For every archive, the cache contains ``archives/<digest>/files/…`` and ``complete.json`` with the number of files and
bytes. The folder is created atomically by renaming ``<digest>.<random>.part``; a killed run leaves only such a part,
which the next run removes. Nothing is written before the name, type and size of every member have been checked, and
never more than the declared size.
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
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from audiofw.cache.fileindex import Content, FileIndex
from audiofw.data.archive import CHUNK, DAMAGE, Member, open_members, unreadable
from audiofw.data.limits import Limits, check_members, check_room
from audiofw.errors import DataError, first_line
from audiofw.system.locks import alone, is_free
from audiofw.system.paths import cache_root

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
        Maximum number of files and folders, checked before any is made.
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
        index = FileIndex(store / INDEX)
        content = _content(archive, index)
        home = store / content.digest.hex()
        if not _complete(home):
            with alone(store / f"{home.name}.lock", f"unpacking {archive.name}") as locked:
                # the previous holder of the lock may have unpacked it
                if not _complete(home):
                    _remove_leftovers(store, home.name if locked else None)
                    _unpack_to(home, archive, limits, partial(index.still, archive, content))
    return home / FILES


# --- content of the archive ------------------------------------------------------------------------


def _content(archive: Path, index: FileIndex) -> Content:
    """Hash the content of an archive; an unchanged archive is hashed only once."""
    content = index.content(archive)
    if content is None:
        archive.open("rb").close()  # raises the reason if it cannot be read
        raise _changed(archive)
    with suppress(OSError):  # without the index, the next run hashes again
        index.save()
    return content


def _changed(archive: Path) -> DataError:
    return DataError(f"{archive}: changed while it was being read; run again when it has been copied completely")


# --- atomic unpacking ------------------------------------------------------------------------------


def _unpack_to(home: Path, archive: Path, limits: Limits, still: Callable[[], bool]) -> None:
    """Unpack an archive into ``home``; ``still`` checks at the end that the archive has not changed."""
    part = home.with_name(f"{home.name}.{secrets.token_hex(4)}.part")
    try:
        with open_members(archive, limits.max_entries) as members:
            files = check_members(members, archive, limits)
            total = sum(member.size for member in files.values())
            check_room(files.values(), archive, home.parent)
            (part / FILES).mkdir(parents=True)
            _write_all(files, archive, part / FILES, total)
        if not still():
            raise _changed(archive)
        (part / MARKER).write_text(json.dumps({"files": len(files), "bytes": total}))
        _settle(part, home)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _complete(home: Path) -> bool:
    """Whether a folder is complete: the numbers of files and bytes match its marker."""
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
        log.warning("%s: incomplete; unpacking again", home)
        scrap = home.with_name(f"{home.name}.{secrets.token_hex(4)}.part")
        home.rename(scrap)
        shutil.rmtree(scrap, ignore_errors=True)
    try:
        part.rename(home)
    except OSError:
        # on a file system without locks, another process may have been faster
        if not _complete(home):
            raise


def _remove_leftovers(store: Path, ours: str | None) -> None:
    """Remove parts left by killed processes: those whose lock is free, and those of the lock held by this process."""
    for part in store.glob("*.part"):
        digest = part.name.split(".")[0]
        if digest == ours or is_free(store / f"{digest}.lock"):
            shutil.rmtree(part, ignore_errors=True)


# --- writing ---------------------------------------------------------------------------------------


def _write_all(files: dict[str, Member], archive: Path, folder: Path, total: int) -> None:
    log.debug("unpacking %s: %d files, %.1f MB", archive, len(files), total / 1e6)
    with _progress(archive.name, total) as advance:
        for name, member in files.items():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            _write(member, target, advance)


def _write(member: Member, target: Path, advance: Callable[[int], None]) -> None:
    # a plain open() ignores the archive's file modes (setuid, unreadable), and "x" never follows an existing link
    written = 0
    with member.open() as source, target.open("xb") as out:
        while chunk := source.read(CHUNK):
            written += len(chunk)
            if written > member.size:
                break
            out.write(chunk)
            advance(len(chunk))
    if written != member.size:
        raise zipfile.BadZipFile(f"{member.name!r} does not have its declared size")


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
            f"{archive}: cannot be unpacked into {store} ({first_line(error)}); set AUDIOFW_CACHE to another folder"
        ) from error
