"""One plugin: its function's signature, and the function with its options bound."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, get_type_hints

from audiofw.contract.blame import blame
from audiofw.contract.hookspecs import Kind, Need
from audiofw.contract.schema import Option, allows, plain_type, show_type, to_path
from audiofw.errors import ConfigError, PluginError, first_line
from audiofw.system.hashing import digest_file
from audiofw.system.sourcecode import PACKAGE, digest_code

DRAWN = ("feature", "pooling")  # the kinds that may compute in ONNX, too
MADE_UP = (0, 1)  # seed and number of threads for building a model only to list its members


@dataclass(frozen=True)
class Plugin:
    """A registered function, the arguments that audiofw passes to it, and its options."""

    kind: Kind
    name: str
    function: Callable[..., Any]
    owner: str
    asks: tuple[str, ...]
    options: tuple[Option, ...]
    open_ended: bool = False
    holds_gil: bool = False
    names: Callable[..., list[str]] | None = None
    onnx: Callable[..., str] | None = None
    sample_rate: Need = None
    min_duration: Need = None

    @property
    def where(self) -> str:
        """The source file of the function."""
        return inspect.getsourcefile(self.function) or "?"

    @property
    def is_installed(self) -> bool:
        """Whether an installed package brings it."""
        return self.owner != "built in" and not self.owner.endswith(".py")

    @property
    def doc(self) -> str:
        """The docstring, without its indentation."""
        return inspect.getdoc(self.function) or ""

    @property
    def summary(self) -> str:
        """The first line of the docstring."""
        return self.doc.partition("\n")[0]

    def described_options(self) -> list[Option]:
        """List the options with their help, taken from the ``Parameters`` section of the docstring."""
        from docstring_parser import parse

        texts = {param.arg_name: param.description or "" for param in parse(self.doc).params}
        return [option._replace(help=" ".join(texts.get(option.name, "").split())) for option in self.options]


@dataclass(frozen=True)
class Choice:
    """A plugin with its options bound.

    Call it with the arguments of its kind, in this order: ``feature(y, sr)``, ``pooling(frames, seed)``,
    ``model(seed, n_jobs)``, ``split(seed, groups, folds)``, ``augmentation(y, sr, rng)``. Only those that the function
    takes are passed on; trailing arguments that it does not take may be omitted.

    Attributes
    ----------
    choose : callable, optional
        Binds another plugin of the same kind by name and options, for a function that takes ``make``.
    """

    plugin: Plugin
    options: Mapping[str, Any]
    choose: Callable[..., Choice] | None = field(default=None, compare=False, repr=False)

    def __call__(self, *given: Any) -> Any:
        """Call the function; exceptions are converted to errors that name the plugin and the line.

        Raises
        ------
        AudiofwError
            PluginError, unless the plugin itself raised another AudiofwError.
        """
        return self._call(given, lambda name, **options: self._member(name, options)(*given))

    def _call(self, given: Sequence[Any], make: Callable[..., Any]) -> Any:
        offered = {**dict(zip(self.plugin.kind.offers, given, strict=False)), "make": make}
        with blame(self.who, self.plugin.function):
            return self.plugin.function(*(offered[ask] for ask in self.plugin.asks), **self.arguments)

    def _member(self, name: str, options: Mapping[str, Any]) -> Choice:
        if self.choose is None:
            raise PluginError(f"make('{name}') needs a choice from load_menus()", plugin=self.who)
        return self.choose(name, options)

    def members(self) -> list[Choice]:
        """List the other plugins that the function creates with ``make``; calls the function to find them."""
        if "make" not in self.plugin.asks:
            return []
        found: list[Choice] = []

        def note(name: str, **options: Any) -> Any:
            found.append(self._member(name, options))
            return found[-1](*MADE_UP)

        self._call(MADE_UP, note)
        return found

    def parts(self) -> Iterator[Choice]:
        """List the plugins that it consists of: itself, or the members of a combination."""
        yield self

    @property
    def name(self) -> str:
        """The plugin's name, as in ``feature=mel``."""
        return self.plugin.name

    @property
    def who(self) -> str:
        """Kind and name as on the command line: ``feature=mel``."""
        return f"{self.plugin.kind.name}={self.name}"

    @property
    def holds_gil(self) -> bool:
        """Whether it runs in worker processes rather than in threads."""
        return self.plugin.holds_gil

    @cached_property
    def arguments(self) -> dict[str, Any]:
        """The options as the function receives them: those that name files as Paths."""
        types = {option.name: option.annotation for option in self.plugin.options}
        return {name: to_path(types.get(name), value) for name, value in self.options.items()}

    @cached_property
    def files(self) -> dict[str, list[File]]:
        """The files that options name, with their digests.

        Raises
        ------
        ConfigError
            For a file that cannot be read.
        """
        kind = self.plugin.kind.name
        return {
            name: [_read_file(f"{kind}.{name}={path}", path) for path in paths]
            for name, value in self.arguments.items()
            if (paths := [path for path in (value if isinstance(value, list) else [value]) if isinstance(path, Path)])
        }

    @cached_property
    def sample_rate(self) -> int | None:
        """The sampling rate that a feature needs, in Hz; None for any."""
        rate = self._ask("sample_rate", self.plugin.sample_rate)
        return None if rate is None else int(rate)

    @cached_property
    def min_duration(self) -> float:
        """The length to which a feature needs shorter clips to be padded, in seconds."""
        return self._ask("min_duration", self.plugin.min_duration) or 0.0

    def _ask(self, what: str, need: Need) -> float | None:
        if not callable(need):
            return need
        with blame(self.who, need, what):
            number = need(**self.arguments)
        if number is not None and not (isinstance(number, (int, float)) and number > 0):
            raise PluginError(f"{what} returned {number!r}, not a number above 0", plugin=self.who)
        return number

    def draw(self, graph: Any, *given: Any) -> str:
        """Compute in ONNX, on a graph of `audiofw.bundle.onnx.graph`; ``given`` is what the function itself takes.

        Raises
        ------
        PluginError
            If it offers no graph, or fails.
        """
        if self.plugin.onnx is None:
            raise PluginError("cannot be exported: it is registered without onnx=, its graph", plugin=self.who)
        try:
            with blame(self.who, self.plugin.onnx, "onnx"):
                made = self.plugin.onnx(graph, *given, **self.arguments)
        except PluginError as error:
            if isinstance(error.__cause__, NotImplementedError):
                raise PluginError(f"cannot be exported: {first_line(error.__cause__)}", plugin=self.who) from error
            raise
        if not isinstance(made, str):
            raise PluginError(f"onnx returned {made!r:.60}, not a value of the graph", plugin=self.who)
        return made

    @property
    def learns(self) -> bool:
        """Whether it is a pooling that is fitted on the training clips."""
        return self.plugin.kind.name == "pooling" and "seed" in self.plugin.asks

    @cached_property
    def identity(self) -> dict[str, Any]:
        """Everything that a result depends on, JSON-serialisable: the plugin's owner, source code and options.

        Files that options name are given by name and digest, wherever they are.
        """
        own = {
            "name": self.name,
            "owner": self.plugin.owner,
            "code": code_digest(self.plugin.function),
            "options": {**self.options, **{name: [*map(list, files)] for name, files in self.files.items()}},
        }
        members = [member.identity for member in self.members()]
        return {**own, "members": members} if members else own


