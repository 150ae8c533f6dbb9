"""No text cell of a CSV file is a formula, and every text comes back as it was."""

import csv
import io

from hypothesis import given
from hypothesis import strategies as st

from audiofw.system.spreadsheet import SPECIAL, csv_text, escape, read_records, read_rows, records_text, unescape

TEXTS = st.text(st.characters(exclude_categories=["Cs"])) | st.builds(
    str.__add__, st.sampled_from([*SPECIAL, "''", "'="]), st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
)


@given(TEXTS)
def test_every_text_comes_back(text):
    assert unescape(escape(text)) == text


@given(st.lists(st.lists(TEXTS, min_size=1, max_size=4), min_size=1, max_size=5))
def test_every_row_comes_back_from_a_file_and_none_of_its_cells_is_a_formula(rows):
    text = csv_text(rows)
    assert list(read_rows(io.StringIO(text, newline=""))) == rows
    for row in csv.reader(io.StringIO(text, newline="")):
        assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) for cell in row)


def test_numbers_stay_numbers():
    assert csv_text([["-x", -1, -0.5, None, True]]) == "'-x,-1,-0.5,,True\n"


def test_records_share_a_header():
    records = [{"path": "=a", "value": -1}, {"path": "b", "reason": "-"}]
    text = records_text(records)
    assert text == "path,value,reason\n'=a,-1,\nb,,'-\n"
    assert read_records(io.StringIO(text, newline=""))[1] == {"path": "b", "value": "", "reason": "-"}
