"""Label tables as Raven, Audacity, Praat, ELAN, Kaleidoscope, BirdNET and people write them."""

import logging
import sys

import pytest

from audiofw.data.annotations.read import read_annotations
from audiofw.data.annotations.rows import Annotation, Flaw
from audiofw.errors import ConfigError, DataError


@pytest.fixture
def read(tmp_path):
    """Write a table, and read it."""

    def write_and_read(text: str | bytes, name: str = "rec.txt", **chosen: str) -> list[Annotation | Flaw]:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return list(read_annotations(path, chosen))

    return write_and_read


def facts(rows):
    """Recording, start, end, label, low and high of each row."""
    assert not [row for row in rows if isinstance(row, Flaw)]
    return [tuple(row[:6]) for row in rows]


def flaws(rows):
    return [(row.line, row.reason) for row in rows if isinstance(row, Flaw)]


RAVEN = """\
Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tLow Freq (Hz)\tHigh Freq (Hz)\tDelta Time (s)\tAnnotation
1\tSpectrogram 1\t1\t1.250000000\t2.500000000\t800.0\t4500.5\t1.2500\tTurdus "merula"
2\tSpectrogram 1\t1\t10.000000000\t11.000000000\t0.0\t11025.0\t1.0000\twren
"""
TWO_EVENTS = [("", 1.25, 2.5, 'Turdus "merula"', 800.0, 4500.5), ("", 10.0, 11.0, "wren", 0.0, 11025.0)]


def test_a_raven_table_is_read(read):
    rows = read(RAVEN, "rec.Table.1.selections.txt")
    assert facts(rows) == TWO_EVENTS
    assert [row.line for row in rows] == [2, 3]


@pytest.mark.parametrize(
    "data",
    [
        RAVEN.replace("\n", "\r\n").encode(),
        RAVEN.replace("\n", "\r").encode(),
        RAVEN.encode("utf-8-sig"),
        RAVEN.encode("utf-16"),
        RAVEN.encode("utf-16-le"),
        RAVEN.encode("utf-16-be"),
        RAVEN.replace("1.25", "1,25").replace("2.5", "2,5").replace("4500.5", "4500,5").encode(),
        RAVEN.rstrip("\n").encode(),
        RAVEN.replace("\n", "\n\n").encode(),
    ],
)
def test_line_ends_encodings_and_decimal_commas_change_nothing(read, data):
    assert facts(read(data)) == TWO_EVENTS


def test_views_of_a_selection_are_one_event(read):
    rows = read(
        "Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tLow Freq (Hz)\tHigh Freq (Hz)\tSpecies\n"
        "1\tWaveform 1\t1\t1.0\t2.0\t\t\t\n"
        "1\tSpectrogram 1\t1\t1.0\t2.0\t500\t900\twren\n"
        "2\tWaveform 1\t1\t5.0\t6.0\t\t\trobin\n"
        "2\tSpectrogram 1\t2\t5.0\t6.0\t500\t900\trobin\n"
    )
    assert facts(rows) == [("", 1.0, 2.0, "wren", 500.0, 900.0), ("", 5.0, 6.0, "robin", 500.0, 900.0)]


def test_a_selection_listed_with_two_labels_is_two_events(read):
    rows = read("Selection\tView\tBegin Time (s)\tEnd Time (s)\tSpecies\n1\tS\t1.0\t2.0\twren\n1\tS\t1.0\t2.0\trobin\n")
    assert [row.label for row in rows] == ["wren", "robin"]


def test_times_of_files_opened_as_one_are_those_in_each_file(read):
    rows = read(
        "Selection\tBegin Time (s)\tEnd Time (s)\tBegin Path\tBegin File\tFile Offset (s)\tAnnotation\n"
        "1\t5.0\t6.5\tC:\\rec\\a.wav\ta.wav\t5.0\twren\n"
        "2\t65.0\t66.5\tC:\\rec\\b.wav\tb.wav\t5.0\twren\n"
        "3\t66.0\t66.5\tC:\\rec\\b.wav\tb.wav\tsoon\twren\n"
    )
    assert [row[:3] for row in rows[:2]] == [("C:\\rec\\a.wav", 5.0, 6.5), ("C:\\rec\\b.wav", 5.0, 6.5)]
    assert flaws(rows) == [(4, "column 'File Offset (s)': 'soon' is not a number")]


