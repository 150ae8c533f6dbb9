"""The time that a plugin takes per clip, compared with a built-in one."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from audiofw.contract.menus import Menus
from audiofw.contract.plugin import Plugin
from audiofw.kit.checks import COMPANIONS, Trial, pool_once
from audiofw.kit.sounds import make_clips

BESIDE = {"feature": "mel", "pooling": COMPANIONS["pooling"]}
"""The built-in plugin of each kind that others are compared with; augmentations with the feature."""

LEAST_SECONDS, LEAST_TIMES = 0.3, 5


class PluginCost(NamedTuple):
    """Seconds that a plugin takes for a clip of three seconds, and those of a built-in one."""

    seconds: float
    beside: str
    its_seconds: float


def measure_plugin(plugin: Plugin, menus: Menus, options: Mapping[str, Any] | None = None) -> PluginCost | None:
    """Measure what a plugin takes for one clip, on one thread; None for kinds that do not work on single clips."""
    run = _runner(plugin, menus, options or {})
    if run is None:
        return None
    kind = plugin.kind.name if plugin.kind.name in BESIDE else "feature"
    other = _runner(menus.find(kind, BESIDE[kind]), menus, {})
    assert other is not None  # both of its kinds work on clips
    with threadpool_limits(1):
        return PluginCost(_seconds(run), f"{kind}={BESIDE[kind]}", _seconds(other))


def _runner(plugin: Plugin, menus: Menus, options: Mapping[str, Any]) -> Callable[[], object] | None:
    """Make a function that runs the plugin on one clip of three seconds."""
    trial, (y, sr) = Trial(plugin, menus, options), make_clips()["tone"]
    choice = trial.choice
    if plugin.kind.name == "feature":
        return lambda: trial(y)
    if plugin.kind.name == "augmentation":
        return lambda: choice(y.copy(), sr, np.random.default_rng(0))
    if plugin.kind.name == "pooling" and not choice.learns:
        frames = menus.choose_member("feature", BESIDE["feature"], {})(y.copy(), sr)
        return lambda: pool_once(choice, frames)
    return None


def _seconds(run: Callable[[], object]) -> float:
    """Take the median of several calls, after one that imports and compiles."""
    run()
    times: list[float] = []
    while len(times) < LEAST_TIMES or sum(times) < LEAST_SECONDS:
        started = perf_counter()
        run()
        times.append(perf_counter() - started)
    return statistics.median(times)
