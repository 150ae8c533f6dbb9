"""The libraries that a plugin needs and that are not installed, and the command that installs them."""

from __future__ import annotations

import ast
import importlib.metadata
import importlib.util
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator
from typing import Any

_REQUIREMENT = re.compile(r"([\w.-]+).*?\bextra\s*==\s*['\"]([\w.-]+)['\"]")


def missing_libraries(function: Callable[..., Any]) -> list[str]:
    """List the libraries that a plugin's function imports and that cannot be found; none of them is imported.

    Imports in a ``try`` are left out: a function can do without these.
    """
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(function))))
    except (OSError, SyntaxError, TypeError):  # without source, choosing it will tell
        return []
    return [name for name in dict.fromkeys(_imported(tree)) if not _is_found(name)]


def _imported(node: ast.AST) -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in child.names)
        elif isinstance(child, ast.ImportFrom) and child.module and not child.level:
            yield child.module.partition(".")[0]
        elif not isinstance(child, ast.Try):
            yield from _imported(child)


def _is_found(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):  # ValueError for a module that somebody has put in place of the library
        return False


def install_command(library: str, owner: str = "") -> str:
    """Write the command that installs a library: by the extra of a package that has it, if there is one.

    Parameters
    ----------
    library : str
        As it is imported.
    owner : str
        Name of the distribution that needs it, which is searched before audiofw itself.
    """
    for distribution in filter(None, [owner, "audiofw"]):
        for requirement, extra in _extras(distribution):
            if _normal(requirement) == _normal(library):
                return f'pip install "{distribution}[{extra}]"'
    return f"pip install {library}"


def _extras(distribution: str) -> Iterator[tuple[str, str]]:
    try:
        required = importlib.metadata.requires(distribution) or ()
    except importlib.metadata.PackageNotFoundError:  # a checkout that is not installed
        return
    yield from (match.groups() for line in required if (match := _REQUIREMENT.match(line)))  # type: ignore[misc]


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
