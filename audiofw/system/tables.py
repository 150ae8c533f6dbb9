"""Tables on stdout: one look for all of them."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table


def open_console() -> Console:
    """Open stdout for tables; in a pipe they are as wide as they need to be, and nothing is cut."""
    console = Console(highlight=False, markup=False)
    return console if console.is_terminal else Console(highlight=False, markup=False, width=1000)


def new_table(*columns: str, right: int = 0) -> Table:
    """Begin a table without lines; the last ``right`` columns hold numbers."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for i, column in enumerate(columns):
        table.add_column(column, overflow="fold", justify="right" if i >= len(columns) - right else "left")
    return table


def size(value: float | None) -> str:
    """Write a number of bytes."""
    if value is None:
        return "–"
    for unit in ("B", "kB", "MB"):
        if value < 1000:
            return f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:.3g} GB"
