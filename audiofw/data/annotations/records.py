"""Tables of events as JSON: a list of objects with the same names as the columns of a CSV."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from audiofw.data.annotations.columns import check_columns, find_label_columns, read_row
from audiofw.data.annotations.rows import Annotation, Flaw
from audiofw.errors import DataError

SUFFIX = ".json"


def read_events(path: Path, text: str, chosen: Mapping[str, str]) -> Iterator[Annotation | Flaw]:
    """Read a list of events, each an object with start, end and label, and perhaps the path of its recording.

    Raises
    ------
    DataError
        If it is not a list of objects.
    ConfigError
        If they have no start, end or label.
    """
    try:
        records: Any = json.loads(text)
    except ValueError as error:
        raise DataError(f"{path}: not JSON: {error}") from error
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise DataError(f"{path}: not a list of events, each with start, end and label")
    if not records:
        return iter(())
    header = list(dict.fromkeys(key for record in records for key in record))
    used = find_label_columns(path, header, chosen)
    check_columns(path, header, used)
    cells = ([_cell(record.get(key)) for key in header] for record in records)
    return (read_row(path, number, row, used) for number, row in enumerate(cells, 1))


def _cell(value: Any) -> str:
    return "" if value is None else repr(value) if isinstance(value, float) else str(value)
