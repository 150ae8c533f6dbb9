"""Tables on stdout in a common style, and the formatting of sizes and durations."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from audiofw.errors import LAYOUT, printable
from audiofw.system.streams import silence_stdout


class Results(Console):
    """A console that stops printing, rather than the program, when nobody reads any more: ``| head``.

    Control characters in names of files and labels are escaped.
    """

    def render_str(self, text: str, **options: Any) -> Text:
        """Convert what is printed, or is in a cell of a table."""
        return super().render_str(printable(text, keep=LAYOUT), **options)

    def on_broken_pipe(self) -> None:
        """Print nothing from now on."""
        self.quiet = True
        silence_stdout()


def open_console(*, record: bool = False) -> Console:
    """Open stdout for tables; in a pipe they are as wide as needed, so that nothing is cut off.

    Parameters
    ----------
    record : bool
        Whether ``export_text`` of the console is to return what has been printed.
    """
    console = Results(highlight=False, markup=False, record=record)
    return console if console.is_terminal else Results(highlight=False, markup=False, record=record, width=1000)


def new_table(*columns: str, right: int = 0) -> Table:
    """Create a table without borders; the last ``right`` columns are right-aligned."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for i, column in enumerate(columns):
        table.add_column(column, overflow="fold", justify="right" if i >= len(columns) - right else "left")
    return table


def show_size(size: float | None, none: str = "–") -> str:
    """Format a number of bytes in a suitable unit."""
    if size is None:
        return none
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{_figure(size)} {unit}"
        size /= 1000
    return f"{_figure(size)} GB"


def show_time(seconds: float | None, none: str = "–") -> str:
    """Format a duration in a suitable unit."""
    if seconds is None:
        return none
    if 0 < seconds < 0.1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 120:
        return f"{_figure(seconds)} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def _figure(value: float) -> str:
    return f"{value:.2g}" if value < 10 else f"{value:.0f}"
