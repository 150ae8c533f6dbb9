"""The errors that a user can mend: one line that says where, what and the remedy."""

from __future__ import annotations

import difflib
import traceback
from collections.abc import Iterable
from typing import Any, ClassVar


class AudiofwError(Exception):
    """Root of the tree. The command line shows its message as one line and ends with ``exit_code``.

    It travels between processes with all that it carries, and with its traceback as text.

    Parameters
    ----------
    reason : str
        What is wrong, and the remedy.
    clip : str, optional
        The file concerned. It begins the message.
    plugin : str, optional
        As in ``feature=mel``. It begins the message of a `PluginError`.
    option : str, optional
        The key of the config that is to be changed, as in ``feature.n_mels``.
    """

    exit_code: ClassVar[int] = 1
    begins_with: ClassVar[tuple[str, ...]] = ("clip",)
    costs_a_clip: ClassVar[bool] = False  #: where it is raised for one of many clips, the others can still be used

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
        """The message without the clip's name: for lists, which have a column for that."""
        return self._begun_with(name for name in self.begins_with if name != "clip")

    def _begun_with(self, names: Iterable[str]) -> str:
        said = super().__str__()
        begins = [part for name in names if (part := getattr(self, name)) and not said.startswith(f"{part}: ")]
        return ": ".join([*begins, *([said] if said else [])])

    def __reduce__(self) -> Any:
        text = "".join(traceback.format_exception(self)) if self.__traceback__ or self.__cause__ else ""
        return _restored, (type(self), self.args, self.__dict__, text)


class PluginError(AudiofwError):
    """A plugin that cannot be loaded, breaks the contract, or fails at its work."""

    begins_with = ("plugin", "clip")


class ClipError(PluginError):
    """A plugin that gets nothing usable out of one clip, which may be the clip's fault: NaN, no frame."""

    costs_a_clip = True


class DataError(AudiofwError):
    """Recordings, archives, manifests or labels that cannot be used as they are."""

    costs_a_clip = True


class ConfigError(AudiofwError):
    """A choice, key or value that does not exist or is out of range."""

    exit_code = 2
    begins_with = ()


class RemoteTraceback(Exception):  # noqa: N818  # concurrent.futures' name for it
    """The cause of an error that came from another process: its traceback there, as text."""

    def __str__(self) -> str:
        return f'\n"""\n{self.args[0]}"""'


def _restored(kind: type[AudiofwError], args: tuple[object, ...], state: dict[str, Any], text: str) -> AudiofwError:
    error = kind(*args)
    error.__dict__.update(state)
    error.__cause__ = RemoteTraceback(text) if text else None
    return error


def nearest(word: str, words: Iterable[str]) -> str:
    """`` (did you mean 'x'?)`` for the nearest of ``words``, or nothing: made to end an error's sentence."""
    close = difflib.get_close_matches(str(word), list(words), n=1, cutoff=0.6)
    return f" (did you mean '{close[0]}'?)" if close else ""


def first_line(error: BaseException | str) -> str:
    """Give the first line of a message that says anything; of an error without one, its name."""
    lines = (line.strip().rstrip(": ") for line in str(error).splitlines())
    return next(filter(None, lines), "" if isinstance(error, str) else type(error).__name__)


def one_line(error: BaseException | str, most: int | None = 300) -> str:
    """Say an error's whole message on one line, of at most this many characters."""
    text = " ".join(str(error).split())
    return text if most is None or len(text) <= most else f"{text[: most - 1]}…"


def refuse_strangers(where: str, names: Iterable[str], known: Iterable[str]) -> None:
    """Raise ConfigError for the first name that is not known, with the nearest that is.

    For a plugin with ``**params``: libraries that ignore an unknown option would hide a typo.
    """
    known = set(known)
    for unknown in sorted(set(names) - known):
        option = f"{where}.{unknown}"
        raise ConfigError(f"{option}: unknown option{nearest(unknown, known)}", option=option)
