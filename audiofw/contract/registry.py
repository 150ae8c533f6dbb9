"""Find plugins, register them by kind and name, and look them up.

A broken plugin does not affect the others: it is recorded with the reason, a warning names it, and only choosing it
fails.
"""

from __future__ import annotations

import importlib.metadata
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pluggy

from audiofw.contract import hookspecs
from audiofw.contract.blame import say
from audiofw.contract.hookspecs import KINDS, TRUSTED_TYPES, Kind
from audiofw.contract.plugin import Choice, Plugin, read_plugin
from audiofw.contract.schema import Option, check, make_schema
from audiofw.errors import ConfigError, PluginError, nearest
from audiofw.system.importing import import_file, import_once
from audiofw.system.paths import bundled

log = logging.getLogger(__name__)

PATH_VARIABLE = "AUDIOFW_PLUGINS_PATH"
"""The environment variable that lists plugin folders, separated as in ``PATH``."""


@dataclass(frozen=True)
class Broken:
    """A plugin, or one function of it, that cannot be used, with the reason."""

    owner: str
    reason: str
    kind: str | None = None
    name: str | None = None
    error: BaseException | None = None  #: that its code has raised


@dataclass
class Menus:
    """The available plugins by kind and name, and the broken ones."""

    plugins: dict[str, dict[str, Plugin]] = field(default_factory=lambda: {kind: {} for kind in KINDS})
    broken: list[Broken] = field(default_factory=list)
    trusted: set[str] = field(default_factory=set)  #: full names of the classes that plugins allow in bundles

    def find(self, kind: str, name: str) -> Plugin:
        """Look up one plugin.

        Raises
        ------
        ConfigError
            If no plugin has this name; suggests the closest one.
        PluginError
            If the plugin is broken; the message gives the reason.
        """
        for broken in self.broken:
            if (broken.kind, broken.name) == (kind, name):
                raise PluginError(broken.reason) from broken.error
        if name in self.plugins[kind]:
            return self.plugins[kind][name]
        menu = self.plugins[kind]
        lost = [broken for broken in self.broken if broken.name is None]
        listed = "".join([", ".join(sorted(menu)), *(f"; not loaded: {broken.reason}" for broken in lost)])
        error = ConfigError(f"{kind}={name}: unknown {kind}{nearest(name, menu)}; available: {listed}")
        raise error from next((broken.error for broken in lost if broken.error), None)

    def choose(self, kind: str, values: Mapping[str, Any]) -> Choice:
        """Bind a plugin to its section of the composed config, after checking the values against its signature.

        Raises
        ------
        ConfigError, PluginError
            For an unknown or broken plugin, an unknown option or a value out of range.
        """
        options = {key: value for key, value in values.items() if key != "name"}
        plugin = self.find(kind, values["name"])
        check(kind, options, plugin.options, open_ended=plugin.open_ended)
        return self._bind(plugin, options)

    def choose_member(self, kind: str, name: str, options: Mapping[str, Any]) -> Choice:
        """Bind a plugin used by another one; options not given keep their defaults.

        Raises
        ------
        ConfigError, PluginError
            As for `choose`; options are named as in ``model.svm.C``.
        """
        plugin = self.find(kind, name)
        check(f"{kind}.{name}", options, plugin.options, open_ended=plugin.open_ended)
        defaults = {option.name: option.default for option in plugin.options}
        return self._bind(plugin, {**defaults, **options})

    def _bind(self, plugin: Plugin, options: Mapping[str, Any]) -> Choice:
        if "make" not in plugin.asks:  # features are pickled for worker processes, which need no other plugin
            return Choice(plugin, options)
        return Choice(plugin, options, partial(self.choose_member, plugin.kind.name))

    def add(self, plugin: Plugin) -> None:
        """Add a plugin; if two have the same name, neither can be used, since it is unclear which is meant."""
        menu = self.plugins[plugin.kind.name]
        if plugin.name not in menu:
            menu[plugin.name] = plugin
            return
        rival = menu.pop(plugin.name)
        self.break_(
            plugin.owner,
            f"{plugin.kind.name}={plugin.name}: two plugins have this name, in {rival.where} and {plugin.where}; "
            f"rename one: register({plugin.name}, name='...')",
            plugin.kind.name,
            plugin.name,
        )

    def break_(
        self,
        owner: str,
        reason: str,
        kind: str | None = None,
        name: str | None = None,
        error: BaseException | None = None,
    ) -> None:
        """Record a broken plugin with a one-line reason, and the exception that its code raised."""
        self.broken.append(Broken(owner, " ".join(reason.split()), kind, name, error))

    def warn(self) -> None:
        """Log a one-line warning for each broken plugin."""
        for broken in self.broken:
            log.warning("plugin not loaded: %s", broken.reason)

    def store(self) -> None:
        """Store the schemas of all plugins in Hydra's ConfigStore; call it before Hydra parses the command line."""
        from hydra.core.config_store import ConfigStore

        store = ConfigStore.instance()
        for kind, menu in self.plugins.items():
            store.repo.pop(kind, None)  # left by an earlier call in this process
            for name, plugin in menu.items():
                options = [Option("name", str, name), *plugin.options]
                store.store(group=kind, name=name, node=make_schema(name, options), provider=plugin.owner)


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
    menus, manager = Menus(), pluggy.PluginManager("audiofw")
    manager.add_hookspecs(hookspecs)
    seen: dict[Origin, str] = {}
    for source in _sources(folders):
        if only is not None and source.origin not in only:
            continue
        if source.origin.kind == "file" and (first := seen.setdefault(source.origin, source.where)) != source.where:
            menus.break_(source.owner, f"{source.where}: {first} has the same file name; rename one of them")
            continue
        _load(menus, manager, source)
    return menus


