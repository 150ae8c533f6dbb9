"""Every option has a range in which it works: values at its ends are used, and all others refused in one line."""

from __future__ import annotations

import dataclasses
import math
import shlex
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import numpy as np
import pytest
from quick import QUICK

from audiofw.config.options import Config, effect_of
from audiofw.contract.registry import load_menus
from audiofw.contract.schema import Option, check, section_options
from audiofw.errors import AudiofwError, ConfigError

MENUS = load_menus()
PLUGINS = [plugin for menu in MENUS.plugins.values() for plugin in menu.values()]
SR = 22050


def config_options(section: Any = Config, prefix: str = "") -> Iterator[tuple[str, Option]]:
    """List the options of the config with their dotted keys."""
    for option in section_options(section):
        if dataclasses.is_dataclass(option.annotation):
            yield from config_options(option.annotation, f"{prefix}{option.name}.")
        else:
            yield prefix + option.name, option


OPTIONS = {
    **dict(config_options()),
    **{f"{p.kind.name}={p.name}: {option.name}": option for p in PLUGINS for option in p.options},
}
every_option = pytest.mark.parametrize("option", OPTIONS.values(), ids=OPTIONS)


def parts(annotation: Any) -> tuple[Any, ...]:
    """Split a union into its members."""
    return get_args(annotation) if get_origin(annotation) in (Union, types.UnionType) else (annotation,)


def bounds(annotation: Any) -> dict[str, Any]:
    """Read the bounds of an annotated type."""
    if get_origin(annotation) is not Annotated:
        return {}
    names = ("ge", "gt", "le", "lt", "min_length", "max_length")
    found = {name: getattr(bound, name, None) for bound in get_args(annotation)[1:] for name in names}
    return {name: value for name, value in found.items() if value is not None}


def bare(annotation: Any) -> Any:
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


def unbounded(annotation: Any) -> Iterator[str]:
    """Say which numbers and lists of numbers in a type have no end."""
    for part in parts(annotation):
        kind, found = bare(part), bounds(part)
        if kind in (int, float) and not (found.keys() & {"ge", "gt"} and found.keys() & {"le", "lt"}):
            yield f"{part} needs a lowest and a highest value"
        if get_origin(kind) is list and get_args(kind)[0] is not str:
            if "max_length" not in found:
                yield f"{part} needs a greatest length"
            yield from unbounded(get_args(kind)[0])


@every_option
def test_every_number_has_a_lowest_and_a_highest_value(option):
    assert list(unbounded(option.annotation)) == []


# --- values that no option can work with ------------------------------------------------------------------

NEVER = [math.nan, math.inf, -math.inf, 10**400, -(10**400), 1e308, -(10**20), {}, [{}], [math.nan], [[1]], object()]
"""Values that no option takes, whatever its type."""
TEXTS = ["", "nonsense", " ", "nan"]
NUMBERS = [0, -1, 1, 0.5, 10**9, 2**64, -1e-9, True]


@every_option
def test_a_value_that_cannot_be_is_refused_in_one_line(option):
    for value in NEVER:
        with pytest.raises(ConfigError) as refused:
            check("section", {option.name: value}, [option])
        assert "\n" not in str(refused.value)
        assert str(refused.value).startswith(f"section.{option.name}=")
        assert ": must be " in str(refused.value)
        assert refused.value.exit_code == 2


@every_option
def test_text_is_refused_except_where_text_is_wanted(option):
    kinds = [bare(part) for part in parts(option.annotation)]
    for value in [*TEXTS, ["nonsense"]]:
        wanted = {str, Path} & {*kinds} if isinstance(value, str) else list[str] in kinds
        if value == "" and str not in kinds:
            wanted = False
        assert is_taken(option, value) == bool(wanted), value


def is_taken(option: Option, value: Any) -> bool:
    try:
        check("section", {option.name: value}, [option])
    except ConfigError:
        return False
    return True


@every_option
def test_numbers_are_taken_within_the_range_only(option):
    """Compared with the bounds as the annotation states them, not as `check` reads them."""
    for value in NUMBERS:
        assert is_taken(option, value) == any(contains(part, value) for part in parts(option.annotation)), value


