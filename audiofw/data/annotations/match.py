"""Find the recording to which a label table, or a row of it, applies, by its name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from audiofw.audio.discover import AUDIO
from audiofw.data.labels import composed, listing
from audiofw.errors import DataError


class RecordingIndex:
    """The recordings of a data set, to be found by what tables call them.

    Parameters
    ----------
    names : iterable of str
        POSIX paths relative to the root.
    root : Path
        For tables that lie below it, and for messages.
    """

    def __init__(self, names: Iterable[str], root: Path) -> None:
        self.root = root
        self._by_tail: dict[str, list[str]] = defaultdict(list)
        for name in names:
            for tail in _tails(composed(name)):
                self._by_tail[tail].append(name)
                self._by_tail[_stem(tail)].append(name)

    def find(self, said: str) -> str:
        """Find a recording by its path, on whatever computer, by its name, or by its name without a suffix.

        Raises
        ------
        DataError
            If there is none, or several.
        """
        tails = list(_tails(composed(said.replace("\\", "/"))))
        for tail in (*tails, *map(_stem, tails)):
            if found := self._by_tail.get(tail):
                return _only(found, said)
        raise DataError(f"no recording {said!r} in {self.root}")

    def fits(self, said: str) -> list[str]:
        """List the recordings whose paths end in a path, with or without a suffix."""
        tail = next(_tails(composed(said.replace("\\", "/"))), "")
        return list(dict.fromkeys(self._by_tail.get(tail) or self._by_tail.get(_stem(tail), [])))

    def beside(self, table: Path) -> str:
        """Find the recording of a table by the table's name: ``rec.Table.1.selections.txt`` is of ``rec.wav``.

        Raises
        ------
        DataError
            If there is none, or several.
        """
        folder = PurePosixPath(table.parent.relative_to(self.root)) if table.is_relative_to(self.root) else None
        for name in _shortened(composed(table.name)):
            found = self._by_tail.get(name, [])
            near = [each for each in found if PurePosixPath(each).parent == folder]
            if near or found:
                return _only(near or found, table.name)
        raise DataError(f"no recording in {self.root} matches the name of this table")


def _only(found: list[str], said: str) -> str:
    names = list(dict.fromkeys(found))
    if len(names) > 1:
        raise DataError(f"{said!r} may be any of {len(names)} recordings: {listing(names, 3)}")
    return names[0]


def _tails(name: str) -> Iterator[str]:
    """Yield a path, then what is left of it without its first folder, and so on."""
    parts = [part for part in name.split("/") if part not in ("", ".", "..")]
    return ("/".join(parts[i:]) for i in range(len(parts)))


def _stem(tail: str) -> str:
    """Remove the suffix of an audio file, and no other: ``2025.06.12`` has none."""
    path = PurePosixPath(tail)
    return str(path.with_suffix("")) if path.suffix.lower() in AUDIO else tail


def _shortened(name: str) -> Iterator[str]:
    """Yield a table's name without its last suffix, then without the one before, and so on."""
    while "." in name:
        name = name.rpartition(".")[0]
        if name:
            yield name
            if _stem(name) != name:
                yield _stem(name)