def _sources(folders: Sequence[Path]) -> Iterator[PluginSource]:
    for folder in sorted(folder for folder in bundled("plugins").iterdir() if folder.is_dir()):
        for file in _plugin_files(folder):
            load = partial(import_once, file, f"audiofw.plugins.{folder.name}")
            yield PluginSource(Origin("built in", file.stem), "built in", file.name, load)
    for entry in sorted(importlib.metadata.entry_points(group="audiofw"), key=lambda entry: entry.name):
        name = entry.dist.name if entry.dist else entry.value
        owner = _distribution(entry)
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
    return [Path(path) for path in paths if path]


def _plugin_files(folder: Path) -> Iterator[Path]:
    if not folder.expanduser().is_dir():
        raise PluginError(f"{folder}: plugins folder not found; check --plugins-dir and {PATH_VARIABLE}")
    files = sorted(folder.expanduser().resolve().glob("*.py"))
    return (file for file in files if not file.name.startswith(("_", ".")))


def _distribution(entry: importlib.metadata.EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else entry.value


def _load(menus: Menus, manager: pluggy.PluginManager, source: PluginSource) -> None:
    """Load one plugin and add what its hooks register; an exception is recorded as the reason that it is broken."""
    owner, where = source.owner, source.where
    try:
        plugin = source.load()
        name = manager.register(plugin, name=where)
    except (Exception, SystemExit) as error:  # noqa: BLE001  # a plugin's code may raise anything
        menus.break_(owner, f"{where}: import failed: {say(error)}", error=error)
        return
    hooks = list(manager.get_hookcallers(plugin) or ())
    known = [*(kind.hook for kind in KINDS.values()), TRUSTED_TYPES]
    for unknown in (hook.name for hook in hooks if hook.spec is None):
        menus.break_(owner, f"{where}: unknown hook '{unknown}'{nearest(unknown, known)}; hooks: {', '.join(known)}")
    if not hooks:
        menus.break_(owner, f"{where}: registers no plugin; add @hookimpl above def register_features(register)")
    for kind in KINDS.values():
        for impl in _own_hooks(manager, kind.hook, name):
            _take(menus, kind, owner, where, impl)
    for impl in _own_hooks(manager, TRUSTED_TYPES, name):
        _take_trusted(menus, owner, where, impl)


def _own_hooks(manager: pluggy.PluginManager, hook: str, plugin: str | None) -> list[Callable[..., None]]:
    return [impl.function for impl in getattr(manager.hook, hook).get_hookimpls() if impl.plugin_name == plugin]


def _take(menus: Menus, kind: Kind, owner: str, where: str, hook: Callable[..., None]) -> None:
    def register(function: Callable[..., Any], name: str | None = None, **facts: Any) -> None:
        label = name or getattr(function, "__name__", "?")
        try:
            menus.add(read_plugin(kind, function, owner, name=name, **facts))
        except PluginError as error:
            menus.break_(owner, f"{where}: {error}", kind.name, label)

    try:
        hook(register)
    except (Exception, SystemExit) as error:  # noqa: BLE001  # a plugin's code may raise anything
        menus.break_(owner, f"{where}: {kind.hook} failed: {say(error, hook)}", error=error)


def _take_trusted(menus: Menus, owner: str, where: str, hook: Callable[..., None]) -> None:
    def register(*names: str) -> None:
        for name in names:
            if not (isinstance(name, str) and all(part.isidentifier() for part in name.split(".")) and "." in name):
                raise PluginError(f"{name!r} is not the full name of a class, such as 'package.module.Class'")
            menus.trusted.add(name)

    try:
        hook(register)
    except PluginError as error:
        menus.break_(owner, f"{where}: {TRUSTED_TYPES} failed: {error}")
    except (Exception, SystemExit) as error:  # noqa: BLE001  # a plugin's code may raise anything
        menus.break_(owner, f"{where}: {TRUSTED_TYPES} failed: {say(error, hook)}", error=error)
