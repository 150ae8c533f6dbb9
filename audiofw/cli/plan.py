"""``audiofw … --plan``: the plan as tables on stdout."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.table import Table

from audiofw.contract.hookspecs import KINDS
from audiofw.experiment.plan.cost import SAMPLE, Extraction
from audiofw.experiment.plan.jobs import Job
from audiofw.experiment.plan.plan import AUDIT, Plan, make_plan
from audiofw.leaderboard.runs import Run
from audiofw.leaderboard.table import find_columns, show_option
from audiofw.system.tables import new_table, open_console, show_size, show_time

SHAPING = ("feature.", "pooling.", "audio.")  # the options that tell extractions apart


def show_plan(words: Sequence[str]) -> int:
    """Print the jobs of a command line, what they extract, and what that will take; run none.

    Returns
    -------
    int
        0; 1 if a job cannot be run.

    Raises
    ------
    AudiofwError
        For a command line that Hydra refuses as a whole.
    """
    plan = make_plan(words)
    if not plan.jobs:  # --cfg and the like have shown something else
        return 0
    columns, options = _differing(plan.jobs)
    console = open_console()
    console.print(_job_table(plan.jobs, columns, options), "", sep="\n")
    if plan.extractions:
        console.print(_extraction_table(plan, columns, options), "", sep="\n")
    for line in _say(plan):
        console.print(line, soft_wrap=True)
    return int(any(job.refused for job in plan.jobs))


def _differing(jobs: Sequence[Job]) -> tuple[list[str], list[dict[str, str]]]:
    """Name the options that differ among jobs, as a leaderboard does, and list each job's."""
    runs = [Run(Path(), str(job.number), "running", 0.0, options=job.options) for job in jobs]
    columns = [column for column in find_columns(runs) if column != "run"] or list(KINDS)
    return columns, [{column: show_option(run, column) for column in columns} for run in runs]


def _job_table(jobs: Sequence[Job], columns: Sequence[str], options: Sequence[dict[str, str]]) -> Table:
    table = new_table("job", *columns, "time", "what becomes of it")
    table.columns[-2].justify = "right"
    for job, shown in zip(jobs, options, strict=True):
        table.add_row(
            str(job.number), *shown.values(), show_time(job.seconds, "unknown") if job.work else "–", job.status
        )
    return table


def _extraction_table(plan: Plan, columns: Sequence[str], options: Sequence[dict[str, str]]) -> Table:
    table = new_table("extraction", "jobs", "clips", "cached", "new", "disk", "time", right=6)
    for extraction, cost in plan.extractions:
        counts = (len(extraction.jobs), len(extraction.paths), cost.cached, cost.new)
        label = _label(extraction, columns, options[extraction.jobs[0]])
        table.add_row(label, *map(str, counts), show_size(cost.size, "unknown"), show_time(cost.seconds, "unknown"))
    return table


def _label(extraction: Extraction, columns: Sequence[str], options: dict[str, str]) -> str:
    """Name an extraction by its plugins and by what tells it from the others."""
    if extraction.name == AUDIT:
        return AUDIT
    shaping = [c for c in columns if c.startswith(SHAPING) and options[c] != "–"]
    return " ".join([extraction.name, *(f"{column}={options[column]}" for column in shaping)])


def _say(plan: Plan) -> Iterator[str]:
    """Sum it all up, and say what the figures rest on."""
    yield _count(plan.jobs)
    if not any(job.work for job in plan.jobs):
        return
    costs = [cost for _, cost in plan.extractions]
    rest = [job.seconds for job in plan.jobs if job.work]
    known = [seconds for seconds in (*(cost.seconds for cost in costs), *rest) if seconds is not None]
    least = "at least " if len(known) < len(costs) + len(rest) else "about "
    size = sum(cost.size or 0.0 for cost in costs)
    yield f"time: {least}{show_time(sum(known))}; disk: {show_size(size)} of new features"
    yield _assumed(plan)
    yield from _unknown(plan)


def _count(jobs: Sequence[Job]) -> str:
    kinds = Counter("to run" if job.work else "cannot run" if job.refused else "not run again" for job in jobs)
    return f"{len(jobs)} job{'s' * (len(jobs) > 1)}: " + ", ".join(f"{count} {kind}" for kind, count in kinds.items())


def _assumed(plan: Plan) -> str:
    workers = max(extraction.workers for extraction, _ in plan.extractions)
    return (
        f"assumed: clips take what {SAMPLE} new ones of each extraction took just now, shared by {workers} "
        f"worker{'s' * (workers > 1)}; the rest of a job what earlier jobs of its model took on as many clips; "
        "one job after another"
    )


def _unknown(plan: Plan) -> Iterator[str]:
    if models := sorted({job.work.choices["model"].name for job in plan.jobs if job.work and job.seconds is None}):
        yield f"unknown: no job with model={','.join(models)} has finished on as many clips"
    for extraction, cost in plan.extractions:
        if cost.reason:
            yield f"unknown: no clip that was tried gave {extraction.name}: {cost.reason}"
