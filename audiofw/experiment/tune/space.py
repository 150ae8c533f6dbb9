"""What a search may choose from, in Hydra's own sweep syntax, and one trial's choice of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from hydra.core.override_parser.types import Override
from omegaconf import DictConfig
from optuna import Trial
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from audiofw.contract.hookspecs import KINDS
from audiofw.errors import ConfigError, first_line, nearest

SEARCHABLE = ("feature", "pooling", "model", "audio", "pad", "balance")
"""Other keys determine the clips or how trials are compared, so trials that differ in them would not be comparable."""

Compose = Callable[[Sequence[str]], DictConfig]
Sections = Mapping[str, Mapping[str, DictConfig]]  # menu -> choice -> its section of the config


class Word(NamedTuple):
    """One override of the command line: fixed, or a range of values to search."""

    name: str  #: of the option or config group
    text: str  #: as typed, if fixed; otherwise the key with its + or ++
    distribution: BaseDistribution | None = None
    only: frozenset[str] | None = None  #: the choices of its group that have this option; None: all

    @property
    def menu(self) -> str:
        """The section of the config that contains it."""
        return self.name.partition(".")[0]


def read_space(overrides: Sequence[Override], config: DictConfig, compose: Compose) -> list[Word]:
    """Parse which options are fixed, and which are searched.

    Parameters
    ----------
    overrides : sequence of Override
        As parsed by Hydra; of several for one key, the last counts.
    config : DictConfig
        Composed without the searched ones.
    compose : callable
        Composes the config of a job from its overrides.

    Returns
    -------
    list of Word
        Searched groups first, since other options depend on them.

    Raises
    ------
    ConfigError
        Where nothing is searched, or what cannot be; for an option that none of the chosen plugins has; for a range
        that cannot be.
    """
    latest = {override.key_or_group: override for override in overrides}
    searched = [override for override in latest.values() if override.is_sweep_override()]
    _check_searchable(searched)
    sections = _sections(latest, compose)
    words = [_read_word(override, config, sections) for override in latest.values()]
    return sorted(words, key=lambda word: word.distribution is None or word.name not in KINDS)


def _check_searchable(searched: Sequence[Override]) -> None:
    if not searched:
        raise ConfigError(
            "nothing to search: give ranges, e.g. model.num_leaves='range(4,32)' or "
            "model.learning_rate='tag(log, interval(0.01, 0.3))', or a preset, e.g. +tune=lightgbm"
        )
    for override in searched:
        if override.key_or_group.partition(".")[0] not in SEARCHABLE:
            raise ConfigError(
                f"{override.input_line}: cannot be searched, since trials are compared on the same clips, folds "
                f"and score; searchable: {', '.join(SEARCHABLE)}"
            )


def _sections(latest: Mapping[str, Override], compose: Compose) -> dict[str, dict[str, DictConfig]]:
    """Compose the section of each choice of each searched group, to find out which options it has."""
    menus = {key: override for key, override in latest.items() if key in KINDS and override.is_sweep_override()}
    fixed = [
        str(override.input_line)
        for key, override in latest.items()
        if not override.is_sweep_override() and key.partition(".")[0] not in menus
    ]
    return {
        menu: {name: compose([*fixed, f"{menu}={name}"])[menu] for name in override.sweep_string_iterator()}
        for menu, override in menus.items()
    }


def _read_word(override: Override, config: DictConfig, sections: Sections) -> Word:
    only, node = _owners(override, config, sections)
    if override.is_sweep_override():
        whole = node is not None and declared_type(node) is int
        return Word(override.key_or_group, override.get_key_element(), _distribution(override, whole), only)
    return Word(override.key_or_group, str(override.input_line), only=only)


def _owners(override: Override, config: DictConfig, sections: Sections) -> tuple[frozenset[str] | None, Any]:
    """Find which choices of a searched group have this option, and its node in the config of one of them."""
    menu, _, option = override.key_or_group.partition(".")
    added = override.is_add() or override.is_force_add()  # an option of the library, which is checked when it runs
    if menu in sections and option and not added:
        nodes = {name: node for name, section in sections[menu].items() if (node := _find(section, option))}
        if not nodes:
            raise ConfigError(_no_such_option(override.key_or_group, sections[menu]))
        return (None if len(nodes) == len(sections[menu]) else frozenset(nodes)), next(iter(nodes.values()))
    node = None if added else _find(config, override.key_or_group)
    if override.is_sweep_override() and not added and node is None:
        section = config.get(menu)
        chosen = {section.get("name", ""): section} if isinstance(section, DictConfig) else {}
        raise ConfigError(_no_such_option(override.key_or_group, chosen))
    return None, node


def _find(section: Any, path: str) -> Any:
    for part in path.split("."):
        section = node_of(section, part) if isinstance(section, DictConfig) else None
    return section


def node_of(section: DictConfig, key: str) -> Any:
    """Return OmegaConf's node of a key, even without a value; None if the section does not have the key."""
    return section._get_node(key, validate_access=False)


