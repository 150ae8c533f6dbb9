"""A sweep's report: its leaderboard, which can be sorted, with links to the runs' reports."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

from audiofw.config.overrides import command_line
from audiofw.evaluation.scores import HIGHER_IS_BETTER
from audiofw.leaderboard.cautions import find_cautions, warnings_of
from audiofw.leaderboard.ranking import Leaderboard, rank
from audiofw.leaderboard.runs import Run, read_json, read_runs
from audiofw.leaderboard.table import LeaderboardRow, name_by_options, run_of
from audiofw.report.facts import FILE, owners
from audiofw.report.render import render
from audiofw.report.scatter import scatter
from audiofw.results.console import NAMES
from audiofw.results.files import write_text
from audiofw.version import __version__

MOST_ROWS = 500


def write_sweep_report(folder: Path, board: Leaderboard | None = None) -> Path:
    """Write ``report.html`` into a sweep's folder.

    Parameters
    ----------
    folder : Path
    board : Leaderboard, optional
        Its ranking, if it has been made already.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    DataError
        If the folder has no runs.
    """
    board = board or rank(read_runs([folder]))
    write_text(folder / FILE, render("sweep.html", **collect_sweep(folder, board)))
    return folder / FILE


def wanted(board: Leaderboard) -> bool:
    """Whether any of the finished runs was to write a report."""
    return not board.rows or any(run_of(row).options.get("report.enabled", True) for row in board.rows)


def collect_sweep(folder: Path, board: Leaderboard) -> dict[str, Any]:
    """Collect everything that the page shows."""
    rows = list(board.rows[:MOST_ROWS])
    failed = name_by_options(board.failures, board.all_runs)
    ends = _ends(board)
    shown = [_show(row, i, folder, board, ends) for i, row in enumerate(rows, 1)]
    if board.ensemble:
        shown.append(_show(board.ensemble, None, folder, board, ends))
    return {
        "version": __version__,
        "folder": folder.resolve(),
        "score": NAMES.get(board.score, board.score),
        "greater_is_better": HIGHER_IS_BETTER[board.score],
        "columns": board.columns,
        "rows": shown,
        "left_out": len(board.rows) - len(rows),
        "best": next((row for row in shown if row["value"] is not None), None),
        "tied": [row for row in shown if row["mark"] == "≈" and row["rank"]],
        "unknown": any(row["mark"] in ("?", "–") for row in shown if row["rank"]),
        "ends": ends,
        "level": next((run_of(row).metrics.get("interval_level", 0.95) for row in board.rows), 0.95),
        "notes": board.notes,
        "cautions": find_cautions(list(map(run_of, board.rows))),
        "failures": [{"name": name, "reason": run.reason} for name, run in zip(failed, board.failures, strict=True)],
        "n_runs": len(board.all_runs),
        "n_finished": len(board.rows),
        "n_pruned": len(board.pruned),
        "n_running": len(board.running),
        "command": _command(run_of(board.rows[0])) if board.rows else None,
        "plot": scatter(shown, ends),
    }


def _show(
    row: LeaderboardRow, place: int | None, folder: Path, board: Leaderboard, ends: tuple[float, float]
) -> dict[str, Any]:
    options = row.options if row.run else {board.columns[0]: "ensemble"}
    left, right = ends

    def at(value: float) -> float:
        return round(100 * (value - left) / ((right - left) or 1.0), 2)

    return {
        "rank": place,
        "mark": "best" if place == 1 and row.value is not None else row.comparison.mark,
        "caution": "; ".join(str(finding.get("message")) for finding in warnings_of(row.run)) if row.run else "",
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
        "bar": None if row.interval is None else sorted(map(at, row.interval)),
    }


def _link(run: Run, folder: Path) -> str | None:
    """Give the link from the page to the run's report; None if it has none."""
    if not (run.folder / FILE).is_file():
        return None
    return quote(Path(os.path.relpath(run.folder / FILE, folder.resolve())).as_posix())


def shown_name(run: Run, folder: Path) -> str:
    """Name a run by its folder, relative to the sweep's."""
    return Path(os.path.relpath(run.folder, folder.resolve())).as_posix()


def _ends(board: Leaderboard) -> tuple[float, float]:
    """Choose the ends of the axis that all rows share: the range of their values, with a margin; right is better."""
    values = [v for row in board.rows for v in (row.value, *(row.interval or ())) if v is not None]
    if not values:
        return 0.0, 1.0
    margin = 0.05 * (max(values) - min(values)) or 0.05
    if not HIGHER_IS_BETTER[board.score]:
        return max(values) + margin, max(0.0, min(values) - margin)
    return max(min(values) - margin, -1.0), min(max(values) + margin, 1.0)


def _command(run: Run) -> str:
    return command_line(run.overrides, owners(read_json(run.folder / "versions.json") or {}))
