"""``audiofw serve``: try a model in the browser, or call it over HTTP."""

from __future__ import annotations

import argparse

from audiofw.bundle.load import load_model
from audiofw.cli.arguments import OneLineParser, above_zero, port, share
from audiofw.serve.server import serve
from audiofw.serve.service import Service, UploadLimits

EXAMPLE = """\
JSON endpoint:
  curl -F file=@clip.wav http://127.0.0.1:7860/predict          (with --port 7860)
  curl --data-binary @clip.wav http://127.0.0.1:7860/predict
  curl http://127.0.0.1:7860/health
"""


def main(argv: list[str]) -> int:
    """Run ``audiofw serve RUN``."""
    options = _parser().parse_args(argv)
    limits = UploadLimits(options.max_mb, options.max_seconds, options.min_confidence, options.unknown)
    serve(Service(load_model(options.run), limits), options.host, options.port)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        "audiofw serve",
        description="Serve a model: a web page to upload or record sounds, and a JSON endpoint. Ctrl-C stops it.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run", metavar="RUN", help="a run's folder, its model/ folder, or a zip of either")
    parser.add_argument(
        "--host",
        metavar="ADDRESS",
        default="127.0.0.1",
        help="address to listen on; default: %(default)s, this machine only",
    )
    parser.add_argument("--port", type=port, metavar="N", default=0, help="port to listen on; default: a free one")
    parser.add_argument("--max-mb", type=above_zero, metavar="MB", default=25.0, help="largest upload (%(default)g)")
    parser.add_argument(
        "--max-seconds", type=above_zero, metavar="S", default=120.0, help="longest recording (%(default)g)"
    )
    parser.add_argument(
        "--min-confidence",
        type=share,
        default=0.0,
        metavar="P",
        help="answer 'unknown' below this probability; default: %(default)g",
    )
    parser.add_argument(
        "--unknown", type=share, metavar="P", help="answer 'unknown' to other sounds; P of the known ones is lost"
    )
    return parser
