"""What lies where in the folder of features, how much it is, and how it is cleaned.

::

    features/CACHEDIR.TAG                 says to back-up programs, and to `clear`, that this is a cache
    features/files.index                  which content a file holds (`audiofw.cache.fileindex`)
    features/size.log                     bytes stored since they were last counted
    features/<recipe>/recipe.json         how these vectors were made; its time is the last use
    features/<recipe>/<2 hex>/<content>.npy   one vector; its time is the last use, to the hour

Everything here works beside running readers and writers: what vanishes meanwhile is passed over.
"""

from __future__ import annotations

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
SIGNATURE = b"Signature: 8a477f597d28d172789f06886806bc55"
TAG_TEXT = SIGNATURE + b"\n# Features computed by audiofw; see https://bford.info/cachedir/\n"
GB = 10**9
DAY = 86400

_BLOCK = 4096  # bytes: what a small file takes on most disks
_ROOM = 0.9  # of the limit is kept when it is passed, lest every run has to make room
_RECIPE_FOLDER = re.compile(r"[0-9a-f]{32}")
_PAIR = re.compile(r"[0-9a-f]{2}")
_ENTRY = re.compile(r"[0-9a-f]{40}\.npy")


class Entry(NamedTuple):
    """A file of the cache: bytes on the disk, and when it was last used (seconds since 1970)."""

    path: str
    size: int
    used: float


class Freed(NamedTuple):
    """How many files were removed, and their bytes on the disk."""

    files: int
    size: int


def entry_path(recipe_folder: str | Path, digest: str) -> str:
    """Where the vector of a content lies."""
    return f"{recipe_folder}{os.sep}{digest[:2]}{os.sep}{digest}.npy"


def make_folder(folder: Path) -> None:
    """Make the folder and mark it as a cache, unless it holds what is not ours.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / TAG).exists() and all(_ours_at_top(path.name) for path in folder.iterdir()):
        write_whole(folder / TAG, TAG_TEXT)


def is_marked(folder: Path) -> bool:
    """Whether the folder carries the mark of a cache."""
    try:
        return (folder / TAG).read_bytes().startswith(SIGNATURE)
    except OSError:
        return False


# --- looking -----------------------------------------------------------------------------------------------------


def recipe_folders(folder: Path) -> list[Path]:
    """The folders of recipes, sorted."""
    return sorted(Path(make_folder.path) for make_folder in _list(folder) if _is_folder(make_folder, _RECIPE_FOLDER))


def read_recipe(recipe_folder: Path) -> dict[str, Any] | None:
    """How the vectors of a folder were made; None if that was lost."""
    try:
        recipe = json.loads((recipe_folder / RECIPE).read_bytes())
    except (OSError, ValueError):
        return None
    return recipe if isinstance(recipe, dict) else None


def last_used(recipe_folder: Path) -> float:
    """When a run last used a recipe (seconds since 1970); 0 if that was lost."""
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
    """Evict if ``written`` bytes more than counted so far may have passed the limit; else do not even look.

    Raises
    ------
    OSError
        If the count cannot be written.
    """
    note = folder / SIZES
    counted = _counted(note)
    if counted is None or counted + written > limit:
        stored = list(all_entries(folder))
        freed = _remove(_surplus(stored, limit))
        write_whole(note, _line(sum(entry.size for entry in stored) - freed.size))
    elif written:
        with note.open("ab", buffering=0) as log:  # one small append is not torn by another run's
            log.write(_line(written))


def evict_entries(folder: Path, limit: float) -> Freed:
    """Remove the least recently used vectors if all together take more than ``limit`` bytes."""
    return _remove(_surplus(list(all_entries(folder)), limit))


def remove_unused(folder: Path, since: float) -> Freed:
    """Remove vectors that were last used before ``since`` (seconds since 1970)."""
    return _remove(stored for stored in all_entries(folder) if stored.used < since)


def remove_leftovers(folder: Path) -> Freed:
    """Remove the temporaries of killed writers, and folders that hold nothing any more."""
    now = time.time()
    temporaries = _as_entries(_all_files(folder), is_temporary)
    freed = _remove(s for s in temporaries if is_abandoned(Path(s.path).name, now - s.used))
    _remove_empty(folder)
    return freed


def clear_folder(folder: Path) -> Freed:
    """Remove all that is ours in the folder, and the folder itself if nothing else is left."""
    freed = _remove(_as_entries(_all_files(folder), _ours))
    _remove_empty(folder)
    for name in (INDEX, SIZES, TAG):
        (folder / name).unlink(missing_ok=True)
    _remove_folder(folder)
    return freed


def on_disk(size: int) -> int:
    """Bytes that a file of ``size`` bytes takes on the disk."""
    return -(-size // _BLOCK) * _BLOCK


# --- below -------------------------------------------------------------------------------------------------------


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
    # a link may lead out of the cache
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
    files = size = 0
    for stored in list(unwanted):
        with suppress(OSError):
            Path(stored.path).unlink()
            files, size = files + 1, size + stored.size
    return Freed(files, size)


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
    with suppress(OSError):  # not empty: a writer was quicker, or it holds what is not ours
        folder.rmdir()


def _line(size: int) -> bytes:
    return f"{size} {time.time():.0f}\n".encode()


def _counted(note: Path) -> int | None:
    """Bytes in the cache as far as noted; None if nobody has counted for a day: killed runs note nothing."""
    try:
        lines = [line.split() for line in note.read_text().splitlines()]
        fresh = time.time() - float(lines[0][1]) < DAY
        return sum(int(line[0]) for line in lines) if fresh else None
    except (OSError, ValueError, IndexError):
        return None
