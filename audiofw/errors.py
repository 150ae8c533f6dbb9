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


def first_line(error: BaseException | str) -> str:
    """Give the first line of a message that says anything; of an error without one, its name."""
    lines = (line.strip().rstrip(": ") for line in str(error).splitlines())
    return next(filter(None, lines), "" if isinstance(error, str) else type(error).__name__)


def one_line(error: BaseException, most: int | None = 300) -> str:
    """Say an error's whole message on one line, of at most this many characters."""
    text = " ".join(str(error).split())
    return text if most is None or len(text) <= most else f"{text[: most - 1]}…"


def refuse_strangers(where: str, names: Iterable[str], known: Iterable[str]) -> None:
    """Raise ConfigError for the first name that is not known, with the nearest that is.

    For a plugin with ``**params``: libraries that ignore an unknown option would hide a typo.
    """
    known = set(known)
    for unknown in sorted(set(names) - known):
        raise ConfigError(f"{where}.{unknown}: unknown option{nearest(unknown, known)}")
