"""How locations are shown to the user."""

from __future__ import annotations

import pytest

from audiofw.system.paths import from_here


@pytest.mark.parametrize(("name", "shown"), [("run", "run"), ("a/b c", "a/b c"), ("-run", "./-run"), ("", ".")])
def test_a_path_below_the_working_directory_is_relative_and_no_option(name, shown, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert from_here(tmp_path / name) == shown


def test_a_path_elsewhere_is_absolute(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert from_here(tmp_path / "run") == str(tmp_path / "run")
