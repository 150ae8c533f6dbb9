"""Rows gathered into a table: of one width, padded to the longest, or pictures left as they are."""

from __future__ import annotations

from typing import Literal, Protocol

import numpy as np

from audiofw.errors import ClipError, DataError
from audiofw.parallel.executors import Lost

PadValue = Literal["zero", "floor"]


class Gatherer(Protocol):
    """Takes in each clip's rows, in order, and gives the table of them all."""

    def add(self, rows: np.ndarray, name: str) -> Lost | None: ...
    def stack(self) -> np.ndarray: ...


class Even:
    """Rows of a width that is known, or else the first row's; memory for one row a clip is taken once."""

    def __init__(self, count: int, width: int | None, pad_value: PadValue) -> None:
        self._count = count
        self._pad_value = pad_value
        self._X = None if width is None else allocate(count, width)
        self._first = ""
        self._filled = 0

    def add(self, rows: np.ndarray, name: str) -> Lost | None:
        """Take a clip's rows in, or say why not.

        Raises
        ------
        DataError
            For rows of another width than the first, where no width was given.
        """
        size = rows.shape[1]
        if self._X is None:
            self._X, self._first = allocate(self._count, size), name
        width = self._X.shape[1]
        if self._first and size != width:
            raise DataError(
                f"{name}: {size} numbers, where {self._first} gave {width}: "
                "set audio.duration and audio.sample_rate, or pad.to=longest"
            )
        if size > width:
            longer = f"{size} numbers, more than the {width} of a clip of audio.duration: set pad.to=longest"
            return Lost.by(ClipError(longer, option="pad.to"))
        self._make_room(self._X, len(rows))
        for row in rows:
            _fill(self._X[self._filled], row, self._pad_value)
            self._filled += 1
        return None

    def _make_room(self, X: np.ndarray, more: int) -> None:
        if self._filled + more > len(X):  # several windows a clip
            self._X = allocate(2 * (self._filled + more), X.shape[1])
            self._X[: self._filled] = X[: self._filled]

    def stack(self) -> np.ndarray:
        """Give the table; rows that were never touched take no memory."""
        assert self._X is not None
        return self._X[: self._filled]


class Longest:
    """Rows of any width, kept one by one until the widest is known."""

    def __init__(self, pad_value: PadValue) -> None:
        self._pad_value = pad_value
        self._rows: list[np.ndarray] = []

    def add(self, rows: np.ndarray, name: str) -> None:
        """Take a clip's rows in."""
        self._rows.extend(rows)

    def stack(self) -> np.ndarray:
        """Give the table, letting go of each row once it is in."""
        X = allocate(len(self._rows), max(row.size for row in self._rows))
        self._rows.reverse()
        for line in X:
            _fill(line, self._rows.pop(), self._pad_value)
        return X


class Pictures:
    """Pictures ``(rows, frames)`` of any number of frames, for a pooling that learns."""

    def __init__(self) -> None:
        self._pictures: list[np.ndarray] = []

    def add(self, rows: np.ndarray, name: str) -> None:
        """Take a clip's pictures in."""
        self._pictures.extend(rows)

    def stack(self) -> np.ndarray:
        """Give an array of pictures, ``dtype=object``: it is indexed as a table is."""
        X = np.empty(len(self._pictures), dtype=object)
        for i, picture in enumerate(self._pictures):  # X[:] = … would try to make one array of those of one shape
            X[i] = picture
        return X


def _fill(line: np.ndarray, row: np.ndarray, pad_value: PadValue) -> None:
    line[: row.size] = row
    if row.size < line.size:  # zero dB is the loudest value, so a floor is the row's own
        line[row.size :] = row.min() if pad_value == "floor" else 0


def allocate(count: int, width: int) -> np.ndarray:
    """Take memory for a table.

    Raises
    ------
    DataError
        If there is not enough.
    """
    try:
        return np.empty((count, width), dtype=np.float32)
    except MemoryError as error:
        raise DataError(
            f"a table of {count} clips by {width} numbers needs {4e-9 * count * width:.1f} GB of memory: "
            "choose pooling=stats, or fewer rows of the feature, as feature.n_mels=64"
        ) from error