def declared_type(node: Any) -> Any:
    """Return the type that the schema declares for a node."""
    return node._metadata.ref_type


def _no_such_option(key: str, chosen: Mapping[str, DictConfig]) -> str:
    menu, _, option = key.partition(".")
    known = {str(name) for section in chosen.values() for name in section if name != "name"}
    which = f"{menu}={','.join(chosen)}" if menu in KINDS else menu
    return f"{key}: {which} has no option '{option}'{nearest(option, known)}; options: {', '.join(sorted(known))}"


def _distribution(override: Override, whole: bool) -> BaseDistribution:
    """Convert a range from Hydra to Optuna; an interval for an integer option contains only integers."""
    try:
        if override.is_choice_sweep():
            return CategoricalDistribution(tuple(dict.fromkeys(override.sweep_string_iterator())))
        sweep: Any = override.value()
        log = "log" in sweep.tags
        if override.is_range_sweep():
            return _steps(sorted(sweep.range()), abs(sweep.step), log)
        if whole or isinstance(sweep.start, int):
            return IntDistribution(math.ceil(sweep.start), math.floor(sweep.end), log=log)
        return FloatDistribution(sweep.start, sweep.end, log=log)
    except (ValueError, IndexError) as error:
        raise ConfigError(f"{override.input_line}: invalid range: {first_line(error)}") from error


def _steps(values: Sequence[Any], step: Any, log: bool) -> BaseDistribution:
    if not values:
        raise ValueError("empty")
    if all(isinstance(value, int) for value in values):
        return IntDistribution(values[0], values[-1], log=log, step=step)
    return FloatDistribution(values[0], values[-1], log=log, step=float(step))


def suggest(space: Sequence[Word], trial: Trial) -> list[str]:
    """Let a trial choose values, and return the overrides of its job.

    An option that the plugin of this trial does not have is left out, so that several plugins, each with its own
    options, can be searched together.
    """
    chosen: dict[str, str] = {}
    words = []
    for word in space:
        if word.only is not None and chosen[word.menu] not in word.only:
            continue
        if word.distribution is not None:
            chosen[word.name] = _choose(word.name, word.distribution, trial)
        words.append(word.text if word.distribution is None else f"{word.text}={chosen[word.name]}")
    return words


def _choose(name: str, wanted: BaseDistribution, trial: Trial) -> str:
    if isinstance(wanted, CategoricalDistribution):
        return str(trial.suggest_categorical(name, wanted.choices))
    if isinstance(wanted, IntDistribution):
        return str(trial.suggest_int(name, wanted.low, wanted.high, step=wanted.step, log=wanted.log))
    assert isinstance(wanted, FloatDistribution)
    value = trial.suggest_float(name, wanted.low, wanted.high, step=wanted.step, log=wanted.log)
    return repr(float(f"{value:.4g}"))  # more digits only make it harder to read


def say_conditions(space: Sequence[Word]) -> Iterator[str]:
    """Explain which options are searched for some plugins only."""
    for word in space:
        if word.only is not None:
            yield f"{word.name}: searched only for {word.menu}={','.join(sorted(word.only))}, which have this option"
