"""``audiofw plugins``: list the available plugins, and show the options of one."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from dataclasses import is_dataclass
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from audiofw.cli.arguments import OneLineParser
from audiofw.cli.plugins import new, test
from audiofw.config.options import Config
from audiofw.contract.hookspecs import KINDS
from audiofw.contract.libraries import install_command, missing_libraries
from audiofw.contract.menus import Menus
from audiofw.contract.plugin import Plugin
from audiofw.contract.registry import load_menus
from audiofw.contract.schema import Option, section_options, show_type, show_value
from audiofw.errors import ConfigError, nearest
from audiofw.system.tables import new_table, open_console


def main(argv: list[str]) -> int:
    """Run ``audiofw plugins`` or one of its actions: ``show``, ``test``."""
    options = _parser().parse_args(argv)
    return int(options.run(options))


def _parser() -> OneLineParser:
    parser = OneLineParser(
        "audiofw plugins",
        description="List the available features, poolings, models, splits, augmentations and trackers.",
    )
    parser.add_argument("--json", action="store_true", help="print everything about them as JSON")
    parser.set_defaults(run=_list)
    actions = parser.add_subparsers(metavar="ACTION")
    show = actions.add_parser("show", help="show a plugin's options, or those of a section of the config")
    show.add_argument("name", nargs="+", help="e.g. mel, or with its kind: feature=mel; or a section: audio")
    show.set_defaults(run=_show_all)
    test.add_parser(actions)
    new.add_parser(actions)
    return parser


def _list(options: argparse.Namespace) -> int:
    menus, console = load_menus(), open_console()
    if options.json:
        sys.stdout.write(json.dumps(_facts(menus), indent=2, ensure_ascii=False) + "\n")
        return 0
    menus.warn(again=True)
    console.print(_overview(menus))
    for library, command in _lacking(menus).items():
        console.print(f"\n{library} is not installed: {command}", soft_wrap=True)
    return 0


def _show_all(options: argparse.Namespace) -> int:
    menus, console = load_menus(), open_console()
    for name in options.name:
        if name in SECTIONS:
            console.print(_ranges(SECTIONS[name]))
            continue
        for plugin in _named(menus, name):
            _show(plugin, console)
    return 0


SECTIONS = {option.name: option for option in section_options(Config)}


def _ranges(section: Option) -> Table:
    """List the options of a section, or a single option, with the values that they take."""
    table = new_table("option", "type")
    inner = section_options(section.annotation) if is_dataclass(section.annotation) else []
    for option in [option._replace(name=f"{section.name}.{option.name}") for option in inner] or [section]:
        table.add_row(option.name, show_type(option.annotation))
    return table


def _overview(menus: Menus) -> Table:
    table = new_table("kind", "name", "description", "from")
    for plugin in _all(menus):
        lacks = "".join(f"not usable without {library}: " for library in _needs(plugin))
        table.add_row(plugin.kind.name, plugin.name, lacks + plugin.summary, plugin.owner)
    return table


def _all(menus: Menus) -> Iterable[Plugin]:
    return (menu[name] for menu in menus.plugins.values() for name in sorted(menu))


def _needs(plugin: Plugin) -> dict[str, str]:
    """Map each library that a plugin needs and that is not installed to the command that installs it."""
    owner = plugin.owner.partition(" ")[0] if plugin.is_installed else ""
    return {library: install_command(library, owner) for library in missing_libraries(plugin.function)}


def _lacking(menus: Menus) -> dict[str, str]:
    return {library: command for plugin in _all(menus) for library, command in _needs(plugin).items()}


def _facts(menus: Menus) -> dict[str, Any]:
    """Collect all facts about the plugins, and why others are not available, for programs."""
    return {
        "plugins": [_facts_of(plugin) for plugin in _all(menus)],
        "broken": [
            {"kind": broken.kind, "name": broken.name, "owner": broken.owner, "reason": broken.reason}
            for broken in menus.broken
        ],
    }


def _facts_of(plugin: Plugin) -> dict[str, Any]:
    options = [
        {"name": o.name, "type": show_type(o.annotation), "default": o.default, "description": o.help}
        for o in plugin.described_options()
    ]
    return {
        "kind": plugin.kind.name,
        "name": plugin.name,
        "description": plugin.summary,
        "owner": plugin.owner,
        "file": plugin.where,
        "options": options,
        "open_ended": plugin.open_ended,
        "missing": _needs(plugin),
    }


def _named(menus: Menus, word: str) -> Iterable[Plugin]:
    kind, equals, name = word.rpartition("=")
    if equals:
        if kind not in KINDS:
            raise ConfigError(f"{word}: unknown kind '{kind}'{nearest(kind, KINDS)}; kinds: {', '.join(KINDS)}")
        return [menus.find(kind, name)]
    found = [menu[name] for menu in menus.plugins.values() if name in menu]
    if not found:
        _refuse(menus, name)
    return found


def _refuse(menus: Menus, name: str) -> None:
    broken = [b.reason for b in menus.broken if b.name in (name, None)]
    names = sorted({name for menu in menus.plugins.values() for name in menu})
    lost = "".join(f"; not loaded: {reason}" for reason in broken)
    raise ConfigError(f"unknown plugin '{name}'{nearest(name, names)}; available: {', '.join(names)}{lost}")


def _show(plugin: Plugin, console: Console) -> None:
    kind = plugin.kind.name
    console.print(Text(f"{kind}={plugin.name}", "bold"), f" ({plugin.owner}: {plugin.where})", soft_wrap=True)
    console.print(_introduction(plugin), end="\n\n")
    table = new_table("option", "default", "type", "description")
    for option in plugin.described_options():
        default, allowed = show_value(option.default), show_type(option.annotation)
        table.add_row(f"{kind}.{option.name}", default, allowed, option.help)
    console.print(table)
    if plugin.open_ended:
        console.print(f"\nAny other option of the library: +{kind}.option=value")
    console.print()


def _introduction(plugin: Plugin) -> str:
    from docstring_parser import parse

    doc = parse(plugin.doc)
    return "\n\n".join(filter(None, [doc.short_description, doc.long_description]))
