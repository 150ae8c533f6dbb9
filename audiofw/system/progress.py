"""Progress on stderr: a bar on a terminal, elsewhere a line from time to time."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any

from audiofw.system.logs import is_quiet

log = logging.getLogger(__name__)

SECONDS = 10  # between lines where there is no terminal

Advance = Callable[[], None]


@contextmanager
def counting(what: str, total: int | None) -> Iterator[Advance]:
    """Show the count of ``total`` (None: unknown) and the remaining time; yields an increment.

    On a terminal it is a bar, elsewhere a line in the log every ten seconds at most, and with ``-q`` nothing.
    """
    from rich.console import Console

    console = Console(stderr=True)
    if is_quiet():
        yield lambda: None
    elif console.is_terminal:
        with _bar(what, total, console) as advance:
            yield advance
    else:
        yield _lines(what, total)


def _lines(what: str, total: int | None) -> Advance:
    """Make an increment that logs a line if the last one was long enough ago."""
    from audiofw.system.tables import show_time

    started = said = monotonic()
    count = 0

    def advance() -> None:
        nonlocal count, said
        count, now = count + 1, monotonic()
        if now - said < SECONDS or count == total:
            return
        said = now
        if total is None:
            log.info("%s: %d", what, count)
        else:
            left = (now - started) / count * (total - count)
            log.info("%s: %d of %d, about %s left", what, count, total, show_time(left))

    return advance


@contextmanager
def _bar(what: str, total: int | None, console: Any) -> Iterator[Advance]:
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{task.speed:.1f}/s" if task.speed else "")

    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), Rate(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(what, total=total)
        yield lambda: progress.advance(task)