AUDACITY = "1.250000\t2.500000\twren\n\\\t800.0\t4500.5\n10,000000\t11,000000\trobin song\n\\\t-1.0\t-1.0\n"


@pytest.mark.parametrize("text", [AUDACITY, AUDACITY.replace("\n", "\r\n"), "\ufeff" + AUDACITY])
def test_an_audacity_track_is_read(read, text):
    rows = read(text)
    assert facts(rows) == [("", 1.25, 2.5, "wren", 800.0, 4500.5), ("", 10.0, 11.0, "robin song", None, None)]
    assert [row.line for row in rows] == [1, 3]


def test_an_empty_track_has_no_events(read):
    assert read("") == []


def test_each_bad_label_of_a_track_is_named(read):
    rows = read("1.0\t1.0\tpoint\n2.0\t1.0\tbackwards\n-1.0\t1.0\tearly\n3.0\t4.0\t\n3.0\t4.0\tgood\n\\\tx\t1\n")
    assert flaws(rows) == [
        (1, "has no length: 1 s to 1 s"),
        (2, "ends before it starts: 2 s to 1 s"),
        (3, "starts at -1 s, before the recording"),
        (4, "the label is empty"),
        (6, "column 'low frequency': 'x' is not a number"),
    ]
    assert rows[4].label == "good"


PRAAT = """File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 3.5
tiers? <exists>
size = 2
item []:
    item [1]:
        class = "IntervalTier"
        name = "calls"
        xmin = 0
        xmax = 3.5
        intervals: size = 3
        intervals [1]:
            xmin = 0
            xmax = 1.25
            text = ""
        intervals [2]:
            xmin = 1.25
            xmax = 2.5
            text = "Zaunkönig"
        intervals [3]:
            xmin = 2.5
            xmax = 3.5
            text = ""
    item [2]:
        class = "TextTier"
        name = "clicks"
        xmin = 0
        xmax = 3.5
        points: size = 1
        points [1]:
            number = 3
            mark = "click"
"""
SHORT_PRAAT = """File type = "ooTextFile"
Object class = "TextGrid"

0
3.5
<exists>
1
"IntervalTier"
"calls"
0
3.5
3
0
1.25
""
1.25
2.5
"Zaunkönig"
2.5
3.5
""
"""


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-8-sig"])
@pytest.mark.parametrize("text", [PRAAT, SHORT_PRAAT])
def test_intervals_of_a_textgrid_are_read(read, text, encoding):
    rows = read(text.encode(encoding), "rec.TextGrid", label="calls")
    assert facts(rows) == [("", 1.25, 2.5, "Zaunkönig", None, None)]
    assert rows[0].where.endswith("rec.TextGrid: tier 'calls', interval from 1.25 s")


def test_points_of_a_textgrid_are_named(read):
    rows = read(PRAAT, "rec.TextGrid")
    assert [row.label for row in rows if isinstance(row, Annotation)] == ["Zaunkönig"]
    assert flaws(rows) == [("tier 'clicks', point 1", "a point has no length; use an interval")]


def test_a_tier_that_a_textgrid_lacks_is_refused(read):
    with pytest.raises(ConfigError, match=r"no tier 'call' \(did you mean 'calls'\?\).*tiers: calls, clicks"):
        read(PRAAT, "rec.TextGrid", label="call")


def test_a_damaged_textgrid_is_refused_in_one_line(read):
    with pytest.raises(DataError, match="not a TextGrid, or damaged") as refused:
        read("hello", "rec.TextGrid")
    assert "\n" not in str(refused.value)


