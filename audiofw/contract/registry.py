"""Find plugins where they may be, import them, and put them on the menus.

A broken plugin does not affect the others: it is recorded with the reason, a warning names it, and only choosing it
fails.
"""

from __future__ import annotations

import importlib.metadata
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import pluggy

from audiofw.contract.blame import say
from audiofw.contract.hooks import Bringer, Taken, new_manager, take_hooks
from audiofw.contract.menus import Menus
from audiofw.contract.plugin import Plugin
from audiofw.errors import PluginError
from audiofw.system.importing import import_file, import_once
from audiofw.system.paths import bundled, located

PATH_VARIABLE = "AUDIOFW_PLUGINS_PATH"
"""The environment variable that lists plugin folders, separated as in ``PATH``."""

TRACE_VARIABLE = "AUDIOFW_TRACE_PLUGINS"
"""If this environment variable is 1, stderr says which plugins are loaded from where, and what they register."""


class Origin(NamedTuple):
    """Where a plugin comes from, without a path, so that it can be found again on another machine."""

    kind: str  #: "built in", "package" or "file"
    name: str  #: name of the built-in file, of the distribution, or of the file in a plugins folder


class PluginSource(NamedTuple):
    """A plugin that can be loaded."""

    origin: Origin
    owner: str  #: shown by ``audiofw plugins``
    where: str  #: shown in error messages
    load: Callable[[], Any]


def load_menus(folders: Sequence[Path] = (), only: Sequence[Origin] | None = None) -> Menus:
    """Load all plugins: built-in ones, then those of installed packages, then those in plugin folders.

    Parameters
    ----------
    folders : sequence of Path
        Plugin folders, in addition to those in the environment variable ``AUDIOFW_PLUGINS_PATH``.
    only : sequence of Origin, optional
        Load only plugins of these origins.

    Raises
    ------
    PluginError
        If a folder does not exist. A broken plugin raises only when it is chosen.
    """
    menus, manager = Menus(), new_manager()
    seen: dict[Origin, str] = {}
    for source in _sources(folders):
        if only is not None and source.origin not in only:
            continue
        if source.origin.kind == "file" and (first := seen.setdefault(source.origin, source.where)) != source.where:
            menus.break_(source.owner, f"{source.where}: {first} has the same file name; rename one of them")
            continue
        reasons, taken = len(menus.broken), _load(menus, manager, source)
        if os.environ.get(TRACE_VARIABLE) == "1":
            for line in _traced(source, taken, [broken.reason for broken in menus.broken[reasons:]]):
                _say_once(line)
    return menus


def _load(menus: Menus, manager: pluggy.PluginManager, source: PluginSource) -> list[Taken]:
    """Import one plugin and take what its hooks register; an exception is recorded as why it is broken."""
    try:
        plugin = source.load()
    except (Exception, SystemExit) as error:  # noqa: BLE001  # a plugin's code may raise anything
        menus.break_(source.owner, f"{source.where}: import failed: {say(error)}", error=error)
        return []
    return take_hooks(menus, manager, plugin, Bringer(source.owner, source.where))


def _traced(source: PluginSource, taken: Sequence[Taken], reasons: Sequence[str]) -> Iterator[str]:
    hooks = dict.fromkeys(one.hook for one in taken)
    found = [f"{hook}: {', '.join(one.what for one in taken if one.hook == hook)}" for hook in hooks]
    yield f"plugins: {source.origin.kind}, {source.where}: {'; '.join(found) or 'nothing'}"
    yield from (f"plugins: {source.origin.kind}, not loaded: {reason}" for reason in reasons)


@cache
def _say_once(line: str) -> None:
    """Write a line to stderr, once in a process, which loads its plugins more than once."""
    sys.stderr.write(f"{line}\n")


def _sources(folders: Sequence[Path]) -> Iterator[PluginSource]:
    for folder in sorted(folder for folder in bundled("plugins").iterdir() if folder.is_dir()):
        for file in _plugin_files(folder):
            load = partial(import_once, file, f"audiofw.plugins.{folder.name}")
            yield PluginSource(Origin("built in", file.stem), "built in", file.name, load)
    for entry in sorted(importlib.metadata.entry_points(group="audiofw"), key=lambda entry: entry.name):
        name = entry.dist.name if entry.dist else entry.value
        owner = owner_of(entry)
        yield PluginSource(Origin("package", name), owner, f"{owner} ({entry.value})", entry.load)
    for file in (file for folder in [*_folders_in_environment(), *folders] for file in _plugin_files(folder)):
        yield PluginSource(
            Origin("file", file.stem), str(file), str(file), partial(import_file, file, "audiofw_plugins")
        )


def origin_of(plugin: Plugin) -> Origin:
    """Return the origin of a plugin."""
    if plugin.owner == "built in":
        return Origin("built in", Path(plugin.where).stem)
    if plugin.owner.endswith(".py"):
        return Origin("file", Path(plugin.owner).stem)
    return Origin("package", plugin.owner.partition(" ")[0])


def _folders_in_environment() -> list[Path]:
    paths = os.environ.get(PATH_VARIABLE, "").split(os.pathsep)
    return [located(path) for path in paths if path]


def _plugin_files(folder: Path) -> Iterator[Path]:
    if not folder.expanduser().is_dir():
        raise PluginError(f"{folder}: plugins folder not found; check --plugins-dir and {PATH_VARIABLE}")
    files = sorted(folder.expanduser().resolve().glob("*.py"))
    return (file for file in files if not file.name.startswith(("_", ".")))


def owner_of(entry: importlib.metadata.EntryPoint) -> str:
    """Name the package of an entry point, with its version."""
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else entry.value