class File(NamedTuple):
    """A file that an option names: its name without the folder, and the digest of its content."""

    name: str
    digest: str


def _read_file(where: str, path: Path) -> File:
    if not path.exists():
        raise ConfigError(f"{where}: no such file")
    try:
        return File(path.name, digest_file(path).hex())
    except OSError as error:
        raise ConfigError(f"{where}: cannot be read: {error.strerror}") from error


def code_digest(function: Callable[..., Any]) -> str:
    """Hash the code of a function: its file, or every module of its package, and what these import of audiofw.

    A version number would not change while a plugin is being developed.
    """
    file = Path(inspect.getsourcefile(function) or "")
    module = sys.modules.get(function.__module__)
    in_package = bool(module and "." in module.__name__ and (file.parent / "__init__.py").exists())
    whole = (in_package or file.name == "__init__.py") and PACKAGE not in file.parents
    return digest_code(sorted(file.parent.rglob("*.py")) if whole else [file])


def read_plugin(
    kind: Kind,
    function: Callable[..., Any],
    owner: str,
    name: str | None = None,
    *,
    holds_gil: bool = False,
    names: Callable[..., list[str]] | None = None,
    onnx: Callable[..., str] | None = None,
    sample_rate: Need = None,
    min_duration: Need = None,
) -> Plugin:
    """Read a function's signature: arguments before the ``*``, options after it.

    Raises
    ------
    PluginError
        If the signature violates the contract; the message names the function, the parameter and the remedy.
    """
    name = function.__name__ if name is None else name
    if not name.isidentifier():
        raise PluginError(
            f"'{name}' is not a valid name for a {kind.name}; use letters, digits and _: register(f, name='...')"
        )
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
        onnx=_read_onnx(kind, function, onnx),
        sample_rate=_read_need(kind, function, "sample_rate", sample_rate),
        min_duration=_read_need(kind, function, "min_duration", min_duration),
    )


