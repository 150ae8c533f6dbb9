"""Everything that touches Hydra: plugin schemas into its store, a command line into a config, errors into one line."""

from __future__ import annotations

import dataclasses
import logging
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from contextvars import ContextVar
from datetime import datetime
from inspect import signature
from pathlib import Path
from typing import Any

import hydra
import hydra.utils
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, MissingConfigException
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from audiofw.config.options import Config, read_config
from audiofw.config.overrides import as_typed, quote_text
from audiofw.contract.combined import read_names
from audiofw.contract.hookspecs import KINDS, Kind
from audiofw.contract.menus import Menus, store_node
from audiofw.contract.plugin import Choice
from audiofw.contract.registry import load_menus
from audiofw.contract.schema import Option, make_schema, missing, section_options, show_value
from audiofw.errors import AudiofwError, ConfigError, DataError, nearest
from audiofw.experiment.hydra_copies import known_mode, shallow_copies
from audiofw.experiment.supervisor import is_supervised, report_folder, session_start
from audiofw.experiment.tune.part import Pruned, trial_role
from audiofw.experiment.tune.sweeper import register
from audiofw.results.folder import HYDRAS, LOCK, RECORD, RUN_FOLDER, SWEEP_FOLDER, claimed, only_user
from audiofw.system.faults import STDOUT, explain, find_fault
from audiofw.system.logs import note_printed, warn_of_logs
from audiofw.system.paths import STARTED_IN, bundled

log = logging.getLogger(__name__)

TRACEBACKS = "AUDIOFW_FULL_ERROR"  # passes the user's HYDRA_FULL_ERROR on to jobs, since it is always set for Hydra
USUAL_RATE = 22050  # Hz, for features that do not need a certain one
CONFIG = {"config_path": str(bundled("conf")), "config_name": "config"}
TARGETS = ["audiofw.*", "hydra.*", "hydra_plugins.*", "logging.*"]
"""The modules whose classes Hydra may instantiate from a config: its own launchers, sweepers and loggers, and ours."""


class Refused(BaseException):
    """Carries an error past Hydra, which would print its own lines besides ours."""

    def __init__(self, error: AudiofwError) -> None:
        super().__init__(error)
        self.error = error


def run_app(words: Sequence[str], job: Callable[[DictConfig], float] | None = None) -> int:
    """Let Hydra run a command line: it calls `task`, or another function, with the config of each job.

    Raises
    ------
    AudiofwError
        Hydra's own errors, too, with a message of one line.
    """
    menus = load_menus()
    store_schema(menus)
    register()
    try:
        with (
            _holding_folder(),
            _command_line(["audiofw", *quote_text(words)]),
            shallow_copies(),
            known_mode(words),
            _without_hydras_lines(),
        ):
            hydra.main(**CONFIG, **for_this_hydra(hydra.main))(job or task)()
    except Refused as refused:
        error = refused.error
    except JobError:  # the leaderboard lists it
        return 1
    except (HydraException, OmegaConfBaseException) as said:
        raise plain_error(said, menus, words) from said
    else:
        return 0
    raise error  # here, so that its traceback shows its own cause and not Hydra's frames


def for_this_hydra(function: Callable[..., Any]) -> dict[str, Any]:
    """Choose arguments by Hydra's release: 1.4 warns about version_base, and restricts what configs may instantiate."""
    if not hasattr(hydra.utils, "execution_whitelist"):
        return {"version_base": "1.3"}
    return {"execution_whitelist": TARGETS} if "execution_whitelist" in signature(function).parameters else {}


def compose(words: Sequence[str]) -> tuple[Config, dict[str, Choice]]:
    """Compose one config without Hydra's main: nothing is written, and logging is left alone.

    Raises
    ------
    AudiofwError
        If it cannot be composed.
    """
    menus = load_menus()
    menus.warn()
    store_schema(menus)
    register()  # a preset may select this sweeper
    try:
        return resolve(_compose(quote_text(words)), menus)
    except (HydraException, OmegaConfBaseException) as error:
        raise plain_error(error, menus, words) from error


