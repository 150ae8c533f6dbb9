"""Progress without a terminal: a line every ten seconds at most, in the log, too; nothing if it is not wanted."""

import logging

import pytest

from audiofw.system import progress
from audiofw.system.progress import counting


@pytest.fixture
def clock(monkeypatch):
    """Set the time: ``clock(seconds)``."""
    now = [0.0]
    monkeypatch.setattr(progress, "monotonic", lambda: now[0])
    return lambda seconds: now.__setitem__(0, seconds)


@pytest.fixture
def said(caplog):
    caplog.set_level(logging.INFO)
    return lambda: caplog.messages


def test_lines_come_every_ten_seconds_at_most(clock, said):
    with counting("fit", 100) as advance:
        for i in range(1, 41):
            clock(i)
            advance()
    assert said() == [
        "fit: 10 of 100, about 90 s left",
        "fit: 20 of 100, about 80 s left",
        "fit: 30 of 100, about 70 s left",
        "fit: 40 of 100, about 60 s left",
    ]


def test_slow_steps_are_each_a_line_but_the_last(clock, said):
    with counting("audit", 3) as advance:
        for i in range(1, 4):
            clock(60 * i)
            advance()
    assert said() == ["audit: 1 of 3, about 2 min left", "audit: 2 of 3, about 60 s left"]


def test_without_a_total_the_count_is_said(clock, said):
    with counting("predict", None) as advance:
        clock(11)
        advance()
    assert said() == ["predict: 1"]


def test_what_is_quick_is_not_said(said):
    with counting("fit", 5) as advance:
        for _ in range(5):
            advance()
    assert said() == []


def test_nothing_is_said_if_it_is_not_wanted(clock, said, monkeypatch):
    monkeypatch.setenv("AUDIOFW_VERBOSITY", "quiet")
    with counting("fit", 100) as advance:
        clock(60)
        advance()
    assert said() == []
