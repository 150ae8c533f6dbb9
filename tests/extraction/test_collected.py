"""Rows are collected in memory or, beyond a limit, in a file: the table is the same, and nothing is left behind."""

import numpy as np
import pytest

from audiofw.errors import DataError
from audiofw.extraction import collected
from audiofw.extraction.collected import CollectedRows, Spill, beside, stack_all

ROWS = np.random.default_rng(0).standard_normal((50, 3)).astype(np.float32)
LIMIT = 20 * ROWS[0].nbytes


@pytest.fixture
def spill(tmp_path):
    return Spill(tmp_path / "tables", LIMIT)


@pytest.mark.parametrize(("expected", "mapped"), [(20, True), (21, True), (50, True), (5, True)])
def test_a_table_is_the_same_wherever_it_is_collected(spill, expected, mapped):
    kept, filed = CollectedRows(expected, 3), CollectedRows(expected, 3, spill)
    kept.extend(ROWS)
    filed.extend(ROWS)
    assert np.array_equal(kept.stack(), ROWS)
    assert np.array_equal(filed.stack(), ROWS)
    assert isinstance(filed.stack(), np.memmap) is mapped


def test_a_small_table_is_kept_in_memory(spill):
    rows = CollectedRows(20, 3, spill)
    rows.extend(ROWS[:20])
    assert not isinstance(rows.stack(), np.memmap)
    assert not spill.folder.exists()


def test_a_table_in_a_file_can_only_be_read_and_leaves_no_file(spill):
    rows = CollectedRows(50, 3, spill)
    rows.extend(ROWS)
    X = rows.stack()
    with pytest.raises(ValueError, match="read-only"):
        X[0] = 1
    del rows
    assert np.array_equal(X, ROWS)
    del X
    assert list(spill.folder.iterdir()) == []


def test_a_full_disk_is_told_in_one_line(spill, monkeypatch):
    def refuse(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(collected.tempfile, "TemporaryFile", refuse)
    with pytest.raises(DataError, match=r"tables: the feature table cannot be written there: No space left.*free some"):
        CollectedRows(50, 3, spill)


def test_tables_are_stacked_and_joined_alike_in_files(spill, monkeypatch):
    monkeypatch.setattr(collected, "BLOCK", 7)
    parts, rows = [ROWS[:20], ROWS[20:]], np.arange(49, -1, -1)
    for make in (
        lambda spill: stack_all(parts, spill),
        lambda spill: beside([(ROWS, rows), (ROWS, rows[::-1])], spill),
    ):
        assert isinstance(make(spill), np.memmap)
        assert np.array_equal(make(spill), make(None))
