"""The recordings that ``audiofw predict`` processes: files, folders, archives, manifests, glob patterns and stdin."""

from __future__ import annotations

import glob
import shutil
import sys
from collections.abc import Container, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from audiofw.audio.discover import AUDIO, clip_name, sound_below
from audiofw.data.archive import is_archive
from audiofw.data.manifest import listed_files
from audiofw.data.unpack import unpack_archive
from audiofw.errors import AudiofwError, printable
from audiofw.system.faults import writing_to
from audiofw.system.scratch import scratch_folder

STDIN = "-"
MANIFESTS = (".csv", ".tsv")
NO_SOUND = "no sound in this folder"


class InputRecording(NamedTuple):
    """A recording, with its name in results; if it is not available, ``path`` is None and ``reason`` says why."""

    name: str
    path: Path | None
    reason: str = ""
    below: str = ""  #: its path relative to the archive or manifest that it is from


def find_sounds(words: Sequence[str], done: Container[str] = ()) -> Iterator[InputRecording]:
    """Iterate lazily over the recordings named on a command line.

    Parameters
    ----------
    words : sequence of str
        Files, folders (searched recursively), archives (unpacked into the cache), CSV manifests, glob patterns such as
        ``more/**/*.flac``, and ``-`` for stdin.
    done : container of str
        Names to skip.
    """
    return (sound for word in words for sound in _meant(word) if sound.name not in done)


def count(words: Sequence[str]) -> int | None:
    """Count the recordings if no folder or pattern has to be searched; otherwise None."""
    alone = (word == STDIN or (Path(word).is_file() and not _holds_several(Path(word))) for word in words)
    return len(words) if all(alone) else None


def is_one(words: Sequence[str]) -> bool:
    """Whether the words name a single recording, whether or not it exists."""
    word = words[0]
    if len(words) != 1 or Path(word).is_dir() or (word != STDIN and _holds_several(Path(word))):
        return False
    return Path(word).exists() or not glob.has_magic(word)


def _holds_several(path: Path) -> bool:
    return _is_manifest(path) or _is_packed(path)


def _is_manifest(path: Path) -> bool:
    return path.suffix.lower() in MANIFESTS and path.is_file()


def _is_packed(path: Path) -> bool:
    """Whether a file is an archive; recordings, of which there may be thousands, are not opened."""
    return bool(path.name) and path.suffix.lower() not in AUDIO and path.is_file() and is_archive(path)


def _meant(word: str) -> Iterator[InputRecording]:
    path = Path(word)
    if word == STDIN:
        yield from _from_stdin()
    elif not word:  # e.g. an unset shell variable; Path("") would be the current folder
        yield InputRecording("", None, "an empty name")
    elif path.is_dir():
        yield from _in_folder(path)
    elif _is_manifest(path):
        yield from _in_manifest(path)
    elif _is_packed(path):
        yield from _in_archive(path)
    elif path.exists() or not glob.has_magic(word):
        yield InputRecording(printable(word), path)
    elif found := sorted(glob.glob(word, recursive=True)):  # noqa: PTH207  # the pattern may be absolute
        for each in found:
            yield from _in_folder(Path(each)) if Path(each).is_dir() else [InputRecording(printable(each), Path(each))]
    else:
        yield InputRecording(printable(word), None, "no file matches this pattern")


def _in_folder(folder: Path) -> Iterator[InputRecording]:
    empty = True
    try:
        for path in sound_below(folder):
            empty = False
            yield InputRecording(printable(str(path)), path)
    except AudiofwError as error:
        yield InputRecording(printable(str(folder)), None, str(error))
        return
    if empty:
        yield InputRecording(printable(str(folder)), None, NO_SOUND)


def _in_archive(archive: Path) -> Iterator[InputRecording]:
    empty, name = True, printable(str(archive))
    try:
        folder = unpack_archive(archive)
        for path in sound_below(folder):
            empty, below = False, clip_name(path, folder)
            yield InputRecording(f"{name}/{below}", path, below=below)
    except AudiofwError as error:
        yield InputRecording(name, None, str(error).removeprefix(f"{archive}: "))
        return
    if empty:
        yield InputRecording(name, None, "no sound in this archive")


def _in_manifest(table: Path) -> Iterator[InputRecording]:
    try:
        root, listed = listed_files(table)
    except AudiofwError as error:
        yield InputRecording(printable(str(table)), None, str(error).removeprefix(f"{table}: "))
        return
    for said, path in listed:
        if path is None:
            yield InputRecording(printable(said), None, f"listed in {table}, but missing")
        else:
            yield InputRecording(printable(str(path)), path, below=clip_name(path, root))


def _from_stdin() -> Iterator[InputRecording]:
    """Copy stdin to a temporary file: decoders need to seek, and memory should not grow with its length."""
    with scratch_folder() as scratch:
        path = scratch / "stdin"
        with writing_to(path), path.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        yield InputRecording(STDIN, path)
