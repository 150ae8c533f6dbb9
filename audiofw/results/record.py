"""Records of jobs, which are identified by config, data and code, so that a job is not run twice.

Each run's folder contains ``result.json``, the record of how it went. ``jobs/<id>`` in the cache folder points to the
newest folder of a job, from any sweep.
"""

from __future__ import annotations

import json
import logging
import os
import platform
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from audiofw.bundle.files import FOLDER
from audiofw.config.options import Config, effect_of, option_values
from audiofw.contract.hookspecs import RESULT_KINDS
from audiofw.contract.plugin import Choice
from audiofw.data.dataset import Clip, Dataset
from audiofw.errors import AudiofwError, first_line, one_line
from audiofw.results.files import write_json
from audiofw.results.folder import OWNED, RECORD, clear_results
from audiofw.system.atomic import is_alive, write_whole
from audiofw.system.faults import warn_of_cache
from audiofw.system.hashing import digest_json
from audiofw.system.paths import cache_root
from audiofw.system.versions import FIGURES, versions_of

log = logging.getLogger(__name__)

Status = Literal["running", "finished", "failed", "pruned"]


@dataclass
class Record:
    """The content of ``result.json``."""

    job: str
    status: Status
    overrides: list[str]
    score: str
    value: float | None = None
    reason: str | None = None
    seconds: float = 0.0
    started: str = ""
    pid: int = 0
    reused: str | None = None  #: the folder of the earlier run that this one repeats
    missing: str | None = None  #: what was wanted but could not be written, and why


def job_identity(config: Config, choices: Mapping[str, Choice], dataset: Dataset, code: str) -> str:
    """Compute a job's identity from everything that its result depends on.

    Parameters
    ----------
    config : Config
    choices : mapping of str to Choice
    dataset : Dataset
    code : str
        Digest of audiofw's code that runs it.

    Returns
    -------
    str
        32 hexadecimal digits.
    """
    facts = {
        "config": {key: value for key, value in option_values(config) if _identifies(key)},
        "plugins": {kind: choices[kind].identity for kind in choices if kind in RESULT_KINDS},
        "data": _data(dataset),
        **({"recordings": _annotations(dataset)} if dataset.recordings else {}),
        "code": code,
        "libraries": versions_of(FIGURES),
        "python": platform.python_version(),
    }
    return digest_json(facts)


def _identifies(key: str) -> bool:
    """Check whether an option is part of a job's identity; the clips are included themselves, not their options."""
    if key == "data.background":  # which class is the negative one
        return True
    return effect_of(key) != "nothing" and not key.startswith(("data.", "tune.holdout"))


def _data(dataset: Dataset) -> list[Any]:
    """List the clips with their labels, and what shows that a file has changed."""
    root = dataset.root
    if root.is_relative_to(cache_root()):  # its name contains the hash of the archive
        return [str(root.relative_to(cache_root())), [_of_clip(clip) for clip in dataset.clips]]
    stats = [clip.path.stat() for clip in dataset.clips]
    return [(*_of_clip(clip), s.st_size, s.st_mtime_ns) for clip, s in zip(dataset.clips, stats, strict=True)]


def _of_clip(clip: Clip) -> list[Any]:
    recorded = clip.recorded
    when = [recorded.at(0.0), recorded.site, recorded.serial] if recorded.time else []
    return [clip.name, clip.label, clip.group, clip.fold, clip.start, clip.end, *when]


def _annotations(dataset: Dataset) -> list[Any]:
    return [[one.name, one.seconds, [row[1:6] for row in one.rows]] for one in dataset.recordings]


def read_record(folder: Path) -> Record | None:
    """Read the record in a run's folder; None if it is missing or cannot be read."""
    try:
        return Record(**json.loads((folder / "result.json").read_text()))
    except (OSError, ValueError, TypeError):
        return None


def write_record(folder: Path, record: Record) -> None:
    """Write ``result.json`` atomically; see `write_text` for exceptions."""
    write_json(folder / "result.json", asdict(record))


