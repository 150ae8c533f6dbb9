"""A read-only file composed of sections of another file and literal bytes, without copying."""

from __future__ import annotations

import bisect
import io
import itertools
import os
from collections.abc import Sequence
from pathlib import Path

Piece = bytes | tuple[int, int]
"""Literal bytes, or the start and end of a section of the file."""


class Spliced(io.RawIOBase):
    """Lets a decoder read a file with a different header, or part of a file, as if it were on disk.

    Parameters
    ----------
    path : Path
    pieces : sequence of bytes or (int, int)
        The content, in order.
    """

    def __init__(self, path: Path, pieces: Sequence[Piece]) -> None:
        self._file = path.open("rb")
        self._pieces = list(pieces)
        sizes = [len(piece) if isinstance(piece, bytes) else piece[1] - piece[0] for piece in self._pieces]
        self._starts = [0, *itertools.accumulate(sizes)]
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        origin = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._starts[-1]}[whence]
        self._at = max(origin + offset, 0)
        return self._at

    def readinto(self, buffer: object) -> int:
        """Fill a buffer from the piece at the current position; like any raw file, may read less than requested."""
        into = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        number = bisect.bisect_right(self._starts, self._at) - 1
        if number >= len(self._pieces):
            return 0
        piece, begin = self._pieces[number], self._at - self._starts[number]
        count = min(len(into), self._starts[number + 1] - self._at)
        if isinstance(piece, bytes):
            into[:count] = piece[begin : begin + count]
        else:
            self._file.seek(piece[0] + begin)
            count = self._file.readinto(into[:count])
        self._at += count
        return count

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


def open_spliced(path: Path, pieces: Sequence[Piece]) -> io.BufferedReader:
    """Open a buffered `Spliced` file, since decoders read a few bytes at a time."""
    return io.BufferedReader(Spliced(path, pieces), 2**16)
