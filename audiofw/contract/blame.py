"""Convert exceptions raised by a plugin's code to errors that name the plugin and the line."""

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

THEIRS = {("librosa.util.exceptions", "ParameterError"), ("audiofw.spectral.frames", "OverlapError")}
"""Exceptions that depend on the clip, by name: both modules take long to import."""


@contextmanager
def blame(
    plugin: str, function: Function | None = None, what: str = "", shorten: Callable[[BaseException], str] = one_line
) -> Iterator[None]:
    """Convert exceptions of a plugin's code to an AudiofwError, with the original as its cause.

    Parameters
    ----------
    plugin : str
        As in ``feature=mel``.
    function : callable, optional
        The plugin's function if known; its file or package is searched for the line, too.
    what : str
        What failed, if it is not the function itself.
    shorten : callable
        Shortens the message of an exception to one line.

    Raises
    ------
    ClipError
        For librosa's ``ParameterError``, ``OverlapError`` and MemoryError, which depend on the clip.
    PluginError
        For any other exception, and for ``SystemExit``.
    AudiofwError
        If raised by the plugin itself, unchanged.
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
    """Complete errors that only have the kind of their plugin: with ``{"model": "svm"}`` to ``model=svm``."""
    try:
        yield
    except AudiofwError as error:
        if error.plugin and error.plugin in names:
            error.plugin = f"{error.plugin}={names[error.plugin]}"
        raise


def _depends_on_the_clip(error: BaseException) -> bool:
    kinds = [(kind.__module__, kind.__name__) for kind in type(error).__mro__]
    return isinstance(error, MemoryError) or not THEIRS.isdisjoint(kinds)


def say(
    error: BaseException, function: Function | None = None, shorten: Callable[[BaseException], str] = one_line
) -> str:
    """Format an exception of a plugin's code with its location: ``loudness.py:37: IndexError: …``; see `blame`."""
    place, name, said = find_line(error, function), type(error).__name__, shorten(error)
    if isinstance(error, ModuleNotFoundError):
        return f"{place or 'it'} needs a library that cannot be imported: {said}; {_remedy(error)}"
    if isinstance(error, MemoryError):
        said = "not enough memory: set audio.duration, or n_jobs=1"
    return ": ".join(filter(None, [place, name, said]))


def _remedy(error: ModuleNotFoundError) -> str:
    from audiofw.contract.libraries import install_command

    return f"install it: {install_command(error.name.partition('.')[0])}" if error.name else "install it with pip"


def find_line(error: BaseException, function: Function | None = None) -> str:
    """Find the innermost plugin line in an exception's traceback, as ``loudness.py:37``.

    In a package, the file includes its folders: ``audiofw_loudness/helpers.py:12``. If the traceback has no line of the
    plugin, for example for a call with wrong arguments, returns the first line of ``function``, or an empty string.
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
    """Name of the top-level package of a plugin's module, or of the module itself if it is a single file."""
    return module if module.startswith(PLUGIN_PACKAGES) else module.partition(".")[0]


def _module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", ""))


def _is_in(frame: FrameType, packages: set[str]) -> bool:
    module = _module(frame)
    return module.startswith(PLUGIN_PACKAGES) or _package(module) in packages


def _file(path: str, package: str) -> str:
    """Name of a file, relative to the parent of its package if it is in one."""
    parts = Path(path).parts
    depth = len(parts) - 1 - parts[::-1].index(package) if package in parts else -1
    return "/".join(parts[depth:])
