"""``audiofw predict``: what recordings are, or what is heard when in them, as results come."""

from __future__ import annotations

import argparse
import os
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any, NoReturn, TextIO

from audiofw.bundle import load_model
from audiofw.errors import AudiofwError, ConfigError
from audiofw.formats import SUFFIXES, Done, Record, take_up, writing
from audiofw.inputs import Sound, count, find_sounds
from audiofw.lanes import Known, Lost
from audiofw.predict import Model, Verdict
from audiofw.timeline import UNKNOWN, Window, cells, make_row, segments, windows
from audiofw.workers import outcomes

EXAMPLES = """\
audiofw predict outputs/2026-01-31/12-00-00 clip.wav folder/ 'more/*.flac' > predictions.csv
audiofw predict RUN long.wav --window 3 --hop 1 --format audacity > labels.txt
cat clip.wav | audiofw predict RUN - --format table --top 3
audiofw predict RUN archive/ -o predictions.csv --resume

A recording that cannot be used has a line with its reason, and the exit code is then 1."""


def main(argv: list[str]) -> int:
    """Run ``audiofw predict``.

    Raises
    ------
    AudiofwError
        For a wrong option, or a bundle that cannot be used.
    """
    options = _read_options(argv)
    model = load_model(options.bundle)
    results = _Timeline(model, options) if options.window else _Clips(model, options)
    try:
        with _opened(options, results.columns) as (stream, done):
            return _run(options, results, stream, done)
    except BrokenPipeError:  # as of `| head`, which has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


class OneLineParser(argparse.ArgumentParser):
    """Says what is wrong on one line, as every error of audiofw."""

    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"{self.prog}: {message}; --help lists what there is")


def _read_options(argv: list[str]) -> argparse.Namespace:
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
    add("--top", type=_whole, metavar="N", help="the N most probable classes in place of all")
    add("--min-confidence", type=_share, default=0.0, metavar="P", help="what is less probable is called unknown")
    add("--coverage", type=_share, metavar="P", help="also the set of labels that holds the true one in this share")
    add("--window", type=_seconds, metavar="S", help="a timeline: windows of S seconds all along a recording …")
    add("--hop", type=_seconds, metavar="S", help="… one every S seconds; default: as long as a window")
    add("--threshold", type=_share, metavar="P", help="of a timeline: what is less probable gets no segment")
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
            options.format == "audacity" and count(options.sounds) != 1,
            "--format audacity: a label track is of one recording; give one file, or --format csv",
        ),
    ):
        if wrong:
            raise ConfigError(remedy)


def _whole(text: str) -> int:
    return int(_number(text, lambda n: n >= 1 and n == int(n), "a whole number from 1 up"))


def _share(text: str) -> float:
    return _number(text, lambda n: 0 <= n <= 1, "a number from 0 to 1")


def _seconds(text: str) -> float:
    return _number(text, lambda n: 0 < n < 1e6, "a number of seconds above 0")


def _number(text: str, fits: Callable[[float], bool], wanted: str) -> float:
    try:
        if fits(value := float(text)):
            return value
    except (ValueError, OverflowError):
        pass
    raise argparse.ArgumentTypeError(f"'{text}' is not {wanted}")


# --- where results go --------------------------------------------------------------------------------------------


@contextmanager
def _opened(options: argparse.Namespace, columns: Sequence[str]) -> Iterator[tuple[TextIO, Done]]:
    """Open the output, and say what it holds already."""
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
        raise ConfigError(f"--output {options.output}: cannot be written: {error.strerror}") from error
    with stream:
        yield stream, done


def _run(options: argparse.Namespace, results: _Clips | _Timeline, stream: TextIO, done: Done) -> int:
    """Write each result as it comes, and count those that are none."""
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
                sys.stderr.write(f"audiofw: {record['path']}: {record['error']}\n")
            advance()
    return int(failed > 0)


def _bar(options: argparse.Namespace, total: int | None) -> AbstractContextManager[Callable[[], Any]]:
    """Show progress on a terminal, unless the results scroll by there."""
    if not sys.stderr.isatty() or total == 1 or (not options.output and sys.stdout.isatty()):
        return nullcontext(lambda: None)
    from audiofw.progress import counting

    return counting("predict", total)


# --- what results are --------------------------------------------------------------------------------------------


