"""Whose fault an exception is: what a plugin's code raises becomes an error that names the plugin and the line."""

from __future__ import annotations

import importlib.metadata
import inspect
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from audiofw.errors import AudiofwError, ClipError, PluginError, one_line
from audiofw.system.importing import PLUGIN_PACKAGES

Function = Callable[..., Any]


@contextmanager
def blame(
    plugin: str, function: Function | None = None, what: str = "", shorten: Callable[[BaseException], str] = one_line
) -> Iterator[None]:
    """Turn what a plugin's code raises into an error of ours, the original as its cause.

    Parameters
    ----------
    plugin : str
        As in ``feature=mel``.
    function : callable, optional
        The plugin's own, if it is known: the line is looked for in its file or package, too.
    what : str
        What failed, where it is not the function itself.
    shorten : callable
        Makes the line that is shown of an exception's message.

    Raises
    ------
    ClipError
        For librosa's ``ParameterError`` and for a lack of memory: both depend on the clip.
    PluginError
        For any other exception, and for ``SystemExit``.
    AudiofwError
        That the plugin itself has raised, as it is.
    """
    try:
        yield
    except AudiofwError as error:
        error.plugin = error.plugin or plugin
        raise
    except (Exception, SystemExit) as error:
        kind = ClipError if _depends_on_the_clip(error) else PluginError
        raise kind(": ".join(filter(None, [what, say(error, function, shorten)])), plugin=plugin) from error


@contextmanager
def named(names: Mapping[str, str]) -> Iterator[None]:
    """Complete errors that know only the kind of their plugin: with ``{"model": "svm"}``, to ``model=svm``."""
    try:
        yield
    except AudiofwError as error:
        if error.plugin and error.plugin in names:
            error.plugin = f"{error.plugin}={names[error.plugin]}"
        raise


def _depends_on_the_clip(error: BaseException) -> bool:
    kinds = [(kind.__module__, kind.__name__) for kind in type(error).__mro__]  # librosa takes 2 s to import
    return isinstance(error, MemoryError) or ("librosa.util.exceptions", "ParameterError") in kinds


def say(
    error: BaseException, function: Function | None = None, shorten: Callable[[BaseException], str] = one_line
) -> str:
    """Say what a plugin's code has raised, and where: ``loudness.py:37: IndexError: …``; see `blame`."""
    place, name, said = find_line(error, function), type(error).__name__, shorten(error)
    if isinstance(error, ModuleNotFoundError):
        return f"{place or 'it'} needs a library that cannot be imported: {said}; install it with pip"
    if isinstance(error, MemoryError):
        said = "not enough memory: set audio.duration, or n_jobs=1"
    return ": ".join(filter(None, [place, name, said]))


def find_line(error: BaseException, function: Function | None = None) -> str:
    """Find the innermost line of a plugin that an exception came through, as ``loudness.py:37``.

    In a package, the file is given with its folders: ``audiofw_loudness/helpers.py:12``. Where no line of the plugin is
    in the traceback, as for a call with wrong arguments, it is the first line of ``function``; without one, nothing.
    """
    function = inspect.unwrap(function) if function else None
    own = _package(getattr(function, "__module__", None) or "?")
    packages = {own} | _installed()
    through = [(frame, line) for frame, line in traceback.walk_tb(error.__traceback__) if _is_in(frame, packages)]
    if through:
        frame, line = through[-1]
        return f"{_file(frame.f_code.co_filename, _package(_module(frame)))}:{line}"
    code = getattr(function, "__code__", None)
    return f"{_file(code.co_filename, own)}:{code.co_firstlineno}" if code else ""


def _installed() -> set[str]:
    return {_package(entry.module) for entry in importlib.metadata.entry_points(group="audiofw")}


def _package(module: str) -> str:
    """Name what belongs to one plugin: its top-level package, or its file if that was loaded by itself."""
    return module if module.startswith(PLUGIN_PACKAGES) else module.partition(".")[0]


def _module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", ""))


def _is_in(frame: FrameType, packages: set[str]) -> bool:
    module = _module(frame)
    return module.startswith(PLUGIN_PACKAGES) or _package(module) in packages


def _file(path: str, package: str) -> str:
    """Give a file's name, below its package if it is in one."""
    parts = Path(path).parts
    depth = len(parts) - 1 - parts[::-1].index(package) if package in parts else -1
    return "/".join(parts[depth:])
