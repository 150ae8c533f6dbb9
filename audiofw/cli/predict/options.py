"""The options of ``audiofw predict``, and which of them can be combined."""

from __future__ import annotations

import argparse
from pathlib import Path

from audiofw.cli.arguments import OneLineParser, seconds, share, whole_number, workers
from audiofw.cli.predict.formats import SUFFIXES
from audiofw.data.inputs import is_one
from audiofw.errors import ConfigError

MOST_WINDOWS = 100  # that contain the same moment

EXAMPLES = """\
audiofw predict outputs/2026-01-31/12-00-00 clip.wav folder/ 'more/*.flac' > predictions.csv
audiofw predict RUN long.wav --window 3 --hop 1 --format audacity > labels.txt
cat clip.wav | audiofw predict RUN - --format table --top 3
audiofw predict RUN archive/ -o predictions.csv --resume

A recording that cannot be used gets a line with the reason, and the exit code is then 1. So does one on which a plugin
fails; a plugin that fails on every recording, or on the first 32, ends the command with one line and exit code 1."""


def read_options(argv: list[str]) -> argparse.Namespace:
    """Parse the arguments of ``audiofw predict``.

    Raises
    ------
    ConfigError
        For a wrong option, or options that cannot be combined.
    """
    parser = OneLineParser(
        "audiofw predict",
        description="Classify recordings with the model of a run.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("bundle", metavar="RUN", help="a run's folder, its model/ folder, or a zip of either")
    add("sounds", metavar="FILE", nargs="+", help="a file, a folder, a quoted pattern, or - for stdin")
    add("--format", choices=["csv", "json", "jsonl", "table", "audacity"], help="default: by --output's suffix, or csv")
    add("--top", type=whole_number, metavar="N", help="only the N most probable classes")
    add("--min-confidence", type=share, default=0.0, metavar="P", help="answer 'unknown' below this probability")
    add("--coverage", type=share, metavar="P", help="also prediction sets with this coverage (conformal), e.g. 0.9")
    add("--window", type=seconds, metavar="S", help="label a recording over time, in windows of S seconds")
    add("--hop", type=seconds, metavar="S", help="seconds from one window to the next; default: the window's length")
    add("--threshold", type=share, metavar="P", help="with --window: no segment below this probability")
    add("-o", "--output", type=Path, metavar="FILE", help="write to a file instead of stdout")
    add("--resume", action="store_true", help="continue --output: skip the recordings that it already contains")
    add("--n-jobs", type=workers, default=-1, metavar="N", help="number of workers; default: -1, all cores")
    options = parser.parse_intermixed_args(argv)
    suffix = options.output.suffix.lower() if options.output else ""
    options.format = options.format or SUFFIXES.get(suffix, "csv")
    _check(options)
    return options


def _check(options: argparse.Namespace) -> None:
    for wrong, remedy in (
        (options.resume and not options.output, "--resume needs --output: the file to continue"),
        (options.hop and not options.window, "--hop needs --window: the length of each window"),
        (
            options.hop and options.window and options.hop < options.window / MOST_WINDOWS,
            f"--hop {options.hop}: too short for --window {options.window}; at least a hundredth of it",
        ),
        (options.threshold is not None and not options.window, "--threshold needs --window"),
        (options.top and options.window, "--top cannot be combined with --window, which gives the best label only"),
        (
            options.coverage and options.window,
            "--coverage cannot be combined with --window, which gives the best label only",
        ),
        (options.format == "audacity" and not options.window, "--format audacity needs --window"),
        (
            options.format == "audacity" and not is_one(options.sounds),
            "--format audacity is for a single recording; give one file, or choose --format csv",
        ),
    ):
        if wrong:
            raise ConfigError(remedy)
