"""``audiofw compare``: what differs between two runs, and which clips changed their answer."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from audiofw.cli.arguments import OneLineParser
from audiofw.errors import ConfigError, printable
from audiofw.system.tables import new_table, open_console

if TYPE_CHECKING:
    from rich.console import Console

    from audiofw.report.compare import RunComparison

PAGE = Path("comparison.html")
MOST_ROWS = 20  # on the terminal; the page has all
OURS = "Created by audiofw"


def main(argv: list[str]) -> int:
    """Run ``audiofw compare RUN RUN``."""
    options = _parse(argv)
    _check_page(options.output)
    from audiofw.report.compare import compare_runs, write_comparison

    found = compare_runs(options.first, options.second)
    console = open_console()
    _print(console, found)
    write_comparison(options.output, found, options.first, options.second, audio=options.audio)
    console.print(f"page:     {options.output}", soft_wrap=True)
    return 0


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = OneLineParser(
        "audiofw compare",
        description="Compare two runs: config, data, code, scores, and the clips that changed their answer.",
    )
    add = parser.add_argument
    add("first", metavar="RUN", type=Path, help="the folder of a run or an evaluation")
    add("second", metavar="RUN", type=Path, help="that of the other")
    add("-o", "--output", type=Path, default=PAGE, metavar="FILE", help=f"the page, with players; default: {PAGE}")
    add("--no-audio", dest="audio", action="store_false", help="do not embed recordings")
    return parser.parse_args(argv)


def _check_page(file: Path) -> None:
    """Refuse to replace a file that is not such a page."""
    if file.is_dir():
        raise ConfigError(f"-o {file}: a folder; name a file, e.g. -o {file / PAGE}")
    if file.exists() and OURS not in file.read_text(encoding="utf-8", errors="replace"):
        raise ConfigError(f"{file}: exists, and is not a page of audiofw's; choose another with -o FILE")


def _print(console: Console, found: RunComparison) -> None:
    table = new_table("run", found.score, "95% interval", "test clips", right=3)
    for run in found.runs:
        interval = " – ".join(f"{end:.3f}" for end in run.interval) if run.interval else "–"
        value = "–" if run.value is None else f"{run.value:.3f}"
        table.add_row(printable(run.name), value, interval, str(run.n_tested or "–"))
    console.print(table, "", sep="\n")
    console.print(found.verdict, *found.notes, "", sep="\n", soft_wrap=True)
    options = [f"{key}: {_value(a)} → {_value(b)}" for key, a, b in found.options]
    for name, lines in (("config", options), ("data", found.data), ("versions", found.code)):
        console.print(f"{f'{name}:':10}{lines[0] if lines else 'the same'}", soft_wrap=True)
        for line in lines[1:]:
            console.print(f"{'':10}{line}", soft_wrap=True)
    counts = ", ".join(f"{n} {kind}" for kind, n in found.counts.items())
    console.print(f"clips:    {len(found.changed)} of {found.n_compared} changed{f': {counts}' if counts else ''}", "")
    if found.changed:
        _print_changed(console, found)


def _print_changed(console: Console, found: RunComparison) -> None:
    table = new_table("clip", "label", "first", "second")
    for clip in found.changed[:MOST_ROWS]:
        table.add_row(*(printable(text) or "none" for text in clip[:4]))
    console.print(table)
    if len(found.changed) > MOST_ROWS:
        console.print(f"… and {len(found.changed) - MOST_ROWS} more on the page")
    console.print("")


def _value(value: object) -> str:
    return "–" if value is ... else "null" if value is None else str(value)