def begin_job(folder: Path, job: str, overrides: Sequence[str], score: str) -> Record:
    """Record that a job is running in a folder; its identity may be empty if it is not known yet."""
    record = Record(job, "running", list(overrides), score, started=now(), pid=os.getpid())
    write_record(folder, record)
    if job:
        _point(job, folder)
    return record


def end_job(
    folder: Path,
    record: Record,
    *,
    value: float | None = None,
    reason: str | None = None,
    pruned: bool = False,
    missing: str | None = None,
) -> None:
    """Record how a job ended: with a score, or why there is none; and what could not be written."""
    record.status = "pruned" if pruned else "finished" if reason is None else "failed"
    record.value, record.reason, record.missing = value, reason, missing
    record.seconds = (datetime.now().astimezone() - datetime.fromisoformat(record.started)).total_seconds()
    write_record(folder, record)


def end_failed_job(folder: Path, overrides: Sequence[str], reason: str) -> None:
    """Record that a job failed, possibly before its identity was known."""
    record = read_record(folder)
    if record is None or record.status != "failed":
        end_job(folder, record or Record("", "failed", list(overrides), "", started=now()), reason=reason)


def describe_error(error: BaseException) -> str:
    """Describe an error on one line, with its class unless it is audiofw's own."""
    if isinstance(error, AudiofwError):
        return one_line(error, most=None)
    if isinstance(error, KeyboardInterrupt):
        return "stopped by Ctrl-C"
    return f"{type(error).__name__}: {first_line(error)}"


def now() -> str:
    """Return the time in ISO 8601, with time zone."""
    return datetime.now().astimezone().isoformat()


def earlier_run(job: str) -> tuple[Path, Record] | None:
    """Find the newest folder of a job, and its record; None if it never ran or was deleted."""
    try:
        folder = Path(_pointer(job).read_text())
    except OSError:
        return None
    record = read_record(folder)
    return (folder, record) if record and record.job == job else None


def settled_run(job: str, rerun: str, since: str = "9999") -> tuple[Path, Record] | None:
    """Find an earlier run because of which a job is not run: a finished one, or a failed one that is not repeated.

    A run that could not save everything, e.g. because the disk was full, counts as finished only if ``rerun="none"``.

    Parameters
    ----------
    job : str
    rerun : {"failed", "all", "none"}
        Which earlier jobs are repeated.
    since : str
        Failed jobs that started after this time (ISO 8601) are not repeated.
    """
    found = earlier_run(job) if rerun != "all" else None
    if not found:
        return None
    record = found[1]
    whole = record.missing is None or rerun == "none"
    finished = record.status == "finished" and record.value is not None and whole
    failed = record.status == "failed" and (rerun == "none" or record.started >= since)
    return found if finished or failed else None


def repeat_run(found: Path, record: Record, folder: Path, overrides: Sequence[str]) -> None:
    """Copy the results of an earlier run of the same job, ``result.json`` last."""
    if found == folder.resolve():  # a restarted sweep finds its own folders
        return
    clear_results(folder)
    for file in found.iterdir():
        if file.is_file() and file.name in OWNED and file.name != RECORD:
            shutil.copy2(file, folder / file.name)
    if (found / FOLDER).is_dir():
        shutil.copytree(found / FOLDER, folder / FOLDER, dirs_exist_ok=True)
    write_record(folder, replace(record, overrides=list(overrides), reused=str(found)))
    _point(record.job, folder)


def interrupted_jobs(folder: Path) -> list[Path]:
    """Find the folders below one whose runs are recorded as running, but whose process has died."""
    folders = [file.parent for file in folder.rglob("result.json")]
    return [
        f for f in folders if (record := read_record(f)) and record.status == "running" and not is_alive(record.pid)
    ]


def _pointer(job: str) -> Path:
    return cache_root() / "jobs" / job


def _point(job: str, folder: Path) -> None:
    """Let later sweeps find this run; if the cache cannot be written, they run the job again."""
    try:
        _pointer(job).parent.mkdir(parents=True, exist_ok=True)
        write_whole(_pointer(job), str(folder.resolve()).encode())
    except OSError as error:
        warn_of_cache(error)
