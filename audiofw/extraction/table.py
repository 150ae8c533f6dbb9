"""Extract a run's feature tables as configured: of its clips and of augmented copies, through the cache."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from audiofw.cache.folder import GB
from audiofw.cache.store import Cache, RecipeCache, recipe_digest
from audiofw.config.options import Config
from audiofw.contract.combined import Combined
from audiofw.contract.plugin import Choice
from audiofw.data.dataset import Clip
from audiofw.extraction.collected import Spill
from audiofw.extraction.extract import Table, tabulate
from audiofw.extraction.joined import JoinedUnit, join_units, side_by_side
from audiofw.extraction.padding import PadValue
from audiofw.extraction.recording import Copy, Unit, make_unit
from audiofw.system.locks import alone
from audiofw.system.paths import cache_root

log = logging.getLogger(__name__)

COPIES = 3  # default number of augmented copies per training clip


def units_of(config: Config, choices: Mapping[str, Choice]) -> list[Unit]:
    """Build the extraction of one recording, followed by one for each augmented copy of it."""
    unit = unit_for(asdict(config.audio), asdict(config.windows), config.pad.value, choices)
    if not (augmentation := choices.get("augmentation")):
        return [unit]
    copies = COPIES if config.augmented_copies is None else config.augmented_copies
    return [unit, *(replace(unit, copy=Copy(augmentation, number + 1, config.seed)) for number in range(copies))]


def unit_for(
    audio: Mapping[str, Any], windows: Mapping[str, Any], pad_value: PadValue, choices: Mapping[str, Choice]
) -> Unit:
    """Build the extraction of one recording, by one feature or several."""
    unit = make_unit(audio, windows, choices)
    return join_units(unit.feature, unit, pad_value) if isinstance(unit.feature, Combined) else unit


def settled(unit: Unit, table: Table) -> Unit:
    """Let a unit of several features give each as many columns as a table has of it."""
    return replace(unit, widths=table.widths) if isinstance(unit, JoinedUnit) else unit


def extract(
    clips: Sequence[Clip], unit: Unit, config: Config, width: tuple[int, ...] | int | None = None, **options: Any
) -> Table:
    """Extract a feature table as configured, through the cache; of several features, one after the other."""
    if not isinstance(unit, JoinedUnit):
        return _extract(clips, unit, config, width=width, **options)
    widths = width if isinstance(width, tuple) else (None,) * len(unit.parts)
    if options.get("progress", "extract") == "extract":
        parts = [
            (part, {**options, "progress": f"extract {name}"})
            for name, part in zip(unit.names, unit.parts, strict=True)
        ]
    else:
        parts = [(part, options) for part in unit.parts]
    tables = [
        _extract(clips, part, config, width=own, **given) for (part, given), own in zip(parts, widths, strict=True)
    ]
    return side_by_side(tables, len(clips), spill_of(config))


def _extract(clips: Sequence[Clip], unit: Unit, config: Config, **options: Any) -> Table:
    options = {"on_error": config.data.on_error, "on_plugin_error": config.data.on_plugin_error, **options}
    with open_recipe_cache(config, unit.recipe(), clips) as recipe_cache:
        return tabulate(
            clips,
            unit,
            n_jobs=config.n_jobs,
            pad_to=config.pad.to,
            pad_value=config.pad.value,
            recipe_cache=recipe_cache,
            spill=spill_of(config),
            **options,
        )


def spill_of(config: Config) -> Spill | None:
    """Say where tables go that are larger than ``max_table_gb``; None to keep all in memory."""
    return None if config.max_table_gb is None else Spill(cache_root(), config.max_table_gb * GB)


def extract_copies(clips: Sequence[Clip], units: Sequence[Unit], config: Config, table: Table) -> list[Table]:
    """Extract tables of augmented copies, with the same width as ``table``; copies that fail are skipped."""
    copies = []
    for number, unit in enumerate(units, 1):
        what = f"augment {number}/{len(units)}"
        copies.append(extract(clips, unit, config, on_error="skip", width=width_of(table), progress=what))
    if lost := [failure for copy in copies for failure in copy.failures]:
        log.warning("augmentation: %d copies skipped (first: %s): %s", len(lost), lost[0].name, lost[0].reason)
    return copies


def width_of(table: Table) -> tuple[int, ...] | int | None:
    """Width that other tables need for the same model, of each of several features; None for feature matrices."""
    if table.widths:
        return table.widths
    return table.X.shape[1] if table.X.ndim > 1 else None


@contextmanager
def open_recipe_cache(config: Config, recipe: Mapping[str, Any], clips: Sequence[Clip]) -> Iterator[RecipeCache | None]:
    """Open the cache for a recipe; None if it is disabled.

    Waits for another process that extracts the same features of the same clips, in order to reuse its results.
    """
    if not config.cache.enabled:
        yield None
        return
    folder = cache_root() / "features"
    with Cache(folder, max_gb=config.cache.max_gb, verify=config.cache.verify) as cache:
        recipe_cache = cache.recipe_cache(recipe)
        with alone(_lock(folder, recipe, clips), "extracting the same features"):
            yield recipe_cache


def _lock(folder: Path, recipe: Mapping[str, Any], clips: Sequence[Clip]) -> Path:
    name = recipe_digest({"recipe": recipe, "clips": [f"{clip.path}{clip.stretch.key}" for clip in clips]})
    return folder.parent / "locks" / f"{name}.lock"