def contains(part: Any, value: Any) -> bool:
    kind, found = bare(part), bounds(part)
    if isinstance(value, bool) or kind is bool:
        return isinstance(value, bool) and (kind is bool or (get_origin(kind) is Literal and value in get_args(kind)))
    if kind not in (int, float) or (kind is int and isinstance(value, float)):
        return False
    above = found.get("ge", -math.inf) <= value and found.get("gt", -math.inf) < value
    return above and found.get("le", math.inf) >= value and found.get("lt", math.inf) > value


# --- both ends of each range ------------------------------------------------------------------------------

DEAR = [*((name, 100_000) for name in ("n_estimators", "iterations", "max_iter")), ("n_splits", 1000)]
"""Ends that work, for minutes."""


def ends(annotation: Any) -> Iterator[Any]:
    """List the ends of a range, and the choices."""
    for part in parts(annotation):
        kind, found = bare(part), bounds(part)
        if get_origin(kind) is Literal:
            yield from get_args(kind)
        elif kind is bool:
            yield from (False, True)
        elif get_origin(kind) is list:
            inner = list(ends(get_args(kind)[0]))
            yield from ([value] * max(1, found.get("min_length", 1)) for value in inner)
            yield from ([value] * found["max_length"] for value in inner[-1:])
        elif kind in (int, float) and not list(unbounded(part)):
            small = 1 if kind is int else 1e-9
            yield kind(found["ge"] if "ge" in found else found["gt"] + small)
            yield kind(found["le"] if "le" in found else found["lt"] - small)


ENDS = [
    pytest.param(plugin, option.name, value, id=f"{plugin.kind.name}={plugin.name} {option.name}={str(value)[:20]}")
    for plugin in PLUGINS
    if plugin.kind.name != "tracking"  # what it does is elsewhere
    for option in plugin.options
    for value in ends(option.annotation)
    if (option.name, value) not in DEAR
]

