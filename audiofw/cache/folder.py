"""The layout of the feature cache on disk, its size, and how it is cleaned.

::

    features/CACHEDIR.TAG                 marks the folder as a cache, for backup programs and `clear`
    features/files.index                  content hashes of files (`audiofw.cache.fileindex`)
    features/size.log                     bytes stored since the last full count
    features/<recipe>/recipe.json         how these vectors were computed; its mtime is the last use
    features/<recipe>/<2 hex>/<content>.npy   one vector; its mtime is the last use, to the hour

All functions work alongside running readers and writers; files that disappear in the meantime are ignored.
"""

from __future__ import annotations

import errno
import json
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from audiofw.system.atomic import is_abandoned, is_temporary, write_whole

TAG, INDEX, SIZES, RECIPE = "CACHEDIR.TAG", "files.index", "size.log", "recipe.json"
LAYOUT = 1
"""Version of this layout and of the vectors' files. It is part of every recipe, and thus of the folder's name. Entries
in another layout are not found, and are evicted once they are the least recently used."""

SIGNATURE = b"Signature: 8a477f597d28d172789f06886806bc55"
TAG_TEXT = SIGNATURE + b"\n# Features computed by audiofw; see https://bford.info/cachedir/\n"
GB = 10**9
DAY = 86400

_BLOCK = 4096  # bytes that even a small file occupies on most disks
_ROOM = 0.9  # fraction of the limit kept after eviction, so that not every run has to evict
_RECIPE_FOLDER = re.compile(r"[0-9a-f]{32}")
_PAIR = re.compile(r"[0-9a-f]{2}")
_ENTRY = re.compile(r"[0-9a-f]{40}\.npy")


class Entry(NamedTuple):
    """A file of the cache: path, size on disk in bytes, and time of last use in seconds since 1970."""

    path: str
    size: int
    used: float


class Freed(NamedTuple):
    """Number of files removed, their size on disk in bytes, and the files that the system refused to remove."""

    files: int
    size: int
    refused: list[OSError]


def entry_path(recipe_folder: str | Path, digest: str) -> str:
    """Path of the vector for a content digest."""
    return f"{recipe_folder}{os.sep}{digest[:2]}{os.sep}{digest}.npy"


