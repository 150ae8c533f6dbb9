"""Rows of label tables."""

from pathlib import Path

import pytest

from audiofw.data.annotations.rows import Annotation, read_number
from audiofw.errors import DataError


@pytest.mark.parametrize(
    ("text", "value"),
    [("12.5", 12.5), (" 12,5 ", 12.5), ("0", 0.0), ("-1", -1.0), ("1e2", 100.0), ("1:02:03.5", 3723.5), ("02:03", 123)],
)
def test_numbers_are_read_as_programs_and_people_write_them(text, value):
    assert read_number(text, "start") == value


@pytest.mark.parametrize("text", ["", "nan", "inf", "soon", "1,000,5", "1,000.5"])
def test_text_that_is_not_a_number_is_named_with_its_column(text):
    with pytest.raises(DataError, match=r"column 'start': .* is not a number"):
        read_number(text, "start")


def test_a_row_says_where_it_stands():
    assert Annotation("a.wav", 0.0, 1.0, "cat", source=Path("t.csv"), line=3).where == "t.csv: line 3"
