"""``audiofw serve``: try a model in the browser, or call it over HTTP."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from audiofw.bundle.load import load_model
from audiofw.cli.arguments import RUN, OneLineParser, above_zero, output_error, port, seconds, share
from audiofw.serve.access import opened_log
from audiofw.serve.server import serve
from audiofw.serve.service import Service, UploadLimits

EXAMPLE = """\
JSON endpoint:
  curl -F file=@clip.wav http://127.0.0.1:7860/predict          (with --port 7860)
  curl --data-binary @clip.wav http://127.0.0.1:7860/predict
  curl -F file=@long.wav "http://127.0.0.1:7860/timeline?window=1&hop=0.5"
  curl http://127.0.0.1:7860/model                              (classes, score, audit warnings)
  curl http://127.0.0.1:7860/healthz
"""


def main(argv: list[str]) -> int:
    """Run ``audiofw serve RUN``."""
    options = _parser().parse_args(argv)
    limits = UploadLimits(options.max_mb, options.max_seconds, options.min_confidence, options.unknown, options.timeout)
    with _access_log(options.access_log) as log_access:
        service = Service(load_model(options.run), limits)
        serve(service, options.host, options.port, public=options.allow_host, log_access=log_access)
    return 0


@contextmanager
def _access_log(file: str | None) -> Iterator[Callable[[str], object] | None]:
    with ExitStack() as stack:
        try:
            write = stack.enter_context(opened_log(file))
        except OSError as error:
            raise output_error("--access-log", Path(file or ""), error) from error
        yield write


def _parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        "audiofw serve",
        description="Serve a model: a web page to upload or record sounds, and a JSON endpoint. Ctrl-C stops it.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run", metavar="RUN", help=RUN)
    parser.add_argument(
        "--host",
        metavar="ADDRESS",
        default="127.0.0.1",
        help="address to listen on; default: %(default)s, this machine only",
    )
    parser.add_argument("--port", type=port, metavar="N", default=0, help="port to listen on; default: a free one")
    parser.add_argument(
        "--allow-host",
        metavar="NAME",
        action="append",
        default=[],
        help="also answer requests for this name, e.g. that of a proxy; may be repeated",
    )
    parser.add_argument("--max-mb", type=above_zero, metavar="MB", default=25.0, help="largest upload (%(default)g)")
    parser.add_argument(
        "--max-seconds", type=above_zero, metavar="S", default=120.0, help="longest recording (%(default)g)"
    )
    parser.add_argument(
        "--timeout",
        type=seconds,
        metavar="S",
        default=60.0,
        help="longest time for an upload, and then for its answer, in seconds (%(default)g)",
    )
    parser.add_argument("--access-log", metavar="FILE", help="log each request to a file; - is stderr")
    parser.add_argument(
        "--min-confidence",
        type=share,
        default=0.0,
        metavar="P",
        help="answer 'unknown' below this probability; default: %(default)g",
    )
    parser.add_argument(
        "--unknown",
        type=share,
        metavar="P",
        help="answer 'unknown' to sounds of no class; P of the known are lost",
    )
    return parser
