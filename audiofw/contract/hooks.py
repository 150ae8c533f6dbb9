"""Call the hooks of one plugin and put what they register on the menus; whatever is wrong becomes one line."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pluggy

from audiofw.contract import hookspecs
from audiofw.contract.blame import say
from audiofw.contract.hookspecs import HOOKS, KINDS, TRUSTED_TYPES, Kind, Register
from audiofw.contract.menus import Menus
from audiofw.contract.plugin import read_plugin
from audiofw.errors import PluginError, nearest

Given = tuple[Any, ...]
Named = dict[str, Any]
REGISTER = inspect.signature(Register.__call__)


class Bringer(NamedTuple):
    """Where a plugin is from: as `audiofw plugins` shows it, and as messages say it."""

    owner: str
    where: str


class Taken(NamedTuple):
    """Something that a hook has registered."""

    hook: str
    what: str  #: ``feature=mel``, or the full name of a class


class Hook(NamedTuple):
    """A function of a plugin that is marked with ``@hookimpl``."""

    name: str
    function: Callable[..., Any]
    wraps: bool  #: in pluggy's way, which no hook of audiofw allows


def new_manager() -> pluggy.PluginManager:
    """Create the plugin manager, which knows audiofw's hooks."""
    manager = pluggy.PluginManager("audiofw")
    manager.add_hookspecs(hookspecs)
    return manager


def take_hooks(menus: Menus, manager: pluggy.PluginManager, plugin: Any, by: Bringer) -> list[Taken]:
    """Add what the hooks of a loaded plugin register; record as broken what cannot be used.

    Parameters
    ----------
    menus : Menus
    manager : PluginManager
        Of `new_manager`.
    plugin : module or object
        Its attributes that are marked with ``@hookimpl`` are hooks.
    by : Bringer
    """
    owner, where = by
    if (first := manager.get_name(plugin)) is not None:
        menus.break_(owner, f"{where}: loaded before, as {first}; remove one of the two entry points")
        return []
    hooks = list(_find_hooks(manager, plugin))
    if not hooks:
        menus.break_(owner, f"{where}: registers no plugin; add @hookimpl above def register_features(register)")
    refused = {hook: reason for hook in hooks if (reason := _refusal(hook))}
    for hook, reason in refused.items():
        code = inspect.unwrap(hook.function).__code__
        menus.break_(owner, f"{_place(where, code.co_filename, code.co_firstlineno)}: {reason}")
    if not refused:  # pluggy refuses the whole plugin for one wrong hook
        manager.register(plugin, name=where)
    fine = sorted((hook for hook in hooks if hook not in refused), key=lambda hook: HOOKS.index(hook.name))
    return [taken for hook in fine for taken in _take(menus, hook, by)]


def _find_hooks(manager: pluggy.PluginManager, plugin: Any) -> Iterator[Hook]:
    for name in dir(plugin):
        if options := manager.parse_hookimpl_opts(plugin, name):
            wraps = bool(options.get("wrapper") or options.get("hookwrapper"))
            yield Hook(options.get("specname") or name, getattr(plugin, name), wraps)


def _refusal(hook: Hook) -> str:
    """Say why a hook cannot be called; empty if it can."""
    if hook.name not in HOOKS:
        return f"unknown hook '{hook.name}'{nearest(hook.name, HOOKS)}; hooks: {', '.join(HOOKS)}"
    if hook.wraps:
        return f"{hook.name} is called once for each plugin and cannot be a wrapper; write @hookimpl"
    given = list(inspect.signature(hook.function).parameters)
    if given != ["register"]:
        return f"{hook.name}({', '.join(given)}): write def {hook.name}(register)"
    return ""


