"""The leaderboard as a table: a column for each option that differs among runs, a row for each run, best first."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from audiofw.config.options import effect_of
from audiofw.config.overrides import as_typed
from audiofw.contract.hookspecs import KINDS, RESULT_KINDS
from audiofw.evaluation.scores import HIGHER_IS_BETTER
from audiofw.leaderboard.runs import Run, as_number


class Comparison(NamedTuple):
    """How a row compares with the best; None where that is unknown."""

    p: float | None = None  # adjusted for selecting the best and for the number of rows
    tied: bool | None = None  # not significantly worse than the best
    unit: str = ""  # what the test treats as independent: clips or groups
    n_units: int | None = None
    too_few: bool = False  # units for any difference to be significant

    @property
    def mark(self) -> str:
        """Sign of the row in a table: blank if it is significantly worse than the best."""
        return "?" if self.too_few else {True: "≈", False: "", None: "–"}[self.tied]


class LeaderboardRow(NamedTuple):
    """One row of the table; times are per fold."""

    run: Run | None  # None: the ensemble
    options: Mapping[str, str]
    value: float | None
    std: float | None
    interval: tuple[float, float] | None
    fit_seconds: float | None
    predict_seconds: float | None
    model_bytes: float | None
    comparison: Comparison = Comparison()
    members: tuple[tuple[Run, float], ...] = ()  # of the ensemble, with their weights


# --- columns


def differing_options(runs: Sequence[Run]) -> list[str]:
    """List the options that differ among runs: first the plugins, by kind, as in ``model``.

    An option of a plugin is listed only if it differs among runs of that plugin. If two runs do not differ in any of
    the options, ``run`` is added.
    """
    columns = _find_options(runs)
    several = len({tuple(show_option(run, column) for column in columns) for run in runs}) < len(runs)
    return [*columns, "run"] if several or not columns else columns


def _find_options(runs: Sequence[Run]) -> list[str]:
    runs = [run for run in runs if run.options]
    kinds: list[str] = [kind for kind in RESULT_KINDS if _differ(run.options.get(f"{kind}.name") for run in runs)]
    keys = dict.fromkeys(key for run in runs for key in run.options)
    return [*kinds, *(key for key in keys if _matters(key) and _differs_within(key, runs))]


def _matters(key: str) -> bool:
    names_plugin = key.endswith(".name") and key.removesuffix(".name") in KINDS
    return not names_plugin and effect_of(key) == "predictions"


def _differs_within(key: str, runs: Sequence[Run]) -> bool:
    kind = key.partition(".")[0]
    by_plugin = defaultdict(list)
    for run in runs:
        by_plugin[run.options.get(f"{kind}.name") if kind in KINDS else None].append(show_option(run, key))
    return any(map(_differ, by_plugin.values()))


def _differ(values: Iterable[Any]) -> bool:
    return len(set(map(str, values))) > 1


def show_option(run: Run, column: str) -> str:
    """Write a run's option as on the command line; "–" if it has none."""
    if column == "run":
        return f"{run.folder.parent.name}/{run.folder.name}"
    key = f"{column}.name" if column in KINDS else column
    return _show(run.options[key]) if key in run.options else "–"


def name_by_options(runs: Sequence[Run], among: Sequence[Run]) -> list[str]:
    """Name runs by their overrides, as typed, without those that all runs share."""
    shared = set.intersection(*(set(run.overrides) for run in among)) if len(among) > 1 else set()
    own = [[word for word in run.overrides if word not in shared] or run.overrides for run in runs]
    return [" ".join(map(as_typed, words)) or "default options" for words in own]


def _show(value: Any) -> str:
    if isinstance(value, list):
        return f"[{','.join(map(_show, value))}]"
    return json.dumps(value) if value is None or isinstance(value, bool) else str(value)


# --- rows


def line_up(runs: Sequence[Run], score: str, columns: Sequence[str]) -> list[LeaderboardRow]:
    """Make the rows of finished runs, best first; ties are ordered by training time, then by age."""
    return sorted((_make_row(run, score, columns) for run in runs), key=lambda row: _place(row, score))


def run_of(row: LeaderboardRow) -> Run:
    """Return the run of a row that is not the ensemble's."""
    assert row.run is not None
    return row.run


def _make_row(run: Run, score: str, columns: Sequence[str]) -> LeaderboardRow:
    parts = run.metrics["scores"].get(score, {})
    return LeaderboardRow(
        run=run,
        options={column: show_option(run, column) for column in columns},
        value=as_number(parts.get("pooled")),
        std=as_number(parts.get("std")),
        interval=_read_interval(parts.get("interval")),
        fit_seconds=_mean(run.metrics.get("fit_seconds")),
        predict_seconds=_mean(run.metrics.get("predict_seconds")),
        model_bytes=as_number(run.metrics.get("model_bytes")),
    )


def _place(row: LeaderboardRow, score: str) -> tuple[float, float]:
    slow = math.inf if row.fit_seconds is None else row.fit_seconds
    if row.value is None:
        return math.inf, slow
    return round(-row.value if HIGHER_IS_BETTER[score] else row.value, 12), slow


def _numbers(values: Any) -> list[float]:
    found = [as_number(value) for value in values] if isinstance(values, list) else []
    return [value for value in found if value is not None]


def _mean(values: Any) -> float | None:
    numbers = _numbers(values)
    return sum(numbers) / len(numbers) if numbers else None


def _read_interval(values: Any) -> tuple[float, float] | None:
    numbers = _numbers(values)
    return (numbers[0], numbers[1]) if len(numbers) == 2 else None
