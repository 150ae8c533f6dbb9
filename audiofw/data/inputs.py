"""The recordings that ``audiofw predict`` processes: files, folders, glob patterns and stdin."""

from __future__ import annotations

import glob
import shutil
import sys
from collections.abc import Container, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from audiofw.audio.discover import sound_below
from audiofw.errors import AudiofwError, printable
from audiofw.system.faults import writing_to
from audiofw.system.scratch import scratch_folder

STDIN = "-"
NO_SOUND = "no sound in this folder"


class Sound(NamedTuple):
    """A recording, with its name in results; if it is not available, ``path`` is None and ``reason`` says why."""

    name: str
    path: Path | None
    reason: str = ""


def find_sounds(words: Sequence[str], done: Container[str] = ()) -> Iterator[Sound]:
    """Iterate lazily over the recordings named on a command line.

    Parameters
    ----------
    words : sequence of str
        Files, folders (searched recursively), glob patterns such as ``more/**/*.flac``, and ``-`` for stdin.
    done : container of str
        Names to skip.
    """
    return (sound for word in words for sound in _meant(word) if sound.name not in done)


def count(words: Sequence[str]) -> int | None:
    """Count the recordings if no folder or pattern has to be searched; otherwise None."""
    return len(words) if all(word == STDIN or Path(word).is_file() for word in words) else None


def is_one(words: Sequence[str]) -> bool:
    """Whether the words name a single recording, whether or not it exists."""
    word = words[0]
    return len(words) == 1 and not Path(word).is_dir() and (Path(word).exists() or not glob.has_magic(word))


def _meant(word: str) -> Iterator[Sound]:
    path = Path(word)
    if word == STDIN:
        yield from _from_stdin()
    elif not word:  # e.g. an unset shell variable; Path("") would be the current folder
        yield Sound("", None, "an empty name")
    elif path.is_dir():
        yield from _in_folder(path)
    elif path.exists() or not glob.has_magic(word):
        yield Sound(printable(word), path)
    elif found := sorted(glob.glob(word, recursive=True)):  # noqa: PTH207  # the pattern may be absolute
        for each in found:
            yield from _in_folder(Path(each)) if Path(each).is_dir() else [Sound(printable(each), Path(each))]
    else:
        yield Sound(printable(word), None, "no file matches this pattern")


def _in_folder(folder: Path) -> Iterator[Sound]:
    empty = True
    try:
        for path in sound_below(folder):
            empty = False
            yield Sound(printable(str(path)), path)
    except AudiofwError as error:
        yield Sound(printable(str(folder)), None, str(error))
        return
    if empty:
        yield Sound(printable(str(folder)), None, NO_SOUND)


def _from_stdin() -> Iterator[Sound]:
    """Copy stdin to a temporary file: decoders need to seek, and memory should not grow with its length."""
    with scratch_folder() as scratch:
        path = scratch / "stdin"
        with writing_to(path), path.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        yield Sound(STDIN, path)
