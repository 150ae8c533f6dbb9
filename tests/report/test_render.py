"""Compiled templates are kept beside their sources, and can be lost or damaged at any time."""

import shutil

import pytest

from audiofw.report import render as rendering


@pytest.fixture
def templates(tmp_path, monkeypatch):
    shutil.copytree(rendering.TEMPLATES, tmp_path / "t", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "t" / "hello.html").write_text("Hello, {{ name }}")
    monkeypatch.setattr(rendering, "TEMPLATES", tmp_path / "t")
    monkeypatch.setattr("sys.dont_write_bytecode", False)
    return tmp_path / "t"


def rendered(name="Ann & Bob"):
    rendering._environment.cache_clear()
    try:
        return rendering.render("hello.html", name=name)
    finally:
        rendering._environment.cache_clear()


def test_a_template_is_compiled_once_and_again_when_it_changes(templates, monkeypatch):
    assert rendered() == "Hello, Ann &amp; Bob"
    assert len(list((templates / "__pycache__").iterdir())) == 1
    monkeypatch.setattr("jinja2.Environment.compile", None)
    assert rendered("Cy") == "Hello, Cy"
    monkeypatch.undo()
    monkeypatch.setattr(rendering, "TEMPLATES", templates)
    (templates / "hello.html").write_text("Bye, {{ name }}")
    assert rendered() == "Bye, Ann &amp; Bob"


@pytest.mark.parametrize("damage", [b"", b"j2\x05", b"\x80\x04garbage", bytes(range(256)) * 9])
def test_a_damaged_compiled_template_is_compiled_again(templates, damage):
    rendered()
    (file,) = (templates / "__pycache__").iterdir()
    file.write_bytes(damage)
    assert rendered() == "Hello, Ann &amp; Bob"
    assert file.read_bytes() != damage


def test_compiled_templates_that_cannot_be_written_are_done_without(templates):
    (templates / "__pycache__").write_text("in the way")
    assert rendered() == "Hello, Ann &amp; Bob"


def test_nothing_is_written_where_python_writes_no_modules(templates, monkeypatch):
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    assert rendered() == "Hello, Ann &amp; Bob"
    assert not (templates / "__pycache__").exists()
