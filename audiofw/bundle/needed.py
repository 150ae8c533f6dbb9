"""Files that a model's plugins need, such as a pretrained network: kept by digest, found again, or carried along.

A bundle lists the files that it needs by name, size and digest. With ``bundle.carry=true`` it contains them. Otherwise
they are looked for where they were when the model was saved (known on this machine only), beside the bundle, and in the
current folder. Only a file with the right content is used.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from audiofw.contract.plugin import Choice
from audiofw.errors import DataError
from audiofw.system.atomic import write_whole
from audiofw.system.hashing import content_hash, digest_file
from audiofw.system.paths import cache_root

FOLDER = "files"  # of the cache


class NeededFile(NamedTuple):
    """A file that an option names."""

    option: str  #: without the kind of plugin
    name: str
    digest: str
    size: int  #: bytes

    @property
    def carried(self) -> str:
        """Its name in a bundle that contains it."""
        suffix = Path(self.name).suffix
        return self.digest + (suffix if suffix[1:].isalnum() else "")


def needed_files(choice: Choice) -> dict[NeededFile, Path]:
    """List the files that a plugin's options name, and where they are."""
    found: dict[NeededFile, Path] = {}
    for option, files in choice.files.items():
        value = choice.arguments[option]
        for path, file in zip(value if isinstance(value, list) else [value], files, strict=True):
            found[NeededFile(option, file.name, file.digest, path.stat().st_size)] = path
    return found


def remember(file: NeededFile, path: Path) -> None:
    """Note where a file is on this machine; if the cache cannot be written, it has to be found otherwise."""
    try:
        place = cache_root() / FOLDER / f"{file.digest}.path"
        place.parent.mkdir(parents=True, exist_ok=True)
        write_whole(place, str(path.resolve()).encode())
    except OSError:
        return


def find_needed(file: NeededFile, option: str, where: str, carried: Mapping[str, bytes]) -> Path:
    """Find a file that a bundle needs.

    Parameters
    ----------
    file : NeededFile
    option : str
        With the kind of plugin, for the error: ``feature.model``.
    where : str
        The bundle.
    carried : mapping of str to bytes
        Files of the bundle.

    Raises
    ------
    DataError
        If no file with this content is found.
    """
    if (data := carried.get(file.carried)) is not None:
        return _unpacked(file, data, where)
    places = list(_places(file, Path(where).expanduser()))
    found = next((path for path in places if _is(file, path)), None)
    if found is None:
        there = next((path for path in places if path.is_file()), None)
        other = f"; {there} has other content" if there else ""
        raise DataError(
            f"{where}: {option}: the model needs the file {file.name} ({file.size / 1e6:.1f} MB, digest "
            f"{file.digest[:12]}…){other}: put it beside the model or into the current folder"
        )
    return found


def _places(file: NeededFile, bundle: Path) -> Iterator[Path]:
    note = cache_root() / FOLDER / f"{file.digest}.path"
    if note.is_file():
        yield Path(note.read_text(encoding="utf-8"))
    for folder in (bundle, bundle.parent, Path.cwd()):
        yield folder / file.name


def _is(file: NeededFile, path: Path) -> bool:
    try:
        return path.is_file() and path.stat().st_size == file.size and digest_file(path).hex() == file.digest
    except OSError:
        return False


def _unpacked(file: NeededFile, data: bytes, where: str) -> Path:
    hashed = content_hash()
    hashed.update(data)
    if hashed.hexdigest() != file.digest:
        raise DataError(f"{where}: {file.carried} is not the file {file.name} that the model needs, refused")
    place = cache_root() / FOLDER / file.carried
    if not _is(file, place):
        place.parent.mkdir(parents=True, exist_ok=True)
        write_whole(place, data)
    return place


def read_needed(facts: Mapping[str, Any]) -> list[NeededFile]:
    """Read the files that a plugin needs from its part of ``bundle.json``; refuse names that are paths."""
    files = [NeededFile(*file) for file in facts.get("files", [])]
    for file in files:
        if not file.name or Path(file.name).name != file.name or not file.digest.isalnum():
            raise ValueError(f"{file.name!r} is not the name of a file")
    return files
