"""``audiofw cache``: show what is kept between runs, explain why a recording is or is not cached, and clean up."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterable, Mapping
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
    remove_unused_entries,
)
from audiofw.cli.arguments import OneLineParser, amount
from audiofw.errors import ConfigError, DataError
from audiofw.system.faults import reason
from audiofw.system.paths import cache_root
from audiofw.system.tables import new_table, open_console, show_size

SHOWN = 12  # hexadecimal digits of a recipe's name


def main(argv: list[str]) -> int:
    """Run ``audiofw cache`` with an action; without one, ``info``.

    Raises
    ------
    ConfigError, DataError
        For a wrong option, or a file that cannot be read.
    """
    options = _parser().parse_args(argv or ["info"])
    code: int = options.run(options, cache_root() / "features", open_console())
    return code


def _parser() -> argparse.ArgumentParser:
    parser = OneLineParser("audiofw cache", description="Inspect and clean the cache of extracted features.")
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    for name, run in {"info": _info, "ls": _ls, "explain": _explain, "gc": _gc, "clear": _clear}.items():
        action = actions.add_parser(name, help=run.__doc__, description=run.__doc__)
        action.set_defaults(run=run)
        if name == "explain":
            action.add_argument("clip", type=Path, metavar="CLIP", help="a sound file")
            action.add_argument("--json", action="store_true", help="print all of it as JSON")
        if name == "gc":
            action.add_argument(
                "--max-gb", type=amount, help="remove the least recently used features beyond this size"
            )
            action.add_argument(
                "--older-than", type=amount, metavar="DAYS", help="remove features not used for this many days"
            )
        if name == "clear":
            action.add_argument("--yes", action="store_true", help="do not ask")
    return parser


# --- actions; each docstring is the action's help ------------------------------------------------------------------


def _info(options: argparse.Namespace, folder: Path, console: Console) -> int:
    """Show where the cache is and how large it is (the default)."""
    console.print(f"{folder.parent}  (set AUDIOFW_CACHE to use another folder)\n", soft_wrap=True)
    table = new_table("kind", "entries", "size", right=2)
    stored = list(all_entries(folder))
    recipes = len(recipe_folders(folder))
    table.add_row(
        f"features ({recipes} configurations)", f"{len(stored)}", show_size(sum(each.size for each in stored))
    )
    for other in sorted(_folders(folder.parent)):
        if other.name != folder.name:
            kind = {"archives": "unpacked archives", "bundles": "known models"}.get(other.name, other.name)
            table.add_row(kind, f"{_count(other)}", show_size(_size(other)))
    console.print(table)
    return 0


def _ls(options: argparse.Namespace, folder: Path, console: Console) -> int:
    """List the configurations that features were extracted with, most recently used first."""
    table = new_table("configuration", "feature", "pooling", "entries", "size", "last used", right=3)
    for recipe_folder in sorted(recipe_folders(folder), key=last_used, reverse=True):
        recipe = read_recipe(recipe_folder) or {}
        sizes = [each.size for each in recipe_entries(recipe_folder)]
        used = _ago(last_used(recipe_folder))
        parts = [_in_short(recipe.get(part)) for part in ("feature", "pooling")]
        table.add_row(recipe_folder.name[:SHOWN], *parts, f"{len(sizes)}", show_size(sum(sizes)), used)
    console.print(table if table.row_count else f"{folder}: the cache is empty")
    return 0


def _explain(options: argparse.Namespace, folder: Path, console: Console) -> int:
    """Show which configurations a recording is cached for, and how these differ."""
    found = explain_clip(folder, options.clip)
    if options.json:
        console.print(json.dumps(_as_json(options.clip, found), indent=2), soft_wrap=True)
        return 0
    console.print(f"{options.clip}: {_verdict(found)}\ncontent {found.digest}\n", soft_wrap=True)
    table = new_table("configuration", "cached", "feature", "pooling", "last used")
    for each in found.recipes:
        parts = [_in_short(each.recipe.get(part)) for part in ("feature", "pooling")]
        table.add_row(each.name[:SHOWN], "yes" if each.holds else "no", *parts, _ago(each.used))
    console.print(table)
    if found.differences:
        console.print()
        console.print(_comparison(found))
    return 0


def _gc(options: argparse.Namespace, folder: Path, console: Console) -> int:
    """Remove leftovers of killed runs and, with the options, old or excess features."""
    removed = {}
    if options.older_than is not None:
        since = time.time() - options.older_than * DAY
        removed[f"unused for {options.older_than:g} days"] = remove_unused_entries(folder, since)
    if options.max_gb is not None:
        removed[f"beyond {options.max_gb:g} GB"] = evict_entries(folder, options.max_gb * GB)
    removed["leftovers of killed runs"] = remove_leftovers(folder)
    table = new_table("removed", "files", "size", right=2)
    for what, freed in removed.items():
        table.add_row(what, *_show(freed))
    console.print(table)
    _raise_refused(removed.values())
    return 0


def _clear(options: argparse.Namespace, folder: Path, console: Console) -> int:
    """Remove all cached features; unpacked archives are kept."""
    if not folder.exists():
        console.print(f"{folder}: the cache is empty", soft_wrap=True)
        return 0
    if not is_marked(folder):
        raise ConfigError(
            f"{folder}: has no {TAG}, so it may not be a cache; nothing was removed (check AUDIOFW_CACHE)"
        )
    if not (options.yes or _agreed(folder)):
        console.print("nothing was removed")
        return 1
    freed = clear_folder(folder)
    files, size = _show(freed)
    kept = f"; other files in {folder} were kept" if folder.exists() and not freed.refused else ""
    console.print(f"removed {files} files, {size}{kept}", soft_wrap=True)
    _raise_refused([freed])
    return 0


# --- below -------------------------------------------------------------------------------------------------------


def _agreed(folder: Path) -> bool:
    if not sys.stdin.isatty():
        raise ConfigError(f"{folder}: add --yes to clear it without asking")
    sys.stderr.write(f"Remove all cached features in {folder}? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _verdict(found: Explanation) -> str:
    if not found.recipes:
        return "not cached: the cache is empty"
    if found.recipes[0].holds:
        return "cached for the most recently used configuration"
    if any(each.holds for each in found.recipes):
        return "not cached for the most recently used configuration, but for others; the differences are below"
    return "not cached: the file is new, has changed, or its features were removed"


def _comparison(found: Explanation) -> Any:
    table = new_table("difference", *(name[:SHOWN] for name in found.compared))
    for key, values in found.differences.items():
        table.add_row(key, *(json.dumps(values[name]) if name in values else "absent" for name in found.compared))
    return table


def _as_json(clip: Path, found: Explanation) -> dict[str, Any]:
    recipes = [
        {"name": each.name, "cached": each.holds, "last_used": each.used, "configuration": each.recipe}
        for each in found.recipes
    ]
    known = {"clip": str(clip), "content": found.digest, "configurations": recipes}
    return known | {"compared": found.compared, "differences": found.differences}


def _in_short(part: Any) -> str:
    """Write a plugin's name and its options as on the command line."""
    if not isinstance(part, Mapping):
        return "unknown" if part is None else str(part)
    options = part.get("options")
    chosen = options.items() if isinstance(options, Mapping) else ()
    return " ".join([str(part.get("name", "unknown")), *(f"{key}={value}" for key, value in chosen)])


def _raise_refused(removed: Iterable[Freed]) -> None:
    """Raise DataError for files that the system refused to remove."""
    refused = [error for freed in removed for error in freed.refused]
    if refused:
        more = f" and {len(refused) - 1} more" if len(refused) > 1 else ""
        said = f"cannot be removed: {reason(refused[0])}; try again once that is fixed"
        raise DataError(f"{refused[0].filename}{more}: {said}")


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
    """Count the archives that were unpacked completely, or else the files."""
    if folder.name == "archives":
        return sum((path / "complete.json").exists() for path in _folders(folder))
    return sum(len(files) for _, _, files in os.walk(folder))


def _size(folder: Path) -> int:
    files = (Path(root, name) for root, _, names in os.walk(folder) for name in names)
    return sum(on_disk(file.lstat().st_size) for file in files if file.exists())
