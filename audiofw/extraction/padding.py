"""Collect rows into a table: of fixed width, padded to the longest row, or as a list of feature matrices."""

from __future__ import annotations

from typing import Literal, Protocol

import numpy as np

from audiofw.errors import ClipError, DataError
from audiofw.parallel.executors import Lost

PadValue = Literal["zero", "floor"]


class RowCollector(Protocol):
    """Collects the rows of each clip, in order, and stacks them."""

    def add(self, rows: np.ndarray, name: str) -> Lost | None: ...
    def stack(self) -> np.ndarray: ...


class FixedWidth:
    """Rows of fixed width, by default that of the first row; memory for one row per clip is allocated at once."""

    def __init__(self, count: int, width: int | None, pad_value: PadValue) -> None:
        self._count = count
        self._pad_value = pad_value
        self._X = None if width is None else allocate(count, width)
        self._first = ""
        self._filled = 0

    def add(self, rows: np.ndarray, name: str) -> Lost | None:
        """Add the rows of a clip; returns `Lost` if they are too long.

        Raises
        ------
        DataError
            If no width was given and the rows differ in width from the first.
        """
        size = rows.shape[1]
        if self._X is None:
            self._X, self._first = allocate(self._count, size), name
        width = self._X.shape[1]
        if self._first and size != width:
            raise DataError(
                f"{name}: its row has {size} values, but that of {self._first} has {width}; "
                "set audio.duration and audio.sample_rate, or pad.to=longest"
            )
        if size > width:
            longer = f"its row has {size} values, more than the {width} for audio.duration; set pad.to=longest"
            return Lost.by(ClipError(longer, option="pad.to"))
        self._make_room(self._X, len(rows))
        for row in rows:
            _fill(self._X[self._filled], row, self._pad_value)
            self._filled += 1
        return None

    def _make_room(self, X: np.ndarray, more: int) -> None:
        if self._filled + more > len(X):  # several windows per clip
            self._X = allocate(2 * (self._filled + more), X.shape[1])
            self._X[: self._filled] = X[: self._filled]

    def stack(self) -> np.ndarray:
        """Return the table; unused rows take no memory."""
        assert self._X is not None
        return self._X[: self._filled]


class LongestWidth:
    """Rows of any width, kept in a list until the longest is known."""

    def __init__(self, pad_value: PadValue) -> None:
        self._pad_value = pad_value
        self._rows: list[np.ndarray] = []

    def add(self, rows: np.ndarray, name: str) -> None:
        """Add the rows of a clip."""
        self._rows.extend(rows)

    def stack(self) -> np.ndarray:
        """Return the padded table, releasing each row once it is copied."""
        X = allocate(len(self._rows), max(row.size for row in self._rows))
        self._rows.reverse()
        for line in X:
            _fill(line, self._rows.pop(), self._pad_value)
        return X


class FeatureMatrices:
    """Feature matrices ``(rows, frames)`` with any number of frames, for a pooling that learns."""

    def __init__(self) -> None:
        self._matrices: list[np.ndarray] = []

    def add(self, rows: np.ndarray, name: str) -> None:
        """Add the feature matrices of a clip."""
        self._matrices.extend(rows)

    def stack(self) -> np.ndarray:
        """Return an array of matrices, ``dtype=object``, which can be indexed like a table."""
        X = np.empty(len(self._matrices), dtype=object)
        for i, frames in enumerate(self._matrices):  # X[:] = … would try to stack matrices of equal shape
            X[i] = frames
        return X


def make_gatherer(
    count: int, width: int | None, pad_value: PadValue, *, to_longest: bool = False, matrices: bool = False
) -> RowCollector:
    """Create the collector for the rows of ``count`` clips; see the classes."""
    if matrices:
        return FeatureMatrices()
    return LongestWidth(pad_value) if to_longest else FixedWidth(count, width, pad_value)


def _fill(line: np.ndarray, row: np.ndarray, pad_value: PadValue) -> None:
    line[: row.size] = row
    if row.size < line.size:  # 0 dB is the loudest value, so pad with the row's minimum
        line[row.size :] = row.min() if pad_value == "floor" else 0


def allocate(count: int, width: int) -> np.ndarray:
    """Allocate a float32 table.

    Raises
    ------
    DataError
        If there is not enough memory.
    """
    try:
        return np.empty((count, width), dtype=np.float32)
    except MemoryError as error:
        raise DataError(
            f"a table of {count} rows × {width} columns needs {4e-9 * count * width:.1f} GB of memory; "
            "use pooling=stats, or fewer rows of the feature, e.g. feature.n_mels=64"
        ) from error
