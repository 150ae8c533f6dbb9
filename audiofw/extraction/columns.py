"""The names of a table's columns: what the feature calls its rows, and what the pooling makes of these."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from audiofw.contract.blame import blame
from audiofw.contract.plugin import Choice
from audiofw.errors import PluginError
from audiofw.extraction.recording import Unit


def name_columns(choices: Mapping[str, Choice], unit: Unit, d: int) -> list[str]:
    """Name the columns of the table that a unit makes.

    Parameters
    ----------
    choices : mapping of str to Choice
        With the unit's ``feature`` and ``pooling``.
    unit : Unit
    d : int
        How many columns there are.

    Returns
    -------
    list of str
        ``row.statistic``, as in ``mfcc3.std``, ``mfcc3.delta.p90@2/4``; ``stats17`` where the pooling gives no names.

    Raises
    ------
    PluginError
        For a plugin whose ``names`` fails or gives another number of names.
    """
    picture, sr = unit.example()
    rows = _ask(choices["feature"], len(picture), sr)
    return _ask(choices["pooling"], d, rows, d)


def _ask(choice: Choice, n: int, *given: Any) -> list[str]:
    """Call a plugin's ``names`` with what its kind is given and its options."""
    name = choice.plugin.names
    if name is None:
        return [f"{choice.name}{i}" for i in range(n)]
    with blame(choice.who, name, "names"):
        names: list[str] = list(name(*given, **choice.options))
    if len(names) != n:
        raise PluginError(f"names gave {len(names)} names for {n}", plugin=choice.who)
    return names
