"""The feature cache. Entries cannot go stale, because their name is a hash of everything that they depend on.

A vector is stored under the hash of its *recipe* (all options and all code that affect it) and the hash of the audio
file's bytes, and of the stretch if it is of a part only. Nothing is ever updated: a changed option or file leads to a
different name. Files are written atomically, so that any number of threads and runs can share a folder without locks.
Damaged entries are detected, removed and
computed again.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import numpy as np

from audiofw.cache.checksums import Damaged, seal, unseal
from audiofw.cache.fileindex import Content, FileIndex
from audiofw.cache.folder import (
    GB,
    INDEX,
    LAYOUT,
    RECIPE,
    entry_path,
    free_place,
    make_folder,
    make_room,
    make_subfolder,
    on_disk,
    write_file,
)
from audiofw.system.atomic import read_whole
from audiofw.system.faults import warn_of_cache
from audiofw.system.hashing import digest_bytes, digest_part

log = logging.getLogger(__name__)

HOUR = 3600
IN_THE_WAY = (errno.ELOOP, errno.EMLINK, errno.EISDIR, errno.ENOTDIR)  # of a link, or a folder; EMLINK on BSD
ATTEMPTS = 3  # another run's clean-up may remove a folder that was just created


def recipe_text(recipe: Mapping[str, Any]) -> str:
    """Canonical JSON text of a recipe, independent of the order of its keys; floats are exact.

    Raises
    ------
    TypeError
        For a value that JSON cannot represent exactly, or a key that is not a string.
    """
    return json.dumps(_exact(recipe, "recipe"), sort_keys=True, separators=(",", ":"))


def recipe_digest(recipe: Mapping[str, Any]) -> str:
    """Name of a recipe's folder: 32 hexadecimal digits."""
    return digest_bytes(recipe_text(_in_layout(recipe)).encode())


def _in_layout(recipe: Mapping[str, Any]) -> dict[str, Any]:
    return {"layout": LAYOUT, **recipe}


def _exact(value: Any, where: str) -> Any:
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    if isinstance(value, (list, tuple)):
        return [_exact(item, f"{where}[{i}]") for i, item in enumerate(value)]
    if isinstance(value, Mapping):
        if odd := [key for key in value if not isinstance(key, str)]:
            raise TypeError(f"{where}: the key {odd[0]!r} is not a string, so its JSON form is ambiguous")
        return {key: _exact(item, f"{where}.{key}") for key, item in value.items()}
    raise TypeError(f"{where}: {type(value).__name__} has no exact JSON form; use numbers, strings, lists, mappings")


class Cache:
    """The feature cache as used by one run; a context manager.

    If the folder cannot be used (no space, no permission), a warning is logged and the run continues without storing.

    Parameters
    ----------
    folder : Path
        Created by the first `RecipeCache.put`.
    max_gb : float, optional
        Size in GB beyond which the least recently used vectors are removed on closing.
    verify : {"stat", "content"}
        ``stat`` hashes an audio file again only if its size, times or inode changed; ``content`` always does.
    """

    def __init__(
        self, folder: Path, *, max_gb: float | None = None, verify: Literal["stat", "content"] = "stat"
    ) -> None:
        self.folder = folder
        self.files = FileIndex(folder / INDEX, verify=verify)
        self._max_gb = max_gb
        self._lock = threading.Lock()
        self._stored = self._damaged = self._obstacles = 0
        self._stopped = False

    def recipe_cache(self, recipe: Mapping[str, Any]) -> RecipeCache:
        """Open the part of the cache for one recipe.

        Raises
        ------
        TypeError
            If JSON cannot represent the recipe exactly.
        """
        return RecipeCache(self, recipe)

    def close(self) -> None:
        """Save the file index, and evict entries if ``max_gb`` is exceeded."""
        try:
            if self.writable:
                make_folder(self.folder)
                self.files.save()
            if self._max_gb is not None:
                make_room(self.folder, self._max_gb * GB, self._stored)
        except OSError as error:
            self.stop(error)

    def __enter__(self) -> Cache:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def writable(self) -> bool:
        """Whether vectors can still be stored."""
        return not self._stopped

    def stop(self, error: OSError) -> None:
        """Stop storing, with a single warning; existing entries can still be read."""
        with self._lock:
            first, self._stopped = not self._stopped, True
        if first:
            warn_of_cache(error, Path(error.filename) if error.errno == errno.EEXIST else self.folder.parent)

    def obstructed(self, entry: str, error: OSError) -> None:
        """Remove a link or an empty folder at an entry's path, or warn once that something else is there."""
        try:
            if error.errno not in IN_THE_WAY:
                raise error
            free_place(Path(entry))
        except OSError as why:
            if why.errno != errno.EEXIST:
                self.stop(why)
                return
            with self._lock:
                self._obstacles += 1
                level = logging.WARNING if self._obstacles == 1 else logging.DEBUG
            log.log(level, "%s: %s", entry, why.strerror)

    def count_stored(self, size: int) -> None:
        """Count the bytes stored, to decide whether entries must be evicted."""
        with self._lock:
            self._stored += on_disk(size)

    def drop(self, entry: str, damage: Damaged) -> None:
        """Remove a damaged entry; it will be computed again."""
        with suppress(OSError):
            Path(entry).unlink()
        with self._lock:
            self._damaged += 1
            level = logging.WARNING if self._damaged == 1 else logging.DEBUG
        log.log(level, "%s: damaged (%s); damaged entries are computed again", entry, damage)


