"""The options of ``audiofw predict``, and which of them go together."""

from __future__ import annotations

import argparse
from pathlib import Path

from audiofw.cli.arguments import OneLineParser, seconds, share, whole
from audiofw.cli.predict.formats import SUFFIXES
from audiofw.data.inputs import is_one
from audiofw.errors import ConfigError

EXAMPLES = """\
audiofw predict outputs/2026-01-31/12-00-00 clip.wav folder/ 'more/*.flac' > predictions.csv
audiofw predict RUN long.wav --window 3 --hop 1 --format audacity > labels.txt
cat clip.wav | audiofw predict RUN - --format table --top 3
audiofw predict RUN archive/ -o predictions.csv --resume

A recording that cannot be used has a line with its reason, and the exit code is then 1."""


def read_options(argv: list[str]) -> argparse.Namespace:
    """Read the words behind ``audiofw predict``.

    Raises
    ------
    ConfigError
        For a wrong option, or two that do not go together.
    """
    parser = OneLineParser(
        "audiofw predict",
        description="Say what recordings are, by the model that a run has left.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("bundle", metavar="RUN_OR_BUNDLE", help="a run's folder, the model/ in it, or a zip of that")
    add("sounds", metavar="SOUND", nargs="+", help="a file, a folder, a quoted pattern, or - for stdin")
    add("--format", choices=["csv", "json", "jsonl", "table", "audacity"], help="default: by the output's name, or csv")
    add("--top", type=whole, metavar="N", help="the N most probable classes in place of all")
    add("--min-confidence", type=share, default=0.0, metavar="P", help="what is less probable is called unknown")
    add("--coverage", type=share, metavar="P", help="also the set of labels that holds the true one in this share")
    add("--window", type=seconds, metavar="S", help="a timeline: windows of S seconds all along a recording …")
    add("--hop", type=seconds, metavar="S", help="… one every S seconds; default: as long as a window")
    add("--threshold", type=share, metavar="P", help="of a timeline: what is less probable gets no segment")
    add("-o", "--output", type=Path, metavar="FILE", help="write there, not to stdout")
    add("--resume", action="store_true", help="go on with --output: pass over what is in it")
    add("--n-jobs", type=int, default=-1, metavar="N", help="workers; default: -1, every core")
    options = parser.parse_intermixed_args(argv)
    suffix = options.output.suffix.lower() if options.output else ""
    options.format = options.format or SUFFIXES.get(suffix, "csv")
    _check(options)
    return options


def _check(options: argparse.Namespace) -> None:
    for wrong, remedy in (
        (options.resume and not options.output, "--resume needs the --output to go on with"),
        (options.hop and not options.window, "--hop needs --window: how long each window is"),
        (options.threshold is not None and not options.window, "--threshold is of a timeline, see --window"),
        (options.top and options.window, "--top does not go with --window: a timeline shows the one best label"),
        (
            options.coverage and options.window,
            "--coverage does not go with --window: a timeline has one label",
        ),
        (options.format == "audacity" and not options.window, "--format audacity is of a timeline, see --window"),
        (
            options.format == "audacity" and not is_one(options.sounds),
            "--format audacity: a label track is of one recording; give one file, or --format csv",
        ),
    ):
        if wrong:
            raise ConfigError(remedy)
