"""``audiofw plugins new``: write a plugin that runs, with its test, or a package of plugins."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path
from typing import Any

from audiofw.contract.hookspecs import KINDS
from audiofw.system.paths import from_here

FOLDER = "my_plugins"


def add_parser(actions: Any) -> None:
    """Add the action ``new`` to those of ``audiofw plugins``."""
    parser: argparse.ArgumentParser = actions.add_parser(
        "new",
        help="write a plugin to start from",
        description="Write a plugin that runs and a test that it passes; with --package, a distribution for pip.",
    )
    parser.add_argument("name", help="e.g. loudness")
    parser.add_argument("--kind", nargs="+", choices=tuple(KINDS), required=True, help="one or several", metavar="KIND")
    parser.add_argument("--folder", default=FOLDER, help=f"folder for the plugin; default: {FOLDER}")
    parser.add_argument("--package", metavar="NAME", help="make it a package in a new folder, e.g. audiofw-loudness")
    parser.add_argument("--licence", default="MIT", help="licence of the package: MIT (default), BSD-3-Clause or ISC")
    parser.add_argument("--author", help="author of the package")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Write the files, and print them and what to do with them."""
    from audiofw.kit.new import name_plugins, plugin_files, write_files

    plugins = name_plugins(options.name, options.kind)
    if options.package:
        files, below, steps = _package(options, plugins)
    else:
        files, below = plugin_files(plugins, options.folder), Path()
        places = " ".join(shlex.quote(f"{options.folder}/{name}.py") for name, _ in plugins)
        chosen = " ".join(f"{kind}={name}" for name, kind in plugins)
        steps = [
            ("try", f"audiofw --plugins-dir {shlex.quote(options.folder)} {chosen}"),
            ("test", f"audiofw plugins test {places}   (or pytest tests)"),
        ]
    for path in write_files(files, below):
        sys.stdout.write(f"{from_here(path)}\n")
    sys.stdout.write("\n" + "".join(f"{what + ':':<9}{command}\n" for what, command in steps))
    return 0


def _package(options: argparse.Namespace, plugins: Any) -> tuple[dict[str, str], Path, list[tuple[str, str]]]:
    from audiofw.errors import ConfigError, nearest
    from audiofw.kit.new import LICENCES, Publisher, package_files

    if options.licence not in LICENCES:
        raise ConfigError(
            f"--licence {options.licence}: unknown{nearest(options.licence, LICENCES)}; known: {', '.join(LICENCES)}"
        )
    publisher = Publisher(options.author or f"the authors of {options.package}", options.licence)
    folder = shlex.quote(options.package)
    chosen = " ".join(f"{kind}={name}" for name, kind in plugins)
    steps = [
        ("install", f'pip install -e "{folder}[test]"'),
        ("try", f"audiofw {chosen}"),
        ("test", f"audiofw plugins test {folder}   (or pytest {folder})"),
    ]
    return package_files(plugins, options.package, publisher), Path(options.package), steps
