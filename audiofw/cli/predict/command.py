"""``audiofw predict``: classify recordings, as a whole or over time, and write each result as it is ready."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from pathlib import Path
from typing import Any, TextIO, cast

from audiofw.bundle.load import load_model
from audiofw.bundle.model import Model
from audiofw.cache.store import Cache, RecipeCache
from audiofw.cli.arguments import output_error
from audiofw.cli.predict.formats import OF_ONE, RESUMED, Record, writing
from audiofw.cli.predict.options import read_options, settle
from audiofw.cli.predict.partly import Partly
from audiofw.cli.predict.records import Clips, Timeline, tells_time
from audiofw.cli.predict.resume import NOTHING, Done, Journal, begin, journal_of, keep_whole, resume_output
from audiofw.cli.predict.tables import table_text, write_tables
from audiofw.data.inputs import count, find_sounds
from audiofw.errors import DataError, printable
from audiofw.extraction.over_time import recipe_over_time
from audiofw.system.faults import place_of, reason, remedy
from audiofw.system.hashing import digest_json
from audiofw.system.locks import sole
from audiofw.system.paths import cache_root
from audiofw.system.streams import NamedStream


def main(argv: list[str]) -> int:
    """Run ``audiofw predict``.

    Raises
    ------
    AudiofwError
        For a wrong option, or a model that cannot be loaded.
    """
    options = read_options(argv)
    model = load_model(options.bundle)
    settle(options, model.facts.get("timeline"), [str(name) for name in model.classes_], model.thresholds)
    options.timed = tells_time(options.sounds)
    with _features(options, model) as cache:
        results = Timeline(model, options, cache) if options.window else Clips(model, options)
        if options.folder and isinstance(results, Timeline):
            return write_tables(options, results, digest_json(model.facts))
        with _opened(options, results.columns, digest_json(model.facts)) as (stream, done, journal):
            return _run(options, results, stream, done, journal)


def _features(options: argparse.Namespace, model: Model) -> AbstractContextManager[RecipeCache | None]:
    """Open the cache of features, if it is wanted."""
    if not options.cache or not options.window or model.unit.pooling.learns:
        return nullcontext()
    return _opened_cache(recipe_over_time(model.unit, options.window, options.hop or options.window))


@contextmanager
def _opened_cache(recipe: Mapping[str, Any]) -> Iterator[RecipeCache]:
    with Cache(cache_root() / "features") as cache:
        yield cache.recipe_cache(recipe)


Opened = tuple[TextIO, Done, Journal]


@contextmanager
def _opened(options: argparse.Namespace, columns: Sequence[str], model: str) -> Iterator[Opened]:
    """Open the output, which no other process is writing, and find out what it already contains."""
    if not options.output:
        if hasattr(sys.stdout, "reconfigure"):
            sys.stdout.reconfigure(errors="backslashreplace")  # a label that the terminal cannot show
        yield sys.stdout, NOTHING, Journal()
        return
    output, opened, before = options.output, None, options.output.exists()
    try:
        with _alone(output), _begun(options, columns, model) as opened:
            yield opened
    except BrokenPipeError:
        raise
    except OSError as error:
        where = place_of(error, output)
        if where not in map(str, (output, output.resolve(), journal_of(output))):
            raise  # of a recording, or of a temporary file
        kept = keep_whole(output, options.format) if opened or not before else before
        if opened is None:
            raise output_error("--output", output, error) from error
        go_on = f" (the results before that are kept: continue with --resume -o {output})" if kept else ""
        said = f"{reason(error)}; {remedy(error, where, '--output')}"
        raise DataError(f"{where}: cannot write: {said}{go_on}") from error


def _alone(output: Path) -> AbstractContextManager[None]:
    """Keep other processes from writing the same file; a device or a pipe may have several writers."""
    real = output.resolve()
    if not real.parent.is_dir() or (real.exists() and not real.is_file()):
        return nullcontext()
    return sole(real.with_name(f".{real.name}.lock"), f"--output {output}: another process is writing it")


@contextmanager
def _begun(options: argparse.Namespace, columns: Sequence[str], model: str) -> Iterator[Opened]:
    output, done = options.output, NOTHING
    if output.exists() and not output.is_file():  # a device or a pipe
        with output.open("w", encoding="utf-8", newline="") as stream:
            yield stream, done, Journal()
        return
    if options.resume:
        done = resume_output(output, options, model, columns)
    else:
        begin(output, options, model)
    with (
        output.open("a" if options.resume else "w", encoding="utf-8", newline="") as stream,
        journal_of(output).open("a", encoding="utf-8") if options.format in RESUMED else nullcontext() as notes,
    ):
        journal: Any = NamedStream(notes, str(journal_of(output))) if notes else None
        yield cast(TextIO, NamedStream(stream, str(output))), done, Journal(journal)


def _run(options: argparse.Namespace, results: Clips | Timeline, stream: TextIO, done: Done, journal: Journal) -> int:
    """Write each result as it is ready; the exit code is 1 if a recording could not be used."""
    failed = done.failed
    total = count(options.sounds)
    partly = Partly(results.heard_of_each if isinstance(results, Clips) else None)
    sounds = partly.watch(find_sounds(options.sounds, done.names))
    with (
        _bar(options, total and total - len(done.names)) as advance,
        writing(options.format, stream, results.columns, results.flatten, done.begun, _whole(options, results)) as put,
        closing(results.records(journal.watch(sounds), alone=total == 1)) as records,
    ):
        for record in records:
            failed += "error" in record
            put(record)
            journal.wrote(record)
            if "error" in record and options.format in OF_ONE:
                when = f" from {record['start']:g} s" if "start" in record else ""
                sys.stderr.write(f"audiofw: {record['path']}{when}: {printable(record['error'])}\n")
            advance()
        journal.complete()
    if line := partly.line():
        sys.stderr.write(f"audiofw: {line}\n")
    return int(failed > 0)


def _whole(options: argparse.Namespace, results: Clips | Timeline) -> Callable[[Sequence[Record]], str] | None:
    """Give what makes a table of all records together, for formats that need them all."""
    if options.format not in ("raven", "textgrid") or not isinstance(results, Timeline):
        return None
    return lambda records: table_text(
        options.format, [one for one in records if "error" not in one], results.length, results.highest
    )


def _bar(options: argparse.Namespace, total: int | None) -> AbstractContextManager[Callable[[], Any]]:
    """Show progress on a terminal, unless the results are printed there."""
    if not sys.stderr.isatty() or total == 1 or (not options.output and sys.stdout.isatty()):
        return nullcontext(lambda: None)
    from audiofw.system.progress import counting

    return counting("predict", total)
