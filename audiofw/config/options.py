"""The typed schema of the config without plugins; the values are in ``conf/config.yaml``."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Annotated, Any, Literal

from annotated_types import Interval, MaxLen

from audiofw.contract.hookspecs import KINDS, RESULT_KINDS
from audiofw.contract.schema import MEASURES, NOTHING, Effect, check, section_options
from audiofw.system.reading import flatten

Count = Annotated[int, Interval(ge=1, le=10**9)]
Seconds = Annotated[float, Interval(ge=0.001, le=86_400)]
Gigabytes = Annotated[float, Interval(gt=0, le=10**6)]
Workers = Annotated[int, Interval(ge=1, le=1024)]


@dataclass(frozen=True)
class Columns:
    """Names of a table's columns, and the folder of its recordings; null: guess."""

    path: str | None
    label: str | None
    group: str | None
    fold: str | None
    root: str | None
    start: str | None
    end: str | None
    low: str | None
    high: str | None


@dataclass(frozen=True)
class Data:
    """The recordings, and how their labels are read."""

    source: str
    pattern: str | None
    separator: str | None
    columns: Columns
    annotations: str | None
    unit: Literal["event", "windows"]
    widen: bool
    annotated: str | None
    background: str | None
    unlabelled: Literal["skip", "background"]
    recorder: Literal["auto", "none"]
    include: list[str]
    exclude: list[str]
    limit: Count | None
    skip: str | None
    test: str | None = field(metadata=MEASURES)
    on_error: Literal["skip", "raise"] = field(metadata=NOTHING)
    on_plugin_error: Literal["raise", "skip"] = field(metadata=NOTHING)
    max_unpacked_gb: Gigabytes = field(metadata=NOTHING)
    max_ratio: Annotated[float, Interval(ge=1, le=10**6)] = field(metadata=NOTHING)
    max_entries: Annotated[int, Interval(ge=1, le=10**8)] = field(metadata=NOTHING)


@dataclass(frozen=True)
class Audio:
    """How a file becomes ``y, sr``."""

    sample_rate: Annotated[int, Interval(ge=500, le=1_000_000)] | Literal["auto"] | None
    duration: Seconds | None
    offset: Annotated[float, Interval(ge=0, le=10**6)]
    silence: Literal["refuse", "keep"]
    channel: Literal["mix", "loudest"] | Annotated[int, Interval(ge=0, le=1023)]
    trim: Annotated[float, Interval(gt=0, le=400)] | None
    focus: Literal["start", "event"]


@dataclass(frozen=True)
class Windows:
    """Several windows along a clip instead of one."""

    hop: Seconds | None
    most: Annotated[int, Interval(ge=1, le=10_000)]
    min_overlap: Annotated[float, Interval(ge=0.01, le=1)]
    background_ratio: Annotated[float, Interval(ge=0, le=1000)] | None


@dataclass(frozen=True)
class TimelineOptions:
    """Timelines of annotated recordings."""

    enabled: bool = field(metadata=MEASURES)
    tune: bool
    windows: Annotated[list[Seconds], MaxLen(8)]


@dataclass(frozen=True)
class Pad:
    """How feature vectors of different length are padded."""

    to: Literal["duration", "longest"]
    value: Literal["zero", "floor"]


@dataclass(frozen=True)
class CacheOptions:
    """The cache of extracted features."""

    enabled: bool
    verify: Literal["stat", "content"]
    max_gb: Gigabytes | None


@dataclass(frozen=True)
class BundleOptions:
    """The model that a run saves."""

    enabled: bool
    refit: bool
    carry: bool


@dataclass(frozen=True)
class Sweep:
    """Which jobs of earlier sweeps are repeated."""

    rerun: Literal["failed", "all", "none"]


@dataclass(frozen=True)
class Tune:
    """How ``hydra/sweeper=optuna`` searches."""

    n_trials: Annotated[int, Interval(ge=1, le=10**6)] = field(metadata=NOTHING)
    n_jobs: Workers = field(metadata=NOTHING)
    holdout: Annotated[float, Interval(ge=0, le=0.5)]
    holdout_folds: list[str]
    prune: bool = field(metadata=NOTHING)
    sampler: Literal["tpe", "random"] = field(metadata=NOTHING)
    storage: str | None = field(metadata=NOTHING)


@dataclass(frozen=True)
class ReportOptions:
    """The content of ``report.html``."""

    enabled: bool
    audio: bool


@dataclass(frozen=True)
class UnknownOptions:
    """Sounds of no class."""

    enabled: bool
    source: str | None


@dataclass(frozen=True)
class OperatingOptions:
    """The operating points that are reported."""

    precision: Annotated[float, Interval(gt=0, le=1)] = field(metadata=MEASURES)
    recall: Annotated[float, Interval(gt=0, le=1)] = field(metadata=MEASURES)


