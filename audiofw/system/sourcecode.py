"""The code that a result depends on: source files, and all modules of audiofw that they import.

Dependencies are derived from the imports, including those inside functions, rather than from a list. Only the syntax
tree counts: changes to comments, docstrings and layout do not invalidate earlier results.
"""

from __future__ import annotations

import ast
import functools
import json
import logging
import os
import sys
import time
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from audiofw.system.atomic import write_whole
from audiofw.system.faults import warn_of_cache
from audiofw.system.hashing import digest_bytes
from audiofw.system.paths import cache_root

log = logging.getLogger(__name__)

PACKAGE = Path(__file__).parents[1]
MOST = 2000  # maximum number of files remembered, in a process and between runs
INDEX = "sources.json"
QUIET_NS = 2 * 10**9  # the coarsest resolution of time stamps, that of FAT


class Source(NamedTuple):
    """The relevant content of a source file: the digest of its code, and the names that it imports from audiofw."""

    digest: str
    imports: list[str]


def digest_code(files: Iterable[Path], *, without: Collection[str] = (), package: Path = PACKAGE) -> str:
    """Hash the code of source files and of all modules of audiofw that they import, directly or indirectly.

    Parameters
    ----------
    files : iterable of Path
    without : collection of str
        Packages of audiofw that do not affect results, such as ``report``.
    package : Path
        The folder of audiofw.

    Returns
    -------
    str
        32 hexadecimal digits, the same in all versions of Python.
    """
    files = list(files)
    found = [*files, *imported_files(files, without=without, package=package)]
    return digest_bytes("".join(read_source(file).digest for file in found).encode())


def imported_files(files: Iterable[Path], *, without: Collection[str] = (), package: Path = PACKAGE) -> list[Path]:
    """List the modules of audiofw that source files import, directly or indirectly; see `digest_code`."""
    files = set(files)
    found, todo = set(files), list(files)
    while todo:
        names = read_source(todo.pop()).imports
        new = {file for name in names for file in _files_of(name, without, package)} - found
        found |= new
        todo += new
    return sorted(found - files)


def read_source(file: Path) -> Source:
    """Read the relevant content of a source file; an unchanged file is not read again."""
    status = file.stat()
    if time.time_ns() - status.st_mtime_ns < QUIET_NS:  # it could change again within the same time stamp
        return _read(file)
    return _read_once(file, status.st_mtime_ns, status.st_size)


@functools.lru_cache(maxsize=MOST)
def _read_once(file: Path, mtime: int, size: int) -> Source:
    return _read(file)


def _read(file: Path) -> Source:
    return _index(_index_file()).look_up(file.read_bytes())


def _parse(text: bytes) -> Source:
    try:
        tree = ast.parse(text)
        return Source(digest_bytes(_essence(tree).encode()), sorted(set(_imports(tree))))
    except (SyntaxError, ValueError, RecursionError):  # e.g. a template in a plugin's package: hash its text
        return Source(digest_bytes(text), [])


# --- syntax tree ---------------------------------------------------------------------------------------------------


def _essence(node: Any) -> str:
    """Serialise a syntax tree; unlike `ast.dump`, in the same way in all versions of Python."""
    if isinstance(node, ast.AST):
        fields = ((name, _essence(getattr(node, name, None))) for name in node._fields if name != "ctx")
        return f"{type(node).__name__}({','.join(f'{name}={text}' for name, text in fields if text)})"
    if isinstance(node, list):
        return ",".join(f"[{_essence(item)}]" for item in node if not _is_docstring(item))
    return "" if node is None else ascii(node)


def _is_docstring(node: Any) -> bool:
    """Whether a node is a string statement: a docstring, also of a constant."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


# --- imports -------------------------------------------------------------------------------------------------------


def _imports(node: ast.AST, *, for_checkers: bool = False) -> Iterator[str]:
    """Iterate over the full names imported from audiofw at any depth; ``TYPE_CHECKING`` blocks only if for_checkers."""
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
    """Iterate over the files that importing a name executes: its module, and the packages that contain it.

    The root package re-exports names from the modules that define them; importing it as a whole may use any module.
    """
    modules, parts = _modules(package), name.split(".")
    if name == PACKAGE.name:
        yield from (file for file in modules.values() if file.relative_to(package).parts[0] not in without)
    elif parts[1] not in without:
        prefixes = [".".join(parts[:n]) for n in range(2, len(parts) + 1)]
        yield from (modules[prefix] for prefix in prefixes if prefix in modules)
        if prefixes[0] not in modules:
            yield from (file for full in _handed_on(name, package) for file in _files_of(full, without, package))


@functools.cache  # the set of modules does not change while the program runs
def _modules(package: Path) -> dict[str, Path]:
    """Map the full names of the package's modules to their files."""
    files = {file.relative_to(package).with_suffix("").parts: file for file in package.rglob("*.py")}
    return {".".join([PACKAGE.name, *parts]).removesuffix(".__init__"): file for parts, file in files.items()}


@functools.cache
def _handed_on(name: str, package: Path) -> list[str]:
    """Resolve a name that the root package re-exports, from its imports under ``TYPE_CHECKING``."""
    tree = ast.parse((package / "__init__.py").read_bytes())
    last = name.rpartition(".")[2]
    return [full for full in _imports(tree, for_checkers=True) if full.rpartition(".")[2] == last]


# --- index ---------------------------------------------------------------------------------------------------------


def remember_sources() -> None:
    """Save the index of parsed files for later processes; parsing all files of a run takes 0.5 s."""
    _index(_index_file()).save()


def _index_file() -> Path:
    """Locate the index: where Python keeps our compiled modules, if it does, else in the cache folder."""
    beside = PACKAGE / "__pycache__"
    is_ours = not sys.dont_write_bytecode and sys.pycache_prefix is None and os.access(beside, os.W_OK)
    return (beside if is_ours else cache_root()) / INDEX


@functools.cache
def _index(file: Path) -> SourceIndex:
    return SourceIndex(file)


class SourceIndex:
    """The relevant content of source files, keyed by the digest of their text.

    Parameters
    ----------
    file : Path
        Where the index is stored. A file that is missing, damaged or written by another version of this module is
        treated as empty.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._reader = digest_bytes(Path(__file__).read_bytes())
        self._known = self._load()
        self._changed = False

    def look_up(self, text: bytes) -> Source:
        """Return the relevant content of a source text, parsing it if it is new."""
        name = digest_bytes(text)
        if name not in self._known:
            self._known[name], self._changed = _parse(text), True
        return self._known[name]

    def save(self) -> None:
        """Save new entries; if the cache folder cannot be written, the next process parses again."""
        if not self._changed:
            return
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            write_whole(self._file, json.dumps({"reader": self._reader, "sources": self._known}).encode())
            self._changed = False
        except OSError as error:
            warn_of_cache(error)

    def _load(self) -> dict[str, Source]:
        try:
            held = json.loads(self._file.read_bytes())
            sources = {name: Source(*told) for name, told in held["sources"].items()}
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            return {}
        return sources if held["reader"] == self._reader and len(sources) < MOST else {}
