"""``audiofw leaderboard``: rank runs, and say which are not significantly worse than the best."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from audiofw.cli.arguments import OneLineParser
from audiofw.evaluation.scores import HIGHER_IS_BETTER
from audiofw.leaderboard.ranking import rank
from audiofw.leaderboard.runs import read_runs
from audiofw.report.leaderboard import FILE, as_json, print_leaderboard, write_leaderboard_table
from audiofw.system.tables import open_console


def main(argv: list[str]) -> int:
    """Run ``audiofw leaderboard FOLDER …``; the exit code is 1 if a run failed."""
    arguments = _parse(argv)
    board = rank(read_runs(arguments.folder), score=arguments.score, ensemble=arguments.ensemble)
    console = open_console()
    if arguments.json:
        console.print(json.dumps(as_json(board), indent=2, allow_nan=False, ensure_ascii=False), soft_wrap=True)
    else:
        print_leaderboard(board, console)
    write_leaderboard_table(board, arguments.csv or arguments.folder[0] / FILE)
    return 1 if board.failures else 0


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = OneLineParser(
        "audiofw leaderboard", description="Rank the runs of one or more sweeps; the exit code is 1 if a run failed."
    )
    parser.add_argument("folder", nargs="+", type=Path, help="of a sweep or a run, e.g. multirun/2026-01-31/12-00-00")
    parser.add_argument("--score", metavar="NAME", help=f"rank by this score: {', '.join(HIGHER_IS_BETTER)}")
    parser.add_argument(
        "--csv", metavar="FILE", type=Path, help=f"where to write the table; default: {FILE} in the first folder"
    )
    parser.add_argument(
        "--no-ensemble", dest="ensemble", action="store_false", help="do not build an ensemble of the runs"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser.parse_args(argv)