@dataclass(frozen=True)
class Config:
    """The options of an experiment, without those of its plugins."""

    task: Literal["single", "multilabel"]
    data: Data
    audio: Audio
    windows: Windows
    timeline: TimelineOptions
    augmented_copies: Annotated[int, Interval(ge=0, le=100)] | None
    pad: Pad
    cache: CacheOptions = field(metadata=NOTHING)
    bundle: BundleOptions = field(metadata=NOTHING)
    sweep: Sweep = field(metadata=NOTHING)
    tune: Tune
    report: ReportOptions = field(metadata=NOTHING)
    audit: Literal["warn", "raise", False] = field(metadata=NOTHING)
    robustness: bool = field(metadata=MEASURES)
    unknown: UnknownOptions = field(metadata=MEASURES)
    normalize: Literal["none", "columns", "group"]
    balance: Literal["none", "balanced"]
    calibration: Literal["none", "temperature", "sigmoid", "isotonic"]
    score: str = field(metadata=MEASURES)
    min_score: Annotated[float, Interval(ge=-1000, le=1000)] | None = field(metadata=NOTHING)
    coverage: Annotated[float, Interval(gt=0, lt=1)] = field(metadata=MEASURES)
    operating: OperatingOptions = field(metadata=MEASURES)
    seed: Annotated[int, Interval(ge=0, le=2**32 - 1)]
    n_jobs: Workers | Annotated[int, Interval(ge=-1024, le=-1)] = field(metadata=NOTHING)
    max_table_gb: Annotated[float, Interval(ge=0, le=10**6)] | None  # fits in passes differ by rounding


MAIN_SCORES = {"single": "accuracy", "multilabel": "map"}

TEXT_KEYS = (
    "data.source",
    "data.pattern",
    "data.separator",
    "data.skip",
    "data.test",
    "data.annotations",
    "data.annotated",
    "data.background",
    *(f"data.columns.{option.name}" for option in section_options(Columns)),
    "tune.storage",
    "unknown.source",
    "hydra.run.dir",
    "hydra.sweep.dir",
)
"""Keys with plain text values, which may contain blanks, commas, braces and so on."""


TEXT_LISTS = tuple(
    f"{section.name}.{option.name}"
    for section in section_options(Config)
    if dataclasses.is_dataclass(section.annotation)
    for option in section_options(section.annotation)
    if option.annotation == list[str]
)
"""Keys with lists of plain text, such as labels."""


SWITCHES = tuple(
    option.name
    for option in section_options(Config)
    if dataclasses.is_dataclass(option.annotation)
    and "enabled" in (inner.name for inner in section_options(option.annotation))
)
"""Sections that can be switched as a whole: ``bundle=false`` is short for ``bundle.enabled=false``."""


@cache
def effect_of(key: str) -> Effect:
    """Look up what an option can change in a run's results.

    Parameters
    ----------
    key : str
        As on the command line: ``cache.max_gb``. Plugins and their options change predictions.
    """
    if key.partition(".")[0] in set(KINDS) - set(RESULT_KINDS):
        return "nothing"
    effect: Effect = "predictions"
    options = section_options(Config)
    for name in key.split("."):
        option = next((option for option in options if option.name == name), None)
        if option is None or (effect := option.effect) != "predictions":
            break
        options = section_options(option.annotation) if dataclasses.is_dataclass(option.annotation) else []
    return effect


def option_values(config: Config) -> Iterator[tuple[str, Any]]:
    """List the options of a config with their dotted keys."""
    return flatten(dataclasses.asdict(config))


def read_config(values: dict[str, Any]) -> Config:
    """Check a composed config, given as plain Python values, and convert it to its types.

    Raises
    ------
    ConfigError
        For an unknown key or a value out of range.
    """
    config = build_section(Config, "", {key: value for key, value in values.items() if key not in KINDS})
    return dataclasses.replace(config, score=main_score(config.score, config.task))


def main_score(score: str, task: str) -> str:
    """Return the score that is chosen, or with ``auto`` the usual one of the task."""
    return MAIN_SCORES.get(task, score) if score == "auto" else score


def build_section(section: type, where: str, values: dict[str, Any]) -> Any:
    """Check one section, given as plain Python values, and convert it to its type; see `read_config`."""
    options = {option.name: option for option in section_options(section)}
    nested = {
        key: build_section(options[key].annotation, f"{where}.{key}".lstrip("."), values[key])
        for key in values.keys() & options.keys()
        if dataclasses.is_dataclass(options[key].annotation)
    }
    check(where, {**values, **nested}, options.values())
    return section(**{**values, **nested})
