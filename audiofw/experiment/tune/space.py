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
"""Other keys say which clips there are or how trials are compared: what differed in these could not be compared."""

Compose = Callable[[Sequence[str]], DictConfig]
Sections = Mapping[str, Mapping[str, DictConfig]]  # menu -> choice -> its section of the config


class Word(NamedTuple):
    """One word of the command line: fixed, or a range of values to choose from."""

    name: str  #: of the option or menu
    text: str  #: as typed, if fixed; else the key with its + or ++
    distribution: BaseDistribution | None = None
    only: frozenset[str] | None = None  #: the choices of its menu that have this option; None: no matter which

    @property
    def menu(self) -> str:
        """The section of the config that holds it."""
        return self.name.partition(".")[0]


def read_space(overrides: Sequence[Override], config: DictConfig, compose: Compose) -> list[Word]:
    """Read what is fixed and what is searched.

    Parameters
    ----------
    overrides : sequence of Override
        Words as Hydra parses them; of one key, the last counts.
    config : DictConfig
        Composed without the searched ones.
    compose : callable
        Composes the config of a job from its words.

    Returns
    -------
    list of Word
        Searched menus first, since what else is searched depends on them.

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
            "there is nothing to search: give ranges, as model.num_leaves='range(4,32)' or "
            "model.learning_rate='tag(log, interval(0.01, 0.3))', or a ready space, as +tune=lightgbm"
        )
    for override in searched:
        if override.key_or_group.partition(".")[0] not in SEARCHABLE:
            raise ConfigError(
                f"{override.input_line}: it cannot be searched, since trials are compared on the same clips, folds "
                f"and score; searched may be: {', '.join(SEARCHABLE)}"
            )


def _sections(latest: Mapping[str, Override], compose: Compose) -> dict[str, dict[str, DictConfig]]:
    """Compose the section of each choice of each searched menu: only so it is known what options it has."""
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
    """Find which choices of a searched menu have this option, and its node in the config of one of them."""
    menu, _, option = override.key_or_group.partition(".")
    added = override.is_add() or override.is_force_add()  # of the library's own: whether it has it shows when it runs
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
    """Give OmegaConf's node of a key, even of one without a value; None where the section has no such key."""
    return section._get_node(key, validate_access=False)


def declared_type(node: Any) -> Any:
    """Give the type that a schema declares for a node, whatever its value is."""
    return node._metadata.ref_type


def _no_such_option(key: str, chosen: Mapping[str, DictConfig]) -> str:
    menu, _, option = key.partition(".")
    known = {str(name) for section in chosen.values() for name in section if name != "name"}
    which = f"{menu}={','.join(chosen)}" if menu in KINDS else menu
    return f"{key}: {which} has no such option{nearest(option, known)}; known: {', '.join(sorted(known))}"


def _distribution(override: Override, whole: bool) -> BaseDistribution:
    """Make Optuna's range of Hydra's; an interval of an option that takes whole numbers is one of whole numbers."""
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
        raise ConfigError(f"{override.input_line}: no such range can be: {first_line(error)}") from error


def _steps(values: Sequence[Any], step: Any, log: bool) -> BaseDistribution:
    if not values:
        raise ValueError("it is empty")
    if all(isinstance(value, int) for value in values):
        return IntDistribution(values[0], values[-1], log=log, step=step)
    return FloatDistribution(values[0], values[-1], log=log, step=float(step))


def suggest(space: Sequence[Word], trial: Trial) -> list[str]:
    """Let a trial choose, and give the words of its job.

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
    return repr(float(f"{value:.4g}"))  # more digits make no difference but to who reads them


def say_conditions(space: Sequence[Word]) -> Iterator[str]:
    """Say which options are only some plugins'."""
    for word in space:
        if word.only is not None:
            yield f"{word.name}: only with {word.menu}={','.join(sorted(word.only))}; the others have no such option"
