"""``audiofw cache``: what is kept between runs, why a recording is or is not, and how to be rid of it."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from audiofw.cache.explain import Explanation, explain_clip
from audiofw.cache.folder import (
    DAY,
    GB,
    TAG,
    Freed,
    all_entries,
    clear_folder,
    evict_entries,
    is_marked,
    last_used,
    on_disk,
    read_recipe,
    recipe_entries,
    recipe_folders,
    remove_leftovers,
    remove_unused,
)
from audiofw.cli.arguments import OneLineParser, amount
from audiofw.errors import ConfigError
from audiofw.system.paths import cache_root
from audiofw.system.tables import new_table, open_console, show_size

SHOWN = 12  # hexadecimal digits of a recipe's name


def main(argv: list[str]) -> int:
    """Run ``audiofw cache`` with an action; without one, ``info``.

    Raises
    ------
    ConfigError, DataError
        For a wrong option or a file that cannot be read.
    """
    options = _parser().parse_args(argv or ["info"])
    code: int = options.run(options, cache_root() / "features", open_console())
    return code


def _parser() -> argparse.ArgumentParser:
    parser = OneLineParser("audiofw cache", description="What audiofw keeps between runs.")
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    for name, run in {"info": _info, "ls": _ls, "explain": _explain, "gc": _gc, "clear": _clear}.items():
        action = actions.add_parser(name, help=run.__doc__, description=run.__doc__)
        action.set_defaults(run=run)
        if name == "explain":
            action.add_argument("clip", type=Path, metavar="CLIP", help="a sound file")
            action.add_argument("--json", action="store_true", help="print all of it as JSON")
        if name == "gc":
            action.add_argument("--max-gb", type=amount, help="drop the least recently used beyond this")
            action.add_argument("--older-than", type=amount, metavar="DAYS", help="drop what was not used since")
        if name == "clear":
            action.add_argument("--yes", action="store_true", help="do not ask")
    return parser


# --- actions: the docstring is the help --------------------------------------------------------------------------


def _info(options: argparse.Namespace, folder: Path, console: Console) -> int:
    """Where the cache is, and how much is in it (the default)."""
    console.print(f"{folder.parent}  (AUDIOFW_CACHE names another folder)\n", soft_wrap=True)
    table = new_table("kind", "entries", "size", right=2)
    stored = list(all_entries(folder))
    recipes = len(recipe_folders(folder))
    table.add_row(f"features, of {recipes} recipes", f"{len(stored)}", show_size(sum(each.size for each in stored)))
    for other in sorted(_folders(folder.parent)):
        if other.name != folder.name:
            kind = "unpacked archives" if other.name == "archives" else other.name
            table.add_row(kind, f"{_count(other)}", show_size(_size(other)))
    console.print(table)
    return 0


def _ls(options: argparse.Namespace, folder: Path, console: Console) -> int:
    """The recipes by which features were made, last used first."""
    table = new_table("recipe", "feature", "pooling", "entries", "size", "last used", right=3)
    for recipe_folder in sorted(recipe_folders(folder), key=last_used, reverse=True):
        recipe = read_recipe(recipe_folder) or {}
        sizes = [each.size for each in recipe_entries(recipe_folder)]
        used = _ago(last_used(recipe_folder))
        parts = [_in_short(recipe.get(part)) for part in ("feature", "pooling")]
        table.add_row(recipe_folder.name[:SHOWN], *parts, f"{len(sizes)}", show_size(sum(sizes)), used)
    console.print(table if table.row_count else f"{folder}: no features are kept")
    return 0


def _explain(options: argparse.Namespace, folder: Path, console: Console) -> int:
    """Which recipes have a recording, and in what the recipes differ."""
    found = explain_clip(folder, options.clip)
    if options.json:
        console.print(json.dumps(_as_json(options.clip, found), indent=2), soft_wrap=True)
        return 0
    console.print(f"{options.clip}: {_verdict(found)}\ncontent {found.digest}\n", soft_wrap=True)
    table = new_table("recipe", "has it", "feature", "pooling", "last used")
    for each in found.recipes:
        parts = [_in_short(each.recipe.get(part)) for part in ("feature", "pooling")]
        table.add_row(each.name[:SHOWN], "yes" if each.holds else "no", *parts, _ago(each.used))
    console.print(table)
    if found.differences:
        console.print()
        console.print(_comparison(found))
    return 0


def _gc(options: argparse.Namespace, folder: Path, console: Console) -> int:
    """Remove what killed runs left, and on request what is old or too much."""
    table = new_table("removed", "files", "size", right=2)
    if options.older_than is not None:
        freed = remove_unused(folder, time.time() - options.older_than * DAY)
        table.add_row(f"not used for {options.older_than:g} days", *_show(freed))
    if options.max_gb is not None:
        table.add_row(f"beyond {options.max_gb:g} GB", *_show(evict_entries(folder, options.max_gb * GB)))
    table.add_row("left by killed runs", *_show(remove_leftovers(folder)))
    console.print(table)
    return 0


def _clear(options: argparse.Namespace, folder: Path, console: Console) -> int:
    """Remove all features; unpacked archives stay."""
    if not folder.exists():
        console.print(f"{folder}: no features are kept", soft_wrap=True)
        return 0
    if not is_marked(folder):
        raise ConfigError(f"{folder}: without a {TAG} it may be no cache; nothing was removed, see AUDIOFW_CACHE")
    if not (options.yes or _agreed(folder)):
        console.print("nothing was removed")
        return 1
    files, size = _show(clear_folder(folder))
    kept = f"; what is not audiofw's stays in {folder}" if folder.exists() else ""
    console.print(f"removed {files} files, {size}{kept}", soft_wrap=True)
    return 0


# --- below -------------------------------------------------------------------------------------------------------


def _agreed(folder: Path) -> bool:
    if not sys.stdin.isatty():
        raise ConfigError(f"{folder}: is cleared without a question only with --yes")
    sys.stderr.write(f"Remove all features in {folder}? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _verdict(found: Explanation) -> str:
    if not found.recipes:
        return "no features of any recording are kept"
    if found.recipes[0].holds:
        return "the recipe used last has its features"
    if any(each.holds for each in found.recipes):
        return "the recipe used last does not have it, others do; below is what tells them apart"
    return "no recipe has its features: it is new, changed since, or was dropped"


def _comparison(found: Explanation) -> Any:
    table = new_table("what differs", *(name[:SHOWN] for name in found.compared))
    for key, values in found.differences.items():
        table.add_row(key, *(json.dumps(values[name]) if name in values else "absent" for name in found.compared))
    return table


def _as_json(clip: Path, found: Explanation) -> dict[str, Any]:
    recipes = [
        {"recipe": each.name, "has_it": each.holds, "last_used": each.used, "made_by": each.recipe}
        for each in found.recipes
    ]
    known = {"clip": str(clip), "content": found.digest, "recipes": recipes}
    return known | {"compared": found.compared, "differences": found.differences}


def _in_short(part: Any) -> str:
    """A plugin's name and its options, as one would type them."""
    if not isinstance(part, Mapping):
        return "unknown" if part is None else str(part)
    options = part.get("options")
    chosen = options.items() if isinstance(options, Mapping) else ()
    return " ".join([str(part.get("name", "unknown")), *(f"{key}={value}" for key, value in chosen)])


def _show(freed: Freed) -> tuple[str, str]:
    return str(freed.files), show_size(freed.size)


def _ago(then: float) -> str:
    if not then:
        return "unknown"
    age = max(time.time() - then, 0)
    for unit, seconds in (("days", DAY), ("hours", 3600), ("minutes", 60)):
        if age >= 2 * seconds:
            return f"{age / seconds:.0f} {unit} ago"
    return "just now"


def _folders(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else []


def _count(folder: Path) -> int:
    """Unpacked archives are marked as complete; of anything else, the files are counted."""
    if folder.name == "archives":
        return sum((path / "complete.json").exists() for path in _folders(folder))
    return sum(len(files) for _, _, files in os.walk(folder))


def _size(folder: Path) -> int:
    files = (Path(root, name) for root, _, names in os.walk(folder) for name in names)
    return sum(on_disk(file.lstat().st_size) for file in files if file.exists())
