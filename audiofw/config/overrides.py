"""The words of a command line: made ready for Hydra's override grammar, and written out to be typed again."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

from audiofw.config.options import SWITCHES, TEXT_KEYS, TEXT_LISTS
from audiofw.contract.hookspecs import KINDS
from audiofw.contract.registry import PATH_VARIABLE
from audiofw.errors import ConfigError
from audiofw.system.paths import from_here

PLUGINS_FLAG = "--plugins-dir"


def take_plugin_folders(words: Sequence[str]) -> list[str]:
    """Move every ``--plugins-dir FOLDER`` from the command line into ``AUDIOFW_PLUGINS_PATH``.

    There the processes of a launcher find them, too. A folder that is listed already is not listed twice.
    """
    rest, folders, words = [], [], list(words)
    while words:
        word = words.pop(0)
        flag, equals, value = word.partition("=")
        if flag != PLUGINS_FLAG:
            rest.append(word)
        elif equals or words:
            folders.append(str(Path(value if equals else words.pop(0)).expanduser().resolve()))
        else:
            raise ConfigError(f"{PLUGINS_FLAG} needs a folder: {PLUGINS_FLAG} my_plugins")
    if folders:
        listed = os.environ.get(PATH_VARIABLE, "").split(os.pathsep)
        known = {str(Path(folder).expanduser().resolve()) for folder in listed if folder}
        new = [folder for folder in dict.fromkeys(folders) if folder not in known]
        os.environ[PATH_VARIABLE] = os.pathsep.join(filter(None, [*listed, *new]))
    return rest


_TEXT = re.compile(rf"(?P<key>\+{{0,2}}(?:{'|'.join(map(re.escape, TEXT_KEYS))}))=(?P<value>.+)", re.DOTALL)
_FILE = re.compile(rf"(?P<key>\+{{0,2}}(?:{'|'.join(KINDS)})\.[\w.]+)=(?P<value>.+)", re.DOTALL)
_HARMLESS = re.compile(r"[A-Za-z0-9_./\\:-]+")
_SWITCH = re.compile(rf"^(\+{{0,2}}(?:{'|'.join(SWITCHES)}))=(?=(true|false)(,(true|false))*$)", re.IGNORECASE)
_OFF = re.compile(rf"^({'|'.join(kind.name for kind in KINDS.values() if kind.optional)})=null$")
_NEEDED = re.compile(rf"^({'|'.join(kind.name for kind in KINDS.values() if not kind.optional)})=null$")
_LIST = re.compile(rf"(?P<key>\+{{0,2}}(?:{'|'.join(map(re.escape, TEXT_LISTS))}))=(?P<value>\[.*\])", re.DOTALL)
_ITEM = re.compile(r"""\s*'(?:[^'\\]|\\.)*'\s*|\s*"(?:[^"\\]|\\.)*"\s*|[^,]+""")
_EXPONENT = re.compile(r"(?<![\w.])-?\d+(?:\.\d*)?[eE]\+?\d+(?![\w.])")
_QUOTED_OR_SWEPT = re.compile(r"(choice|shuffle|sort|glob)\(.*\)|'.*'|\".*\"", re.DOTALL)
_HYDRAS_OWN = re.compile(f"null|{_QUOTED_OR_SWEPT.pattern}", re.DOTALL)


def quote_text(words: Sequence[str]) -> list[str]:
    r"""Quote the values of plain text keys, so that Hydra takes them as they are.

    ``data.source=My Pets (1), new.zip`` and ``data.pattern=(?P<fold>\d)-`` would be syntax errors otherwise. Left
    alone: what is quoted already, ``null``, and explicit sweeps: ``choice(a.zip,b.zip)``. Hydra cannot assign a value
    to a section, so ``bundle=false`` becomes ``bundle.enabled=false``; nor null to a config group, so
    ``augmentation=null`` becomes ``~augmentation``; ``model=null`` is a name, so that it is refused as an unknown one.
    The items of a list of text stay text, be they ``Grünfink``, ``true``, ``null`` or ``007``; so do options of plugins
    that name an existing file. ``1e2`` becomes ``100``, since Hydra would take it for a float.
    """
    words = [_NEEDED.sub(r"\1='null'", _OFF.sub(r"~\1", _SWITCH.sub(r"\1.enabled=", word))) for word in words]
    return [_plain_text(word) or _plain_file(word) or _plain_list(word) or _whole_numbers(word) for word in words]


def as_typed(word: str) -> str:
    """Remove the quotes that `quote_text` has put around plain text, to show what was typed."""
    key, _, value = word.partition("=")
    plain = f"{key}={value[1:-1]}".replace(r"\'", "'")
    return plain if value.startswith("'") and quote_text([plain]) == [word] else word


def command_line(words: Iterable[str], owners: Iterable[str] = ()) -> str:
    """Write a command of audiofw so that it can be pasted into a shell.

    Parameters
    ----------
    words : iterable of str
        What follows ``audiofw``, as `quote_text` gives it.
    owners : iterable of str
        The owners of the plugins that it needs: those that are files need ``--plugins-dir``.
    """
    folders = dict.fromkeys(from_here(Path(owner).parent) for owner in owners if owner.endswith(".py"))
    flags = [word for folder in folders for word in (PLUGINS_FLAG, folder)]
    return " ".join(["audiofw", *map(shlex.quote, [*flags, *map(as_typed, words)])])


def _plain_text(word: str) -> str | None:
    if not (match := _TEXT.fullmatch(word)):
        return None
    return word if _HYDRAS_OWN.fullmatch(match["value"]) else f"{match['key']}={_quoted(match['value'])}"


def _plain_file(word: str) -> str | None:
    """Quote the path of an existing file, ``feature.model=My Net (1).onnx``, unless Hydra reads it as it is."""
    match = _FILE.fullmatch(word)
    if not match or _HYDRAS_OWN.fullmatch(match["value"]) or _HARMLESS.fullmatch(match["value"]):
        return None
    return f"{match['key']}={_quoted(match['value'])}" if Path(match["value"]).expanduser().is_file() else None


def _plain_list(word: str) -> str | None:
    """Quote the items of one list, or of several that are swept over: ``data.exclude=[a],[b]``."""
    if not (match := _LIST.fullmatch(word)):
        return None
    lists = re.split(r"(?<=\]),(?=\[)", match["value"])
    return f"{match['key']}={','.join(f'[{_quoted_items(one[1:-1])}]' for one in lists)}"


def _quoted_items(items: str) -> str:
    found = [item.strip() for item in _ITEM.findall(items)]
    return ",".join(item if _QUOTED_OR_SWEPT.fullmatch(item) else _quoted(item) for item in found if item)


def _quoted(text: str) -> str:
    from hydra.core.override_parser.types import Quote, QuotedString

    return str(QuotedString(text=text, quote=Quote.single).with_quotes())


def _whole_numbers(word: str) -> str:
    key, equals, value = word.partition("=")
    if not equals or "'" in value or '"' in value:
        return word
    return key + equals + _EXPONENT.sub(_as_whole, value)


def _as_whole(match: re.Match[str]) -> str:
    number = float(match[0])
    return str(int(number)) if number.is_integer() and abs(number) < 2**53 else match[0]
