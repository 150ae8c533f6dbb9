"""Collect rows into a table: of fixed width, padded to the longest row, or as a list of feature matrices."""

from __future__ import annotations

from functools import partial
from typing import Literal, Protocol

import numpy as np

from audiofw.errors import ClipError, DataError
from audiofw.extraction.collected import CollectedRows, Spill
from audiofw.parallel.executors import Lost

PadValue = Literal["zero", "floor"]


class RowCollector(Protocol):
    """Collects the rows of each clip, in order, and stacks them."""

    def add(self, rows: np.ndarray, name: str) -> Lost | None: ...
    def stack(self) -> np.ndarray: ...


class FixedWidth:
    """Rows of fixed width, by default that of the first row."""

    def __init__(self, count: int, width: int | None, pad_value: PadValue, spill: Spill | None = None) -> None:
        self._start = partial(CollectedRows, count, spill=spill)
        self._pad_value = pad_value
        self._rows = None if width is None else self._start(width)
        self._first = ""

    def add(self, rows: np.ndarray, name: str) -> Lost | None:
        """Add the rows of a clip; returns `Lost` if they are too long.

        Raises
        ------
        DataError
            If no width was given and the rows differ in width from the first.
        """
        size = rows.shape[1]
        if self._rows is None:
            self._rows, self._first = self._start(size), name
        width = self._rows.width
        if self._first and size != width:
            raise DataError(
                f"{name}: its row has {size} values, but that of {self._first} has {width}; "
                "set audio.duration and audio.sample_rate, or pad.to=longest"
            )
        if size > width:
            longer = f"its row has {size} values, more than the {width} for audio.duration; set pad.to=longest"
            return Lost.by(ClipError(longer, option="pad.to"))
        for row in rows:
            self._rows.append(_padded(row, width, self._pad_value))
        return None

    def stack(self) -> np.ndarray:
        """Return the table; unused rows take no memory."""
        assert self._rows is not None
        return self._rows.stack()


class LongestWidth:
    """Rows of any width, kept in a list until the longest is known."""

    def __init__(self, pad_value: PadValue, spill: Spill | None = None) -> None:
        self._pad_value = pad_value
        self._spill = spill
        self._rows: list[np.ndarray] = []

    def add(self, rows: np.ndarray, name: str) -> None:
        """Add the rows of a clip."""
        self._rows.extend(rows)

    def stack(self) -> np.ndarray:
        """Return the padded table, releasing each row once it is copied."""
        table = CollectedRows(len(self._rows), max(row.size for row in self._rows), self._spill)
        self._rows.reverse()
        while self._rows:
            table.append(_padded(self._rows.pop(), table.width, self._pad_value))
        return table.stack()


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
    count: int,
    width: int | None,
    pad_value: PadValue,
    *,
    to_longest: bool = False,
    matrices: bool = False,
    spill: Spill | None = None,
) -> RowCollector:
    """Create the collector for the rows of ``count`` clips; see the classes."""
    if matrices:
        return FeatureMatrices()
    return LongestWidth(pad_value, spill) if to_longest else FixedWidth(count, width, pad_value, spill)


def _padded(row: np.ndarray, width: int, pad_value: PadValue) -> np.ndarray:
    if row.size == width:
        return row
    line = np.full(width, row.min() if pad_value == "floor" else 0, np.float32)  # 0 dB is the loudest value
    line[: row.size] = row
    return line
