"""The jobs of a command line, inspected instead of run; nothing is written."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from audiofw.audit.run import probe_recipe, used_part_of
from audiofw.cache.store import recipe_digest
from audiofw.config.options import Config
from audiofw.contract.plugin import Choice
from audiofw.contract.registry import load_menus
from audiofw.data.dataset import Dataset
from audiofw.errors import AudiofwError, ConfigError
from audiofw.evaluation.changes import Changed, changed_units
from audiofw.experiment.hydra_app import Refused, resolve, run_app
from audiofw.experiment.run import rehearse, run_code
from audiofw.extraction.clips import find_dataset, split
from audiofw.extraction.recording import Unit
from audiofw.extraction.table import units_of
from audiofw.results.record import Record, describe_error, earlier_run, job_identity, settled_run
from audiofw.system.paths import from_here
from audiofw.system.reading import flatten
from audiofw.system.scratch import scratch_folder

ELSEWHERE = re.compile(
    r"[+~]*(hydra[./]launcher|hydra\.(run|sweep)\.(sub)?dir\b)"
)  # options that only affect where and how jobs run
GRIDS = ("basic", "filter")  # sweepers whose jobs do not depend on the results of others


class Key(NamedTuple):
    """Identifies an extraction: its recipe, and whether it is cached."""

    recipe: str
    kept: bool


class JobPlan(NamedTuple):
    """The parts of a job that would be run."""

    config: Config
    choices: Mapping[str, Choice]
    dataset: Dataset
    n_folds: int
    tested: frozenset[int]  #: indices of the clips in any test set
    units: Mapping[Key, Unit]  #: extractions: of the clips, then of augmented copies and modified test clips

    n_features: int = 1

    @property
    def features(self) -> list[Key]:
        """The extraction of its clips' features, one for each of several."""
        return list(self.units)[: self.n_features]

    def part(self, key: Key) -> frozenset[int] | None:
        """Return the indices of the clips of an extraction; None for all."""
        unit = self.units.get(key)
        changed = unit and unit.copy and isinstance(unit.copy.augmentation, Changed)
        return self.tested if changed else None

    @property
    def probes(self) -> Key | None:
        """The extraction for the audit."""
        recipe = probe_recipe(used_part_of(self.config))
        return Key(recipe_digest(recipe), self.config.cache.enabled) if self.config.audit else None


class Job(NamedTuple):
    """One job, and whether it would be run."""

    number: int
    options: Mapping[str, Any]  #: of the whole config, by dotted key
    status: str
    work: JobPlan | None = None  #: None for one that would not be run
    refused: bool = False
    seconds: float | None = 0.0  #: without the extraction; None if unknown

    def refuse(self, error: BaseException) -> Job:
        """Say why it cannot be run."""
        return self._replace(status=f"cannot run: {describe_error(error)}", work=None, refused=True)


def list_jobs(words: Sequence[str]) -> list[Job]:
    """Let Hydra create the jobs of a command line, and inspect each instead of running it."""
    if other := next((found for word in words if (found := re.match(r"\+*hydra/sweeper=(.*)", word))), None):
        _check_sweeper(other[1])
    survey = Survey()
    kept = [word for word in words if not ELSEWHERE.match(word)]
    with scratch_folder() as scratch:
        here = [f"hydra.run.dir={scratch}", f"hydra.sweep.dir={scratch}", "hydra.sweep.subdir=${hydra.job.num}"]
        run_app([*kept, *here, "hydra/launcher=basic"], survey.take)
    return survey.jobs


def _check_sweeper(name: str) -> None:
    if name not in GRIDS:
        raise ConfigError(f"--plan: hydra/sweeper={name} chooses jobs by the results of others, so there is no plan")


class Survey:
    """Collects the jobs that Hydra creates; what they have in common is inspected once."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []
        self._menus = load_menus()
        self._datasets: dict[str, Dataset] = {}
        self._seen: dict[str, int] = {}

    def take(self, cfg: DictConfig) -> float:
        """Inspect one job; Hydra calls this to run it."""
        try:
            _check_sweeper(HydraConfig.get().runtime.choices.get("hydra/sweeper", GRIDS[0]))
        except ConfigError as error:
            raise Refused(error) from error
        job = Job(len(self.jobs), _options(cfg), "to run")
        try:
            job = self._foresee(job, cfg)
        except AudiofwError as error:  # affects only this job, as it would when run
            job = job.refuse(error)
        self.jobs.append(job)
        return 0.0

    def _foresee(self, job: Job, cfg: DictConfig) -> Job:
        """Check everything that can be checked quickly, and look for an earlier run."""
        config, choices = resolve(cfg, self._menus)
        rehearse(config, choices)
        dataset = self._find(config)
        folds, _, _ = split(dataset.clips, choices["split"], config.seed, config.task)
        units = units_of(config, choices)
        if config.robustness:
            units += changed_units(units[0], config.seed).values()
        known = {Key(recipe_digest(part.recipe()), config.cache.enabled): part for unit in units for part in unit.parts}
        tested = frozenset(int(i) for fold in folds for i in fold.test)
        work = JobPlan(config, choices, dataset, len(folds), tested, known, len(units[0].parts))
        alone = HydraConfig.get().mode != RunMode.MULTIRUN  # a plain run is always run
        return self._settle(job, work, "all" if alone else config.sweep.rerun)

    def _find(self, config: Config) -> Dataset:
        key = repr((config.data, config.task, config.audio.duration, config.windows))
        if key not in self._datasets:
            self._datasets[key] = find_dataset(config)
        return self._datasets[key]

    def _settle(self, job: Job, work: JobPlan, rerun: str) -> Job:
        """Determine whether a sweep would run it, as `audiofw.experiment.job.run_in_sweep` does."""
        if rerun == "all":
            return job._replace(work=work)
        identity = job_identity(work.config, work.choices, work.dataset, run_code())
        first = self._seen.setdefault(identity, job.number)
        if first != job.number:
            return job._replace(status=f"same as job {first}")
        if found := settled_run(identity, rerun):
            return job._replace(status=_say(*found))
        found = earlier_run(identity)
        if found and found[1].status == "failed":
            return job._replace(status=f"to repeat, {_say(*found)}", work=work)
        return job._replace(work=work)


def _say(where: Path, record: Record) -> str:
    reason = f": {record.reason}" if record.reason else ""
    return f"{record.status} in {from_here(where)}{reason}"


def _options(cfg: DictConfig) -> dict[str, Any]:
    try:
        values: Any = OmegaConf.to_container(cfg, resolve=True)
        return dict(flatten(values))
    except OmegaConfBaseException:  # reported when the job is resolved
        return {}
