"""The options of ``audiofw predict``, and which of them can be combined."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audiofw.bundle.labelling import MOST_WINDOWS, choose_way
from audiofw.cli.arguments import RUN, OneLineParser, seconds, share, whole_number, workers
from audiofw.cli.predict.formats import FORMATS, OF_ONE, SUFFIXES
from audiofw.data.inputs import is_one
from audiofw.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np

EXAMPLES = """\
audiofw predict outputs/2026-01-31/12-00-00 clip.wav folder/ 'more/*.flac' > predictions.csv
audiofw predict RUN long.wav --window 3 --hop 1 --format audacity > labels.txt
cat clip.wav | audiofw predict RUN - --format table --top 3
audiofw predict RUN pets.zip new.csv archive/ -o predictions.csv --resume

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
    add("bundle", metavar="RUN", help=RUN)
    add(
        "sounds",
        metavar="FILE",
        nargs="+",
        help="a file, a folder, an archive, a CSV manifest, a quoted pattern, or - for stdin",
    )
    add("--format", choices=FORMATS, help="default: by --output's suffix, or csv")
    add("--top", type=whole_number, metavar="N", help="only the N most probable classes")
    add("--min-confidence", type=share, default=0.0, metavar="P", help="answer 'unknown' below this probability")
    add(
        "--unknown",
        type=share,
        metavar="P",
        help="answer 'unknown' to sounds of no class; P of the known are lost",
    )
    add("--precision", type=share, metavar="P", help="only labels above the thresholds with this out-of-fold precision")
    add("--recall", type=share, metavar="P", help="all labels above the thresholds with this out-of-fold recall")
    add("--coverage", type=share, metavar="P", help="also prediction sets with this coverage (conformal), e.g. 0.9")
    add(
        "--window",
        type=seconds,
        metavar="S",
        help="label a recording over time, in windows of S seconds; default: as the model was trained, if on windows",
    )
    add("--hop", type=seconds, metavar="S", help="seconds from one window to the next; default: the window's length")
    add("--threshold", type=share, metavar="P", help="over time: no segment below this probability")
    add("--background", action="store_true", help="over time: also the segments of the model's background class")
    add("--whole", action="store_true", help="one answer for each recording, though the model was trained on windows")
    add("--scores", action="store_true", help="with -o FOLDER: also the class probabilities of each window, as CSV")
    add("--cache", action="store_true", help="over time: keep features, so that predicting again takes a fraction")
    add("-o", "--output", type=Path, metavar="FILE", help="write to a file, or one file per recording to a folder")
    add("--resume", action="store_true", help="continue --output: skip the recordings that it already contains")
    add("--n-jobs", type=workers, default=-1, metavar="N", help="number of workers; default: -1, all cores")
    options = parser.parse_intermixed_args(argv)
    suffix = options.output.suffix.lower() if options.output else ""
    options.format = options.format or SUFFIXES.get(suffix, "csv")
    options.folder = options.output is not None and _is_folder(options)
    return options


def _is_folder(options: argparse.Namespace) -> bool:
    """Whether the output is a folder: it exists as one, or has no suffix and is for a format of one recording."""
    output = options.output
    return output.is_dir() or (not output.exists() and not output.suffix and options.format in OF_ONE)


def settle(
    options: argparse.Namespace,
    timeline: Mapping[str, Any] | None,
    classes: Sequence[str],
    thresholds: np.ndarray | None = None,
) -> None:
    """Complete the options by what the model says about timelines, and check them.

    Parameters
    ----------
    options : argparse.Namespace
        As `read_options` gives them; updated, with the ``way`` in which recordings are labelled over time, if they are.
    timeline : mapping, optional
        From the bundle.
    classes : sequence of str
        Of the model.
    thresholds : np.ndarray [shape=(classes,)], optional
        Of a model of several labels.

    Raises
    ------
    ConfigError
        For options that cannot be combined.
    """
    options.way = choose_way(
        None if options.whole else timeline,
        classes,
        thresholds,
        **{name: getattr(options, name) for name in ("window", "hop", "threshold")},
        **{name: getattr(options, name) for name in ("background", "min_confidence", "unknown")},
    )
    if options.way:
        options.window, options.hop = options.way.window, options.way.hop
    refuse_conflicts(options)


def refuse_conflicts(options: argparse.Namespace) -> None:
    """Refuse options that cannot be combined."""
    at_point = options.precision is not None or options.recall is not None
    for wrong, remedy in (
        (options.whole and (options.window or options.hop), "--whole cannot be combined with --window and --hop"),
        (options.scores and not options.folder, "--scores needs -o FOLDER, with one file per recording"),
        (options.folder and not options.window, f"--output {options.output}: a folder is for --window"),
        (options.folder and options.format in ("jsonl", "table"), f"--format {options.format} is not for a folder"),
        (options.resume and not options.output, "--resume needs --output: the file to continue"),
        (options.hop and not options.window, "--hop needs --window: the length of each window"),
        (
            options.hop and options.window and options.hop < options.window / MOST_WINDOWS,
            f"--hop {options.hop}: too short for --window {options.window}; at least a hundredth of it",
        ),
        (options.threshold is not None and not options.window, "--threshold needs --window"),
        (options.background and not options.window, "--background needs --window"),
        (options.top and options.window, "--top cannot be combined with --window, which gives the best label only"),
        (
            options.coverage and options.window,
            "--coverage cannot be combined with --window, which gives the best label only",
        ),
        (options.precision is not None and options.recall is not None, "--precision cannot be combined with --recall"),
        (
            at_point and options.window,
            "--precision and --recall are for whole recordings: add --whole, without --window",
        ),
        (at_point and options.min_confidence, "--min-confidence cannot be combined with --precision or --recall"),
        (at_point and options.coverage, "--coverage cannot be combined with --precision or --recall"),
        (options.format in OF_ONE and not options.window, f"--format {options.format} needs --window"),
        (
            options.format in OF_ONE and not options.folder and not is_one(options.sounds),
            f"--format {options.format} is for a single recording; give one file, -o FOLDER, or --format csv",
        ),
    ):
        if wrong:
            raise ConfigError(remedy)
