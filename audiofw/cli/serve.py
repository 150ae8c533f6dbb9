"""``audiofw serve``: a local page, and a JSON endpoint, to try a run's model on."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable

from audiofw.bundle.load import load_model
from audiofw.cli.arguments import OneLineParser
from audiofw.serve.server import serve
from audiofw.serve.service import Limits, Listener

EXAMPLE = """\
the JSON endpoint beside the page:
  curl -F file=@clip.wav http://127.0.0.1:7860/predict          (with --port 7860)
  curl --data-binary @clip.wav http://127.0.0.1:7860/predict
  curl http://127.0.0.1:7860/health
"""


def main(argv: list[str]) -> int:
    """Run ``audiofw serve RUN``."""
    options = _parser().parse_args(argv)
    limits = Limits(options.max_mb, options.max_seconds, options.min_confidence)
    serve(Listener(load_model(options.run), limits), options.host, options.port)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        "audiofw serve",
        description="A page to try a model on: upload or record a sound. Ctrl-C ends it.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run", metavar="RUN", help="a run's folder, or its model/, or a zip of that")
    parser.add_argument(
        "--host", metavar="ADDRESS", default="127.0.0.1", help="address to listen at (%(default)s: this machine alone)"
    )
    parser.add_argument("--port", type=int, metavar="N", default=0, help="port to listen at (a free one)")
    parser.add_argument("--max-mb", type=_above_zero, metavar="MB", default=25.0, help="largest upload (%(default)g)")
    parser.add_argument(
        "--max-seconds", type=_above_zero, metavar="S", default=120.0, help="longest sound, in seconds (%(default)g)"
    )
    parser.add_argument(
        "--min-confidence",
        type=_share,
        default=0.0,
        help="what is less probable is called unknown (%(default)g)",
    )
    return parser


def _above_zero(word: str) -> float:
    return _number(word, lambda value: 0 < value < math.inf, "a number above 0")


def _share(word: str) -> float:
    return _number(word, lambda value: 0 <= value <= 1, "a number from 0 to 1")


def _number(word: str, fits: Callable[[float], bool], wanted: str) -> float:
    try:
        if fits(value := float(word)):
            return value
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"'{word}' is not {wanted}")
