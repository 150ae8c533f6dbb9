"""The code that a result depends on: some source files, and all modules of audiofw that they import.

It is derived from the imports, those inside functions too, so that no list has to be kept. Only what code does counts:
comments, docstrings and layout may change, and what was computed stays valid.
"""

from __future__ import annotations

import ast
import functools
import json
import logging
import time
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from audiofw.system.atomic import write_whole
from audiofw.system.hashing import digest_bytes
from audiofw.system.paths import cache_root

log = logging.getLogger(__name__)

PACKAGE = Path(__file__).parents[1]
MOST = 2000  # files whose reading is remembered, in a process and between runs
INDEX = "sources.json"  # in the cache folder
QUIET_NS = 2 * 10**9  # the coarsest time stamp in use, FAT's


class Source(NamedTuple):
    """What counts of a source file: the digest of its code, and the names of audiofw that it imports."""

    digest: str
    imports: list[str]


def digest_code(files: Iterable[Path], *, without: Collection[str] = (), package: Path = PACKAGE) -> str:
    """Hash the code of some source files and of the modules of audiofw that they import, directly or through others.

    Parameters
    ----------
    files : iterable of Path
    without : collection of str
        Packages of audiofw that do not matter to what is computed, such as ``report``.
    package : Path
        The folder of audiofw.

    Returns
    -------
    str
        32 hexadecimal digits, the same in every version of Python.
    """
    files = list(files)
    found = [*files, *imported_files(files, without=without, package=package)]
    return digest_bytes("".join(read_source(file).digest for file in found).encode())


def imported_files(files: Iterable[Path], *, without: Collection[str] = (), package: Path = PACKAGE) -> list[Path]:
    """List the modules of audiofw that some source files import, directly or through others; see `digest_code`."""
    files = set(files)
    found, todo = set(files), list(files)
    while todo:
        names = read_source(todo.pop()).imports
        new = {file for name in names for file in _files_of(name, without, package)} - found
        found |= new
        todo += new
    return sorted(found - files)


def read_source(file: Path) -> Source:
    """Read what counts of a source file; one that is unchanged since is not read again."""
    status = file.stat()
    if time.time_ns() - status.st_mtime_ns < QUIET_NS:  # it may change again within the same time stamp
        return _read(file)
    return _read_once(file, status.st_mtime_ns, status.st_size)


@functools.lru_cache(maxsize=MOST)
def _read_once(file: Path, mtime: int, size: int) -> Source:
    return _read(file)


def _read(file: Path) -> Source:
    return _index(cache_root() / INDEX).look_up(file.read_bytes())


def _parse(text: bytes) -> Source:
    try:
        tree = ast.parse(text)
        return Source(digest_bytes(_essence(tree).encode()), sorted(set(_imports(tree))))
    except (SyntaxError, ValueError, RecursionError):  # a template in a plugin's package, say: all of its text counts
        return Source(digest_bytes(text), [])


# --- what code does ------------------------------------------------------------------------------------------------


def _essence(node: Any) -> str:
    """Write a syntax tree in one way; `ast.dump` writes another one in each version of Python."""
    if isinstance(node, ast.AST):
        fields = ((name, _essence(getattr(node, name, None))) for name in node._fields if name != "ctx")
        return f"{type(node).__name__}({','.join(f'{name}={text}' for name, text in fields if text)})"
    if isinstance(node, list):
        return ",".join(f"[{_essence(item)}]" for item in node if not _is_docstring(item))
    return "" if node is None else ascii(node)


def _is_docstring(node: Any) -> bool:
    """Whether a node is a text that stands by itself, after a constant, too: a statement that does nothing."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


# --- what it imports -----------------------------------------------------------------------------------------------


def _imports(node: ast.AST, *, for_checkers: bool = False) -> Iterator[str]:
    """List the full names of audiofw that code imports, wherever in it; for type checkers alone only if wanted."""
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    else:
        names = [f"{node.module}.{alias.name}" for alias in node.names] if isinstance(node, ast.ImportFrom) else []
    yield from (name for name in names if name.partition(".")[0] == PACKAGE.name)
    skipped = node.body if isinstance(node, ast.If) and _asks_for_checkers(node) and not for_checkers else []
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.stmt, ast.ExceptHandler, ast.match_case)) and child not in skipped:
            yield from _imports(child, for_checkers=for_checkers)


def _asks_for_checkers(node: ast.If) -> bool:
    return ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def _files_of(name: str, without: Collection[str], package: Path) -> Iterator[Path]:
    """Give the files that importing a name runs: its module's, and those of the packages around it.

    The root package hands names on from where they are defined; asked for as a whole, it may be any of its modules.
    """
    modules, parts = _modules(package), name.split(".")
    if name == PACKAGE.name:
        yield from (file for file in modules.values() if file.relative_to(package).parts[0] not in without)
    elif parts[1] not in without:
        prefixes = [".".join(parts[:n]) for n in range(2, len(parts) + 1)]
        yield from (modules[prefix] for prefix in prefixes if prefix in modules)
        if prefixes[0] not in modules:
            yield from (file for full in _handed_on(name, package) for file in _files_of(full, without, package))


@functools.cache  # which modules there are does not change while one runs
def _modules(package: Path) -> dict[str, Path]:
    """Find the modules of the package by their full names."""
    files = {file.relative_to(package).with_suffix("").parts: file for file in package.rglob("*.py")}
    return {".".join([PACKAGE.name, *parts]).removesuffix(".__init__"): file for parts, file in files.items()}


@functools.cache
def _handed_on(name: str, package: Path) -> list[str]:
    """Find what the root package means by a name; what it imports when asked, it also imports for type checkers."""
    tree = ast.parse((package / "__init__.py").read_bytes())
    last = name.rpartition(".")[2]
    return [full for full in _imports(tree, for_checkers=True) if full.rpartition(".")[2] == last]


# --- what was read before ------------------------------------------------------------------------------------------


def remember_sources() -> None:
    """Keep for later processes what has been parsed: all of a run takes 0.2 s."""
    _index(cache_root() / INDEX).save()


@functools.cache
def _index(file: Path) -> SourceIndex:
    return SourceIndex(file)


class SourceIndex:
    """What counts of source files, by the digest of their whole text.

    Parameters
    ----------
    file : Path
        Where it is kept; a missing or damaged file, or one that another version of this module wrote, holds nothing.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._reader = digest_bytes(Path(__file__).read_bytes())
        self._known = self._load()
        self._changed = False

    def look_up(self, text: bytes) -> Source:
        """Give what counts of a text, which is parsed if it is new."""
        name = digest_bytes(text)
        if name not in self._known:
            self._known[name], self._changed = _parse(text), True
        return self._known[name]

    def save(self) -> None:
        """Write what is new, if the cache folder can be written."""
        if not self._changed:
            return
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            write_whole(self._file, json.dumps({"reader": self._reader, "sources": self._known}).encode())
            self._changed = False
        except OSError as error:
            log.debug("%s: %s", self._file, error)

    def _load(self) -> dict[str, Source]:
        try:
            held = json.loads(self._file.read_bytes())
            sources = {name: Source(*told) for name, told in held["sources"].items()}
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            return {}
        return sources if held["reader"] == self._reader and len(sources) < MOST else {}
