"""``audiofw verify``: check that a model predicts the same here as where it was trained."""

from __future__ import annotations

import argparse
from pathlib import Path

from audiofw.bundle.files import read_bundle
from audiofw.bundle.golden import TOLERANCE, check_golden
from audiofw.bundle.load import read_model
from audiofw.cli.arguments import OneLineParser, add_bundle
from audiofw.errors import DataError
from audiofw.system.tables import new_table, open_console


def main(argv: list[str]) -> int:
    """Run ``audiofw verify``.

    Returns
    -------
    int
        0 if the predictions for all golden clips are the same as when the model was saved, else 1.
    """
    parser = OneLineParser(
        "audiofw verify",
        description="Compare a model's predictions for its golden clips with those made when it was saved.",
    )
    add_bundle(parser, tolerance=TOLERANCE)
    options = parser.parse_args(argv)
    return _verify(options)


def _verify(options: argparse.Namespace) -> int:
    facts, files = read_bundle(Path(options.bundle).expanduser())
    model = read_model(facts, files, options.bundle)
    compared = check_golden(model, files)
    if not compared:
        raise DataError(f"{options.bundle}: has no golden clips to compare")
    console, table = open_console(), new_table("golden clip", "saved", "now", "largest difference", right=1)
    for each in compared:
        table.add_row(each.answer.clip, each.answer.predicted, each.now, f"{each.difference:.2g}")
    console.print(table)
    largest = max(each.difference for each in compared)
    same = largest <= options.tolerance
    verdict = "same predictions as" if same else "DIFFERENT predictions than"
    console.print(
        f"\n{verdict} when the model was saved: largest difference {largest:.2g}, tolerance {options.tolerance:g}",
        soft_wrap=True,
    )
    console.print(f"trained on {facts['fitted_on']['description']}", soft_wrap=True)
    return 0 if same else 1
