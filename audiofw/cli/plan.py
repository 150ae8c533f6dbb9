"""``audiofw … --plan``: print what a command would run and how long that takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.table import Table

from audiofw.contract.hookspecs import RESULT_KINDS
from audiofw.experiment.plan.cost import SAMPLE, Extraction
from audiofw.experiment.plan.jobs import Job
from audiofw.experiment.plan.plan import AUDIT, Plan, make_plan
from audiofw.leaderboard.runs import Run
from audiofw.leaderboard.table import differing_options, show_option
from audiofw.system.tables import new_table, open_console, show_size, show_time

SHAPING = ("feature.", "pooling.", "audio.")  # the options in which extractions may differ


def show_plan(words: Sequence[str]) -> int:
    """Print the jobs of a command, what they extract, and the time and disk space that takes; run nothing.

    Returns
    -------
    int
        0; 1 if a job cannot be run.

    Raises
    ------
    AudiofwError
        For a command that Hydra refuses as a whole.
    """
    plan = make_plan(words)
    if not plan.jobs:  # --cfg and the like print something else
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
    """Find the options that differ among the jobs, as a leaderboard does, and list each job's values."""
    runs = [Run(Path(), str(job.number), "running", 0.0, options=job.options) for job in jobs]
    columns = [column for column in differing_options(runs) if column != "run"] or list(RESULT_KINDS)
    return columns, [{column: show_option(run, column) for column in columns} for run in runs]


def _job_table(jobs: Sequence[Job], columns: Sequence[str], options: Sequence[dict[str, str]]) -> Table:
    table = new_table("job", *columns, "time", "status")
    table.columns[-2].justify = "right"
    for job, shown in zip(jobs, options, strict=True):
        table.add_row(
            str(job.number), *shown.values(), show_time(job.seconds, "unknown") if job.work else "–", job.status
        )
    return table


def _extraction_table(plan: Plan, columns: Sequence[str], options: Sequence[dict[str, str]]) -> Table:
    table = new_table("extraction", "jobs", "clips", "cached", "new", "disk", "time", right=6)
    for extraction, cost in plan.extractions:
        counts = (len(extraction.jobs), len(extraction.sounds), cost.cached, cost.new)
        label = _label(extraction, columns, options[extraction.jobs[0]])
        table.add_row(label, *map(str, counts), show_size(cost.size, "unknown"), show_time(cost.seconds, "unknown"))
    return table


def _label(extraction: Extraction, columns: Sequence[str], options: dict[str, str]) -> str:
    """Name an extraction by its plugins and the options that distinguish it from the others."""
    if extraction.name == AUDIT:
        return AUDIT
    shaping = [c for c in columns if c.startswith(SHAPING) and options[c] != "–"]
    return " ".join([extraction.name, *(f"{column}={options[column]}" for column in shaping)])


def _say(plan: Plan) -> Iterator[str]:
    """Sum up the plan, and state what the estimates assume."""
    yield _count(plan.jobs)
    if not any(job.work for job in plan.jobs):
        return
    costs = [cost for _, cost in plan.extractions]
    rest = [job.seconds for job in plan.jobs if job.work]
    known = [seconds for seconds in (*(cost.seconds for cost in costs), *rest) if seconds is not None]
    least = "at least " if len(known) < len(costs) + len(rest) else "about "
    size = sum(cost.size or 0.0 for cost in costs)
    yield f"time: {least}{show_time(sum(known))}; disk: {show_size(size)} for new features"
    yield _assumed(plan)
    yield from _unknown(plan)


def _count(jobs: Sequence[Job]) -> str:
    kinds = Counter("to run" if job.work else "cannot run" if job.refused else "not repeated" for job in jobs)
    return f"{len(jobs)} job{'s' * (len(jobs) > 1)}: " + ", ".join(f"{count} {kind}" for kind, count in kinds.items())


def _assumed(plan: Plan) -> str:
    workers = max(extraction.workers for extraction, _ in plan.extractions)
    return (
        f"estimated from {SAMPLE} clips of each extraction, measured now, with {workers} "
        f"worker{'s' * (workers > 1)}, and from earlier jobs with the same model and a similar number of clips; "
        "jobs run one after another"
    )


def _unknown(plan: Plan) -> Iterator[str]:
    if models := sorted({job.work.choices["model"].name for job in plan.jobs if job.work and job.seconds is None}):
        yield f"time unknown: no earlier job with model={','.join(models)} and a similar number of clips"
    for extraction, cost in plan.extractions:
        if cost.reason:
            yield f"time unknown: {extraction.name} failed on every clip that was tried: {cost.reason}"