@contextmanager
def _command_line(argv: list[str]) -> Iterator[None]:
    """Let Hydra read ``argv`` and raise its errors; otherwise it prints them over many lines and exits.

    Jobs learn by another variable whether the user has set this one, in whatever process they run.
    """
    words, full = sys.argv, os.environ.get("HYDRA_FULL_ERROR", "0")
    sys.argv, os.environ["HYDRA_FULL_ERROR"], os.environ[TRACEBACKS] = argv, "1", full
    try:
        yield
    finally:
        sys.argv, os.environ["HYDRA_FULL_ERROR"] = words, full
        del os.environ[TRACEBACKS]
        close_log()


class _Filtered:
    """A stream without what Hydra writes about failed jobs, which the leaderboard lists with their reasons."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        return len(text) if text.startswith("Error executing job with overrides") else int(self._stream.write(text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def _without_hydras_lines() -> Iterator[None]:
    stream: Any = sys.stderr
    sys.stderr = _Filtered(stream)
    try:
        yield
    finally:
        sys.stderr = stream


def close_log() -> None:
    """Remove the handlers that Hydra has added to the root logger: they write into the run's folder."""
    root = logging.getLogger()
    for handler in [h for h in root.handlers if isinstance(h, logging.FileHandler)]:
        root.removeHandler(handler)
        handler.close()


def store_schema(menus: Menus) -> None:
    """Put the types of the whole config into Hydra's store; the values are in ``conf/config.yaml``."""
    menus.store()
    sections = [*map(missing, section_options(Config)), *map(_menu, KINDS.values())]
    store_node(name="schema", node=make_schema("Config", sections))


def _menu(kind: Kind) -> Option:
    return Option(kind.name, Any, None) if kind.optional else Option(kind.name, Any)


def task(cfg: DictConfig) -> float:
    """Run one job and return its main score."""
    hydra_config = HydraConfig.get()
    folder, overrides = Path(hydra_config.runtime.output_dir), list(hydra_config.overrides.task)
    try:
        if hydra_config.mode == RunMode.MULTIRUN:
            log.info("%s: %s", label(hydra_config), " ".join(map(as_typed, overrides)) or "default options")
            refuse_shared_folder(folder, overrides)
        menus = load_menus()  # again: a launcher may have sent this job to another process
        menus.warn()
        config, choices = resolve(cfg, menus)
        config = share_cores(config, hydra_config.launcher)
        part = trial_role(hydra_config)
        from audiofw.experiment.job import run_alone, run_in_sweep  # an invalid config should not wait for numpy

        if hydra_config.mode == RunMode.MULTIRUN:
            score = run_in_sweep(config, choices, folder, overrides, part, label(hydra_config))
            warn_of_logs(f"{label(hydra_config)}: ")
            return score
        score = run_alone(config, choices, folder, overrides, Path(hydra_config.runtime.cwd))
        warn_of_logs()
        return score
    except Pruned:
        raise
    except SharedFolderError as shared:  # the record there is the other job's
        log.error("%s failed: %s", label(hydra_config), shared)
        raise JobError(str(shared)) from shared
    except (Exception, SystemExit) as raised:
        error = without_fault(raised, folder, RUN_FOLDER)
        if hydra_config.mode == RunMode.MULTIRUN:
            raise note_failure(folder, overrides, error, label(hydra_config)) from error
        if isinstance(error, AudiofwError):
            note_printed(log, f"audiofw: {error}")  # as it will be
            remove_refused_folder(folder)
            raise Refused(error) from error
        raise


def without_fault(error: BaseException, folder: Path | None, option: str) -> BaseException:
    """Turn a fault of the machine, such as a full disk, into an error of one line; other errors are returned."""
    fault = None if isinstance(error, (AudiofwError, JobError)) else find_fault(error)
    if not fault or fault.filename == STDOUT:  # which is not in the folder
        return error
    plain = DataError(explain(fault, folder, option))
    plain.__cause__ = error
    return plain


