"""The Optuna study of a search, stored in a file of the sweep's folder."""

from __future__ import annotations

import os
import platform
import re
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audiofw.config.options import Tune
from audiofw.errors import ConfigError, DataError, PluginError, first_line
from audiofw.experiment.tune.part import TrialRole
from audiofw.system.atomic import is_alive
from audiofw.system.faults import explain, find_fault
from audiofw.system.paths import located

if TYPE_CHECKING:
    import optuna

FILE = "study.journal"
STARTUP_TRIALS = 5  # finished trials before any is stopped early
STOPPED = "stopped"  # the study's list of trials whose process has died
WARMUP_FOLDS = 2  # of a trial before it may be stopped: a single fold may be bad by chance


def import_optuna() -> Any:
    """Import Optuna, and let it log only warnings.

    Raises
    ------
    PluginError
        If it is not installed.
    """
    try:
        import optuna
    except ImportError as error:
        raise PluginError('hydra/sweeper=optuna needs Optuna: pip install "audiofw[optuna]"') from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def open_study(folder: Path, tune: Tune, *, maximise: bool, facts: Mapping[str, Any]) -> optuna.Study:
    """Open the study in a sweep's folder, or create it.

    Parameters
    ----------
    folder : Path
        The sweep's folder.
    tune : Tune
    maximise : bool
        Whether a higher score is better.
    facts : mapping
        What all trials have in common; a study with other facts cannot be continued.

    Raises
    ------
    ConfigError
        If the storage cannot be opened, or the study has other facts.
    """
    optuna = import_optuna()
    try:
        study = optuna.create_study(
            storage=_storage(folder, tune.storage),
            study_name=_name(folder, tune.storage),
            direction="maximize" if maximise else "minimize",
            load_if_exists=True,
        )
    except _storage_errors() as error:
        if fault := find_fault(error):
            raise DataError(explain(fault, tune.storage or folder / FILE, "hydra.sweep.dir=FOLDER")) from error
        raise ConfigError(f"tune.storage={tune.storage}: cannot be opened: {first_line(error)}") from error
    for key, value in facts.items():
        known = study.user_attrs.get(key, value)
        if known != value:
            raise ConfigError(
                f"hydra.sweep.dir={folder}: the search there was started with {_show(key, known, value)}, and this one "
                f"has {_show(key, value, known)}: choose another hydra.sweep.dir"
            )
        study.set_user_attr(key, value)
    return study


def _show(key: str, value: Any, other: Any) -> str:
    if not isinstance(value, list):
        return f"{key}={value}"
    return " ".join(word for word in value if word not in other) or "none of these"


def _storage(folder: Path, url: str | None) -> Any:
    from optuna.storages import JournalStorage, get_storage
    from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

    if url is not None:
        return get_storage(re.sub(r"(?<=^sqlite:///)(?!:memory:).+", lambda file: str(located(file[0])), url))
    file = str(folder / FILE)
    # on Windows, only administrators may create the links that Optuna uses for locking elsewhere
    lock = JournalFileOpenLock(file) if os.name == "nt" else None
    return JournalStorage(JournalFileBackend(file, lock_obj=lock))


def _storage_errors() -> tuple[type[Exception], ...]:
    from optuna.exceptions import OptunaError
    from sqlalchemy.exc import SQLAlchemyError

    return OptunaError, SQLAlchemyError, ImportError, OSError, ValueError


def _name(folder: Path, url: str | None) -> str:
    return "audiofw" if url is None else folder.resolve().as_posix()  # a database may contain several studies


def make_sampler(tune: Tune, seed: int, number: int) -> optuna.samplers.BaseSampler:
    """Create the sampler that suggests the options of one trial.

    Its random numbers depend only on the seed and the trial's number, so that a search that was stopped and continued
    makes the same suggestions.
    """
    import numpy as np
    from optuna.exceptions import ExperimentalWarning
    from optuna.samplers import RandomSampler, TPESampler

    own = int(np.random.SeedSequence(seed, spawn_key=(number,)).generate_state(1)[0])
    if tune.sampler == "random":
        return RandomSampler(seed=own)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        # parallel trials should not all try the same options
        return TPESampler(seed=own, constant_liar=tune.n_jobs > 1)


def is_hopeless(part: TrialRole, tune: Tune, *, step: int, value: float) -> bool:
    """Report an intermediate score of a trial, and ask whether most others were better at this point.

    The study is opened here, so this works in any process.
    """
    optuna = import_optuna()
    study = optuna.load_study(
        storage=_storage(part.folder, tune.storage),
        study_name=_name(part.folder, tune.storage),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=STARTUP_TRIALS, n_warmup_steps=WARMUP_FOLDS),
    )
    trial = running_trial(study, part.number)
    trial.report(value, step)
    return trial.should_prune()


def running_trial(study: optuna.Study, number: int) -> optuna.Trial:
    """Access a running trial by its number, from another process than the one that started it."""
    return import_optuna().Trial(study, study.get_trials(deepcopy=False)[number]._trial_id)


def claim(trial: optuna.Trial) -> None:
    """Record which process runs a trial."""
    trial.set_user_attr("process", [platform.node(), os.getpid()])


def resume_study(study: optuna.Study) -> int:
    """Queue again the trials of processes that have died; return their number."""
    from optuna.trial import TrialState

    lost = [trial for trial in study.get_trials(deepcopy=False, states=[TrialState.RUNNING]) if _is_lost(trial)]
    study.set_user_attr(STOPPED, [*study.user_attrs.get(STOPPED, []), *(trial.number for trial in lost)])
    for trial in lost:
        study.tell(trial.number, state=TrialState.FAIL)
        study.enqueue_trial(trial.params)
    return len(lost)


def _is_lost(trial: optuna.trial.FrozenTrial) -> bool:
    host, pid = trial.user_attrs.get("process", [platform.node(), 0])
    return host == platform.node() and (pid in (0, os.getpid()) or not is_alive(pid))


def own_trials(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    """List the finished trials, without those that were interrupted and queued again."""
    return [trial for trial in _begun(study) if trial.state.is_finished()]


def count_begun(study: optuna.Study) -> int:
    """Count the finished and running trials, without those that were interrupted."""
    return len(_begun(study))


def _begun(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    stopped = study.user_attrs.get(STOPPED, [])
    trials = study.get_trials(deepcopy=False)
    return [t for t in trials if t.number not in stopped and t.state.name != "WAITING"]


def reasons(trials: Iterable[optuna.trial.FrozenTrial]) -> list[str]:
    """List the reasons of the failed trials, in their order."""
    from optuna.trial import TrialState

    return [trial.user_attrs.get("reason", "unknown") for trial in trials if trial.state == TrialState.FAIL]
