"""``audiofw plugins test``: check that plugins meet the contract, and measure the time that they take."""

from __future__ import annotations

import argparse
import logging
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from audiofw.contract.hookspecs import KINDS
from audiofw.contract.menus import Menus
from audiofw.contract.plugin import Plugin
from audiofw.errors import AudiofwError, ConfigError
from audiofw.system.progress import counting
from audiofw.system.tables import new_table, open_console, show_time

if TYPE_CHECKING:
    from audiofw.kit.contract import Check

OPTION = re.compile(rf"(?P<kind>{'|'.join(KINDS)})\.(?P<name>\w+)=(?P<value>.*)", re.DOTALL)


def add_parser(actions: Any) -> None:
    """Add the action ``test`` to those of ``audiofw plugins``."""
    parser: argparse.ArgumentParser = actions.add_parser(
        "test",
        help="check that plugins work in all cases that audiofw needs",
        description="Test plugins on silence, a single sample, NaN, five minutes, all rates, in threads and processes, "
        "and in a run whose model is saved and loaded again. The exit code is 1 if a check fails.",
    )
    subjects = "files, installed packages, or plugins: loudness, feature=mel; and options of these: feature.n_mels=40"
    parser.add_argument("subject", nargs="+", help=subjects)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Check the plugins, and print a table of the results, the failures in full, and the costs.

    Returns
    -------
    int
        0 if all checks passed, else 1.
    """
    from audiofw.kit.contract import contract_checks, plugins_of

    subjects, given = _read_subjects(options.subject)
    plugins, menus = plugins_of(*subjects)
    by_plugin = {f"{each.kind.name}={each.name}": given.get(each.kind.name, {}) for each in plugins}
    checks, console = contract_checks(*subjects, options=by_plugin), open_console()
    results = list(_try_all(checks))
    table = new_table("plugin", "check", "result", "")
    for check, passed, said in results:
        result = Text("passed") if passed else Text("FAILED", "bold red")
        table.add_row(check.who, check.what, result, said if passed else "")
    console.print(table)
    failed = [(check, said) for check, passed, said in results if not passed]
    for check, said in failed:
        console.print(f"\n{check}\n  {said}", soft_wrap=True)
    _print_costs(console, plugins, menus, by_plugin)
    count = f"{len(results) - len(failed)} of {len(results)} checks passed"
    console.print(f"\n{count}" + (f", {len(failed)} failed" if failed else ""))
    return int(bool(failed))


def _read_subjects(words: Sequence[str]) -> tuple[list[str], dict[str, dict[str, Any]]]:
    """Tell subjects and options apart: the options by kind, as in ``feature.n_mels=40``."""
    from yaml import safe_load  # type: ignore[import-untyped]

    subjects = [word for word in words if not OPTION.fullmatch(word)]
    if not subjects:
        raise ConfigError("audiofw plugins test: give a file, an installed package, or a plugin besides its options")
    given: dict[str, dict[str, Any]] = {}
    for match in filter(None, map(OPTION.fullmatch, words)):
        given.setdefault(match["kind"], {})[match["name"]] = safe_load(match["value"])
    return subjects, given


def _try_all(checks: Sequence[Check]) -> Iterator[tuple[Check, bool, str]]:
    with counting("checks", len(checks)) as advance:
        for check in checks:
            try:
                with _quiet():
                    said = check()
                yield check, True, said
            except AssertionError as wrong:
                yield check, False, str(wrong)
            advance()


@contextmanager
def _quiet() -> Iterator[None]:
    """Leave out warnings about odd clips: what matters is in the table."""
    ours = logging.getLogger("audiofw")
    level = ours.level
    ours.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        ours.setLevel(level)


def _print_costs(
    console: Console, plugins: Sequence[Plugin], menus: Menus, options: Mapping[str, Mapping[str, Any]]
) -> None:
    from audiofw.kit.cost import measure_plugin

    for plugin in plugins:
        with suppress(AudiofwError), _quiet():  # its failures are listed
            if cost := measure_plugin(plugin, menus, options[f"{plugin.kind.name}={plugin.name}"]):
                said = f"{plugin.kind.name}={plugin.name}: {_shown(cost.seconds)} for a clip of 3 s"
                console.print(f"\n{said}; {cost.beside}: {_shown(cost.its_seconds)}", soft_wrap=True)


def _shown(seconds: float) -> str:
    return f"{1000 * seconds:.2g} ms" if seconds < 0.1 else show_time(seconds)
