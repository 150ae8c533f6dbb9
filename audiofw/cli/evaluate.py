"""``audiofw evaluate``: score the model of a run on labelled recordings that it was not trained on."""

from __future__ import annotations

import argparse
from datetime import datetime
from pathlib import Path

from audiofw.cli.arguments import RUN, OneLineParser

EXAMPLES = """\
audiofw evaluate outputs/2026-01-31/12-00-00 field_recordings/
audiofw evaluate RUN new.zip 'data.pattern=(?P<label>[a-z]+)_' score=f1_macro
audiofw evaluate RUN test.csv data.columns.label=species -o evaluations/spring

Labels are read as the run read its own, unless data.… says otherwise. Test clips that the model was trained on are
warned of: exact copies, near-duplicates, and clips of the same source."""


def main(argv: list[str]) -> int:
    """Run ``audiofw evaluate RUN SOURCE [key=value …]``.

    Raises
    ------
    ScoreError
        After everything is saved, if the score is worse than ``min_score``.
    """
    options = _parse(argv)
    from audiofw.evaluation.scores import refuse_low
    from audiofw.experiment.evaluation import evaluate_saved
    from audiofw.results.console import print_evaluation

    folder = options.output or Path("evaluations") / datetime.now().strftime("%Y-%m-%d/%H-%M-%S-%f")
    found = evaluate_saved(Path(options.bundle), options.source, options.overrides, folder)
    print_evaluation(found.metrics, found.dataset, found.failures, folder)
    if found.metrics["value"] is not None:
        refuse_low(found.metrics["score"], found.metrics["value"], found.config.min_score)
    return 0


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = OneLineParser(
        "audiofw evaluate",
        description="Score the model of a run on labelled recordings that it was not trained on.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("bundle", metavar="RUN", help=RUN)
    add("source", metavar="SOURCE", help="labelled recordings: a folder, a zip or tar, or a CSV manifest")
    add(
        "overrides", metavar="KEY=VALUE", nargs="*", help="options of data, and score, audit, report, n_jobs, min_score"
    )
    add("-o", "--output", type=Path, metavar="FOLDER", help="for the results; default: evaluations/<date>/<time>")
    return parser.parse_intermixed_args(argv)
