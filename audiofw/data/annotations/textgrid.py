"""TextGrids of Praat, read by praatio (extra ``annotations``)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from audiofw.data.annotations.rows import Annotation, Flaw
from audiofw.data.labels import listing
from audiofw.errors import ConfigError, DataError, nearest, one_line

SUFFIX = ".textgrid"


def read_textgrid(path: Path, chosen: Mapping[str, str]) -> Iterator[Annotation | Flaw]:
    """Read the labelled intervals of all tiers, or of the one that ``data.columns.label`` names.

    Empty intervals are what Praat puts between labels, and points have no length: the former are passed over, the
    latter are flaws.

    Raises
    ------
    DataError
        If praatio is not installed, or cannot read the file.
    ConfigError
        For a tier that the file lacks.
    """
    grid = _opened(path)
    for tier in grid.tiers:
        if tier.name not in chosen_tiers(path, grid.tierNames, chosen):
            continue
        for number, entry in enumerate(tier.entries, 1):
            label = entry.label.strip()
            if not hasattr(entry, "end"):
                yield Flaw(path, f"tier {tier.name!r}, point {number}", "a point has no length; use an interval")
            elif label:
                where = f"tier {tier.name!r}, interval from {entry.start:g} s"
                yield Annotation("", entry.start, entry.end, label, source=path, line=where)


def _opened(path: Path) -> Any:
    try:
        from praatio import textgrid
    except ImportError as error:
        raise DataError(f"{path}: TextGrids need praatio: pip install 'audiofw[annotations]'") from error
    try:
        return textgrid.openTextgrid(str(path), False, reportingMode="silence", duplicateNamesMode="rename")
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    except Exception as error:  # praatio raises whatever its parser meets
        raise DataError(f"{path}: not a TextGrid, or damaged: {one_line(error)}") from error


def chosen_tiers(path: Path, tiers: tuple[str, ...] | list[str], chosen: Mapping[str, str]) -> list[str]:
    """List the tiers to read: all, or the one that ``data.columns.label`` names."""
    wanted = chosen.get("label")
    if wanted and wanted not in tiers:
        raise ConfigError(
            f"{path}: no tier {wanted!r}{nearest(wanted, tiers)} for data.columns.label; tiers: {listing(tiers)}"
        )
    return [wanted] if wanted else list(tiers)
