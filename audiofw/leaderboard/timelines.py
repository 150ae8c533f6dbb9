"""What each recording adds to a score of timelines, so that runs can be compared by it."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any

import numpy as np

from audiofw.errors import first_line
from audiofw.evaluation.events import Compared, make_events
from audiofw.evaluation.scores import HIGHER_IS_BETTER
from audiofw.evaluation.timelines import MOST_LEFT_OUT, measures
from audiofw.leaderboard.runs import Predictions, Run
from audiofw.results.folder import TIMELINES

log = logging.getLogger(__name__)


def read_timelines(run: Run, score: str) -> Predictions | None:
    """Read ``timelines.json`` of a run, with what each recording adds to the score; None, with a warning, if it cannot.

    Parameters
    ----------
    run : Run
    score : str
        One of `audiofw.evaluation.scores.OF_TIMELINES`. Nothing is known of what recordings add to ``psds``.
    """
    classes = run.metrics["classes"]
    file, number = run.folder / TIMELINES, {name: i for i, name in enumerate(classes)}
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        stretches = sorted(found, key=lambda one: (one["recording"], one["start"]))
        compared = [_compared(one, number) for one in stretches]
        names = tuple(str(one["recording"]) for one in stretches)
        truth = tuple(json.dumps([one["start"], one["seconds"], one["truth"]]) for one in stretches)
        folds = tuple(int(one["fold"]) for one in stretches)
    except (OSError, ValueError, LookupError, TypeError) as error:
        log.warning("ignored: %s: %s", file, first_line(error))
        return None
    measure = measures(classes, (run.metrics.get("timeline") or {}).get("background")).get(score)
    parts = None if measure is None else _contributions(compared, names, measure)
    if parts is not None and not HIGHER_IS_BETTER[score]:
        parts = -parts
    return Predictions(names, truth, names, folds, names, None, parts)


def _compared(one: Mapping[str, Any], number: Mapping[str, int]) -> Compared:
    offset = one["start"]
    truth, found = (
        make_events((row[0] - offset, row[1] - offset, number[row[2]]) for row in one[key])
        for key in ("truth", "found")
    )
    return Compared(truth, found, one["seconds"])


def _contributions(compared: list[Compared], names: tuple[str, ...], measure: Any) -> np.ndarray:
    """Divide a score among the recordings by the jackknife: pseudo-values divided by their number."""
    units = list(dict.fromkeys(names))
    place = {name: i % MOST_LEFT_OUT for i, name in enumerate(units)}  # of very many, several are left out at a time
    n, whole, parts = min(len(units), MOST_LEFT_OUT), measure(compared), np.zeros(len(names), np.float32)
    for unit in range(n):
        of = [place[name] == unit for name in names]
        rest = measure([one for one, left_out in zip(compared, of, strict=True) if not left_out])
        parts[of] = (n * whole - (n - 1) * rest) / n / sum(of)
    return parts
