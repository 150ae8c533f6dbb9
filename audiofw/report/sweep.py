"""A sweep's page: its leaderboard, to be sorted, with links to the runs' reports."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from audiofw.config.overrides import as_typed, command_line
from audiofw.evaluation.scores import GREATER_IS_BETTER
from audiofw.leaderboard.ranking import Leaderboard, rank
from audiofw.leaderboard.runs import Run, read_json, read_runs
from audiofw.leaderboard.table import Row, run_of
from audiofw.report.facts import FILE, owners
from audiofw.report.render import render
from audiofw.results.console import NAMES
from audiofw.results.files import write_text
from audiofw.version import __version__

MOST_ROWS = 500


def write_sweep_report(folder: Path, board: Leaderboard | None = None) -> Path:
    """Make ``report.html`` of a sweep's folder.

    Parameters
    ----------
    folder : Path
    board : Leaderboard, optional
        Its ranking, if it is there already.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    DataError
        If there is no run in the folder.
    """
    board = board or rank(read_runs([folder]))
    write_text(folder / FILE, render("sweep.html", **collect_sweep(folder, board)))
    return folder / FILE


def wanted(board: Leaderboard) -> bool:
    """Whether any of the runs was to have a report; those that failed do not tell."""
    return not board.rows or any(run_of(row).options.get("report.enabled", True) for row in board.rows)


def collect_sweep(folder: Path, board: Leaderboard) -> dict[str, Any]:
    """Gather all that the page shows."""
    rows = list(board.rows[:MOST_ROWS])
    runs = [*map(run_of, board.rows), *board.failures, *board.pruned, *board.running]
    ends = _ends(board)
    shown = [_show(row, i, folder, board, ends) for i, row in enumerate(rows, 1)]
    if board.ensemble:
        shown.append(_show(board.ensemble, None, folder, board, ends))
    return {
        "version": __version__,
        "folder": folder.resolve(),
        "score": NAMES.get(board.score, board.score),
        "greater_is_better": GREATER_IS_BETTER[board.score],
        "columns": board.columns,
        "rows": shown,
        "left_out": len(board.rows) - len(rows),
        "best": next((row for row in shown if row["value"] is not None), None),
        "tied": [row for row in shown if row["mark"] == "≈" and row["rank"]],
        "unknown": any(row["mark"] in ("?", "–") for row in shown if row["rank"]),
        "ends": ends,
        "level": next((run_of(row).metrics.get("interval_level", 0.95) for row in board.rows), 0.95),
        "notes": board.notes,
        "failures": [{"name": _own(run, runs), "reason": run.reason} for run in board.failures],
        "n_runs": len(runs),
        "n_pruned": len(board.pruned),
        "n_running": len(board.running),
        "command": _command(run_of(board.rows[0])) if board.rows else None,
        "points": _points(shown),
    }


def _show(row: Row, place: int | None, folder: Path, board: Leaderboard, ends: tuple[float, float]) -> dict[str, Any]:
    options = row.options if row.run else {board.columns[0]: "ensemble"}
    low, high = ends

    def at(value: float) -> float:
        return round(100 * (value - low) / ((high - low) or 1.0), 2)

    return {
        "rank": place,
        "mark": "best" if place == 1 and row.value is not None else row.comparison.mark,
        "options": options,
        "value": row.value,
        "std": row.std,
        "interval": row.interval,
        "p": row.comparison.p,
        "fit_seconds": row.fit_seconds,
        "predict_seconds": row.predict_seconds,
        "model_bytes": row.model_bytes,
        "link": _link(row.run, folder) if row.run else None,
        "members": [(shown_name(run, folder), weight) for run, weight in row.members],
        "at": None if row.value is None else at(row.value),
        "bar": None if row.interval is None else (at(row.interval[0]), at(row.interval[1])),
    }


def _link(run: Run, folder: Path) -> str | None:
    """Give the way from the page to the run's report; None where there is none."""
    if not (run.folder / FILE).is_file():
        return None
    return quote(Path(os.path.relpath(run.folder / FILE, folder.resolve())).as_posix())


def shown_name(run: Run, folder: Path) -> str:
    """Name a run by its folder, from the sweep's on."""
    return Path(os.path.relpath(run.folder, folder.resolve())).as_posix()


def _ends(board: Leaderboard) -> tuple[float, float]:
    """The ends of the scale that all rows are drawn on: those of what occurs, with some air."""
    values = [v for row in board.rows for v in (row.value, *(row.interval or ())) if v is not None]
    if not values:
        return 0.0, 1.0
    air = 0.05 * (max(values) - min(values)) or 0.05
    least, most = (-math.inf, math.inf) if board.score == "log_loss" else (-1.0, 1.0)
    return max(min(values) - air, least), min(max(values) + air, most)


def _own(run: Run, runs: Sequence[Run]) -> str:
    shared = set.intersection(*(set(one.overrides) for one in runs)) if len(runs) > 1 else set()
    return " ".join(as_typed(word) for word in run.overrides if word not in shared) or run.folder.name


def _command(run: Run) -> str:
    return command_line(run.overrides, owners(read_json(run.folder / "versions.json") or {}))


def _points(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Place the runs by score and by the time that fitting takes, in the unit square; time on a logarithmic scale."""
    known = [row for row in rows if row["at"] is not None and row["fit_seconds"]]
    if len(known) < 3:
        return []
    logs = [math.log10(row["fit_seconds"]) for row in known]
    low, high = min(logs), max(logs)
    return [
        {"x": (log - low) / ((high - low) or 1.0), "y": row["at"] / 100, "row": row}
        for row, log in zip(known, logs, strict=True)
    ]
