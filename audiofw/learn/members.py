"""The members of a voting or stacking ensemble."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from audiofw.errors import ConfigError, refuse_unknown


def make_members(make: Callable[..., Any], names: Sequence[str], options: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Create the members of an ensemble.

    Parameters
    ----------
    make : callable
        The ``make`` that audiofw passes to a model's function.
    names : sequence of str
        Names of available models.
    options : mapping of str to mapping
        Options of members, by name: ``{"svm": {"C": 1.0}}``.

    Returns
    -------
    list of (str, classifier)

    Raises
    ------
    ConfigError
        If there are no members, a member is named twice, or the options are not those of a member.

    Examples
    --------
    >>> from audiofw.learn.members import make_members
    >>> from sklearn.svm import SVC
    >>> def make(name, **options):  # what audiofw passes to a model's function
    ...     return {"svm": SVC}[name](**options)
    >>> make_members(make, ["svm"], {"svm": {"C": 2.0}})
    [('svm', SVC(C=2.0))]
    """
    if not names or len(set(names)) < len(names):
        raise ConfigError(f"model.members={list(names)}: give at least one model, and each only once")
    refuse_unknown("model", options, names)
    for name, value in options.items():
        if not isinstance(value, Mapping):
            raise ConfigError(f"model.{name}={value}: give a mapping of its options, as in '+model.{name}={{…}}'")
    return [(name, make(name, **options.get(name, {}))) for name in names]
