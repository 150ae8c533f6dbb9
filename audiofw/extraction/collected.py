"""Tables of rows that are collected one by one: in memory or, beyond a limit, in a file that is mapped into memory."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import numpy as np

from audiofw.errors import DataError
from audiofw.system.faults import reason, remedy

CELL = 4  # bytes of a float32
BLOCK = 4096  # rows copied at once


class Spill:
    """Where tables beyond a number of bytes go: into a file in this folder, which is removed with its table."""

    def __init__(self, folder: Path, beyond: float) -> None:
        self.folder = folder
        self.beyond = beyond

    def takes(self, count: int, width: int) -> bool:
        """Whether a table of this size goes into a file."""
        return CELL * count * width > self.beyond


class CollectedRows:
    """Rows of one width; memory for the expected number is allocated at once.

    Parameters
    ----------
    count : int
        The expected number of rows.
    width : int
    spill : Spill, optional
        By default, all tables are kept in memory.

    Raises
    ------
    DataError
        If memory, or the disk, does not suffice.
    """

    def __init__(self, count: int, width: int, spill: Spill | None = None) -> None:
        self.width = width
        self._spill = spill
        self._file: IO[bytes] | None = None
        self._filled = 0
        if spill and spill.takes(count, width):
            self._file = self._open(spill)
        else:
            self._X = allocate(count, width)

    def append(self, row: np.ndarray) -> None:
        """Add a row of this width."""
        if self._file is None and self._filled == len(self._X):  # several windows per clip
            self._grow()
        if self._file is None:
            self._X[self._filled] = row
        else:
            self._write(self._file, row)
        self._filled += 1

    def extend(self, rows: np.ndarray) -> None:
        """Add many rows."""
        for start in range(0, len(rows), BLOCK):
            for row in rows[start : start + BLOCK]:
                self.append(row)

    def stack(self) -> np.ndarray:
        """Return the table: an array or, of a file, a memory map that can only be read."""
        if self._file is None:
            return self._X[: self._filled]
        self._file.flush()
        if not self._filled:
            return np.empty((0, self.width), np.float32)
        return np.memmap(self._file, np.float32, "r", shape=(self._filled, self.width))

    def _grow(self) -> None:
        count = 2 * (self._filled + 1)
        if self._spill and self._spill.takes(count, self.width):
            self._file = self._open(self._spill)
            self._write(self._file, self._X)
            self._X = self._X[:0]
        else:
            grown = allocate(count, self.width)
            grown[: self._filled] = self._X
            self._X = grown

    def _open(self, spill: Spill) -> IO[bytes]:
        try:
            spill.folder.mkdir(parents=True, exist_ok=True)
            return tempfile.TemporaryFile(dir=spill.folder, prefix="table-")
        except OSError as error:
            raise _full(error, spill.folder) from error

    def _write(self, file: IO[bytes], rows: np.ndarray) -> None:
        try:
            file.write(np.ascontiguousarray(rows, np.float32).data)
        except OSError as error:
            assert self._spill
            raise _full(error, self._spill.folder) from error


def _full(error: OSError, folder: Path) -> DataError:
    return DataError(f"{folder}: the feature table cannot be written there: {reason(error)}; {remedy(error, folder)}")


def stack_all(tables: Sequence[np.ndarray], spill: Spill | None = None) -> np.ndarray:
    """Put tables of one width, or arrays of matrices, below each other."""
    if not spill or tables[0].ndim < 2 or not spill.takes(sum(map(len, tables)), tables[0].shape[1]):
        return np.concatenate(tables)
    rows = CollectedRows(sum(map(len, tables)), tables[0].shape[1], spill)
    for table in tables:
        rows.extend(table)
    return rows.stack()


def beside(tables: Sequence[tuple[np.ndarray, np.ndarray]], spill: Spill | None = None) -> np.ndarray:
    """Put some rows of each table, as many of each, beside each other."""
    count, width = len(tables[0][1]), sum(X.shape[1] for X, _ in tables)
    if not spill or not spill.takes(count, width):
        return np.hstack([X[rows] for X, rows in tables])
    joined = CollectedRows(count, width, spill)
    for start in range(0, count, BLOCK):
        joined.extend(np.hstack([X[rows[start : start + BLOCK]] for X, rows in tables]))
    return joined.stack()


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