class RecipeCache:
    """The vectors of one recipe; `get` and `put` are thread-safe."""

    def __init__(self, cache: Cache, recipe: Mapping[str, Any]) -> None:
        name = recipe_digest(recipe)
        self.folder = cache.folder / name
        self._place = str(self.folder)  # string operations: building Path objects takes longer than reading the files
        self._cache = cache
        self._key = bytes.fromhex(name)
        self._recipe = json.dumps(json.loads(recipe_text(_in_layout(recipe))), indent=1).encode()
        self._missed: dict[tuple[Path, str], Content] = {}
        self._wholes: dict[Path, Content] = {}
        self._hashing = threading.Lock()
        self._introduced = False
        with suppress(OSError):  # missing, or not writable
            os.utime(self.folder / RECIPE)

    def get(self, path: Path, part: str = "") -> np.ndarray | None:
        """Return the vector for the current content of an audio file.

        Parameters
        ----------
        path : Path
        part : str
            Which part of the file the vector is of; empty for the whole.

        Returns
        -------
        np.ndarray or None
            A new, writable array; None if it has to be computed and passed to `put`.
        """
        content = self._whole(path) if part else self._cache.files.content(path)
        if content is None:
            return None
        array = self._read(digest_part(content.digest, part))
        if array is None:
            self._missed[path, part] = content
        return array

    def put(self, path: Path, array: np.ndarray, part: str = "") -> None:
        """Store the vector of a file, or a part, after a miss by `get`; does nothing if the file has changed since.

        Raises
        ------
        ValueError
            For an array of Python objects.
        """
        content = self._missed.pop((path, part), None)
        if content is None or not self._cache.writable:
            return
        if not (self._cache.files.is_known(path, content) if part else self._cache.files.still(path, content)):
            log.debug("%s: changed while it was being read; its features are not stored", path)
            return
        digest = digest_part(content.digest, part)
        entry = entry_path(self._place, digest.hex())
        sealed = seal(array, self._key + digest)
        try:
            self._store(entry, sealed)
        except OSError as error:
            # Windows cannot replace a file that is being read; then the entry exists already
            if not Path(entry).exists():
                self._cache.stop(error)

    def _whole(self, path: Path) -> Content | None:
        """Return the content of a file with many parts, which is hashed once while its identity is the same."""
        with self._hashing:
            content = self._wholes.get(path)
            if content is None or not self._cache.files.is_known(path, content):
                content = self._cache.files.content(path)
                if content is not None:
                    self._wholes[path] = content
            return content

    def _read(self, digest: bytes) -> np.ndarray | None:
        entry = entry_path(self._place, digest.hex())
        try:
            sealed, used = read_whole(entry)
            array = unseal(bytearray(sealed), self._key + digest)
        except FileNotFoundError:
            return None
        except Damaged as damage:
            self._cache.drop(entry, damage)
            return None
        except OSError as error:
            self._cache.obstructed(entry, error)
            return None
        if time.time() - used > HOUR:
            with suppress(OSError):  # only affects the order of eviction
                os.utime(entry)
        return array

    def _store(self, entry: str, sealed: bytes) -> None:
        if not self._introduced:
            self._introduce(entry)
        for _ in range(ATTEMPTS):
            try:
                write_file(entry, sealed)
                break
            except (FileNotFoundError, NotADirectoryError):
                self._introduce(entry)
        self._cache.count_stored(len(sealed))

    def _introduce(self, entry: str) -> None:
        """Create an entry's folder, and write the recipe into its folder."""
        make_folder(self._cache.folder)
        make_subfolder(self.folder)
        make_subfolder(Path(entry).parent)
        if not (self.folder / RECIPE).is_file():
            write_file(self.folder / RECIPE, self._recipe)
        self._introduced = True
