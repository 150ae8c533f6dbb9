"""Names of a table's columns, from the names of the feature's rows and of the pooling's statistics."""

from __future__ import annotations

from typing import Any

from audiofw.contract.blame import blame
from audiofw.contract.plugin import Choice
from audiofw.errors import ClipError, PluginError
from audiofw.extraction.joined import JoinedUnit
from audiofw.extraction.recording import Unit


def name_columns(unit: Unit, d: int) -> list[str]:
    """Name the columns of a feature table.

    Parameters
    ----------
    unit : Unit
        The extraction of one recording.
    d : int
        Number of columns.

    Returns
    -------
    list of str
        ``row.statistic``, as in ``mfcc3.std`` and ``mfcc3.delta.p90@2/4``; ``stats17`` if the pooling has no ``names``.
        Of several features, after the member's name: ``mfcc:mfcc3.std``.

    Raises
    ------
    PluginError
        If a plugin's ``names`` fails or returns a wrong number of names.
    """
    if isinstance(unit, JoinedUnit):
        widths = unit.widths or [part.pool(*part.hiss()).size for part in unit.parts]
        parts = zip(unit.names, unit.parts, widths, strict=True)
        return [f"{name}:{column}" for name, part, width in parts for column in _name_columns(part, width)]
    return _name_columns(unit, d)


def _name_columns(unit: Unit, d: int) -> list[str]:
    try:
        frames, sr = unit.example()
    except ClipError:  # a pitch tracker may find nothing in noise: then how many rows there are is not known
        return [f"{unit.pooling.name}{i}" for i in range(d)]
    rows = _ask(unit.feature, len(frames), sr)
    return _ask(unit.pooling, d, rows, d)


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