def make_folder(folder: Path) -> None:
    """Create the folder and mark it as a cache, unless it contains files that are not the cache's.

    Raises
    ------
    OSError
        If the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / TAG).exists() and all(_ours_at_top(path.name) for path in folder.iterdir()):
        write_file(folder / TAG, TAG_TEXT)


def write_file(file: str | Path, data: bytes) -> None:
    """Write a file of the cache atomically; a link or an empty folder in its place is removed.

    Raises
    ------
    OSError
        If it cannot be written, for example because a folder with files is in its place.
    """
    try:
        write_whole(file, data)
    except (IsADirectoryError, PermissionError):  # the latter on Windows
        free_place(Path(file))
        write_whole(file, data)


def free_place(file: Path) -> None:
    """Remove a link or an empty folder where a file of the cache belongs.

    Raises
    ------
    OSError
        For a folder that is not empty.
    """
    if file.is_symlink():
        file.unlink()
    elif file.is_dir():
        try:
            file.rmdir()
        except OSError as error:
            said = "a folder with files where a file of the cache belongs; remove it"
            raise OSError(errno.EEXIST, said, str(file)) from error


def make_subfolder(folder: Path) -> None:
    """Create a folder of the cache; a link or a file in its place is removed.

    Raises
    ------
    OSError
        If it cannot be created.
    """
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        folder.unlink(missing_ok=True)
    folder.mkdir(parents=True, exist_ok=True)


def is_marked(folder: Path) -> bool:
    """Whether the folder is marked as a cache (CACHEDIR.TAG)."""
    try:
        return (folder / TAG).read_bytes().startswith(SIGNATURE)
    except OSError:
        return False


# --- reading -----------------------------------------------------------------------------------------------------


def recipe_folders(folder: Path) -> list[Path]:
    """Folders of all recipes, sorted."""
    return sorted(Path(make_folder.path) for make_folder in _list(folder) if _is_folder(make_folder, _RECIPE_FOLDER))


def read_recipe(recipe_folder: Path) -> dict[str, Any] | None:
    """Read the recipe of a folder, with ``layout`` if that is not the current one; None if missing or damaged."""
    try:
        recipe = json.loads((recipe_folder / RECIPE).read_bytes())
    except (OSError, ValueError):
        return None
    if not isinstance(recipe, dict):
        return None
    return {key: value for key, value in recipe.items() if (key, value) != ("layout", LAYOUT)}


def last_used(recipe_folder: Path) -> float:
    """Time at which a run last used a recipe, in seconds since 1970; 0 if unknown."""
    try:
        return (recipe_folder / RECIPE).stat().st_mtime
    except OSError:
        return 0.0


def recipe_entries(recipe_folder: Path) -> Iterator[Entry]:
    """The stored vectors of one recipe."""
    return _as_entries(_files(recipe_folder), lambda name: _ENTRY.fullmatch(name) is not None)


def all_entries(folder: Path) -> Iterator[Entry]:
    """The stored vectors of all recipes."""
    for recipe_folder in recipe_folders(folder):
        yield from recipe_entries(recipe_folder)


# --- cleaning ----------------------------------------------------------------------------------------------------


def make_room(folder: Path, limit: float, written: int) -> None:
    """Evict entries if ``written`` more bytes may exceed the limit; otherwise only add them to the running count.

    Raises
    ------
    OSError
        If the count cannot be written.
    """
    note = folder / SIZES
    counted = None if note.is_symlink() else _counted(note)
    if counted is None or counted + written > limit:
        stored = list(all_entries(folder))
        freed = _remove(_surplus(stored, limit))
        write_file(note, _line(sum(entry.size for entry in stored) - freed.size))
    elif written:
        with note.open("ab", buffering=0) as log:  # small appends of concurrent runs do not interleave
            log.write(_line(written))


def evict_entries(folder: Path, limit: float) -> Freed:
    """Remove the least recently used vectors if the total size exceeds ``limit`` bytes."""
    return _remove(_surplus(list(all_entries(folder)), limit))


def remove_unused_entries(folder: Path, since: float) -> Freed:
    """Remove vectors that were last used before ``since`` (seconds since 1970)."""
    return _remove(stored for stored in all_entries(folder) if stored.used < since)


def remove_leftovers(folder: Path) -> Freed:
    """Remove temporary files of killed writers, and empty folders."""
    now = time.time()
    temporaries = _as_entries(_all_files(folder), is_temporary)
    freed = _remove(s for s in temporaries if is_abandoned(Path(s.path).name, now - s.used))
    _remove_empty(folder)
    return freed


def clear_folder(folder: Path) -> Freed:
    """Remove all files of the cache, and the folder itself if nothing else is left in it."""
    freed = _remove(_as_entries(_all_files(folder), _ours))
    _remove_empty(folder)
    if freed.refused:  # what is left is still a cache
        return freed
    for name in (INDEX, SIZES, TAG):
        (folder / name).unlink(missing_ok=True)
    _remove_folder(folder)
    return freed


def on_disk(size: int) -> int:
    """Size on disk of a file of ``size`` bytes."""
    return -(-size // _BLOCK) * _BLOCK


# --- helpers -----------------------------------------------------------------------------------------------------


def _ours(name: str) -> bool:
    return _ENTRY.fullmatch(name) is not None or is_temporary(name)


def _ours_at_top(name: str) -> bool:
    return name in (TAG, INDEX, SIZES) or _RECIPE_FOLDER.fullmatch(name) is not None or is_temporary(name)


def _list(folder: Path | str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as items:
            return list(items)
    except OSError:
        return []


def _is_folder(item: os.DirEntry[str], names: re.Pattern[str]) -> bool:
    # a link may point outside the cache
    return names.fullmatch(item.name) is not None and item.is_dir(follow_symlinks=False)


def _files(recipe_folder: Path) -> Iterator[os.DirEntry[str]]:
    for item in _list(recipe_folder):
        yield from _list(item.path) if _is_folder(item, _PAIR) else [item]


def _all_files(folder: Path) -> Iterator[os.DirEntry[str]]:
    yield from _list(folder)
    for recipe_folder in recipe_folders(folder):
        yield from _files(recipe_folder)


def _as_entries(items: Iterable[os.DirEntry[str]], wanted: Callable[[str], bool]) -> Iterator[Entry]:
    for item in items:
        with suppress(OSError):
            if wanted(item.name) and item.is_file(follow_symlinks=False):
                status = item.stat(follow_symlinks=False)
                yield Entry(item.path, on_disk(status.st_size), status.st_mtime)


def _surplus(stored: list[Entry], limit: float) -> Iterator[Entry]:
    total = sum(entry.size for entry in stored)
    if total <= limit:
        return
    for entry in sorted(stored, key=lambda entry: entry.used):
        yield entry
        total -= entry.size
        if total <= limit * _ROOM:
            return


def _remove(unwanted: Iterable[Entry]) -> Freed:
    files, size, refused = 0, 0, []
    for stored in list(unwanted):
        try:
            Path(stored.path).unlink()
            files, size = files + 1, size + stored.size
        except FileNotFoundError:  # another process was faster
            pass
        except OSError as error:
            refused.append(error)
    return Freed(files, size, refused)


def _remove_empty(folder: Path) -> None:
    for recipe_folder in recipe_folders(folder):
        for item in _list(recipe_folder):
            if _is_folder(item, _PAIR):
                _remove_folder(Path(item.path))
        if all(item.name == RECIPE for item in _list(recipe_folder)):
            with suppress(OSError):
                (recipe_folder / RECIPE).unlink(missing_ok=True)
            _remove_folder(recipe_folder)


def _remove_folder(folder: Path) -> None:
    with suppress(OSError):  # not empty: a writer was faster, or it contains other files
        folder.rmdir()


def _line(size: int) -> bytes:
    return f"{size} {time.time():.0f}\n".encode()


def _counted(note: Path) -> int | None:
    """Bytes in the cache according to the log; None if the last full count is a day old, as killed runs log nothing."""
    try:
        lines = [line.split() for line in note.read_text().splitlines()]
        fresh = time.time() - float(lines[0][1]) < DAY
        return sum(int(line[0]) for line in lines) if fresh else None
    except (OSError, ValueError, IndexError):
        return None
