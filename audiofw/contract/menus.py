"""The available plugins by kind and name, and the reasons why others cannot be used."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Any

from audiofw.contract.combined import CombinedNodes, combine, read_names
from audiofw.contract.hookspecs import KINDS
from audiofw.contract.plugin import Choice, Plugin
from audiofw.contract.schema import Option, check, make_schema
from audiofw.errors import ConfigError, PluginError, nearest
from audiofw.system.hashing import digest_json
from audiofw.system.paths import cache_root

log = logging.getLogger(__name__)

WARNED = "warned"  # in the cache folder: an empty file for each warning of a broken plugin


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

    def find(self, kind: str, name: str, presets: Iterable[str] = ()) -> Plugin:
        """Look up one plugin; the names of presets are only for the message.

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
        known = sorted({*menu, *presets})
        listed = "".join([", ".join(known), *(f"; not loaded: {broken.reason}" for broken in lost)])
        error = ConfigError(f"{kind}={name}: unknown {kind}{nearest(name, known)}; available: {listed}")
        raise error from next((broken.error for broken in lost if broken.error), None)

    def choose(self, kind: str, values: Mapping[str, Any]) -> Choice:
        """Bind a plugin to its section of the composed config, after checking the values against its signature.

        Raises
        ------
        ConfigError, PluginError
            For an unknown or broken plugin, an unknown option or a value out of range.
        """
        if KINDS[kind].combines and read_names(values["name"]):
            return combine(values, self.choose_member)
        options = {key: value for key, value in values.items() if key != "name"}
        plugin = self.find(kind, values["name"])
        check(kind, options, plugin.options, open_ended=plugin.open_ended)
        return self._bind(plugin, options)

    def choose_member(self, kind: str, name: str, options: Mapping[str, Any], where: str | None = None) -> Choice:
        """Bind a plugin used by another one; options not given keep their defaults.

        Raises
        ------
        ConfigError, PluginError
            As for `choose`; options are named as in ``model.svm.C``.
        """
        plugin = self.find(kind, name)
        check(where or f"{kind}.{name}", options, plugin.options, open_ended=plugin.open_ended)
        defaults = {option.name: option.default for option in plugin.options}
        return self._bind(plugin, {**defaults, **options})

    def _bind(self, plugin: Plugin, options: Mapping[str, Any]) -> Choice:
        if "make" not in plugin.asks:  # features are pickled for worker processes, which need no other plugin
            return Choice(plugin, options)
        return Choice(plugin, options, partial(self.choose_member, plugin.kind.name))

    def add(self, plugin: Plugin) -> bool:
        """Add a plugin; if two have the same name, neither can be used, since it is unclear which is meant."""
        kind, name = plugin.kind.name, plugin.name
        if any((broken.kind, broken.name) == (kind, name) for broken in self.broken):
            return False  # a third one of the same name
        rival = self.plugins[kind].setdefault(name, plugin)
        if rival is not plugin:
            del self.plugins[kind][name]
            self.break_(plugin.owner, f"{kind}={name}: {_clash(rival, plugin)}", kind, name)
        return rival is plugin

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

    def warn(self, *, again: bool = False) -> None:
        """Log a one-line warning for each broken plugin.

        Parameters
        ----------
        again : bool
            Whether also for those that this user has been warned of: otherwise each is in one run's output only.
        """
        for broken in self.broken:
            level = logging.WARNING if again or _is_news(broken) else logging.DEBUG
            log.log(level, "plugin not loaded: %s", broken.reason)

    def store(self) -> None:
        """Store the schemas of all plugins in Hydra's ConfigStore; call it before Hydra parses the command line."""
        from hydra.core.config_store import ConfigStore

        store = ConfigStore.instance()
        for kind, menu in self.plugins.items():
            store.repo.pop(kind, None)  # left by an earlier call in this process
            for name, plugin in menu.items():
                options = [Option("name", str, name), *plugin.options]
                store_node(group=kind, name=name, node=make_schema(name, options), provider=plugin.owner)
            if KINDS[kind].combines and kind in store.repo:
                store.repo[kind] = CombinedNodes(store.repo[kind])


def store_node(**node: Any) -> None:
    """Put a node into Hydra's ConfigStore, in place of one with its name: Hydra 1.4 wants ``replace`` for that."""
    from hydra.core.config_store import ConfigStore

    store: Callable[..., None] = ConfigStore.instance().store
    store(**node, **({"replace": True} if "replace" in signature(store).parameters else {}))


def _clash(first: Plugin, second: Plugin) -> str:
    """Explain why two plugins of one name cannot be used, and what to do."""
    if first.is_installed and second.owner.endswith(".py"):
        return (
            f"installed as {first.owner}, and in {second.where}; leave out the folder, "
            f"or uninstall the package: pip uninstall {first.owner.partition(' ')[0]}"
        )
    return (
        f"two plugins have this name, in {first.where} and {second.where}; "
        f"rename one: register({second.name}, name='...')"
    )


def _is_news(broken: Broken) -> bool:
    """Check whether there was no warning of a broken plugin yet, since its file was last changed; remember it."""
    file = Path(broken.owner)
    changed = file.stat().st_mtime_ns if file.is_file() else 0
    marker = cache_root() / WARNED / digest_json([broken.owner, broken.reason, changed])
    if marker.exists():
        return False
    with suppress(OSError):  # without a cache, every run warns
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.touch()
    return True