def _take(menus: Menus, hook: Hook, by: Bringer) -> list[Taken]:
    taken: list[Taken] = []
    kinds = {kind.hook: kind for kind in KINDS.values()}

    def register(*given: Any, **named: Any) -> None:
        place = _caller(by.where)
        if hook.name == TRUSTED_TYPES:
            found = _trust(menus, by, place, given, named)
        else:
            found = _add(menus, kinds[hook.name], by, place, given, named)
        taken.extend(Taken(hook.name, what) for what in found)

    try:
        hook.function(register)
    except (Exception, SystemExit) as error:  # noqa: BLE001  # a plugin's code may raise anything
        menus.break_(by.owner, f"{by.where}: {hook.name} failed: {say(error, hook.function)}", error=error)
    return taken


def _caller(where: str) -> str:
    """Give the place where a plugin calls ``register``, which calls this."""
    frame = inspect.currentframe()
    caller = frame.f_back.f_back if frame and frame.f_back else None
    return _place(where, caller.f_code.co_filename, caller.f_lineno) if caller else where


def _place(where: str, file: str, line: int) -> str:
    """Add a line to where a plugin is from, with its file if that is not said yet."""
    return f"{where}: line {line}" if where.endswith(Path(file).name) else f"{where}: {Path(file).name}:{line}"


def _add(menus: Menus, kind: Kind, by: Bringer, place: str, given: Given, named: Named) -> Iterator[str]:
    """Add one plugin, or record why it cannot be used; yields what was added."""
    function = given[0] if given else named.get("function")
    label = named.get("name") or getattr(function, "__name__", "?")
    try:
        arguments = _bind(given, named)
    except PluginError as error:
        menus.break_(by.owner, f"{place}: {error}", kind.name, str(label))
        return
    try:
        plugin = read_plugin(kind, owner=by.owner, **arguments)
    except PluginError as error:
        menus.break_(by.owner, f"{by.where}: {error}", kind.name, label)
        return
    if menus.add(plugin):
        yield f"{kind.name}={plugin.name}"


def _bind(given: Given, named: Named) -> Named:
    """Name the arguments of ``register``; PluginError for others than `audiofw.contract.hookspecs.Register` takes."""
    usage = f"register{_shown(REGISTER)}"
    known = list(REGISTER.parameters)[1:]
    if unknown := next((name for name in named if name not in known), None):
        raise PluginError(f"register has no argument '{unknown}'{nearest(unknown, known)}: {usage}")
    try:
        values = dict(REGISTER.bind(None, *given, **named).arguments)
    except TypeError as error:
        raise PluginError(f"register: {error}: {usage}") from error
    if not inspect.isfunction(inspect.unwrap(values["function"])):
        raise PluginError(f"register takes a function that is made with def, not {_article(values['function'])}")
    checks: dict[str, Any] = {"name": (str, type(None)), "holds_gil": bool}
    for name, kind in checks.items():
        if name in values and not isinstance(values[name], kind):
            raise PluginError(f"register: {name}={values[name]!r} must be {'text' if name == 'name' else 'a bool'}")
    if not (values.get("names") is None or callable(values["names"])):
        raise PluginError(f"register: names={values['names']!r} must be a function that returns a list of names")
    return {name: values[name] for name in known if name in values}


def _shown(signature: inspect.Signature) -> str:
    """Format a signature without its types and without ``self``."""
    plain = [part.replace(annotation=part.empty) for part in signature.parameters.values()][1:]
    return str(inspect.Signature(plain))


def _article(value: Any) -> str:
    return f"the class {value.__name__}" if inspect.isclass(value) else f"{value!r:.60}"


def _trust(menus: Menus, by: Bringer, place: str, given: Given, named: Named) -> Iterator[str]:
    if named:
        menus.break_(
            by.owner, f"{place}: register('package.module.Class', …) takes names only, not {next(iter(named))}="
        )
    for name in given:
        if not (isinstance(name, str) and all(part.isidentifier() for part in name.split(".")) and "." in name):
            reason = f"{name!r} is not the full name of a class, such as 'package.module.Class'"
            menus.break_(by.owner, f"{place}: {TRUSTED_TYPES} failed: {reason}")
            return
        menus.trusted.add(name)
        yield name
