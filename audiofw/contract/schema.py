"""Typed options: convert Python annotations to OmegaConf types, check values against them, and format them for help.

OmegaConf supports types, but neither choices nor ranges. ``Literal`` and ``Annotated`` are therefore stripped for
OmegaConf and checked here once the config is composed.
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Iterable, Mapping
from pathlib import Path
from sys import float_info
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

from audiofw.errors import ConfigError, nearest, one_line
from audiofw.system.paths import located

MISSING = "???"  # omegaconf.MISSING; importing it would cost every prediction a tenth of a second
PLAIN = (int, float, bool, str)
MOST_SHOWN = 100  # characters of a value that an error shows


Effect = Literal["predictions", "measures", "nothing"]
"""What an option can affect: the predictions, only the measurements on them, or no result at all."""

NOTHING: Mapping[str, Effect] = {"effect": "nothing"}
"""Metadata of a config field that does not affect results, for example the number of threads."""

MEASURES: Mapping[str, Effect] = {"effect": "measures"}
"""Metadata of a config field that affects scores and reports, but not predictions."""


class Option(NamedTuple):
    """One option that the user can set: a keyword of a plugin, or a field of a config section."""

    name: str
    annotation: Any
    default: Any = MISSING
    help: str = ""
    effect: Effect = "predictions"


def plain_type(annotation: Any) -> Any:
    """Strip choices and ranges from a type, for OmegaConf; TypeError for a type that OmegaConf cannot store."""
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return plain_type(args[0])
    if origin is Literal:
        return _union(type(value) for value in args)
    if origin in (Union, types.UnionType):
        members = {plain_type(arg): None for arg in args}
        return _union([*members, int] if {float, str} <= members.keys() else members)  # it would refuse 1 for a float
    if origin is list and args:
        return list[plain_type(args[0])]  # type: ignore[misc]
    if annotation is Path:
        return str
    if annotation in (*PLAIN, type(None), Any) or dataclasses.is_dataclass(annotation):
        return annotation
    kinds = "int, float, bool, str, Path or list[...]"
    raise TypeError(f"an option cannot have the type {show_type(annotation)}; use {kinds}")


def _union(members: Iterable[Any]) -> Any:
    return Union[tuple(dict.fromkeys(members))]  # noqa: UP007  # the members are known only at run time


def allows(annotation: Any, value: Any) -> bool:
    """Whether a value has the right type, is one of the choices and lies within the range."""
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return allows(args[0], value) and all(_within(bound, value) for bound in args[1:])
    if origin is Literal:
        return any(value == choice and type(value) is type(choice) for choice in args)
    if origin in (Union, types.UnionType):
        return any(allows(arg, value) for arg in args)
    if origin is list:
        return isinstance(value, (list, tuple)) and all(allows(args[0], item) for item in value)
    if annotation is Path:
        return isinstance(value, (str, Path)) and str(value) not in ("", ".")
    if annotation is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= float_info.max
    return annotation is Any or (isinstance(value, annotation) and (annotation is bool or value is not True))


_BOUNDS = (
    ("gt", "> {}", lambda value, bound: value > bound),
    ("ge", "≥ {}", lambda value, bound: value >= bound),
    ("lt", "< {}", lambda value, bound: value < bound),
    ("le", "≤ {}", lambda value, bound: value <= bound),
    ("min_length", "at least {}", lambda value, bound: len(value) >= bound),
    ("max_length", "at most {}", lambda value, bound: len(value) <= bound),
)
"""Attributes of the classes of annotated_types, how each is shown, and what it demands."""


def _within(bound: Any, value: Any) -> bool:
    limits = ((getattr(bound, name, None), holds) for name, _, holds in _BOUNDS)
    return all(limit is None or holds(value, limit) for limit, holds in limits)


def show_type(annotation: Any) -> str:
    """Format a type for users: ``int ≥ 1``, ``hann | hamming``, ``float > 0, < 1 or null``."""
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        signs = [
            sign.format(limit)
            for bound in args[1:]
            for name, sign, _ in _BOUNDS
            if (limit := getattr(bound, name, None)) is not None and (name, limit) != ("min_length", 0)
        ]
        listed = f"({', '.join(signs)})" if get_origin(args[0]) is list else ", ".join(signs)
        return f"{show_type(args[0])} {listed}".strip()
    if origin is Literal:
        return " | ".join(map(str, args))
    if origin in (Union, types.UnionType):
        return " or ".join(show_type(arg) for arg in args)
    if origin is list and args:
        return f"list of {show_type(args[0])}"
    if annotation is Path:
        return "file"
    return "null" if annotation is type(None) else getattr(annotation, "__name__", str(annotation))


def to_path(annotation: Any, value: Any) -> Any:
    """Convert the text of an option that names a file, annotated as ``Path``, to a Path; return others unchanged."""
    origin, args = get_origin(annotation), get_args(annotation)
    if annotation is Path and value is not None:
        return located(value)
    if origin is Annotated:
        return to_path(args[0], value)
    if origin is list and isinstance(value, (list, tuple)):
        return [to_path(args[0], item) for item in value]
    if origin in (Union, types.UnionType) and not any(allows(arg, value) for arg in args if get_origin(arg) is Literal):
        return next((path for arg in args if (path := to_path(arg, value)) is not value), value)
    return value


def make_schema(name: str, options: Iterable[Option]) -> type:
    """Build the dataclass that Hydra stores, with plain types and the options' defaults."""
    return dataclasses.make_dataclass(name, [_field(option) for option in options])


