"""One plugin: what its function's signature says, and the function with its options bound."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, get_type_hints

from audiofw.contract.hookspecs import Kind
from audiofw.contract.schema import Option, allows, plain, show_type
from audiofw.errors import AudiofwError, PluginError
from audiofw.system.hashing import digest_files

MADE_UP = (0, 1)  # a seed and a number of threads, to see what a model is made of


@dataclass(frozen=True)
class Plugin:
    """One entry of a menu: a function, what it asks for, and what may be set."""

    kind: Kind
    name: str
    function: Callable[..., Any]
    owner: str
    asks: tuple[str, ...]
    options: tuple[Option, ...]
    open_ended: bool = False
    holds_gil: bool = False
    names: Callable[..., list[str]] | None = None

    @property
    def where(self) -> str:
        """The file that holds the function."""
        return inspect.getsourcefile(self.function) or "?"

    @property
    def doc(self) -> str:
        """The docstring, without its indentation."""
        return inspect.getdoc(self.function) or ""

    @property
    def summary(self) -> str:
        """The first line of the docstring."""
        return self.doc.partition("\n")[0]

    def described_options(self) -> list[Option]:
        """List the options with the help that the docstring's ``Parameters`` section gives."""
        from docstring_parser import parse

        texts = {param.arg_name: param.description or "" for param in parse(self.doc).params}
        return [option._replace(help=" ".join(texts.get(option.name, "").split())) for option in self.options]


@dataclass(frozen=True)
class Choice:
    """A plugin with its options bound: what the runner is handed.

    Call it with what its kind offers, in that order: ``feature(y, sr)``, ``pooling(frames, seed)``,
    ``model(seed, n_jobs)``, ``split(seed, groups, folds)``, ``augmentation(y, sr, rng)``; what it does not ask for
    may be left out at the end.

    Attributes
    ----------
    choose : callable, optional
        Gives the choice of a plugin of this kind by its name and some options: for a function that asks for ``make``.
    """

    plugin: Plugin
    options: Mapping[str, Any]
    choose: Callable[..., Choice] | None = field(default=None, compare=False, repr=False)

    def __call__(self, *given: Any) -> Any:
        return self._call(given, lambda name, **options: self._member(name, options).build(*given))

    def _call(self, given: Sequence[Any], make: Callable[..., Any]) -> Any:
        offered = {**dict(zip(self.plugin.kind.offers, given, strict=False)), "make": make}
        return self.plugin.function(*(offered[ask] for ask in self.plugin.asks), **self.options)

    def _member(self, name: str, options: Mapping[str, Any]) -> Choice:
        if self.choose is None:
            raise PluginError(f"{self.plugin.kind.name}={self.name}: make('{name}') needs a choice made by the menus")
        return self.choose(name, options)

    def members(self) -> list[Choice]:
        """List the choices that the function makes of other plugins; it is called to find them."""
        if "make" not in self.plugin.asks:
            return []
        found: list[Choice] = []

        def note(name: str, **options: Any) -> Any:
            found.append(self._member(name, options))
            return found[-1].build(*MADE_UP)

        self._call(MADE_UP, note)
        return found

    def build(self, *given: Any) -> Any:
        """Call a factory, a model's or a split's; whatever it raises becomes one line.

        Raises
        ------
        AudiofwError
            PluginError unless the plugin chose another of audiofw's errors.
        """
        where = f"{self.plugin.kind.name}={self.name}"
        try:
            return self(*given)
        except AudiofwError:
            raise
        except ImportError as error:
            raise PluginError(f"{where} needs a library that does not import: {error}; install it with pip") from error
        except Exception as error:
            reason = " ".join(str(error).split())
            raise PluginError(f"{where} ({self.plugin.where}): {type(error).__name__}: {reason}") from error

    @property
    def name(self) -> str:
        """The name on the menu."""
        return self.plugin.name

    @property
    def holds_gil(self) -> bool:
        """Whether processes serve it better than threads."""
        return self.plugin.holds_gil

    @property
    def learns(self) -> bool:
        """Whether it is a pooling that is fitted on the training clips."""
        return self.plugin.kind.name == "pooling" and "seed" in self.plugin.asks

    @cached_property
    def identity(self) -> dict[str, Any]:
        """What a result depends on: who made the function, its source and its options; JSON-able."""
        own = {
            "name": self.name,
            "owner": self.plugin.owner,
            "code": code_digest(self.plugin.function),
            "options": dict(self.options),
        }
        members = [member.identity for member in self.members()]
        return {**own, "members": members} if members else own


