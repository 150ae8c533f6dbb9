"""A leaderboard on the terminal and in files: the best run, those statistically tied with it, and failed runs."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from audiofw.contract.hookspecs import RESULT_KINDS
from audiofw.errors import DataError
from audiofw.evaluation.scores import HIGHER_IS_BETTER
from audiofw.leaderboard.cautions import find_cautions, warnings_of
from audiofw.leaderboard.ranking import Leaderboard, rank
from audiofw.leaderboard.runs import Run, as_number, read_json, read_runs
from audiofw.leaderboard.table import LeaderboardRow, name_by_options, run_of, show_option
from audiofw.report.facts import owners
from audiofw.results.console import NAMES, predict_step
from audiofw.system.atomic import write_whole
from audiofw.system.faults import reason
from audiofw.system.logs import is_quiet
from audiofw.system.paths import from_here
from audiofw.system.spreadsheet import records_text
from audiofw.system.tables import new_table, open_console, show_size

FILE = "leaderboard.csv"
MOST_CAUTIONS = 3  # on the terminal; the report has all
MOST_ROWS = 50  # on the terminal; leaderboard.csv has all
FACTS = ("n_clips", "n_tested", "n_folds", "n_failures", "n_columns", "extract_seconds")  # of metrics.json


def show_leaderboard(folder: Path) -> int:
    """Print a sweep's leaderboard, and write ``leaderboard.csv`` and ``report.html``; see `present_leaderboard`.

    Returns
    -------
    int
        Number of runs that failed, or could not save all of their results.
    """
    return count_failures(present_leaderboard(folder))


def count_failures(board: Leaderboard) -> int:
    """Count the runs that failed, or could not save all of their results."""
    return len(board.failures) + len(_incomplete(board))


def present_leaderboard(folder: Path) -> Leaderboard:
    """Print a sweep's leaderboard, and write ``leaderboard.csv`` and ``report.html``.

    Raises
    ------
    DataError
        If the folder has no runs, or, after printing, if a file cannot be written.
    """
    board = rank(read_runs([folder]))
    console = open_console()
    try:
        print_leaderboard(board, console)
    finally:  # even if stdout cannot be written
        write_leaderboard_table(board, folder / FILE, remedy="audiofw leaderboard FOLDER --csv FILE")
        report = _write_report(folder, board)
    if not is_quiet():
        console.print("", *_next_steps(folder, board, report), sep="\n", soft_wrap=True)
    return board


def _next_steps(folder: Path, board: Leaderboard, report: Path | None) -> Iterator[str]:
    if board.rows:
        best = run_of(board.rows[0]).folder
        yield from predict_step(best, owners(read_json(best / "versions.json") or {}), "best run's model")
    if report:
        yield f"report:   {shlex.quote(from_here(report))}"
    yield f"results:  {shlex.quote(from_here(folder))}"


def _write_report(folder: Path, board: Leaderboard) -> Path | None:
    from audiofw.report.sweep import wanted, write_sweep_report  # not needed to rank alone

    return write_sweep_report(folder, board) if wanted(board) else None


def write_leaderboard_csv(folder: Path) -> None:
    """Write ``leaderboard.csv`` of an unfinished sweep, without an ensemble, which takes longer."""
    write_leaderboard_table(rank(read_runs([folder]), ensemble=False), folder / FILE)


# --- on the terminal --------------------------------------------------------------------------------------


def print_leaderboard(board: Leaderboard, console: Console) -> None:
    """Print the best run, the ranking with its notes, and the failed runs with their reasons."""
    if board.rows:
        console.print(_headline(board), *([] if is_quiet() else [""]), sep="\n", soft_wrap=True)
    if is_quiet():
        return
    if board.rows:
        table = _rank_table(board)
        if console.measure(table, options=console.options.update(max_width=10_000)).maximum > console.width:
            table = _rank_table(board, costs=False)  # rather than break names; leaderboard.csv has them
        console.print(table, end="\n\n")
    if len(board.rows) > MOST_ROWS:
        console.print(f"… and {len(board.rows) - MOST_ROWS} more rows in {FILE}")
    for note in [
        *_say_direction(board),
        *board.notes,
        *_say_cautions(board),
        *_describe_missing(board),
        *_say_unfinished(board),
    ]:
        console.print(note, soft_wrap=True)
    if board.failures:
        console.print(f"\n{len(board.failures)} of {len(board.all_runs)} runs failed", end="\n\n")
        console.print(_failure_table(board))


def _headline(board: Leaderboard) -> str:
    best, score = board.rows[0], NAMES.get(board.score, board.score)
    options = " ".join(f"{name}={value}" for name, value in best.options.items() if value != "–")
    value = "undefined" if best.value is None else f"{best.value:.3f}"
    tied = sum(row.comparison.tied is True for row in board.rows[1:])
    others = f"; {tied} other{'s' * (tied > 1)} not significantly worse" if tied else ""
    return f"{score} {value}, best of {len(board.rows)} run{'s' * (len(board.rows) > 1)}: {options}{others}"


def _say_direction(board: Leaderboard) -> list[str]:
    return [] if HIGHER_IS_BETTER[board.score] else [f"{board.score}: lower is better"]


def _say_cautions(board: Leaderboard) -> list[str]:
    """List the audit's warnings, each once."""
    cautions, n_runs = find_cautions(list(map(run_of, board.rows))), len(board.rows)
    lines = [
        f"audit warning: {caution.text} ({len(caution.runs)} of {n_runs} runs, marked !)"
        for caution in cautions[:MOST_CAUTIONS]
    ]
    left = len(cautions) - MOST_CAUTIONS
    return [*lines, f"… and {left} more audit warnings in the runs' reports"] if left > 0 else lines


