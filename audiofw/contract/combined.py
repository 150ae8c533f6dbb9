"""Several features in place of one: ``feature=mel+mfcc``, each with options, pooling and sampling rate of its own.

A member may have a name of its own, so that one feature can be used twice: ``feature=ripples+wide:ripples``. Hydra
composes the members' sections from their own configs, presets included, so that their options are typed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Literal, NamedTuple

from annotated_types import Interval

from audiofw.contract.hookspecs import KINDS
from audiofw.contract.plugin import Choice, Plugin, code_digest
from audiofw.contract.schema import Option, check
from audiofw.errors import ConfigError

Join = Literal["average", "stack", "columns"]

JOIN: Join = "average"
"""How members are joined by default; docs/accuracy.md compares both."""

_NAME = re.compile(r"(?:\w+:)?\w+(?:\+(?:\w+:)?\w+)+|\w+:\w+")

OWN_AUDIO = (
    Option("sample_rate", Annotated[int, Interval(ge=500, le=1_000_000)] | None, None),
    Option("duration", Annotated[float, Interval(ge=0.001, le=86_400)] | None, None),
)
"""Options of ``audio`` that a member may have of its own; null: those of the run."""


Choose = Callable[[str, str, Mapping[str, Any], str], Choice]
"""Binds a plugin by kind, name and options, and where these stand, for messages."""


class MemberName(NamedTuple):
    """A member as it is written: ``wide:ripples``."""

    name: str
    feature: str


class Member(NamedTuple):
    """One of several features."""

    name: str
    feature: Choice
    pooling: Choice | None  #: None: that of the run
    sample_rate: int | None  #: Hz; None: what the feature needs, else that of the run
    duration: float | None  #: seconds; None: that of the run


@dataclass(frozen=True)
class Combined(Choice):
    """Several features. It cannot be called; `audiofw.extraction.joined` extracts its members."""

    members_: tuple[Member, ...] = ()
    join: Join = JOIN

    def parts(self) -> Iterator[Choice]:
        """List the plugins of the members."""
        for member in self.members_:
            yield from filter(None, (member.feature, member.pooling))

    @property
    def holds_gil(self) -> bool:
        """Whether one of its members does."""
        return any(part.holds_gil for part in self.parts())

    @cached_property
    def identity(self) -> dict[str, Any]:
        """Everything that a result depends on, see `Choice.identity`."""
        members = [
            {
                "name": member.name,
                "feature": member.feature.identity,
                "pooling": member.pooling and member.pooling.identity,
                "audio": {"sample_rate": member.sample_rate, "duration": member.duration},
            }
            for member in self.members_
        ]
        return {
            "name": self.name,
            "owner": self.plugin.owner,
            "code": code_digest(self.plugin.function),
            "options": {"join": self.join},
            "members": members,
        }


def read_names(name: str) -> list[MemberName]:
    """Read the members of ``mel+wide:ripples``; empty for the name of one feature."""
    if not _NAME.fullmatch(name):
        return []
    words = [word.rpartition(":") for word in name.split("+")]
    return [MemberName(own or feature, feature) for own, _, feature in words]


def combine(values: Mapping[str, Any], choose: Choose) -> Combined:
    """Bind several features to their sections of the composed config.

    Parameters
    ----------
    values : mapping
        ``name``, ``join``, and a section for each member.
    choose : callable
        `audiofw.contract.menus.Menus.choose_member`.

    Raises
    ------
    ConfigError, PluginError
        As for one feature; and if two members have the same name.
    """
    named, options = read_names(values["name"]), {key: value for key, value in values.items() if key != "name"}
    names = [each.name for each in named]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"feature={values['name']}: two members are called '{name}'; name one: other:{name}")
        if name in ("name", "join"):
            raise ConfigError(f"feature={values['name']}: a member cannot be called '{name}'; name it: other:{name}")
    check("feature", options, [Option("join", Join), *(Option(name, dict) for name in names)])
    members = [_member(name, values[name], choose) for name in names]
    return combine_members(values["name"], options, members, values["join"])


def combine_members(name: str, options: Mapping[str, Any], members: Sequence[Member], join: Join) -> Combined:
    """Make the choice of several features, of members that are bound."""
    plugin = Plugin(KINDS["feature"], name, combine, "built in", asks=(), options=())
    return Combined(plugin, options, members_=tuple(members), join=join)


def _member(name: str, values: Mapping[str, Any], choose: Choose) -> Member:
    where = f"feature.{name}"
    options = {key: value for key, value in values.items() if key not in ("name", "pooling", "audio")}
    audio, pooling = values.get("audio") or {}, values.get("pooling")
    check(f"{where}.audio", audio, OWN_AUDIO)
    if isinstance(pooling, str):
        pooling = {"name": pooling}
    if pooling is not None and not (isinstance(pooling, Mapping) and isinstance(pooling.get("name"), str)):
        raise ConfigError(f"{where}.pooling={pooling}: give a pooling's name, or {{name: stats, delta: false}}")
    chosen = pooling and choose(
        "pooling", pooling["name"], {key: value for key, value in pooling.items() if key != "name"}, f"{where}.pooling"
    )
    feature = choose("feature", values["name"], options, where)
    rate, needed = audio.get("sample_rate"), _needed_rate(feature, where)
    if rate is not None and needed not in (None, rate):
        raise ConfigError(f"{where}.audio.sample_rate={rate}: {feature.who} needs {needed} Hz; remove it")
    return Member(name, feature, chosen or None, rate or needed, audio.get("duration"))


def _needed_rate(feature: Choice, where: str) -> int | None:
    try:
        return feature.sample_rate
    except ConfigError as error:  # a plugin does not know that it is a member
        raise ConfigError(re.sub(r"^feature\.", f"{where}.", str(error))) from error


class CombinedNodes(dict[str, Any]):
    """Hydra's store of the configs of features, which makes those of combinations when Hydra asks for them.

    So they can be named anywhere: on a command line, in a sweep, in a preset.
    """

    def __contains__(self, key: object) -> bool:
        return super().__contains__(key) or bool(read_names(str(key).removesuffix(".yaml")))

    def __getitem__(self, key: str) -> Any:
        named = read_names(key.removesuffix(".yaml"))
        if not named or super().__contains__(key):
            return super().__getitem__(key)
        from hydra.core.config_store import ConfigNode
        from omegaconf import OmegaConf

        own = {"pooling": None, "audio": {option.name: option.default for option in OWN_AUDIO}}
        node = {
            "defaults": ["_self_", *(f"{feature}@{name}" for name, feature in named)],
            "name": key.removesuffix(".yaml"),
            "join": JOIN,
            **{name: own for name, _ in named},
        }
        return ConfigNode(name=key, node=OmegaConf.create(node), group="feature", package=None, provider="audiofw")