def share_cores(config: Config, launcher: DictConfig) -> Config:
    """Divide the cores among the jobs that a parallel launcher runs at a time."""
    at_once = launcher.get("n_jobs", 1)
    if config.n_jobs != -1 or at_once == 1:
        return config
    from audiofw.parallel.workers import cores, count_workers

    return dataclasses.replace(config, n_jobs=max(1, cores() // count_workers(at_once)))


class ClaimFolders(Callback):
    """Claims the folder of a run or sweep before Hydra writes into it, and reports a sweep's to its supervisor."""

    def on_run_start(self, config: DictConfig, **_: Any) -> None:
        """Claim the folder."""
        _check_job_name(config)
        _pin_paths(config)
        _claim(Path(config.hydra.run.dir), RUN_FOLDER, claimed)

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """Claim the folder and report it."""
        _check_job_name(config)
        _check_job_folders(config)
        _pin_paths(config)
        _claim(Path(config.hydra.sweep.dir), SWEEP_FOLDER, only_user)
        if is_supervised():
            report_folder(Path(config.hydra.sweep.dir))


def _pin_paths(config: DictConfig) -> None:
    """Record where the command was started, if Hydra will change the working folder of its jobs."""
    if config.hydra.job.chdir:
        os.environ[STARTED_IN] = str(Path.cwd())
        tempfile.gettempdir()  # a relative TMPDIR is resolved once


def _check_job_name(config: DictConfig) -> None:
    name = str(config.hydra.job.name)
    if set(name) & {"/", "\\", "\0"}:
        raise Refused(ConfigError(f"hydra.job.name={name}: names the log file; use a name without slashes"))


def _check_job_folders(config: DictConfig) -> None:
    """Refuse a sweep whose jobs would overwrite results, or whose leaderboard would miss some."""
    sweep = config.hydra.sweep
    subdir = str(OmegaConf.to_container(sweep, resolve=False)["subdir"])  # type: ignore[index,call-overload]
    if "${" not in subdir:
        fault = "would be the folder of every job; name one for each, as in '${hydra.job.num}'"
        raise Refused(ConfigError(f"hydra.sweep.subdir={subdir}: {fault}"))
    if ".." in Path(subdir).parts or Path(subdir).is_absolute():
        raise Refused(ConfigError(f"hydra.sweep.subdir={subdir}: must be inside the sweep's folder, hydra.sweep.dir"))
    if (Path(sweep.dir) / RECORD).exists():
        raise Refused(ConfigError(f"{sweep.dir}: is the folder of a run; choose another with {SWEEP_FOLDER}"))


@dataclasses.dataclass
class Held:
    """The folder that a command has claimed, and the option that chooses it."""

    stack: ExitStack
    folder: Path | None = None
    option: str = ""


HELD: ContextVar[Held] = ContextVar("HELD")


@contextmanager
def _holding_folder() -> Iterator[None]:
    """Release the folder that a command has claimed at its end; a fault of the machine becomes an error of one line."""
    with ExitStack() as stack:
        held = Held(stack)
        token = HELD.set(held)
        try:
            yield
        except Exception as error:
            plain = without_fault(error, held.folder, held.option)
            if plain is error:
                raise
            remove_unbegun(held.folder)
            raise plain from error
        finally:
            HELD.reset(token)
            os.environ.pop(STARTED_IN, None)


def _claim(folder: Path, option: str, claim: Callable[[Path, str], AbstractContextManager[None]]) -> None:
    held = HELD.get()
    held.folder, held.option = folder, option
    try:
        held.stack.enter_context(claim(folder, option))
    except Exception as error:  # Hydra turns errors in callbacks into warnings
        plain = without_fault(error, folder, option)
        if not isinstance(plain, AudiofwError):
            raise
        raise Refused(plain) from error


class SharedFolderError(ConfigError):
    """Two jobs of a sweep have the same folder."""


def refuse_shared_folder(folder: Path, overrides: Sequence[str]) -> None:
    """Raise SharedFolderError if another job of this sweep has written its results into the same folder."""
    from audiofw.results.record import read_record

    record = read_record(folder)
    if record is None or record.overrides == list(overrides):
        return
    written = datetime.fromtimestamp((folder / RECORD).stat().st_mtime).astimezone().isoformat()
    if written >= session_start():
        other = " ".join(map(as_typed, record.overrides)) or "default options"
        raise SharedFolderError(
            f"{folder}: is also the folder of job {other}; name one for each job: hydra.sweep.subdir=${{hydra.job.num}}"
        )


class JobError(Exception):
    """A job of a sweep has failed; Hydra raises this again once the other jobs have run."""


def label(hydra_config: Any) -> str:
    """Name a job of a sweep in the log, where several may run at a time."""
    return f"job {hydra_config.job.num}"


def note_failure(folder: Path, overrides: Sequence[str], error: BaseException, name: str) -> JobError:
    """Log why a job of a sweep failed, with a traceback for a bug, and record it in ``result.json``."""
    from audiofw.results.record import describe_error, end_failed_job

    reason = describe_error(error)
    in_full = not isinstance(error, AudiofwError) or os.environ.get(TRACEBACKS) == "1"
    log.error("%s failed: %s", name, reason, exc_info=error if in_full else None)
    if not in_full:  # at least in the job's own log
        log.debug("in full:", exc_info=error)
    end_failed_job(folder, overrides, reason)
    return JobError(reason)


def resolve(cfg: DictConfig, menus: Menus) -> tuple[Config, dict[str, Choice]]:
    """Check a composed config, convert it to its types, and bind its plugins.

    Raises
    ------
    ConfigError, PluginError
        For an unknown plugin or key, or a value out of range.
    """
    try:
        values: Any = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        raise ConfigError(_sentence(error)) from error
    # a preset's options remain when its choice is removed: ~augmentation
    chosen = [kind.name for kind in KINDS.values() if not kind.optional or "name" in (values[kind.name] or ())]
    choices = {kind: menus.choose(kind, values[kind]) for kind in chosen}
    return settle_rate(read_config(values), choices["feature"]), choices


def settle_rate(config: Config, feature: Choice) -> Config:
    """Replace ``audio.sample_rate=auto`` by the rate that the feature needs.

    Raises
    ------
    ConfigError
        If the user has set another rate than the feature needs.
    """
    said, needed = config.audio.sample_rate, feature.sample_rate
    if said == "auto":
        return dataclasses.replace(config, audio=dataclasses.replace(config.audio, sample_rate=needed or USUAL_RATE))
    if needed not in (None, said):
        shown = f"audio.sample_rate={show_value(said)}"
        raise ConfigError(f"{shown}: {feature.who} needs {needed} Hz; remove it, or set audio.sample_rate=auto")
    return config


def remove_unbegun(folder: Path | None) -> None:
    """Remove the folders of jobs that did not begin, since Hydra could not write all of its files."""
    for hydras in list(folder.rglob(HYDRAS)) if folder else []:
        if not (hydras.parent / RECORD).exists():
            remove_refused_folder(hydras.parent)
    if folder and folder.exists():
        remove_refused_folder(folder)


def remove_refused_folder(folder: Path) -> None:
    """Remove the folder of a rejected run if only Hydra wrote into it, and empty parent folders."""
    close_log()
    with suppress(OSError):  # the disk may be why it was rejected
        if {item.name for item in folder.iterdir()} <= {HYDRAS, LOCK, RECORD, "audiofw.log", "multirun.yaml"}:
            shutil.rmtree(folder, ignore_errors=True)
            for parent in [folder, *folder.parents]:
                if parent == Path.cwd() or (parent.exists() and any(parent.iterdir())):
                    break
                if parent.exists():
                    parent.rmdir()


def plain_error(error: Exception, menus: Menus, words: Sequence[str]) -> AudiofwError:
    """Turn an error of Hydra or OmegaConf, of several lines, into one line with a remedy."""
    said = str(error)
    if isinstance(error, MissingConfigException) and (found := re.search(r"'([\w/]+)/([^/']*)'", said)):
        return _unknown_choice(found[1], found[2], menus, error.options or ())
    if found := re.match(r"Could not override '([^']+)'", said):
        return _unknown_key(found[1], menus, words)
    if cause := error.__cause__:
        key = re.search(r"full_key: (\S+)", str(cause))
        return ConfigError(f"{key[1] + ': ' if key else ''}{_sentence(cause)}")
    return ConfigError(_sentence(error))


def _unknown_choice(group: str, name: str, menus: Menus, options: Iterable[str]) -> AudiofwError:
    if group in KINDS:
        presets = {*options, *(file.stem for file in (bundled("conf") / group).glob("*.yaml"))}
        known = {*menus.plugins[group], *presets}
        try:
            for each in [member.feature for member in read_names(name)] or [name]:
                if each not in known or each == name:
                    menus.find(group, each, presets)
        except AudiofwError as error:
            return error
    listed = ", ".join(sorted(options)) or "none"
    return ConfigError(f"{group}={name}: unknown {group}{nearest(name, options)}; available: {listed}")


def _unknown_key(key: str, menus: Menus, words: Sequence[str]) -> AudiofwError:
    """Suggest the most similar key of the config that results from the command line's choices."""
    config = _compose([word.split(",")[0] for word in words if _chooses(word)])
    known, section = list(_keys(config)), key.rpartition(".")[0]
    listed = [k for k in known if k.rpartition(".")[0] == section] or [k for k in known if "." not in k]
    menu = menus.plugins.get(section, {})
    chosen = menu.get(config[section].name) if menu and config[section] else None
    library = f"; other options of the library need a +: +{key}=…" if chosen and chosen.open_ended else ""
    return ConfigError(f"{key}: unknown key{nearest(key, known)}; keys: {', '.join(sorted(listed))}{library}")


def _chooses(word: str) -> bool:
    return word.partition("=")[0].lstrip("+") in {*KINDS, "experiment", "tune"}


def _compose(overrides: Sequence[str]) -> DictConfig:
    with hydra.initialize_config_dir(CONFIG["config_path"], **for_this_hydra(hydra.initialize_config_dir)):
        return hydra.compose(CONFIG["config_name"], list(overrides))


def _keys(config: Any, prefix: str = "") -> Iterable[str]:
    for key in config:
        yield f"{prefix}{key}"
        known = not OmegaConf.is_missing(config, key) and not OmegaConf.is_interpolation(config, key)
        if known and OmegaConf.is_dict(config[key]):
            yield from _keys(config[key], f"{prefix}{key}.")


def _sentence(error: BaseException) -> str:
    """Extract from a message of several lines what is wrong."""
    lines = [line.strip() for line in str(error).splitlines()]
    said = " ".join(line for line in lines if line and not re.match(rf"({_NOISE}):?", line))
    for theirs, ours in _PLAINLY.items():
        said = re.sub(theirs, ours, said)
    return said


_NOISE = "full_key|object_type|reference_type|See https?"

_PLAINLY = {
    r" of type '\w+' could not be converted to Float": " is not a number",
    r" of type '\w+' could not be converted to Integer": " is not a whole number",
    r" is not a valid bool \(type \w+\)": " is neither true nor false",
    r"Invalid value assigned: \w+ is not a ListConfig, (\w+, )?list,? or tuple\.": "must be a list, e.g. [a,b]",
    r"Invalid type assigned: \w+ is not a subclass of (\w+)\. value: .*": r"is a section; set its keys: \1.key=value",
    r"field '\S+' is not Optional": "must not be null; give a value, or leave the option out",
    r"Cannot merge DictConfig with ListConfig": "is a section, not a list; set its keys one by one",
}
"""OmegaConf's messages about values of the wrong type, in plainer words."""
