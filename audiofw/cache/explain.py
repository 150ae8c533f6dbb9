"""Explain why a recording is, or is not, in the cache: which recipes have it, and how the recipes differ."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from audiofw.cache.folder import entry_path, last_used, read_recipe, recipe_folders
from audiofw.errors import DataError
from audiofw.system.reading import flatten

COMPARED = 4


class RecipeUse(NamedTuple):
    """A recipe in the cache; ``used`` is in seconds since 1970."""

    name: str
    recipe: dict[str, Any]
    holds: bool
    used: float


class Explanation(NamedTuple):
    """What the cache knows about a recording.

    ``compared`` holds the names of the most recently used recipe and of those most similar to it; ``differences`` maps
    nested key -> recipe -> value.
    """

    digest: str
    recipes: list[RecipeUse]
    compared: list[str]
    differences: dict[str, dict[str, Any]]


def explain_clip(folder: Path, clip: Path) -> Explanation:
    """Look up a recording under every recipe, and compare the most recently used recipe with those most similar to it.

    Raises
    ------
    DataError
        If the recording cannot be read.
    """
    digest = _digest(clip)
    known = [_known(recipe_folder, digest) for recipe_folder in recipe_folders(folder)]
    recipes = sorted(known, key=lambda each: -each.used)
    compared = {each.name: each.recipe for each in _nearest([each for each in recipes if each.recipe])}
    return Explanation(digest, recipes, list(compared), recipe_differences(compared))


def recipe_differences(recipes: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the nested keys in which recipes differ, with the value in every recipe that has the key."""
    flat = {name: dict(flatten(recipe)) for name, recipe in recipes.items()}
    keys = sorted({key for leaves in flat.values() for key in leaves})
    values = {key: {name: leaves[key] for name, leaves in flat.items() if key in leaves} for key in keys}
    return {key: found for key, found in values.items() if not _all_same(found, len(flat))}


def _digest(clip: Path) -> str:
    if not clip.is_file():
        raise DataError(f"{clip}: no such file")
    from audiofw.cache.fileindex import hash_file  # the other actions need no numpy

    try:
        content = hash_file(clip)
    except OSError as error:
        raise DataError(f"{clip}: {error.strerror}") from error
    if content is None:
        raise DataError(f"{clip}: the file is still being written; try again when it is complete")
    return content.digest.hex()


def _known(recipe_folder: Path, digest: str) -> RecipeUse:
    holds = Path(entry_path(recipe_folder, digest)).exists()
    return RecipeUse(recipe_folder.name, read_recipe(recipe_folder) or {}, holds, last_used(recipe_folder))


def _nearest(newest_first: list[RecipeUse]) -> list[RecipeUse]:
    def distance(other: RecipeUse) -> int:
        return len(recipe_differences({"": newest_first[0].recipe, "other": other.recipe}))

    return newest_first[:1] + sorted(newest_first[1:], key=distance)[: COMPARED - 1]


def _all_same(found: Mapping[str, Any], recipes: int) -> bool:
    # 1, 1.0 and True are equal in Python, but not in a recipe
    return len(found) == recipes and len({repr(value) for value in found.values()}) == 1
