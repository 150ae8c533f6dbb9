"""Where things lie: what ships with audiofw, and what it keeps between runs."""

from __future__ import annotations

import os
from pathlib import Path

HELD_OUT = "held_out"
"""The folder, in a search's, of the winner's run on the clips that no trial has seen."""


def bundled(folder: str) -> Path:
    """Find ``conf`` or ``plugins``: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    inside = package / folder
    return inside if inside.is_dir() else package.parent / folder


def cache_root() -> Path:
    """Name the folder of unpacked archives and computed features; safe to delete, not made by asking.

    The environment variable ``AUDIOFW_CACHE`` says where; else it is the platform's own cache folder.
    """
    if chosen := os.environ.get("AUDIOFW_CACHE"):
        return Path(chosen).expanduser().absolute()
    import platformdirs  # not needed by the menus

    return platformdirs.user_cache_path("audiofw", appauthor=False)


def from_here(path: Path) -> str:
    """Write a path as one would type it: relative to the working directory if it is below that."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
