"""``audiofw verify``: whether a model gives the same answers here as where it was made."""

from __future__ import annotations

import argparse
from pathlib import Path

from audiofw.bundle.files import read_bundle
from audiofw.bundle.golden import TOLERANCE, check_golden
from audiofw.bundle.load import read_model
from audiofw.cli.arguments import OneLineParser
from audiofw.errors import DataError
from audiofw.system.tables import new_table, open_console


def main(argv: list[str]) -> int:
    """Run ``audiofw verify``.

    Returns
    -------
    int
        0 if every golden clip gets the answer that it got where the bundle was made, else 1.
    """
    parser = OneLineParser("audiofw verify", description="Replay a model's golden clips, and compare its answers.")
    parser.add_argument("bundle", metavar="RUN_OR_BUNDLE", help="a run's folder, the model/ in it, or a zip of that")
    parser.add_argument("--tolerance", type=float, default=TOLERANCE, help=f"of a probability; default: {TOLERANCE:g}")
    options = parser.parse_args(argv)
    return _verify(options)


def _verify(options: argparse.Namespace) -> int:
    facts, files = read_bundle(Path(options.bundle).expanduser())
    model = read_model(facts, files, options.bundle)
    compared = check_golden(model, files)
    if not compared:
        raise DataError(f"{options.bundle}: it has no golden clips, so nothing can be compared")
    console, table = open_console(), new_table("golden clip", "said then", "says now", "largest difference", right=1)
    for each in compared:
        table.add_row(each.answer.clip, each.answer.predicted, each.now, f"{each.difference:.2g}")
    console.print(table)
    largest = max(each.difference for each in compared)
    same = largest <= options.tolerance
    verdict = "the same answers as" if same else "OTHER answers than"
    console.print(
        f"\n{verdict} where it was made: largest difference {largest:.2g}, tolerance {options.tolerance:g}",
        soft_wrap=True,
    )
    console.print(f"fitted on {facts['fitted_on']['said']}", soft_wrap=True)
    return 0 if same else 1
