"""What is written is read again, to the millisecond."""

from __future__ import annotations

import json

import pytest

from audiofw.cli.predict.tables import SUFFIXES, table_text
from audiofw.data.annotations.read import read_annotations
from audiofw.data.annotations.rows import Annotation
from audiofw.data.annotations.textgrid import textgrid_text

EVENTS = [
    ("dawn.wav", 0.0, 1.2345, "Turdus merula"),
    ("dawn.wav", 1.2345, 2.0, 'a "quoted" label; with, signs'),
    ("dawn.wav", 3.001, 86399.999, "Ωρα"),
    ("dawn.wav", 3.5, 4.25, "Turdus merula"),
]
RECORDS = [
    {"path": path, "start": start, "end": end, "label": label, "confidence": 0.75} for path, start, end, label in EVENTS
]


def read_again(folder, format, records):
    if format == "textgrid":
        pytest.importorskip("praatio")
    file = folder / f"dawn{SUFFIXES[format]}"
    file.write_text(table_text(format, records, 86400.0, 11025.0), encoding="utf-8", newline="")
    return list(read_annotations(file))


@pytest.mark.parametrize("format", SUFFIXES)
def test_a_table_is_read_as_it_was_written(tmp_path, format):
    rows = read_again(tmp_path, format, RECORDS)
    assert all(isinstance(row, Annotation) for row in rows)
    found = sorted((round(row.start, 3), round(row.end, 3), row.label) for row in rows)
    assert found == sorted((round(start, 3), round(end, 3), label) for _, start, end, label in EVENTS)
    if format in ("raven", "csv", "json"):
        assert {row.recording for row in rows} == {"dawn.wav"}


@pytest.mark.parametrize("format", SUFFIXES)
def test_a_table_of_no_events_says_that_there_are_none(tmp_path, format):
    assert read_again(tmp_path, format, []) == []


def test_line_breaks_and_tabs_in_a_label_do_not_break_the_table(tmp_path):
    for format in ("raven", "audacity", "textgrid"):
        (row,) = read_again(tmp_path, format, [{**RECORDS[0], "label": "two\n\tlines"}])
        assert row.label == "two lines"


def test_frequencies_of_a_selection_and_of_a_label_are_read_again(tmp_path):
    from audiofw.data.annotations.audacity import label_track
    from audiofw.data.annotations.raven import raven_table

    rows = [Annotation("x.wav", 1.0, 2.0, "a", 500.0, 4000.0), Annotation("x.wav", 2.0, 3.0, "b", None, 900.0)]
    (tmp_path / "x.txt").write_text(label_track(rows))
    assert [(row.low, row.high) for row in read_annotations(tmp_path / "x.txt")] == [(500, 4000), (None, 900)]
    (tmp_path / "x.Table.1.selections.txt").write_text(raven_table(rows, 8000.0))
    assert [(row.low, row.high) for row in read_annotations(tmp_path / "x.Table.1.selections.txt")] == [
        (500, 4000),
        (0, 900),
    ]


def test_events_that_overlap_in_a_tier_follow_each_other(tmp_path):
    pytest.importorskip("praatio")
    rows = [Annotation("", 0.0, 2.0, "a"), Annotation("", 1.0, 3.0, "a"), Annotation("", 1.5, 1.8, "a")]
    (tmp_path / "x.TextGrid").write_text(textgrid_text(rows, 5.0))
    assert [(row.start, row.end) for row in read_annotations(tmp_path / "x.TextGrid")] == [(0, 2), (2, 3)]


@pytest.mark.parametrize("text", ["{", "3", '["a"]', json.dumps([{"start": 1, "end": 2}])])
def test_json_that_is_not_a_list_of_events_is_refused(tmp_path, text):
    (tmp_path / "x.json").write_text(text)
    from audiofw.errors import AudiofwError

    with pytest.raises(AudiofwError, match=r"x\.json"):
        list(read_annotations(tmp_path / "x.json"))
