"""The errors that a user can fix, with a one-line message: where, what and the remedy."""

from __future__ import annotations

import difflib
import re
import traceback
from collections.abc import Iterable
from typing import Any, ClassVar


class AudiofwError(Exception):
    """Base class. The command line prints the message on one line and exits with ``exit_code``.

    Errors can be sent between processes with all attributes, and with the traceback as text.

    Parameters
    ----------
    reason : str
        What is wrong, and the remedy.
    clip : str, optional
        The file concerned; prefix of the message.
    plugin : str, optional
        The plugin, as in ``feature=mel``; prefix of the message of a `PluginError`.
    option : str, optional
        The config key to change, as in ``feature.n_mels``. A `ConfigError` takes it by default from its message,
        which begins with it: ``feature.n_mels=0: must be int ≥ 1``.
    """

    exit_code: ClassVar[int] = 1
    begins_with: ClassVar[tuple[str, ...]] = ("clip",)
    costs_a_clip: ClassVar[bool] = False  #: if raised for one of many clips, the others can still be used

    def __init__(
        self, *reason: object, clip: str | None = None, plugin: str | None = None, option: str | None = None
    ) -> None:
        super().__init__(*reason)
        self.clip = clip
        self.plugin = plugin
        self.option = option

    def __str__(self) -> str:
        return self._begun_with(self.begins_with)

    @property
    def reason(self) -> str:
        """The message without the clip's name, for lists with a separate column for it."""
        return self._begun_with(name for name in self.begins_with if name != "clip")

    def _begun_with(self, names: Iterable[str]) -> str:
        said = super().__str__()
        begins = [part for name in names if (part := getattr(self, name)) and not said.startswith(f"{part}: ")]
        return ": ".join([*begins, *([said] if said else [])])

    def __reduce__(self) -> Any:
        text = "".join(traceback.format_exception(self)) if self.__traceback__ or self.__cause__ else ""
        return _restored, (type(self), self.args, self.__dict__, text)


class PluginError(AudiofwError):
    """A plugin cannot be loaded, violates the contract, or fails."""

    begins_with = ("plugin", "clip")


class ClipError(PluginError):
    """A plugin returns nothing usable for one clip, which may be due to the clip: NaN, no frames."""

    costs_a_clip = True


class DataError(AudiofwError):
    """Recordings, archives, manifests or labels cannot be used as they are."""

    costs_a_clip = True


class ConfigError(AudiofwError):
    """A choice, key or value does not exist or is out of range."""

    exit_code = 2
    begins_with = ()

    def __init__(self, *reason: object, option: str | None = None, **carried: str | None) -> None:
        first = re.match(r"[a-z]\w*(\.\w+)*(?=[=:])", str(reason[0]) if reason else "")
        super().__init__(*reason, option=option or (first and first[0]), **carried)


class ScoreError(AudiofwError):
    """A run is complete and saved, and its score is worse than ``min_score``."""

    exit_code = 3
    begins_with = ()


class RemoteTraceback(Exception):  # noqa: N818  # concurrent.futures' name for it
    """The cause of an error from another process, with the original traceback as text."""

    def __str__(self) -> str:
        return f'\n"""\n{self.args[0]}"""'


def _restored(kind: type[AudiofwError], args: tuple[object, ...], state: dict[str, Any], text: str) -> AudiofwError:
    error = kind(*args)
    error.__dict__.update(state)
    error.__cause__ = RemoteTraceback(text) if text else None
    return error


def nearest(word: str, words: Iterable[str]) -> str:
    """`` (did you mean 'x'?)`` with the closest of ``words``, or an empty string; to be appended to a message."""
    close = difflib.get_close_matches(str(word), list(words), n=1, cutoff=0.6)
    return f" (did you mean '{close[0]}'?)" if close else ""


def first_line(error: BaseException | str) -> str:
    """First non-empty line of a message; for an error without a message, its class name."""
    lines = (line.strip().rstrip(": ") for line in str(error).splitlines())
    return next(filter(None, lines), "" if isinstance(error, str) else type(error).__name__)


def one_line(error: BaseException | str, most: int | None = 300) -> str:
    """Join a message into one line of at most ``most`` characters."""
    text = " ".join(str(error).split())
    return text if most is None or len(text) <= most else f"{text[: most - 1]}…"


def printable(name: str, keep: str = "") -> str:
    r"""Make a path printable on one line, whatever bytes it contains: escape sequences could rewrite the terminal.

    Parameters
    ----------
    name : str
        A path, or a message with paths in it.
    keep : str
        Control characters to keep, such as `LAYOUT` in text of several lines.
    """
    text = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return _CONTROL.sub(lambda match: match[0] if match[0] in keep else repr(match[0])[1:-1], text)


LAYOUT = "\n\t"  #: control characters that a text of several lines may contain
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def refuse_unknown(where: str, names: Iterable[str], known: Iterable[str]) -> None:
    """Raise ConfigError for the first unknown name, suggesting the closest known one.

    For plugins with ``**params``, since libraries that ignore unknown options would hide typos.
    """
    known = set(known)
    for unknown in sorted(set(names) - known):
        raise ConfigError(f"{where}.{unknown}: unknown option{nearest(unknown, known)}")
