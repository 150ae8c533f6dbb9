"""Write the files of a new plugin: the examples of the docs under another name, with a test, alone or as a package."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from keyword import iskeyword
from pathlib import Path
from typing import Any, NamedTuple

import jinja2

from audiofw.contract.registry import load_menus
from audiofw.errors import ConfigError, DataError
from audiofw.system.atomic import write_whole
from audiofw.version import __version__

TEMPLATES = Path(__file__).with_name("templates")
LICENCES = tuple(sorted(file.stem for file in (TEMPLATES / "licences").iterdir()))  # their SPDX names
MODULE = re.compile(r"[a-z][a-z0-9_]*")
PACKAGE = re.compile(r"[a-z][a-z0-9]*([-_.][a-z0-9]+)*")


class New(NamedTuple):
    """A plugin to be written: its name, which is also that of its file and function, and its kind."""

    name: str
    kind: str


class Publisher(NamedTuple):
    """The author and licence of a package."""

    author: str
    licence: str  #: one of `LICENCES`


def render_template(template: str, **values: Any) -> str:
    """Fill in one of the templates of this folder."""
    loader = jinja2.FileSystemLoader(TEMPLATES)
    environment = jinja2.Environment(
        loader=loader, trim_blocks=True, keep_trailing_newline=True, undefined=jinja2.StrictUndefined
    )
    return environment.get_template(f"{template}.jinja").render(values)


def name_plugins(name: str, kinds: Sequence[str]) -> list[New]:
    """Name one plugin for each kind: ``loudness``, or ``loudness_feature`` and ``loudness_model`` if there are several.

    Raises
    ------
    ConfigError
        For a name that cannot be that of a plugin, or that another plugin has.
    """
    if not MODULE.fullmatch(name) or iskeyword(name):
        raise ConfigError(f"'{name}': use lowercase letters, digits and _, beginning with a letter")
    kinds = list(dict.fromkeys(kinds))
    plugins = [New(name if len(kinds) == 1 else f"{name}_{kind}", kind) for kind in kinds]
    menus = load_menus()
    for plugin in plugins:
        if taken := menus.plugins[plugin.kind].get(plugin.name):
            raise ConfigError(f"{plugin.kind}={plugin.name}: already exists, in {taken.where}; choose another name")
    return plugins


def plugin_files(plugins: Iterable[New], folder: str) -> dict[str, str]:
    """Write plugins into a folder, and a test of each beside it: text by path."""
    files = {}
    for name, kind in plugins:
        files[f"{folder}/{name}.py"] = render_template(f"{kind}.py", name=name)
        values = {"subject": f"{kind}={name}", "file": f"{folder}/{name}.py", "package": ""}
        files[f"tests/test_{name}.py"] = render_template("test.py", **values)
    return files


def package_files(plugins: Sequence[New], package: str, publisher: Publisher) -> dict[str, str]:
    """Write a distribution that brings plugins: text by path, below the package's own folder.

    Raises
    ------
    ConfigError
        For a name that a package cannot have.
    """
    if not PACKAGE.fullmatch(package) or package == "audiofw":
        raise ConfigError(f"--package {package}: give the name of a package, e.g. audiofw-{plugins[0].name}")
    module, names = re.sub(r"[-.]", "_", package), [plugin.name for plugin in plugins]
    code = {name: render_template(f"{kind}.py", name=name) for name, kind in plugins}
    listed = [(kind, name, _summary(code[name])) for name, kind in plugins]
    values: Mapping[str, Any] = {
        **publisher._asdict(),
        "package": package,
        "module": module,
        "names": names,
        "plugins": listed,
        "summary": f"Plugins for audiofw: {', '.join(names)}.",
        "choice": " ".join(f"{kind}={name}" for name, kind in plugins),
        "version": __version__,
        "year": datetime.now().year,
        "subject": package,
        "file": "",
    }
    return {
        "pyproject.toml": render_template("pyproject.toml", **values),
        "README.md": render_template("README.md", **values),
        "LICENSE": render_template(f"licences/{publisher.licence}", **values),
        ".github/workflows/test.yml": render_template("ci.yml", **values),
        f"src/{module}/__init__.py": f'"""{values["summary"]}"""\n',
        **{f"src/{module}/{name}.py": text for name, text in code.items()},
        f"tests/test_{module}.py": render_template("test.py", **values),
    }


def _summary(code: str) -> str:
    return code.partition('"""')[2].partition("\n")[0]


def write_files(files: Mapping[str, str], below: Path) -> list[Path]:
    """Write files below a folder; none of them is replaced.

    Raises
    ------
    ConfigError
        If one of them is there already.
    DataError
        If one cannot be written.
    """
    paths = {below / name: text for name, text in files.items()}
    for path in paths:
        if path.exists():
            raise ConfigError(f"{path}: already exists; choose another name, or remove it")
    for path, text in paths.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, text.encode())
        except OSError as error:
            raise DataError(f"{path}: cannot be written: {error.strerror or error}") from error
    return list(paths)
