"""Find plugins, put them on the menus, and look one up by kind and name.

A plugin that is broken costs only itself: it is kept with its reason, a warning names it, and only choosing
it fails.
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
from audiofw.contract.hookspecs import KINDS, TRUSTED_TYPES, Kind
from audiofw.contract.plugin import Choice, Plugin, read_plugin
from audiofw.contract.schema import Option, check, make_schema
from audiofw.errors import ConfigError, PluginError, nearest
from audiofw.system.importing import import_file
from audiofw.system.paths import bundled

log = logging.getLogger(__name__)

PATH_VARIABLE = "AUDIOFW_PLUGINS_PATH"
"""The environment variable that lists plugin folders, separated as in ``PATH``."""


@dataclass(frozen=True)
class Broken:
    """A plugin, or one function of it, that cannot be used, and why."""

    owner: str
    reason: str
    kind: str | None = None
    name: str | None = None


@dataclass
class Menus:
    """Every plugin that was found, by kind and name, and every one that is broken."""

    plugins: dict[str, dict[str, Plugin]] = field(default_factory=lambda: {kind: {} for kind in KINDS})
    broken: list[Broken] = field(default_factory=list)
    trusted: set[str] = field(default_factory=set)  #: classes, by full name, that plugins let bundles hold

    def find(self, kind: str, name: str) -> Plugin:
        """Look up one plugin.

        Raises
        ------
        PluginError
            When it is on no menu, with the nearest name, or when it is broken, with its reason.
        """
        for broken in self.broken:
            if (broken.kind, broken.name) == (kind, name):
                raise PluginError(broken.reason)
        if name in self.plugins[kind]:
            return self.plugins[kind][name]
        menu = self.plugins[kind]
        lost = "".join(f"; not loaded: {b.reason}" for b in self.broken if b.name is None)
        raise ConfigError(
            f"{kind}={name}: there is no such {kind}{nearest(name, menu)}; on the menu: {', '.join(sorted(menu))}{lost}"
        )

    def choose(self, kind: str, values: Mapping[str, Any]) -> Choice:
        """Bind a plugin to its section of the composed config, checked against its signature.

        Raises
        ------
        ConfigError, PluginError
            For an unknown plugin or option, and a value out of range.
        """
        options = {key: value for key, value in values.items() if key != "name"}
        plugin = self.find(kind, values["name"])
        check(kind, options, plugin.options, open_ended=plugin.open_ended)
        return self._bind(plugin, options)

    def choose_member(self, kind: str, name: str, options: Mapping[str, Any]) -> Choice:
        """Bind a plugin that another one is made of: some options given, the others at their defaults.

        Raises
        ------
        ConfigError, PluginError
            As `choose` does; an option is named as in ``model.svm.C``.
        """
        plugin = self.find(kind, name)
        check(f"{kind}.{name}", options, plugin.options, open_ended=plugin.open_ended)
        defaults = {option.name: option.default for option in plugin.options}
        return self._bind(plugin, {**defaults, **options})

    def _bind(self, plugin: Plugin, options: Mapping[str, Any]) -> Choice:
        if "make" not in plugin.asks:  # a feature's choice goes to other processes, and should not take all menus along
            return Choice(plugin, options)
        return Choice(plugin, options, partial(self.choose_member, plugin.kind.name))

    def add(self, plugin: Plugin) -> None:
        """Put a plugin on its menu; two of one name make the name unusable, since either may be meant."""
        menu = self.plugins[plugin.kind.name]
        if plugin.name not in menu:
            menu[plugin.name] = plugin
            return
        rival = menu.pop(plugin.name)
        self.break_(
            plugin.owner,
            f"{plugin.kind.name}={plugin.name}: two plugins have this name, in {rival.where} and {plugin.where}; "
            f"give one another: register({plugin.name}, name='...')",
            plugin.kind.name,
            plugin.name,
        )

    def break_(self, owner: str, reason: str, kind: str | None = None, name: str | None = None) -> None:
        """Keep what is broken, and why, on one line."""
        self.broken.append(Broken(owner, " ".join(reason.split()), kind, name))

    def warn(self) -> None:
        """Say in one line each which plugins are not on the menus."""
        for broken in self.broken:
            log.warning("plugin left out: %s", broken.reason)

    def store(self) -> None:
        """Put every menu into Hydra's ConfigStore, before Hydra reads the command line."""
        from hydra.core.config_store import ConfigStore

        store = ConfigStore.instance()
        for kind, menu in self.plugins.items():
            store.repo.pop(kind, None)  # what an earlier call in this process left there
            for name, plugin in menu.items():
                options = [Option("name", str, name), *plugin.options]
                store.store(group=kind, name=name, node=make_schema(name, options), provider=plugin.owner)