ELAN = """<?xml version="1.0" encoding="UTF-8"?>
<ANNOTATION_DOCUMENT AUTHOR="" DATE="2025-06-12T10:00:00+01:00" FORMAT="3.0" VERSION="3.0"
 xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
 xsi:noNamespaceSchemaLocation="http://www.mpi.nl/tools/elan/EAFv3.0.xsd">
    <HEADER MEDIA_FILE="" TIME_UNITS="milliseconds">
        <MEDIA_DESCRIPTOR MEDIA_URL="file:///C:/field/long%20day.wav" MIME_TYPE="audio/x-wav"
         RELATIVE_MEDIA_URL="./long%20day.wav"/>
    </HEADER>
    <TIME_ORDER>
        <TIME_SLOT TIME_SLOT_ID="ts1" TIME_VALUE="1250"/>
        <TIME_SLOT TIME_SLOT_ID="ts2" TIME_VALUE="2500"/>
        <TIME_SLOT TIME_SLOT_ID="ts3" TIME_VALUE="3000"/>
        <TIME_SLOT TIME_SLOT_ID="ts4"/>
    </TIME_ORDER>
    <TIER DEFAULT_LOCALE="en" LINGUISTIC_TYPE_REF="default-lt" TIER_ID="speech">
        <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a1" TIME_SLOT_REF1="ts1" TIME_SLOT_REF2="ts2">
            <ANNOTATION_VALUE>hello</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>
        <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a2" TIME_SLOT_REF1="ts3" TIME_SLOT_REF2="ts4">
            <ANNOTATION_VALUE>later</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>
    </TIER>
    <TIER DEFAULT_LOCALE="en" LINGUISTIC_TYPE_REF="default-lt" TIER_ID="noise">
        <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a3" TIME_SLOT_REF1="ts2" TIME_SLOT_REF2="ts3">
            <ANNOTATION_VALUE>cough</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>
    </TIER>
    <LINGUISTIC_TYPE GRAPHIC_REFERENCES="false" LINGUISTIC_TYPE_ID="default-lt" TIME_ALIGNABLE="true"/>
</ANNOTATION_DOCUMENT>
"""


def test_an_elan_document_is_read_with_the_recording_that_it_links_to(read):
    rows = read(ELAN, "session.eaf")
    good = [row for row in rows if isinstance(row, Annotation)]
    assert facts(good) == [
        ("long day.wav", 1.25, 2.5, "hello", None, None),
        ("long day.wav", 2.5, 3.0, "cough", None, None),
    ]
    assert flaws(rows) == [("tier 'speech', annotation at 3000 ms", "it is not aligned with the recording")]


def test_one_tier_of_an_elan_document_is_read(read):
    assert [row.label for row in read(ELAN, "session.eaf", label="noise")] == ["cough"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("file_name,start,end,label\na.wav,1.5,2.5,cat\n", ("a.wav", 1.5, 2.5, "cat", None, None)),
        ("file_name;start;end;label\na.wav;1,5;2,5;cat\n", ("a.wav", 1.5, 2.5, "cat", None, None)),
        ("filename\tonset\toffset\tevent_label\na.wav\t1.5\t2.5\tcat\n", ("a.wav", 1.5, 2.5, "cat", None, None)),
        (
            "label,onset_s,offset_s,onset_sample,notated_path\ncat,1.5,2.5,33075,a.wav\n",
            ("a.wav", 1.5, 2.5, "cat", None, None),
        ),
        (
            "INDIR,FOLDER,IN FILE,CHANNEL,OFFSET,DURATION,Fmin,Fmax,AUTO ID*,MANUAL ID\n"
            "/d,n,a.wav,0,1.5,1,20,40,NoID,cat\n",
            ("a.wav", 1.5, 2.5, "cat", 20.0, 40.0),
        ),
        (
            "Start (s),End (s),Scientific name,Common name,Confidence,File\n1.5,2.5,Felis catus,cat,0.9,/d/a.wav\n",
            ("/d/a.wav", 1.5, 2.5, "cat", None, None),
        ),
        ("path,start_ms,end_ms,label\na.wav,1500,2500,cat\n", ("a.wav", 1.5, 2.5, "cat", None, None)),
        ("path,start,duration,label\na.wav,1.5,1,cat\n", ("a.wav", 1.5, 2.5, "cat", None, None)),
        ("path,start,end,label\na.wav,0:01:01.5,1:02.5,cat\n", ("a.wav", 61.5, 62.5, "cat", None, None)),
        ('path,start,end,label\na.wav,1.5,2.5,"cat, ""big"""\n', ("a.wav", 1.5, 2.5, 'cat, "big"', None, None)),
        ("path,start,end,label\na.wav,,,cat\n", ("a.wav", None, None, "cat", None, None)),
        ("path,start,end,label,low,high\na.wav,1.5,2.5,'=cat,20,40\n", ("a.wav", 1.5, 2.5, "=cat", 20.0, 40.0)),
    ],
)
def test_usual_columns_are_recognised(read, text, expected):
    assert facts(read(text, "labels.csv")) == [expected]