def _read_onnx(kind: Kind, function: Callable[..., Any], onnx: Any) -> Any:
    if onnx is not None and kind.name not in DRAWN:
        raise PluginError(f"{function.__name__}: only a feature or a pooling can be registered with onnx")
    if not (onnx is None or callable(onnx)):
        raise PluginError(f"{function.__name__}: onnx={onnx!r} must be a function (graph, …) that returns a value")
    return onnx


def _read_need(kind: Kind, function: Callable[..., Any], what: str, need: Any) -> Need:
    if need is not None and kind.name != "feature":
        raise PluginError(f"{function.__name__}: only a feature can be registered with {what}")
    number = isinstance(need, (int, float)) and not isinstance(need, bool) and need > 0
    if not (need is None or callable(need) or number):
        raise PluginError(
            f"{function.__name__}: {what}={need!r} must be a number above 0, or a function of the options"
        )
    return need


def _read_asks(kind: Kind, name: str, parameters: Iterable[inspect.Parameter]) -> tuple[str, ...]:
    asks = tuple(p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD))
    offers = ", ".join(kind.all_offers)
    for unknown in (ask for ask in asks if ask not in kind.all_offers):
        raise PluginError(
            f"{name}: unknown argument '{unknown}'; a {kind.name} may take ({offers}), and options come after a *"
        )
    for missing in (need for need in kind.needs if need not in asks):
        raise PluginError(f"{name}: argument '{missing}' is missing; a {kind.name} has the signature ({offers}, *, …)")
    if kind.either and len(set(asks) & set(kind.either)) != 1:
        ways = " or ".join(f"({way}, *, …)" for way in kind.either)
        raise PluginError(f"{name}: a {kind.name} has the signature {ways}: exactly one of the two")
    return asks


def _read_options(function: Callable[..., Any], parameters: Iterable[inspect.Parameter]) -> Iterator[Option]:
    try:
        hints = get_type_hints(function, include_extras=True)
    except (NameError, TypeError) as error:
        raise PluginError(f"{function.__name__}: cannot read its type annotations: {error}") from error
    for parameter in parameters:
        if parameter.kind is parameter.KEYWORD_ONLY:
            yield _read_option(function.__name__, parameter, hints.get(parameter.name))


def _read_option(owner: str, parameter: inspect.Parameter, annotation: Any) -> Option:
    name, default = parameter.name, parameter.default
    if annotation is None or default is parameter.empty:
        raise PluginError(f"{owner}: '{name}' needs a type and a default, e.g. {name}: int = 512")
    if name == "name":
        raise PluginError(f"{owner}: an option cannot be called 'name'; that key holds the plugin's name")
    try:
        plain_type(annotation)
    except TypeError as error:
        raise PluginError(f"{owner}: '{name}': {error}") from error
    if not allows(annotation, default):
        raise PluginError(f"{owner}: '{name}' has the default {default!r}, which is not {show_type(annotation)}")
    return Option(name, annotation, default)
