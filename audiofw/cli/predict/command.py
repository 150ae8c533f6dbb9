"""``audiofw predict``: classify recordings, as a whole or over time, and write each result as it is ready."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from typing import Any, TextIO

from audiofw.bundle.load import load_model
from audiofw.cli.predict.formats import Done, take_up, writing
from audiofw.cli.predict.options import read_options
from audiofw.cli.predict.records import Clips, Timeline
from audiofw.data.inputs import count, find_sounds
from audiofw.errors import ConfigError


def main(argv: list[str]) -> int:
    """Run ``audiofw predict``.

    Raises
    ------
    AudiofwError
        For a wrong option, or a model that cannot be loaded.
    """
    options = read_options(argv)
    model = load_model(options.bundle)
    results = Timeline(model, options) if options.window else Clips(model, options)
    try:
        with _opened(options, results.columns) as (stream, done):
            return _run(options, results, stream, done)
    except BrokenPipeError:  # e.g. `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


@contextmanager
def _opened(options: argparse.Namespace, columns: Sequence[str]) -> Iterator[tuple[TextIO, Done]]:
    """Open the output, and find out what it already contains."""
    done = Done(set(), 0, False)
    if not options.output:
        if hasattr(sys.stdout, "reconfigure"):
            sys.stdout.reconfigure(errors="backslashreplace")  # a label that the terminal cannot show
        yield sys.stdout, done
        return
    try:
        if options.resume:
            done = take_up(options.output, options.format, columns, last_is_whole=not options.window)
        stream = options.output.open("a" if options.resume else "w", encoding="utf-8", newline="")
    except OSError as error:
        raise ConfigError(f"--output {options.output}: cannot write: {error.strerror}") from error
    with stream:
        yield stream, done


def _run(options: argparse.Namespace, results: Clips | Timeline, stream: TextIO, done: Done) -> int:
    """Write each result as it is ready; the exit code is 1 if a recording could not be used."""
    failed = done.failed
    total = count(options.sounds)
    with (
        _bar(options, total and total - len(done.names)) as advance,
        writing(options.format, stream, results.columns, results.flatten, done.begun) as write,
        closing(results.records(find_sounds(options.sounds, done.names), alone=total == 1)) as records,
    ):
        for record in records:
            failed += "error" in record
            write(record)
            if "error" in record and options.format == "audacity":
                when = f" from {record['start']:g} s" if "start" in record else ""
                sys.stderr.write(f"audiofw: {record['path']}{when}: {record['error']}\n")
            advance()
    return int(failed > 0)


def _bar(options: argparse.Namespace, total: int | None) -> AbstractContextManager[Callable[[], Any]]:
    """Show progress on a terminal, unless the results are printed there."""
    if not sys.stderr.isatty() or total == 1 or (not options.output and sys.stdout.isatty()):
        return nullcontext(lambda: None)
    from audiofw.system.progress import counting

    return counting("predict", total)
