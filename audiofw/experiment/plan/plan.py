"""``--plan``: the jobs of a command line and what they extract, with their estimated cost; nothing is run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple

from audiofw.audio.stretch import Stretch
from audiofw.audit.run import probe_vector, used_part_of
from audiofw.errors import AudiofwError
from audiofw.experiment.plan.cost import (
    CacheContents,
    Extraction,
    ExtractionCost,
    Past,
    expected_seconds,
    measure_cost,
    read_past,
)
from audiofw.experiment.plan.jobs import Job, JobPlan, Key, list_jobs
from audiofw.extraction.recording import Unit
from audiofw.parallel.workers import count_workers
from audiofw.system.progress import counting

AUDIT = "audit"
Width = int | AudiofwError | None  # number of features; why they cannot be extracted; None if it depends on the clips


class Plan(NamedTuple):
    """The jobs, and the extractions that they need."""

    jobs: list[Job]
    extractions: list[tuple[Extraction, ExtractionCost]]


def make_plan(words: Sequence[str]) -> Plan:
    """List the jobs of a command line, and estimate the cost of those to be run.

    Raises
    ------
    AudiofwError
        For a command line that Hydra rejects as a whole.
    """
    widths: dict[Key, Width] = {}
    listed = [_try_out(job, widths) for job in list_jobs(words)]
    costs = _measure(group_extractions(listed))
    listed = [_refuse_bug(job, costs) for job in listed]
    past = read_past()
    timed = [_time(job, widths, costs, past) for job in listed]
    return Plan(timed, [(extraction, costs[key]) for key, extraction in group_extractions(listed).items()])


def _measure(shared: Mapping[Key, Extraction]) -> dict[Key, ExtractionCost]:
    stored, costs = CacheContents(), {}
    with counting("measure", len(shared)) as advance:
        for key, extraction in shared.items():
            costs[key] = measure_cost(extraction, stored)
            advance()
    return costs


def _refuse_bug(job: Job, costs: Mapping[Key, ExtractionCost]) -> Job:
    """Mark a job as failing if its plugins failed on one of the measured clips, which would end its run."""
    if job.work is None or job.work.config.data.on_plugin_error == "skip":
        return job
    bug = next((bug for key in job.work.units if (bug := costs[key].bug)), None)
    return job.refuse(bug) if bug else job


def _try_out(job: Job, widths: dict[Key, Width]) -> Job:
    """Try a job's plugins on a synthetic clip, as its run would, and note the number of features."""
    if job.work is None:
        return job
    for key in job.work.features:
        if key not in widths:
            try:
                widths[key] = job.work.units[key].try_out()
            except AudiofwError as error:
                widths[key] = error
        if isinstance(width := widths[key], AudiofwError):
            return job.refuse(width)
    return job


def group_extractions(listed: Sequence[Job]) -> dict[Key, Extraction]:
    """Collect the extractions of the jobs to be run; shared ones are listed once."""
    needed: dict[Key, list[Job]] = {}
    for job in listed:
        for key in (job.work.probes, *job.work.units) if job.work else ():
            if key:
                needed.setdefault(key, []).append(job)
    return {key: _extraction(key, sharing) for key, sharing in needed.items()}


def _extraction(key: Key, sharing: Sequence[Job]) -> Extraction:
    works = [job.work for job in sharing if job.work]
    first = works[0]
    unit = first.units.get(key)
    return Extraction(
        name=_name(unit) if unit else AUDIT,
        make=unit or partial(probe_vector, used_part_of(first.config)),
        recipe=key.recipe,
        sounds=_sounds(works, key),
        kept=key.kept,
        workers=count_workers(first.config.n_jobs),
        jobs=tuple(job.number for job in sharing),
    )


def _name(unit: Unit) -> str:
    copy = f", {unit.copy.augmentation.name} {unit.copy.number}" if unit.copy else ""
    return f"{unit.feature.name} + {unit.pooling.name}{copy}"


def _sounds(works: Sequence[JobPlan], key: Key) -> list[Stretch]:
    """List the clips, each once if its features are cached."""
    if not key.kept:
        return [sound for work in works for sound in _clips(work, key)]
    distinct = {(id(work.dataset), work.part(key)): work for work in works}
    return list(dict.fromkeys(sound for work in distinct.values() for sound in _clips(work, key)))


def _clips(work: JobPlan, key: Key) -> list[Stretch]:
    part, clips = work.part(key), work.dataset.clips
    return [clip.stretch for clip in clips] if part is None else [clips[i].stretch for i in sorted(part)]


def _time(job: Job, widths: Mapping[Key, Width], costs: Mapping[Key, ExtractionCost], past: Sequence[Past]) -> Job:
    if job.work is None:
        return job
    model = job.work.choices["model"]
    columns = [width if isinstance(width := widths[key], int) else costs[key].columns for key in job.work.features]
    seconds = expected_seconds(
        [earlier for earlier in past if earlier.task == job.work.config.task],
        {"name": model.name, **model.options},
        clips=len(job.work.dataset.clips),
        columns=None if None in columns else sum(filter(None, columns)),
        folds=job.work.n_folds,
    )
    return job._replace(seconds=seconds)