def code_digest(function: Callable[..., Any]) -> str:
    """Hash the source that a function comes from: its file, or every module of its package.

    A version number alone would go stale while a plugin is being written.
    """
    file = Path(inspect.getsourcefile(function) or "")
    module = sys.modules.get(function.__module__)
    in_package = bool(module and "." in module.__name__ and (file.parent / "__init__.py").exists())
    files = sorted(file.parent.rglob("*.py")) if in_package or file.name == "__init__.py" else [file]
    return digest_files(files)


def read_plugin(
    kind: Kind,
    function: Callable[..., Any],
    owner: str,
    *,
    name: str | None = None,
    holds_gil: bool = False,
    names: Callable[..., list[str]] | None = None,
) -> Plugin:
    """Read a function's signature: what it asks for left of the ``*``, what may be set right of it.

    Raises
    ------
    PluginError
        For a signature that breaks the contract; it names the function, the parameter and the remedy.
    """
    name = name or function.__name__
    if not name.isidentifier():
        raise PluginError(f"'{name}' is no name for a {kind.name}; use letters, digits and _: register(f, name='...')")
    parameters = inspect.signature(function).parameters.values()
    return Plugin(
        kind=kind,
        name=name,
        function=function,
        owner=owner,
        asks=_read_asks(kind, function.__name__, parameters),
        options=tuple(_read_options(function, parameters)),
        open_ended=any(p.kind is p.VAR_KEYWORD for p in parameters),
        holds_gil=holds_gil,
        names=names,
    )


def _read_asks(kind: Kind, name: str, parameters: Iterable[inspect.Parameter]) -> tuple[str, ...]:
    asks = tuple(p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD))
    offers = ", ".join(kind.all_offers)
    for stranger in (ask for ask in asks if ask not in kind.all_offers):
        raise PluginError(
            f"{name}: '{stranger}' is not what a {kind.name} is handed ({offers}); an option stands right of a *"
        )
    for missing in (need for need in kind.needs if need not in asks):
        raise PluginError(f"{name}: '{missing}' is missing; a {kind.name} begins ({offers}, *")
    if kind.either and len(set(asks) & set(kind.either)) != 1:
        ways = " or ".join(f"({way}, *, …)" for way in kind.either)
        raise PluginError(f"{name}: a {kind.name} is {ways}: it asks for just one of the two")
    return asks


def _read_options(function: Callable[..., Any], parameters: Iterable[inspect.Parameter]) -> Iterator[Option]:
    try:
        hints = get_type_hints(function, include_extras=True)
    except (NameError, TypeError) as error:
        raise PluginError(f"{function.__name__}: its annotations cannot be read: {error}") from error
    for parameter in parameters:
        if parameter.kind is parameter.KEYWORD_ONLY:
            yield _read_option(function.__name__, parameter, hints.get(parameter.name))


def _read_option(owner: str, parameter: inspect.Parameter, annotation: Any) -> Option:
    name, default = parameter.name, parameter.default
    if annotation is None or default is parameter.empty:
        raise PluginError(f"{owner}: '{name}' needs a type and a default, e.g. {name}: int = 512")
    if name == "name":
        raise PluginError(f"{owner}: an option cannot be called 'name', the config holds the plugin's name there")
    try:
        plain(annotation)
    except TypeError as error:
        raise PluginError(f"{owner}: '{name}': {error}") from error
    if not allows(annotation, default):
        raise PluginError(f"{owner}: '{name}' has the default {default!r}, which is not {show_type(annotation)}")
    return Option(name, annotation, default)
