"""``audiofw plugins``: list the available plugins, and show the options of one."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.table import Table
from rich.text import Text

from audiofw.cli.arguments import OneLineParser
from audiofw.contract.hookspecs import KINDS
from audiofw.contract.plugin import Plugin
from audiofw.contract.registry import Menus, load_menus
from audiofw.contract.schema import show_type, show_value
from audiofw.errors import ConfigError, nearest
from audiofw.system.tables import new_table, open_console


def main(argv: list[str]) -> int:
    """Run ``audiofw plugins`` or ``audiofw plugins show NAME …``."""
    parser = OneLineParser(
        "audiofw plugins", description="List the available features, poolings, models, splits and augmentations."
    )
    actions = parser.add_subparsers(dest="action", metavar="show NAME")
    show = actions.add_parser("show", help="show a plugin's options")
    show.add_argument("name", nargs="+", help="e.g. mel, or with its kind: feature=mel")
    arguments = parser.parse_args(argv)
    menus, console = load_menus(), open_console()
    if arguments.action == "show":
        for name in arguments.name:
            for plugin in _named(menus, name):
                _show(plugin, console)
        return 0
    menus.warn()
    console.print(_overview(menus))
    return 0


def _overview(menus: Menus) -> Table:
    table = new_table("kind", "name", "description", "from")
    for kind, menu in menus.plugins.items():
        for name in sorted(menu):
            table.add_row(kind, name, menu[name].summary, menu[name].owner)
    return table


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
