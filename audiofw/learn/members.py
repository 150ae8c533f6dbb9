"""The members of a vote or a stack: other models of the menu, with their options."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from audiofw.errors import ConfigError, refuse_strangers


def make_members(make: Callable[..., Any], names: Sequence[str], options: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Make each member once.

    Parameters
    ----------
    make : callable
        As a model's function is handed it.
    names : sequence of str
        Of models on the menu.
    options : mapping of str to mapping
        What the user set of members, by their names: ``{"svm": {"C": 1.0}}``.

    Returns
    -------
    list of (str, classifier)

    Raises
    ------
    ConfigError
        For no members, one named twice, or options that are none.
    """
    if not names or len(set(names)) < len(names):
        raise ConfigError(f"model.members={list(names)}: name one model or more, each once")
    refuse_strangers("model", options, names)
    for name, value in options.items():
        if not isinstance(value, Mapping):
            raise ConfigError(f"model.{name}={value}: give its options by their names, as in '+model.{name}={{…}}'")
    return [(name, make(name, **options.get(name, {}))) for name in names]
