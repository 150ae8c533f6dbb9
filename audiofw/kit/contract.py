"""The contract of a plugin as a list of checks, for the command line, for pytest, and for audiofw's own tests."""

from __future__ import annotations

import importlib.metadata
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

from audiofw.contract.blame import find_line
from audiofw.contract.hookspecs import KINDS
from audiofw.contract.menus import Broken, Menus
from audiofw.contract.plugin import Plugin
from audiofw.contract.registry import PATH_VARIABLE, load_menus, owner_of
from audiofw.errors import AudiofwError, ConfigError, nearest
from audiofw.kit import checks
from audiofw.kit.checks import Trial
from audiofw.kit.graphs import agrees_in_onnx
from audiofw.kit.round_trip import survives_saving, takes_every_event
from audiofw.kit.sounds import make_clips

Test = Callable[[Trial], str]
FEATURE_TESTS: dict[str, Test] = {
    **{name: partial(checks.try_clip, name) for name in make_clips()},
    "NaN": checks.does_not_hide_nan,
    "five minutes": checks.takes_long_clips,
    "1 Hz to 384 kHz": checks.takes_any_rate,
    "rows and frames": checks.keeps_its_rows,
    "twice, threads, processes": checks.gives_the_same_in_threads_and_processes,
    "names": checks.names_fit,
    "graph": agrees_in_onnx,
}
TESTS: dict[str, dict[str, Test]] = {
    "feature": FEATURE_TESTS,
    "pooling": {
        "1, 2 and 50 frames": checks.makes_a_vector,
        "input unchanged": checks.leaves_its_frames_alone,
        "twice": checks.pools_the_same_twice,
        "names": checks.names_fit,
        "graph": agrees_in_onnx,
    },
    "model": {
        "two and four classes": checks.learns_what_is_plain,
        "twice, threads": checks.answers_the_same_for_any_number_of_threads,
    },
    "split": {
        "training and test": checks.separates_training_from_test,
        "twice": checks.splits_the_same_twice,
    },
    "augmentation": {
        "all clips, 1 Hz to 384 kHz": checks.changes_any_clip,
        "twice": checks.draws_from_the_generator,
    },
    "tracking": {"every event": takes_every_event},
}
"""The checks of each kind, in addition to those of all kinds."""


@dataclass(frozen=True)
class Check:
    """One check of one plugin; call it to run it.

    Attributes
    ----------
    who : str
        ``feature=loudness``, or the file of a plugin that cannot be loaded.
    what : str
        ``silence``.
    """

    who: str
    what: str
    test: Callable[[], str]
    function: Callable[..., Any] | None = None

    def __str__(self) -> str:
        return f"{self.who}: {self.what}"

    def __call__(self) -> str:
        """Run the check.

        Returns
        -------
        str
            A remark, mostly empty.

        Raises
        ------
        AssertionError
            If the plugin fails it, with its file and line and what to change.
        """
        try:
            return self.test()
        except (Exception, SystemExit) as error:
            place = find_line(error.__cause__ or error, self.function) if self.function else ""
            said = (
                str(error) if isinstance(error, (AssertionError, AudiofwError)) else f"{type(error).__name__}: {error}"
            )
            raise AssertionError(said if not place or place in said else f"{place}: {said}") from error


def contract_checks(
    *subjects: str | os.PathLike[str], options: Mapping[str, Mapping[str, Any]] | None = None
) -> list[Check]:
    """List the checks of plugins, for ``pytest.mark.parametrize``.

    Parameters
    ----------
    *subjects : str or path
        Files with plugins, names of installed packages, or names of plugins: ``loudness``, ``feature=loudness``.
        By default all available plugins.
    options : mapping of str to mapping, optional
        Options by plugin that replace its defaults: ``{"model=lightgbm": {"n_estimators": 20}}``.

    Raises
    ------
    ConfigError
        If a subject is none of these.

    Examples
    --------
    >>> import pytest
    >>> from audiofw.testing import contract_checks
    >>> @pytest.mark.parametrize("check", contract_checks("feature=mel"), ids=str)
    ... def test_the_contract(check):
    ...     check()
    """
    menus, given = _load(subjects), options or {}
    found = [_find(subject, menus) for subject in subjects] or [(_all(menus), menus.broken)]
    unusable = [_unusable(each) for _, broken in found for each in broken]
    return [*unusable, *(check for plugins, _ in found for each in plugins for check in _checks_of(each, menus, given))]


