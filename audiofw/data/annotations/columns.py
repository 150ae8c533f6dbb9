"""Find the columns of a label table: as the user has chosen, or by the names that programs give them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from audiofw.data.annotations.rows import Annotation, Flaw, read_number
from audiofw.data.labels import listing
from audiofw.errors import ConfigError, DataError, nearest

GUESSES = {
    "path": (
        *("file_name", "path", "filename", "file", "file_path", "filepath", "begin_path", "begin_file", "in_file"),
        *("fname", "audio_file", "audio_path", "audio_filename", "audiofilename", "recording", "sound_file", "wav"),
        "notated_path",
    ),
    "label": (
        *("label", "category", "class", "class_name", "target", "annotation", "species", "event_label", "common_name"),
        *("manual_id", "auto_id", "scientific_name", "tag", "call_type", "type", "primary_label", "text"),
    ),
    "group": ("group", "speaker", "speaker_id", "src_file", "site"),
    "fold": ("fold", "split"),
    "start": ("start", "begin", "onset", "start_time", "begin_time", "time_start", "t_start", "tmin"),
    "end": ("end", "stop", "end_time", "stop_time", "finish", "time_end", "t_end", "tmax"),
    "low": ("low", "low_freq", "low_frequency", "freq_low", "min_freq", "fmin", "lower_freq"),
    "high": ("high", "high_freq", "high_frequency", "freq_high", "max_freq", "fmax", "upper_freq"),
    "duration": ("duration", "dur"),
}
"""Usual names, in lower case and without units; the first that a table has is used."""

SCALES = {"s": 1.0, "sec": 1.0, "secs": 1.0, "seconds": 1.0, "hz": 1.0, "ms": 1e-3, "msec": 1e-3, "khz": 1e3}
CUT_ALREADY = "slice_file_name"  # UrbanSound8K: its start and end are of the recording that the clip was cut from


class Column(NamedTuple):
    """A column, and by what its numbers are multiplied to give seconds or Hz."""

    number: int
    name: str
    scale: float = 1.0


Used = dict[str, Column]


def find_label_columns(path: Path, header: Sequence[str], chosen: Mapping[str, str]) -> Used:
    """Find the columns of a table of stretches.

    Parameters
    ----------
    path : Path
    header : sequence of str
    chosen : mapping of str to str
        Names by ``data.columns``; an empty one means that the table has none.

    Raises
    ------
    ConfigError
        For a chosen column that the table lacks.
    """
    plain = [_without_unit(name) for name in header]
    used: Used = {}
    for key, guesses in GUESSES.items():
        if key in chosen:
            if chosen[key]:
                used[key] = _chosen(path, header, plain, key, chosen[key])
            continue
        place = next((i for guess in guesses for i, (name, _) in enumerate(plain) if name == guess), None)
        if place is not None:
            used[key] = Column(place, header[place], plain[place][1])
    return _with_offset(header, plain, used, chosen)


def _with_offset(
    header: Sequence[str], plain: Sequence[tuple[str, float]], used: Used, chosen: Mapping[str, str]
) -> Used:
    """Decide what ``offset`` means: the end beside an onset, the start beside a duration."""
    offset = next((i for i, (name, _) in enumerate(plain) if name == "offset"), None)
    if offset is not None:
        column = Column(offset, header[offset], plain[offset][1])
        if "start" in used and "end" not in used and "end" not in chosen and "duration" not in used:
            used["end"] = column
        elif "start" not in used and "start" not in chosen and "duration" in used:
            used["start"] = column
    return used


def _chosen(path: Path, header: Sequence[str], plain: Sequence[tuple[str, float]], key: str, name: str) -> Column:
    if name not in header:
        raise ConfigError(
            f"{path}: no column {name!r}{nearest(name, header)} for data.columns.{key}; columns: {listing(header)}"
        )
    place = header.index(name)
    return Column(place, name, plain[place][1])


def _without_unit(name: str) -> tuple[str, float]:
    """Reduce ``Begin Time (s)`` to ``begin_time``; also return the scale of its unit."""
    words = [word for word in re.split(r"[^a-z0-9]+", name.lower()) if word]
    scale = SCALES.get(words[-1], 1.0) if len(words) > 1 else 1.0
    while len(words) > 1 and words[-1] in SCALES:
        words.pop()
    return "_".join(words), scale


def has_times(header: Sequence[str], chosen: Mapping[str, str]) -> bool:
    """Whether a table's columns say which stretch of a recording each row is about."""
    if CUT_ALREADY in header and not chosen.get("start"):
        return False
    wanted = {key: name for key, name in chosen.items() if not name or name in header}
    used = find_label_columns(Path(), header, wanted)
    return "start" in used and ("end" in used or "duration" in used)


def check_columns(path: Path, header: Sequence[str], used: Used) -> None:
    """Check that a table of stretches has what it needs.

    Raises
    ------
    ConfigError
        If start, end or label is missing.
    """
    missing = [key for key in ("start", "label") if key not in used]
    missing += [] if "end" in used or "duration" in used else ["end"]
    if missing:
        raise ConfigError(
            f"{path}: no column found for the {missing[0]}; set data.columns.{missing[0]} to one of {listing(header)}"
        )


def read_row(path: Path, line: int, cells: Sequence[str], used: Used) -> Annotation | Flaw:
    """Read one row; one that cannot be used is a flaw, with the reason."""
    try:
        row = _annotation(path, line, cells, used)
    except DataError as error:
        return Flaw(path, line, str(error))
    return row if row.label else Flaw(path, line, f"column {used['label'].name!r}: the label is empty", row)


def _annotation(path: Path, line: int, cells: Sequence[str], used: Used) -> Annotation:
    text = {key: cells[column.number] if column.number < len(cells) else "" for key, column in used.items()}
    until = "end" if "end" in used else "duration"
    whole = not text["start"] and not text[until]
    start = None if whole else _number(text, used, "start")
    end = None if whole else _number(text, used, until)
    if start is not None and end is not None:
        end = end if until == "end" else start + end
        check_times(start, end)
    low, high = (_number(text, used, key) if text.get(key) else None for key in ("low", "high"))
    group, fold = (text.get(key) or None for key in ("group", "fold"))
    return Annotation(text.get("path", ""), start, end, text["label"], low, high, path, line, group, fold)


def _number(text: Mapping[str, str], used: Used, key: str) -> float:
    return read_number(text[key], used[key].name) * used[key].scale


def check_times(start: float, end: float) -> None:
    """Refuse a stretch that does not last.

    Raises
    ------
    DataError
        If it starts before 0, or does not end after its start.
    """
    if start < 0:
        raise DataError(f"starts at {start:g} s, before the recording")
    if end <= start:
        what = "has no length" if end == start else "ends before it starts"
        raise DataError(f"{what}: {start:g} s to {end:g} s")