class _Clips:
    """A record for each recording: its label, and how probable the classes are."""

    def __init__(self, model: Model, options: argparse.Namespace) -> None:
        self._model = model
        self._n_jobs = options.n_jobs
        self._top = min(options.top or 0, len(model.classes_))
        self._min_confidence = options.min_confidence
        self._least = model.least_probability(options.coverage) if options.coverage is not None else None
        classes = [str(name) for name in model.classes_]
        shares = [f"p({name})" for name in classes]
        best = [word for i in range(1, self._top + 1) for word in (f"label{i}", f"p{i}")]
        self._head = ["path", "predicted", "confidence", *(["labels"] if options.coverage is not None else [])]
        self.columns = [*self._head, *(best if self._top else shares), "error"]

    def records(self, sounds: Iterable[Sound], *, alone: bool) -> Generator[Record, None, None]:
        """Work on the sounds, several at a time unless there is but one."""
        names: deque[str] = deque()

        def paths() -> Iterator[Path | Known]:
            for sound in sounds:
                names.append(sound.name)
                yield sound.path or Known(Lost(sound.reason))

        model, n_jobs = self._model, 1 if alone else self._n_jobs
        with closing(
            outcomes(model.unit, paths(), n_jobs=n_jobs, processes=model.unit.holds_gil and not alone)
        ) as made:
            for verdict in model.stream(made):
                yield self._record(names.popleft(), verdict)

    def _record(self, name: str, verdict: Verdict | Lost) -> Record:
        if isinstance(verdict, Lost):
            return {"path": name, "error": verdict.reason}
        label, shares = verdict
        if shares is None:
            return {"path": name, "predicted": label}
        confidence = float(shares.max())
        order = (-shares).argsort(kind="stable")[: self._top] if self._top else range(len(shares))
        labels = {} if self._least is None else {"labels": self._model.labels(shares, self._least)}
        return {
            "path": name,
            "predicted": label if confidence >= self._min_confidence else UNKNOWN,
            "confidence": round(confidence, 6),
            **labels,
            "probabilities": {str(self._model.classes_[i]): round(float(shares[i]), 6) for i in order},
        }

    def flatten(self, record: Record) -> list[Any]:
        """A record's values for the columns."""
        shares = record.get("probabilities", {})
        given = [word for pair in shares.items() for word in pair] if self._top else list(shares.values())
        given += [""] * (len(self.columns) - len(self._head) - 1 - len(given))
        head = [record.get(key, "") for key in self._head]
        labels = [";".join(value) if isinstance(value, list) else value for value in head]
        return [*labels, *given, record.get("error", "")]


class _Timeline:
    """A record for each stretch of a recording that has one label."""

    columns = ("path", "start", "end", "label", "confidence", "error")

    def __init__(self, model: Model, options: argparse.Namespace) -> None:
        self._model = model
        self._options = options
        self._seconds, self._hop = options.window, options.hop or options.window

    def records(self, sounds: Iterable[Sound], *, alone: bool) -> Generator[Record, None, None]:
        """Work on one recording after the other, on several of its windows at a time."""
        for sound in sounds:
            lost: list[str] = [] if sound.path else [sound.reason]
            heard = 0
            if sound.path:
                for segment in self._segments(sound.path, lost):
                    heard += 1
                    numbers = {key: round(value, 6) for key, value in segment._asdict().items() if key != "label"}
                    yield {"path": sound.name, **segment._asdict(), **numbers}
            if lost and not heard:
                yield {"path": sound.name, "error": lost[0]}

    def _segments(self, path: Path, lost: list[str]) -> Iterator[Any]:
        options, classes = self._options, self._model.classes_
        with closing(self._heard(path, lost)) as heard:
            stretches = cells(heard, classes, self._seconds, self._hop)
            yield from segments(
                stretches, classes, threshold=options.threshold or 0.0, min_confidence=options.min_confidence
            )

    def _heard(self, path: Path, lost: list[str]) -> Generator[tuple[int, float, Verdict | Lost], None, None]:
        """Say of each window, in order, what is heard in it; why nothing is goes among what is lost."""
        model, ends = self._model, deque[float]()

        def each() -> Iterator[Window | Known]:
            try:
                for window in windows(path, model.unit.sample_rate, self._seconds, self._hop):
                    ends.append(window.end)
                    yield window
            except AudiofwError as error:
                lost.append(str(error))

        work = partial(make_row, model.unit)
        with closing(outcomes(work, each(), n_jobs=self._options.n_jobs, processes=model.unit.holds_gil)) as made:
            for number, verdict in enumerate(model.stream(made)):
                if isinstance(verdict, Lost):
                    lost.append(verdict.reason)
                    del lost[3:]
                yield number, ends.popleft(), verdict

    def flatten(self, record: Record) -> list[Any]:
        """A record's values for the columns."""
        return [record.get(key, "") for key in self.columns]