def _incomplete(board: Leaderboard) -> list[Run]:
    return [run for run in map(run_of, board.rows) if run.missing]


def _describe_missing(board: Leaderboard) -> list[str]:
    if not (incomplete := _incomplete(board)):
        return []
    return [
        f"{len(incomplete)} of {len(board.all_runs)} runs could not save all of their results: {incomplete[0].missing}"
    ]


def _say_unfinished(board: Leaderboard) -> list[str]:
    said = {"are still running": board.running, "were stopped early because their first folds were worse": board.pruned}
    return [f"{len(runs)} of {len(board.all_runs)} runs {what}" for what, runs in said.items() if runs]


def _rank_table(board: Leaderboard, *, costs: bool = True) -> Table:
    level = next((f"{run_of(row).metrics.get('interval_level', 0.95):.0%} interval" for row in board.rows), "interval")
    seconds = ("train s/fold", "predict s/fold", "size") if costs else ()
    figures = (f"{board.score} ± std", level, "p adjusted", *seconds)
    table = new_table("", *board.columns, *figures, right=len(figures))
    for column in table.columns[-len(figures) :]:
        column.header, column.no_wrap = str(column.header).replace(" ", "\n", 1), True  # figures stay whole
    for i, row in enumerate(board.rows[:MOST_ROWS]):
        mark = "best" if i == 0 and row.value is not None else row.comparison.mark
        table.add_row(_with_caution(mark, row), *row.options.values(), *_figures(row)[: len(figures)])
    if board.ensemble:
        blanks = [""] * (len(board.columns) - 1)
        table.add_row(_mark_ensemble(board), "ensemble", *blanks, *_figures(board.ensemble)[: len(figures)])
    return table


def _with_caution(mark: str, row: LeaderboardRow) -> str:
    return f"{mark} !".lstrip() if warnings_of(run_of(row)) else mark


def _mark_ensemble(board: Leaderboard) -> str:
    averaged, best = board.ensemble, board.rows[0]
    if averaged is None or averaged.comparison.tied is not False or averaged.value is None or best.value is None:
        return averaged.comparison.mark if averaged else ""
    return "better" if (averaged.value > best.value) == HIGHER_IS_BETTER[board.score] else ""


def _figures(row: LeaderboardRow) -> list[str]:
    spread = "" if row.std is None else f" ± {row.std:.3f}"
    p = row.comparison.p
    return [
        "–" if row.value is None else f"{row.value:.3f}{spread}",
        "–" if row.interval is None else f"{row.interval[0]:.3f}–{row.interval[1]:.3f}",
        "" if p is None else "<0.001" if p < 0.001 else f"{p:.3f}",
        _show_seconds(row.fit_seconds),
        _show_seconds(row.predict_seconds),
        show_size(row.model_bytes),
    ]


