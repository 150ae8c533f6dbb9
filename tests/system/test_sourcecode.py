"""The code that a result depends on is found by its imports, and counts by what it does."""

from __future__ import annotations

import json
import os
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from audiofw.system import sourcecode
from audiofw.system.paths import cache_root
from audiofw.system.sourcecode import digest_code, imported_files, remember_sources

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a source file: ``write("core.py", text)``."""

    def write(name: str, text: str) -> Path:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text))
        return file

    return write


# --- what counts of a file ---------------------------------------------------------------------------------

CODE = '''
    """What it is for."""

    from math import pi  # as is known

    TAU = 2 * pi
    """Once round."""


    class Circle:
        """All round."""

        def area(self, r, *, scale=1.0):
            """Its area."""
            # the well-known one
            return f"{scale * pi * r**2:.1f}" if r else None
'''


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("# the well-known one", "# Archimedes'"),
        ("What it is for", "What it is not for"),
        ('"""All round."""\n', '"""All round."""\n\n\n'),
        ("Its area", "The area\n\n            In square metres."),
        ("Once round", "Twice"),
        ("self, r, *, scale=1.0", "\n            self, r, *,\n            scale=1.0,\n        "),
        ("2 * pi", "(2 * pi)"),
        ("  # as is known", ""),
    ],
)
def test_comments_docstrings_and_layout_do_not_count(write, old, new):
    assert old in CODE
    assert digest_code([write("a.py", CODE)]) == digest_code([write("b.py", CODE.replace(old, new))])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("2 * pi", "3 * pi"),
        ("scale=1.0", "scale=1"),
        ("r**2:.1f", "r**2:.2f"),
        ("if r else", "if not r else"),
        ("area(self", "surface(self"),
        ("from math import pi", "from numpy import pi"),
        ("else None", "else 'None'"),
        ("2 * pi\n", "2 * pi\n    pi = 3\n"),
    ],
)
def test_every_change_of_code_counts(write, old, new):
    assert old in CODE
    assert digest_code([write("a.py", CODE)]) != digest_code([write("b.py", CODE.replace(old, new))])


def test_the_digest_is_the_same_in_every_python(write):
    text = """
        import os.path as p, sys
        async def f(a, /, b: int = 1, *c, d=(1, 2.5, 3j), **e) -> "x":
            global g
            with open(p) as h, h: del h[0:1], h[..., ::2]
            async for i in {**e, 'k': b'\\x00'}: await i
            return [*c, lambda: (yield), {j for j in c if j if not j}, f"{b!r:>9} and {c=}", not -a @ ~b]
        match sys.argv:
            case [str(x), *_] | {"a": x, **rest} if x is not None: pass
            case C(y=1 | 2) as z: raise z from None
            case _: assert (w := True) <= 1 != 2, w
        try: x: int = 10**30
        except* (OSError, ValueError) as error: nonlocal_ = error
        else: x += 1; y = z = 'é\\ud800'
        @f
        class C(B, metaclass=M):
            while False: continue
            else: x[1] = None if a else b.c.d(e, *f, g=h, **i)
    """
    assert digest_code([write("all.py", text)]) == "2cc1fb6b823a7d620c7ce0e18977308e"


def test_of_a_file_that_is_no_python_the_text_counts(write):
    digests = {digest_code([write("template.py", text)]) for text in ("{{ name }} = 1 2", "{{ name }} = 1 3")}
    assert len(digests) == 2


def test_a_file_changed_within_one_time_stamp_is_noticed(write):
    file = write("a.py", "x = 1")
    status, before = file.stat(), digest_code([file])
    write("a.py", "x = 2")
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert digest_code([file]) != before


# --- which files count -------------------------------------------------------------------------------------


@pytest.fixture
def package(write: Write, tmp_path: Path) -> Path:
    """A small audiofw."""
    write(
        "audiofw/__init__.py",
        """
        from typing import TYPE_CHECKING
        from audiofw.marks import mark
        if TYPE_CHECKING:
            from audiofw.big import run
        """,
    )
    for name in ("audiofw/marks.py", "audiofw/plain.py", "audiofw/other.py", "audiofw/far/__init__.py"):
        write(name, "def mark(): pass")
    write("audiofw/far/deep.py", "import numpy, audiofw.far.deeper as deeper")
    write("audiofw/far/deeper.py", "from audiofw import plain")
    write("audiofw/big.py", "def run():\n    if run:\n        from audiofw.far import deep, mark")
    write("audiofw/show/__init__.py", "")
    write("audiofw/show/page.py", "from audiofw.other import x")
    return tmp_path / "audiofw"


DEEP = ["far/__init__.py", "far/deep.py", "far/deeper.py", "plain.py"]


@pytest.mark.parametrize(
    ("code", "files"),
    [
        ("import numpy", []),
        ("from audiofw.plain import x", ["plain.py"]),
        ("from audiofw import plain", ["plain.py"]),
        ("import audiofw.plain as p", ["plain.py"]),
        ("def f():\n    from audiofw.far.deep import x", DEEP),
        ("try:\n    pass\nexcept ValueError:\n    import audiofw.far.deep", DEEP),
        ("match 1:\n    case 1:\n        import audiofw.far.deep", DEEP),
        ("from audiofw.far import mark", ["far/__init__.py"]),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import audiofw.plain\nelse:\n    x = 1", []),
        (
            "import typing\nif typing.TYPE_CHECKING:\n    import audiofw.plain\nelse:\n    import audiofw.marks",
            ["marks.py"],
        ),
        ("from audiofw import mark", ["marks.py"]),
        ("from audiofw import run", ["big.py", *DEEP]),
        ("from audiofw.show import page", ["other.py", "show/__init__.py", "show/page.py"]),
        ("from audiofwish import plain", []),
        ("from audiofw import nothing", []),
    ],
)
def test_what_is_imported_counts_wherever_the_import_stands(write, package, code, files):
    found = imported_files([write("mine.py", code)], package=package)
    assert [file.relative_to(package).as_posix() for file in found] == files


def test_audiofw_asked_for_as_a_whole_may_be_any_of_it(write, package):
    found = imported_files([write("mine.py", "import audiofw")], package=package)
    assert found == sorted(package.rglob("*.py"))


def test_a_package_that_does_not_matter_is_left_out_with_what_only_it_imports(write, package):
    file = write("mine.py", "from audiofw import plain\nfrom audiofw.show import page")
    assert imported_files([file], without=["show"], package=package) == [package / "plain.py"]
    whole = imported_files([write("whole.py", "import audiofw")], without=["show"], package=package)
    assert whole == sorted(set(package.rglob("*.py")) - set((package / "show").iterdir()))


def test_modules_that_import_each_other_end(write, package):
    write("audiofw/plain.py", "import audiofw.other")
    write("audiofw/other.py", "import audiofw.plain")
    found = imported_files([package / "plain.py"], package=package)
    assert found == [package / "other.py"]


# --- what is remembered ------------------------------------------------------------------------------------


@pytest.fixture
def another_process(monkeypatch):
    """Forget what this process knows; and refuse to parse, if so told. What is remembered is in the cache."""
    monkeypatch.setattr("sys.dont_write_bytecode", True)

    def begin(*, parse: bool = True) -> None:
        for remembered in (sourcecode._index, sourcecode._read_once, sourcecode._modules, sourcecode._handed_on):
            remembered.cache_clear()
        if not parse:
            monkeypatch.setattr(sourcecode, "_parse", None)

    return begin


def test_an_unchanged_file_is_parsed_once_for_all_processes(write, package, another_process):
    another_process()
    file = write("mine.py", "from audiofw.far import deep")
    digest = digest_code([file], package=package)
    remember_sources()
    another_process(parse=False)
    assert digest_code([file], package=package) == digest
    write("mine.py", "from audiofw.far import deep; x = 1")
    with pytest.raises(TypeError):
        digest_code([file], package=package)


def test_what_is_remembered_lies_beside_our_compiled_modules_where_python_writes_these(tmp_path, monkeypatch):
    monkeypatch.setattr(sourcecode, "PACKAGE", tmp_path)
    monkeypatch.setattr("sys.dont_write_bytecode", False)
    assert sourcecode._index_file() == cache_root() / sourcecode.INDEX
    (tmp_path / "__pycache__").mkdir()
    assert sourcecode._index_file() == tmp_path / "__pycache__" / sourcecode.INDEX
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    assert sourcecode._index_file() == cache_root() / sourcecode.INDEX


def test_nothing_is_kept_unasked(write):
    digest_code([write("mine.py", "x = 1")])
    assert not cache_root().exists() or not list(cache_root().iterdir())


@pytest.mark.parametrize("damage", ["", "[]", '{"reader": 1}', "reader", "sources"])
def test_a_damaged_memory_or_one_of_another_reader_is_begun_anew(write, another_process, damage):
    another_process()
    digest, memory = digest_code([write("mine.py", "x = 1")]), cache_root() / sourcecode.INDEX
    remember_sources()
    held = json.loads(memory.read_text())
    memory.write_text(json.dumps({**held, damage: "x"}) if damage in held else damage)
    another_process()
    assert digest_code([write("mine.py", "x = 1")]) == digest
    remember_sources()
    assert json.loads(memory.read_text()) == held


def test_a_cache_that_cannot_be_written_costs_only_the_memory(write, another_process, monkeypatch):
    another_process()
    monkeypatch.setenv("AUDIOFW_CACHE", str(write("a file", "") / "cache"))
    assert digest_code([write("mine.py", "x = 1")]) == digest_code([write("mine.py", "x = 1  # one")])
    remember_sources()