def plugins_of(*subjects: str | os.PathLike[str]) -> tuple[list[Plugin], Menus]:
    """List the plugins that can be used of these subjects, see `contract_checks`, and all that are available."""
    menus = _load(subjects)
    return [plugin for subject in subjects for plugin in _find(subject, menus)[0]], menus


def _load(subjects: Sequence[str | os.PathLike[str]]) -> Menus:
    return load_menus(sorted({Path(subject).resolve().parent for subject in subjects if _is_file(subject)}))


def _is_file(subject: str | os.PathLike[str]) -> bool:
    return str(subject).endswith(".py")


def _all(menus: Menus) -> list[Plugin]:
    return [plugin for menu in menus.plugins.values() for plugin in menu.values()]


def _find(subject: str | os.PathLike[str], menus: Menus) -> tuple[list[Plugin], list[Broken]]:
    """List the plugins of a subject, and what of it cannot be used."""
    owners = {str(Path(subject).resolve())} if _is_file(subject) else _distributions(str(subject))
    plugins = [plugin for plugin in _all(menus) if plugin.owner in owners]
    broken = [one for one in menus.broken if one.owner in owners]
    if plugins or broken:
        return plugins, broken
    if _is_file(subject):
        why = "begins with _ or ., and is not loaded" if Path(subject).is_file() else "file not found"
        raise ConfigError(f"{subject}: {why}")
    return _named(str(subject), menus), []


def _distributions(word: str) -> set[str]:
    """List the owners of the installed packages of a name: that of the package, or of its module."""
    entries = [entry for entry in importlib.metadata.entry_points(group="audiofw") if entry.dist]
    return {
        owner_of(entry)
        for entry in entries
        if _normal(word) in (_normal(owner_of(entry).partition(" ")[0]), _normal(entry.module.partition(".")[0]))
    }


def _normal(name: str) -> str:
    return name.replace("_", "-").lower()


def _named(word: str, menus: Menus) -> list[Plugin]:
    kind, equals, name = word.rpartition("=")
    if equals and kind in KINDS:
        return [menus.find(kind, name)]
    found = [plugin for plugin in _all(menus) if plugin.name == word]
    if not found:
        names = {plugin.name for plugin in _all(menus)}
        raise ConfigError(f"'{word}': no file, installed package or plugin of this name{nearest(word, names)}")
    return found


def _unusable(broken: Broken) -> Check:
    def test() -> str:
        raise AssertionError(broken.reason)

    return Check(f"{broken.kind}={broken.name}" if broken.kind else Path(broken.owner).name, "loads", test)


def _checks_of(plugin: Plugin, menus: Menus, options: Mapping[str, Mapping[str, Any]]) -> Iterator[Check]:
    who = f"{plugin.kind.name}={plugin.name}"
    trial = Trial(plugin, menus, options.get(who, {}))
    tests = {"composes": checks.composes, "documented": checks.is_documented, **TESTS[plugin.kind.name]}
    for what, test in {**tests, "saved and loaded": survives_saving}.items():
        yield Check(who, what, partial(_with_its_folder, test, trial), plugin.function)


def _with_its_folder(test: Test, trial: Trial) -> str:
    """Let everything that loads plugins find this one, too."""
    owner, listed = trial.plugin.owner, os.environ.get(PATH_VARIABLE, "")
    folders = [*([str(Path(owner).parent)] if owner.endswith(".py") else []), *listed.split(os.pathsep)]
    with patch.dict(os.environ, {PATH_VARIABLE: os.pathsep.join(dict.fromkeys(filter(None, folders)))}):
        return test(trial)
