"""``audiofw rerun``: repeat a run with the same config, on data that is checked."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from audiofw.cli.arguments import OneLineParser
from audiofw.errors import DataError
from audiofw.system.tables import open_console

if TYPE_CHECKING:
    from audiofw.experiment.rerun import Rerun


def main(argv: list[str]) -> int:
    """Run ``audiofw rerun RUN``.

    Raises
    ------
    AudiofwError
        As for any run, and if the data has changed.
    """
    options = _parse(argv)
    from audiofw.experiment.rerun import rerun

    folder = options.output or Path("outputs") / datetime.now().strftime("%Y-%m-%d/%H-%M-%S-%f")
    done = rerun(options.run, folder, changed_data=options.changed_data)
    open_console().print(*_lines(done), sep="\n", soft_wrap=True)
    if done.missing:
        raise DataError("; ".join(done.missing))
    return 0


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = OneLineParser(
        "audiofw rerun",
        description="Repeat a run: the same config and plugins, the same data (by the digest of each recording).",
    )
    parser.add_argument("run", metavar="RUN", type=Path, help="the run's folder")
    parser.add_argument("-o", "--output", type=Path, metavar="FOLDER", help="default: outputs/<date>/<time>")
    parser.add_argument("--changed-data", action="store_true", help="run although recordings or labels have changed")
    return parser.parse_args(argv)


def _lines(done: Rerun) -> Iterator[str]:
    yield "config:   the same"
    yield f"data:     {'; '.join(done.data) or 'the same'}"
    yield f"versions: {'; '.join(done.versions) or 'the same'}"
    score, now, before = done.metrics["score"], done.metrics["value"], done.before["value"]
    yield f"score:    {score} {now:.3f}{', as before' if now == before else f' (was {before:.3f})'}"
    if done.n_differ is not None:
        yield f"clips:    {done.n_differ or 'none'} of {done.n_compared} predictions differ"
    yield f"results:  {done.folder}"