RNG = np.random.default_rng(0)
NOISE = RNG.standard_normal(SR // 8).astype(np.float32) / 10
FRAMES = RNG.standard_normal((6, 40)).astype(np.float32)
LABELS = np.arange(60) % 3
ROWS = (RNG.standard_normal((60, 12)) + 3 * np.eye(3, 12)[LABELS]).astype(np.float32)
SMALL = {
    name: {key: 5 for key in ("n_estimators", "max_iter", "iterations") if key in few} for name, few in QUICK.items()
}


def used(plugin: Any, options: dict[str, Any]) -> np.ndarray:
    """Use a plugin as a run does; returns what it gives, an array of numbers."""
    if plugin.name == "catboost":
        pytest.importorskip("catboost")
    choice = MENUS.choose_member(plugin.kind.name, plugin.name, options)
    if plugin.kind.name == "feature":
        return np.asarray(choice(NOISE.copy(), SR))
    if plugin.kind.name == "pooling":
        return np.asarray(choice(FRAMES))
    if plugin.kind.name == "augmentation":
        return np.asarray(choice(NOISE.copy(), SR, np.random.default_rng(0)))
    if plugin.kind.name == "model":
        return np.asarray(choice(0, 1).fit(ROWS, LABELS).predict_proba(ROWS))
    groups, folds = [f"g{i // 6}" for i in range(60)], [str(i % 3) for i in range(60)]
    return np.array([choice(0, groups, folds).get_n_splits(ROWS, LABELS, groups)])


@pytest.mark.parametrize(("plugin", "name", "value"), ENDS)
@pytest.mark.filterwarnings("ignore")
def test_a_plugin_works_at_both_ends_of_a_range_or_says_why_not(plugin, name, value):
    others = {"probability": 1.0} if plugin.kind.name == "augmentation" else SMALL.get(plugin.name, {})
    try:
        found, said = used(plugin, {**others, name: value}), ""
    except AudiofwError as error:
        found, said = np.ones(1), str(error)
    assert found.size
    assert np.isfinite(found).all()
    assert "\n" not in said
    assert not said or any(f"{option.name}=" in said for option in plugin.options)  # it does not go with another one


# --- the command line ------------------------------------------------------------------------------------

CONFIG_ENDS = [
    (key, value)
    for key, option in config_options()
    for value in ends(option.annotation)
    if isinstance(value, (int, float)) and not isinstance(value, bool)
    if (effect_of(key) != "nothing" and key != "augmented_copies") or key == "n_jobs"
]


def shown(value: Any) -> str:
    return f"{value:.12f}" if isinstance(value, float) and abs(value) < 1e-4 else str(value)


@pytest.mark.parametrize(("key", "value"), CONFIG_ENDS, ids=lambda each: str(each)[:20])
def test_a_run_works_at_both_ends_of_a_range_or_says_why_not(audiofw, sounds, key, value):
    quick = [f"data.source={sounds(clips=6, seconds=0.1)}", "report=false", "bundle=false", "audit=false"]
    fast = ["audio.duration=0.1", "feature=mfcc", "pooling=stats", "model=knn", "n_jobs=1"]
    outcome = audiofw(*quick, *fast, f"{key}={shown(value)}")
    assert outcome.code in (0, 1, 2)
    assert "Traceback" not in outcome.err
    assert outcome.out.startswith("accuracy ") if outcome.code == 0 else len(outcome.err.splitlines()) == 1


@pytest.mark.parametrize(
    "key", ["data.limit", "audio.duration", "audio.channel", "n_jobs", "data.on_error", "feature.rates"]
)
@pytest.mark.parametrize("value", ["nan", "-5000", "1e400", "''", "[-1]"])
def test_the_command_line_refuses_a_value_out_of_range_before_any_work(audiofw, key, value):
    outcome = audiofw(f"{key}={value}", "data.source=nosuch")
    assert outcome.code == 2
    (line,) = outcome.err.splitlines()
    assert line.startswith(f"audiofw: {key}")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("feature=mfcc feature.n_mfcc=500", "feature.n_mfcc=500 is out of range: from 1 to 128"),
        ("feature=mel feature.fmax=20000", "feature.fmax=20000.0 is out of range"),
        ("feature=mel feature.fmin=8000 feature.fmax=4000", "feature.fmin=8000.0 is out of range"),
        ("feature=stft feature.win_length=4096", "feature.win_length=4096 is out of range: from 1 to 2048"),
        ("feature=mel feature.window=gauss", "feature.window='gauss' is not accepted"),
        ("feature=descriptors feature.n_fft=32", "feature.n_fft=32 has no bin from 0 to 200 Hz"),
        ("feature=mel feature.hop_length=1 audio.duration=900", "feature.hop_length=1 is too short for"),
        ("feature.n_mels=1000000000", "feature.n_mels=1000000000: must be int ≥ 1, ≤ 1024"),
        ("audio.sample_rate=10", "audio.sample_rate=10: must be int ≥ 500, ≤ 1000000 or auto or null"),
        ("n_jobs=0", "n_jobs=0: must be int ≥ 1, ≤ 1024 or int ≥ -1024, ≤ -1"),
        ("seed=4294967296", "seed=4294967296: must be int ≥ 0, ≤ 4294967295"),
        ("'feature.scales=[1e9]'", "feature.scales=[1000000000.0]: must be list of float ≥ 2, ≤ 1024 (at most 16)"),
    ],
)
def test_options_that_do_not_go_together_or_cost_too_much_are_refused_by_name(audiofw, sounds, words, said):
    outcome = audiofw(f"data.source={sounds(clips=6, seconds=0.1)}", *shlex.split(words), "audit=false")
    assert outcome.code == 2
    *_, line = outcome.err.splitlines()
    assert line.startswith(f"audiofw: {said}")


@pytest.mark.parametrize("word", ["model=svm model.gamma=1", "feature=mel feature.ref=1", "audio.channel=0"])
def test_a_whole_number_is_a_number_where_text_may_stand_too(audiofw, sounds, word):
    quick = [f"data.source={sounds(clips=6, seconds=0.1)}", "report=false", "bundle=false", "audit=false"]
    assert audiofw(*quick, *word.split()).code == 0


def test_the_ranges_of_a_section_and_of_an_option_are_shown(audiofw):
    shown = " ".join(audiofw("plugins", "show", "audio", "seed").out.split())
    assert "audio.sample_rate int ≥ 500, ≤ 1000000 or auto or null" in shown
    assert "seed int ≥ 0, ≤ 4294967295" in shown
