"""``audiofw report``: write ``report.html`` for a run or a sweep, from its folder."""

from __future__ import annotations

import argparse
from pathlib import Path

from audiofw.cli.arguments import OneLineParser
from audiofw.errors import DataError
from audiofw.system.tables import open_console


def main(argv: list[str]) -> int:
    """Run ``audiofw report FOLDER …``; prints the names of the files written."""
    arguments = _parse(argv)
    console = open_console()
    for folder in arguments.folder:
        for file in _make(folder, audio=arguments.audio, runs=arguments.runs):
            console.print(str(file), soft_wrap=True)
    return 0


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = OneLineParser("audiofw report", description="Write report.html for runs or sweeps, from their folders.")
    parser.add_argument("folder", nargs="+", type=Path, help="of a run or a sweep, e.g. outputs/2026-01-31/12-00-00")
    parser.add_argument("--no-audio", dest="audio", action="store_false", help="do not embed recordings")
    parser.add_argument("--runs", action="store_true", help="for a sweep, also the reports of its runs")
    return parser.parse_args(argv)


def _make(folder: Path, *, audio: bool, runs: bool) -> list[Path]:
    from audiofw.report.build import write_report
    from audiofw.report.sweep import write_sweep_report

    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; give the folder of a run or a sweep")
    if (folder / "metrics.json").exists():
        return [write_report(folder, audio=audio)]
    made = [write_report(file.parent, audio=audio) for file in _runs(folder)] if runs else []
    return [*made, write_sweep_report(folder)]


def _runs(folder: Path) -> list[Path]:
    return sorted(folder.rglob("metrics.json"))