def _field(option: Option) -> tuple[str, Any, Any]:
    if isinstance(option.default, (list, tuple)):
        return (
            option.name,
            plain_type(option.annotation),
            dataclasses.field(default_factory=lambda: list(option.default)),
        )
    default = str(option.default) if isinstance(option.default, Path) else option.default
    return option.name, plain_type(option.annotation), dataclasses.field(default=default)


def missing(option: Option) -> Option:
    """Remove an option's default (and those of a section's fields), since ``conf/config.yaml`` sets it."""
    if not dataclasses.is_dataclass(option.annotation):
        return option._replace(default=MISSING)
    fields = [missing(field)._replace(annotation=_nestable(field)) for field in section_options(option.annotation)]
    return Option(option.name, make_schema(option.name, fields))


def _nestable(option: Option) -> Any:
    """Leave the type of a union to `check`: OmegaConf 2.3 cannot merge one inside a section that has no value yet."""
    annotation = missing(option).annotation
    if dataclasses.is_dataclass(annotation):
        return annotation
    kinds = {kind for kind in get_args(plain_type(annotation)) if kind is not type(None)}
    return Any if get_origin(plain_type(annotation)) is Union and len(kinds) > 1 else annotation


def section_options(section: Any) -> list[Option]:
    """List the fields of a config section with their full types."""
    hints = get_type_hints(section, include_extras=True)
    return [Option(field.name, hints[field.name], **field.metadata) for field in dataclasses.fields(section)]


def check(where: str, values: Mapping[str, Any], options: Iterable[Option], *, open_ended: bool = False) -> None:
    """Check for unknown keys and values out of range, which OmegaConf does not detect.

    Parameters
    ----------
    where : str
        Key of the section, such as ``feature``.
    values : Mapping
        Values to check, as plain Python objects.
    options : iterable of Option
        The known options.
    open_ended : bool
        Whether other keys are allowed.

    Raises
    ------
    ConfigError
        The message names the key and either the value and its range, or the closest known key.
    """
    known, prefix = {option.name: option for option in options}, f"{where}." if where else ""
    for key, value in values.items():
        if key not in known and not open_ended:
            raise ConfigError(f"{prefix}{key}: unknown option{nearest(key, known)}; {_list(known)}")
        if key in known and not allows(known[key].annotation, value):
            raise ConfigError(
                f"{prefix}{key}={one_line(show_value(value), MOST_SHOWN)}: must be {show_type(known[key].annotation)}"
            )


def _list(names: Iterable[str]) -> str:
    return f"options: {', '.join(sorted(names)) or 'none'}"


def show_value(value: Any) -> str:
    """Format a value as it is typed on the command line: ``null``, ``true``, ``[svm,lda]``."""
    if isinstance(value, (list, tuple)):
        return f"[{','.join(map(show_value, value))}]"
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)
