"""Names of a table's columns, from the names of the feature's rows and of the pooling's statistics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from audiofw.contract.blame import blame
from audiofw.contract.plugin import Choice
from audiofw.errors import ClipError, PluginError
from audiofw.extraction.recording import Unit


def name_columns(choices: Mapping[str, Choice], unit: Unit, d: int) -> list[str]:
    """Name the columns of a feature table.

    Parameters
    ----------
    choices : mapping of str to Choice
        With ``feature`` and ``pooling``.
    unit : Unit
        The extraction of one recording, with the same feature and pooling.
    d : int
        Number of columns.

    Returns
    -------
    list of str
        ``row.statistic``, as in ``mfcc3.std`` and ``mfcc3.delta.p90@2/4``; ``stats17`` if the pooling has no ``names``.

    Raises
    ------
    PluginError
        If a plugin's ``names`` fails or returns a wrong number of names.
    """
    try:
        frames, sr = unit.example()
    except ClipError:  # a pitch tracker may find nothing in noise: then how many rows there are is not known
        return [f"{choices['pooling'].name}{i}" for i in range(d)]
    rows = _ask(choices["feature"], len(frames), sr)
    return _ask(choices["pooling"], d, rows, d)


def _ask(choice: Choice, n: int, *given: Any) -> list[str]:
    """Call a plugin's ``names`` with the arguments of its kind and its options."""
    name = choice.plugin.names
    if name is None:
        return [f"{choice.name}{i}" for i in range(n)]
    with blame(choice.who, name, "names"):
        names: list[str] = list(name(*given, **choice.arguments))
    if len(names) != n:
        raise PluginError(f"names returned {len(names)} names, expected {n}", plugin=choice.who)
    return names
