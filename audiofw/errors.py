"""The errors that a user can mend: one line that says where, what and the remedy."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class AudiofwError(Exception):
    """Root of the tree. The command line shows its message as one line and ends with ``exit_code``."""

    exit_code = 1


class PluginError(AudiofwError):
    """A plugin that cannot be loaded, breaks the contract, or fails at its work."""


class DataError(AudiofwError):
    """Recordings, archives, manifests or labels that cannot be used as they are."""


class ConfigError(AudiofwError):
    """A choice, key or value that does not exist or is out of range."""

    exit_code = 2


def nearest(word: str, words: Iterable[str]) -> str:
    """`` (did you mean 'x'?)`` for the nearest of ``words``, or nothing: made to end an error's sentence."""
    close = difflib.get_close_matches(str(word), list(words), n=1, cutoff=0.6)
    return f" (did you mean '{close[0]}'?)" if close else ""


def first_line(error: BaseException) -> str:
    """Give the first line of an error's message that says anything, or else the error's name."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def refuse_strangers(where: str, names: Iterable[str], known: Iterable[str]) -> None:
    """Raise ConfigError for the first name that is not known, with the nearest that is.

    For a plugin with ``**params``: libraries that ignore an unknown option would hide a typo.
    """
    known = set(known)
    for unknown in sorted(set(names) - known):
        raise ConfigError(f"{where}.{unknown}: unknown option{nearest(unknown, known)}")
