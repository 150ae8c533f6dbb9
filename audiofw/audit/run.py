"""Audit a run: measure every clip, in parallel or from the cache, and check for leaks."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from audiofw.audio.stretch import Stretch
from audiofw.audit import probe
from audiofw.audit.findings import Finding, audit
from audiofw.audit.leakage import Folds, effect, leaked
from audiofw.config.options import Config
from audiofw.data.dataset import Clip
from audiofw.data.splits import Fold
from audiofw.evaluation.cross_validate import Evaluation
from audiofw.extraction.extract import cached_or_made
from audiofw.extraction.recording import segments_of
from audiofw.extraction.table import open_recipe_cache
from audiofw.parallel.executors import Lost
from audiofw.parallel.workers import outcomes
from audiofw.system.progress import counting
from audiofw.system.sourcecode import digest_code

log = logging.getLogger(__name__)


def probe_recipe(part: probe.UsedPart) -> dict[str, Any]:
    """Describe what a probe depends on besides its file, for the cache's key."""
    return {
        "feature": {"name": "audit", "code": digest_code([Path(probe.__file__)])},
        "audio": part.recipe(),
        "libsndfile": soundfile.__libsndfile_version__,
    }


def find_leaks(
    clips: Sequence[Clip], probes: Sequence[probe.Probe | None], folds: Sequence[Fold], config: Config
) -> list[Finding]:
    """Check clips, to be split like this, for duplicates, shared sources and shortcuts.

    A clip that cannot be read has no probe and is ignored here: extraction reports it. The jobs of a sweep mostly ask
    the same, and get the same answer.
    """
    part = used_part_of(config)
    if not isinstance(probes, probe.Probes):
        return audit(clips, probes, folds, seed=config.seed, read=part.read, task=config.task)
    parts = [(fold.train.tobytes(), fold.test.tobytes()) for fold in folds]
    kept = _kept(tuple(clips), probes.digest(), tuple(parts), part, config.seed, config.task)
    if not kept:
        kept.append(audit(clips, probes, folds, seed=config.seed, read=part.read, task=config.task))
    return list(kept[0])


@lru_cache(maxsize=1)
def _kept(*asked: Any) -> list[list[Finding]]:
    """Hold the findings of the last audit in this process; empty if that was asked something else."""
    return []


def probe_all(clips: Sequence[Clip], config: Config, *, n_jobs: int) -> probe.Probes:
    """Probe clips in parallel, or read their probes from the cache; None for a clip that cannot be read."""
    part = used_part_of(config)
    probes = probe.Probes()
    with (
        open_recipe_cache(config, probe_recipe(part), clips) as recipe_cache,
        counting("audit", len(clips)) as advance,
    ):
        measure = cached_or_made(partial(probe_vector, part), recipe_cache)
        with closing(outcomes(measure, (clip.stretch for clip in clips), n_jobs=n_jobs)) as results:
            for result in results:
                probes.append(None if isinstance(result, Lost) else result.made)
                advance()
    return probes


def measure_effects(
    findings: Sequence[Finding], n_clips: int, kept: np.ndarray, evaluation: Evaluation, folds: Sequence[Fold]
) -> list[Finding]:
    """Add to each finding its effect on the accuracy.

    The findings index all clips, the evaluation only those that were kept.
    """
    y, predictions = np.full((2, n_clips), -1)
    y[kept], predictions[kept] = _as_numbers(evaluation)
    return with_effects(findings, y, predictions, [(kept[fold.train], kept[fold.test]) for fold in folds])


def _as_numbers(evaluation: Evaluation) -> tuple[np.ndarray, np.ndarray]:
    """Return true and predicted classes; several labels per clip are numbered as sets."""
    y, predictions = evaluation.y, evaluation.predictions
    if y.ndim == 1:
        return y, predictions
    number = np.unique(np.concatenate([y, predictions]), axis=0, return_inverse=True)[1].ravel()
    return number[: len(y)], np.where(evaluation.tested, number[len(y) :], -1)


def with_effects(findings: Iterable[Finding], y: np.ndarray, predictions: np.ndarray, folds: Folds) -> list[Finding]:
    """Add to each finding its effect on the accuracy, where there is enough to compare."""
    masks = [(finding, leaked(finding.sets, folds, len(y))) for finding in findings]
    return [one._replace(effect=effect(y, predictions, mask, one.sets)) for one, mask in masks]


def finding_record(finding: Finding) -> dict[str, Any]:
    """Convert a finding for JSON."""
    record = finding._asdict()
    del record["sets"]  # indices into a list that the reader does not have
    return {**record, "files": list(finding.files)}


def finding_line(finding: Mapping[str, Any]) -> str:
    """Write a finding's record in one line."""
    effect = f"; {finding['effect']}" if finding["effect"] else ""
    return f"audit {finding['severity']}: {finding['message']}{effect}; {finding['remedy']}"


def probe_vector(part: probe.UsedPart, sound: Stretch) -> np.ndarray:
    """Probe one clip, for the cache."""
    return probe.to_vector(probe.probe(sound, part))


def used_part_of(config: Config) -> probe.UsedPart:
    """Select the part of a recording that a run with these options uses."""
    unit = {name: getattr(config.audio, name) for name in ("sample_rate", "offset", "channel")}
    return probe.UsedPart(**unit, segments=segments_of(asdict(config.audio), asdict(config.windows)))
