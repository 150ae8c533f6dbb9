"""Estimate the cost of jobs by measuring a few clips of each extraction, and from earlier jobs with the same model."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from audiofw.audio.stretch import Stretch
from audiofw.cache.checksums import seal
from audiofw.cache.fileindex import FileIndex
from audiofw.cache.folder import INDEX, entry_path, on_disk, recipe_entries
from audiofw.data.select import spread_evenly
from audiofw.errors import AudiofwError
from audiofw.parallel.executors import Lost
from audiofw.parallel.workers import outcomes
from audiofw.results.record import read_record
from audiofw.system.hashing import digest_part
from audiofw.system.paths import cache_root
from audiofw.system.reading import read_yaml

SAMPLE = 8  # clips of an extraction that are timed
PATIENCE = 10.0  # seconds after which fewer clips are enough
NEAR = 0.2  # numbers of clips or columns that differ by at most this share are similar
NEWEST = 500  # earlier jobs that are considered


# --- extraction ------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Extraction:
    """An extraction of some clips, shared by all jobs that need it."""

    name: str
    make: Callable[[Stretch], np.ndarray]
    recipe: str  #: its digest
    sounds: Sequence[Stretch]
    kept: bool  #: in the cache
    workers: int
    jobs: tuple[int, ...]  #: numbers of the jobs that need it


class ExtractionCost(NamedTuple):
    """The estimated cost of an extraction; None if no clip could be measured."""

    cached: int  #: clips that are in the cache
    new: int  #: clips that are not
    seconds: float | None
    size: float | None  #: bytes on the disk
    columns: int | None  #: number of features, if it is the same for all measured clips
    reason: str = ""  #: why no clip could be measured
    bug: AudiofwError | None = None  #: in a plugin, on one of the measured clips


class CacheContents:
    """The present content of the feature cache, which is not modified."""

    def __init__(self) -> None:
        self._folder = cache_root() / "features"
        self._files = FileIndex(self._folder / INDEX)

    def lacks(self, recipe: str, sounds: Sequence[Stretch]) -> list[Stretch]:
        """List the clips that are not cached for this recipe."""
        folder = self._folder / recipe
        there = {entry.path for entry in recipe_entries(folder)}
        return [sound for sound in sounds if self._entry(folder, sound) not in there] if there else list(sounds)

    def _entry(self, folder: Path, sound: Stretch) -> str | None:
        content = self._files.content(sound.path)
        return content and entry_path(folder, digest_part(content.digest, sound.key).hex())


def measure_cost(extraction: Extraction, stored: CacheContents) -> ExtractionCost:
    """Extract a few clips that are not cached, without storing them, and extrapolate to all."""
    sounds, kept = extraction.sounds, extraction.kept
    new = stored.lacks(extraction.recipe, sounds) if kept else list(sounds)
    cached = len(sounds) - len(new)
    if not new:
        return ExtractionCost(cached, 0, seconds=0.0, size=0.0, columns=None)
    seconds, results = _time(extraction.make, spread_evenly(new, SAMPLE))
    rows = [result for result in results if not isinstance(result, Lost)]
    bugs = (result.error for result in results if isinstance(result, Lost) and not result.error.costs_a_clip)
    bug = next(bugs, None)
    if not rows:
        return ExtractionCost(cached, len(new), None, None, None, reason=results[0].reason, bug=bug)
    size = fmean(on_disk(len(seal(row, b""))) for row in rows) * len(new)
    widths = {row.shape[-1] for row in rows}
    return ExtractionCost(
        cached,
        len(new),
        seconds=seconds * len(new) / min(extraction.workers, len(new)),
        size=size if kept else 0.0,
        columns=widths.pop() if len(widths) == 1 else None,
        bug=bug,
    )


def _time(make: Callable[[Stretch], np.ndarray], sounds: Sequence[Stretch]) -> tuple[float, list[Any]]:
    """Extract some clips; return the time per clip in seconds, and the results."""
    results: list[Any] = []
    started = perf_counter()
    with closing(outcomes(make, sounds, n_jobs=1)) as made:
        for sound, result in zip(sounds, made, strict=False):
            if isinstance(result, Lost):
                result.error.clip = str(sound.path)
            results.append(result)
            if perf_counter() - started > PATIENCE:
                break
    return (perf_counter() - started) / len(results), results


# --- everything else -------------------------------------------------------------------------------


class Past(NamedTuple):
    """The time that a finished job took."""

    model: Mapping[str, Any]  #: its name and options
    clips: int
    columns: int
    fold_seconds: float  #: fitting and predicting one fold
    other_seconds: float  #: everything else except extraction: audit, intervals, figures
    task: str = "single"


def read_past() -> list[Past]:
    """Read the times of the newest jobs, wherever their folders are; deleted ones are ignored."""
    pointers = sorted(_files(cache_root() / "jobs"), key=lambda file: file.stat().st_mtime, reverse=True)
    read = (_read_past(Path(pointer.path)) for pointer in pointers[:NEWEST])
    return [past for past in read if past]


def _files(folder: Path) -> list[os.DirEntry[str]]:
    return list(os.scandir(folder)) if folder.is_dir() else []


def _read_past(pointer: Path) -> Past | None:
    try:
        folder = Path(pointer.read_text())
        record, metrics = read_record(folder), json.loads((folder / "metrics.json").read_text())
        if record is None or record.status != "finished":
            return None
        config = read_yaml(folder / "config.yaml")
        folds = sum(metrics["fit_seconds"]) + sum(metrics["predict_seconds"])
        return Past(
            model=config["model"],
            clips=metrics["n_clips"],
            columns=metrics["n_columns"],
            fold_seconds=folds / metrics["n_folds"],
            other_seconds=max(0.0, record.seconds - metrics["extract_seconds"] - folds),
            task=config.get("task", "single"),
        )
    except (OSError, ValueError, LookupError, TypeError):  # deleted, or from another version
        return None


def expected_seconds(
    past: Sequence[Past], model: Mapping[str, Any], *, clips: int, columns: int | None, folds: int
) -> float | None:
    """Estimate from earlier jobs how many seconds a job takes without its extraction.

    The most similar jobs are used: those with the same model, the same options and similar numbers of features and
    clips (within 20 %); else with any options; else with any number of features.

    Returns
    -------
    float or None
        Their median; None if there is no job with this model and a similar number of clips.
    """
    of_model = [job for job in past if job.model["name"] == model["name"] and _is_near(job.clips, clips)]
    as_wide = [job for job in of_model if columns is not None and _is_near(job.columns, columns)]
    same = [job for job in as_wide if job.model == model]
    alike = same or as_wide or of_model
    return median(job.other_seconds + job.fold_seconds * folds for job in alike) if alike else None


def _is_near(value: int, wanted: int) -> bool:
    return abs(value - wanted) <= NEAR * wanted
