"""Locations of files: what ships with audiofw, and the cache."""

from __future__ import annotations

import os
from pathlib import Path

STARTED_IN = "AUDIOFW_STARTED_IN"
"""Environment variable with the folder where a command was started, while jobs run in others (hydra.job.chdir)."""
HELD_OUT = "held_out"
"""Subfolder of a search with the winner's run on the held-out clips."""


def bundled(folder: str) -> Path:
    """Path of ``conf`` or ``plugins``: inside the installed package, or next to it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    inside = package / folder
    return inside if inside.is_dir() else package.parent / folder


def cache_root() -> Path:
    """Path of the folder for unpacked archives and extracted features, which can safely be deleted; not created here.

    Set by the environment variable ``AUDIOFW_CACHE``; by default in the platform's cache folder.
    """
    if chosen := os.environ.get("AUDIOFW_CACHE"):
        return located(chosen).absolute()
    import platformdirs  # not needed for --help

    return platformdirs.user_cache_path("audiofw", appauthor=False)


def located(path: str | os.PathLike[str]) -> Path:
    """Expand ``~`` in a user's path; if jobs run in another folder than the command, the path is made absolute.

    An unknown ``~nobody`` is left as it is.
    """
    return Path(os.environ.get(STARTED_IN, ""), os.path.expanduser(path))  # noqa: PTH111  # Path's raises for "~nobody"


def from_here(path: Path) -> str:
    """Format a path for the user, who may copy it into a command: relative if it is below the working directory."""
    here = Path.cwd()
    text = str(path.relative_to(here) if path.is_relative_to(here) else path)
    return f"./{text}" if text.startswith("-") else text