def _show_seconds(seconds: float | None) -> str:
    return "–" if seconds is None else f"{seconds:.2g}" if seconds < 10 else f"{seconds:.0f}"


def _failure_table(board: Leaderboard) -> Table:
    table = new_table("failed", "reason")
    names = name_by_options(board.failures, board.all_runs)
    for run, name in list(zip(board.failures, names, strict=True))[:MOST_ROWS]:
        table.add_row(name, run.reason)
    if len(board.failures) > MOST_ROWS:
        table.add_row("…", f"and {len(board.failures) - MOST_ROWS} more in {FILE}")
    return table


# --- in files ---------------------------------------------------------------------------------------------


def write_leaderboard_table(board: Leaderboard, file: Path, remedy: str = "--csv") -> None:
    """Write the ranking with full precision, then the other runs; the file is replaced atomically.

    Raises
    ------
    DataError
        If it cannot be written.
    """
    try:
        write_whole(file, records_text(_records(board)).encode())
    except OSError as error:
        said = f"{reason(error)}; choose another file with {remedy}"
        raise DataError(f"{file}: cannot write the leaderboard: {said}") from error


def as_json(board: Leaderboard) -> dict[str, Any]:
    """Give a leaderboard as plain values, ready for JSON."""
    members = board.ensemble.members if board.ensemble else ()
    return {
        "score": board.score,
        "greater_is_better": HIGHER_IS_BETTER[board.score],
        "options": list(board.columns),
        "runs": _records(board),
        "ensemble": [{"folder": str(run.folder), "weight": weight} for run, weight in members],
        "notes": list(board.notes),
        "warnings": [
            {"text": caution.text, "folders": [str(run.folder) for run in caution.runs]}
            for caution in find_cautions(list(map(run_of, board.rows)))
        ],
    }


def _records(board: Leaderboard) -> list[dict[str, Any]]:
    """List the ranked runs, the ensemble, and the runs without a rank."""
    columns = list(dict.fromkeys([*RESULT_KINDS, *board.columns]))
    weights = {run.folder: weight for run, weight in board.ensemble.members} if board.ensemble else {}
    ranked = [
        {
            "rank": i,
            "status": "finished",
            **{column: _option(run_of(row), column) for column in columns},
            **_figures_of(row, board.score),
            "ensemble_weight": weights.get(run_of(row).folder, 0.0) if weights else None,
            **_facts(run_of(row)),
        }
        for i, row in enumerate(board.rows, 1)
    ]
    averaged = [{"status": "ensemble", **_figures_of(board.ensemble, board.score)}] if board.ensemble else []
    unranked = [{"status": run.status, **_facts(run)} for run in (*board.failures, *board.pruned, *board.running)]
    return [*ranked, *averaged, *unranked]


def _option(run: Run, column: str) -> float | str:
    number = as_number(run.options.get(column))
    return show_option(run, column) if number is None else number


def _figures_of(row: LeaderboardRow, score: str) -> dict[str, Any]:
    low, high = row.interval or (None, None)
    comparison = row.comparison
    return {
        "score": score,
        "value": row.value,
        "std": row.std,
        "low": low,
        "high": high,
        "fit_seconds": row.fit_seconds,
        "predict_seconds": row.predict_seconds,
        "model_bytes": row.model_bytes,
        "p_adjusted": comparison.p,
        "not_distinguishable": comparison.tied,
        "too_few_to_tell": comparison.too_few or None,
        "compared_over": comparison.unit or None,
        "n_compared_over": comparison.n_units,
    }


def _facts(run: Run) -> dict[str, Any]:
    metrics = run.metrics
    facts: dict[str, Any] = {name: as_number(parts.get("pooled")) for name, parts in metrics.get("scores", {}).items()}
    facts |= {key: as_number(metrics[key]) for key in FACTS if key in metrics}
    return facts | {
        "audit_warnings": len(warnings_of(run)) if "audit" in metrics else None,
        "missing": run.missing or None,
        "seconds": run.seconds,
        "job": run.job,
        "folder": str(run.folder),
        "overrides": " ".join(run.overrides),
        "reason": run.reason,
    }