class Origin(NamedTuple):
    """Where a plugin comes from, said without a path: what finds it again on another machine."""

    kind: str  #: "built in", "package" or "file"
    name: str  #: of the built-in file, the distribution, or the file in a plugins folder


class Source(NamedTuple):
    """A plugin that can be loaded."""

    origin: Origin
    owner: str  #: as on the menus
    where: str  #: as in errors
    load: Callable[[], Any]


def load_menus(folders: Sequence[Path] = (), only: Sequence[Origin] | None = None) -> Menus:
    """Find every plugin: the built-in ones, installed packages', then those of the given folders.

    Parameters
    ----------
    folders : sequence of Path
        Beside those in the environment variable ``AUDIOFW_PLUGINS_PATH``.
    only : sequence of Origin, optional
        Load no others.

    Raises
    ------
    PluginError
        When a folder does not exist; a broken plugin is no error until it is chosen.
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


def _sources(folders: Sequence[Path]) -> Iterator[Source]:
    for folder in sorted(folder for folder in bundled("plugins").iterdir() if folder.is_dir()):
        for file in _plugin_files(folder):
            load = partial(import_file, file, f"audiofw.plugins.{folder.name}")
            yield Source(Origin("built in", file.stem), "built in", file.name, load)
    for entry in sorted(importlib.metadata.entry_points(group="audiofw"), key=lambda entry: entry.name):
        name = entry.dist.name if entry.dist else entry.value
        owner = _distribution(entry)
        yield Source(Origin("package", name), owner, f"{owner} ({entry.value})", entry.load)
    for file in (file for folder in [*_folders_in_environment(), *folders] for file in _plugin_files(folder)):
        yield Source(Origin("file", file.stem), str(file), str(file), partial(import_file, file, "audiofw_plugins"))


def origin_of(plugin: Plugin) -> Origin:
    """Say where a plugin comes from."""
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
        raise PluginError(f"{folder}: there is no such plugins folder; see --plugins-dir and {PATH_VARIABLE}")
    files = sorted(folder.expanduser().resolve().glob("*.py"))
    return (file for file in files if not file.name.startswith(("_", ".")))


def _distribution(entry: importlib.metadata.EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else entry.value


def _load(menus: Menus, manager: pluggy.PluginManager, source: Source) -> None:
    """Load one plugin and take what its hooks register; whatever it raises is kept as its reason."""
    owner, where = source.owner, source.where
    try:
        plugin = source.load()
        name = manager.register(plugin, name=where)
    except (Exception, SystemExit) as error:  # noqa: BLE001  # a plugin's code may raise anything
        menus.break_(owner, f"{where}: it does not import: {type(error).__name__}: {error}")
        return
    hooks = list(manager.get_hookcallers(plugin) or ())
    known = [*(kind.hook for kind in KINDS.values()), TRUSTED_TYPES]
    for stranger in (hook.name for hook in hooks if hook.spec is None):
        menus.break_(
            owner,
            f"{where}: there is no hook '{stranger}'{nearest(stranger, known)}; hooks: {', '.join(known)}",
        )
    if not hooks:
        menus.break_(owner, f"{where}: it registers nothing; add @hookimpl before def register_features(register)")
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
    except Exception as error:  # noqa: BLE001  # a plugin's code may raise anything
        menus.break_(owner, f"{where}: {kind.hook} failed: {type(error).__name__}: {error}")


def _take_trusted(menus: Menus, owner: str, where: str, hook: Callable[..., None]) -> None:
    def register(*names: str) -> None:
        for name in names:
            if not (isinstance(name, str) and all(part.isidentifier() for part in name.split(".")) and "." in name):
                raise PluginError(f"{name!r} is no full name of a class, as 'package.module.Class'")
            menus.trusted.add(name)

    try:
        hook(register)
    except Exception as error:  # noqa: BLE001  # a plugin's code may raise anything
        menus.break_(owner, f"{where}: {TRUSTED_TYPES} failed: {error}")