def test_columns_are_those_that_the_user_names(read):
    rows = read("a,b,c,d\nx.wav,1,2,cat\n", path="a", start="b", end="c", label="d")
    assert facts(rows) == [("x.wav", 1.0, 2.0, "cat", None, None)]
    with pytest.raises(ConfigError, match=r"no column 'e' for data\.columns\.label; columns: a, b, c, d"):
        read("a,b,c,d\nx.wav,1,2,cat\n", label="e")
    with pytest.raises(ConfigError, match=r"no column found for the label; set data\.columns\.label"):
        read("file,start,end,what\nx.wav,1,2,cat\n")


def test_each_bad_row_is_named_and_the_others_are_read(read):
    rows = read(
        "file,start,end,label\na.wav,1,2,cat\na.wav,nan,2,cat\na.wav,1,,cat\na.wav,2,2,cat\na.wav,1,2,\n"
        "a.wav,inf,2,cat\na.wav,1,soon,cat\na.wav,4,5,dog\na.wav\n",
        "t.csv",
    )
    assert [row.label for row in rows if isinstance(row, Annotation)] == ["cat", "dog"]
    assert flaws(rows) == [
        (3, "column 'start': 'nan' is not a number"),
        (4, "column 'end': an empty cell is not a number"),
        (5, "has no length: 2 s to 2 s"),
        (6, "column 'label': the label is empty"),
        (7, "column 'start': 'inf' is not a number"),
        (8, "column 'end': 'soon' is not a number"),
        (10, "column 'label': the label is empty"),
    ]


def test_two_encodings_in_one_table_are_read_line_by_line(read, caplog):
    caplog.set_level(logging.WARNING)
    head = b"file,start,end,label\n"
    rows = read(head + "a.wav,1,2,Häher\n".encode() + "a.wav,3,4,Zaunkönig\n".encode("cp1252"), "t.csv")
    assert [row.label for row in rows] == ["Häher", "Zaunkönig"]
    assert "1 of its 4 lines are not UTF-8, e.g. line 3; read as Windows-1252" in caplog.text


def test_an_unreadable_table_is_refused_in_one_line(read, tmp_path):
    with pytest.raises(DataError, match="cannot be read as utf-16"):
        read(b"\xff\xfea", "t.csv")
    with pytest.raises(DataError, match=r"gone\.csv: cannot be read: No such file"):
        read_annotations(tmp_path / "gone.csv")


@pytest.mark.parametrize(("module", "name", "text"), [("praatio", "rec.TextGrid", PRAAT), ("pympi", "rec.eaf", ELAN)])
def test_a_missing_extra_is_named(read, monkeypatch, module, name, text):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(DataError, match=r"pip install 'audiofw\[annotations\]'"):
        read(text, name)
