"""What differs between the options and versions of two runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from audiofw.config.options import effect_of
from audiofw.system.reading import flatten


def option_changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """List the options that differ and may change a result: each with its two values, ``...`` where there is none."""
    first, second = dict(flatten(before)), dict(flatten(now))
    keys = [key for key in {**first, **second} if effect_of(key) != "nothing"]
    return [(key, a, b) for key in keys if (a := first.get(key, ...)) != (b := second.get(key, ...))]


def version_changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """List the versions that differ, in one line each."""
    first, second = dict(flatten(_plain(before))), dict(flatten(_plain(now)))
    differing = [key for key in {**first, **second} if first.get(key) != second.get(key)]
    differing = [key for key in differing if _is_news(key, first, second)]
    return [_change(key, first.get(key), second.get(key)) for key in differing]


def _is_news(key: str, first: Mapping[str, Any], second: Mapping[str, Any]) -> bool:
    """Whether a difference says more than that another plugin was chosen, or that an earlier version noted less."""
    if key == "code":
        return bool(first.get(key))
    section, _, part = key.rpartition(".")
    return not section.startswith("plugins") or (
        part != "name" and first.get(f"{section}.name") == second.get(f"{section}.name")
    )


def _plain(values: Any) -> Any:
    """Let lists of members be mappings by their names."""
    if isinstance(values, Mapping):
        return {str(key): _plain(value) for key, value in values.items()}
    if isinstance(values, list):
        return {
            str(one.get("name", i)) if isinstance(one, Mapping) else str(i): _plain(one) for i, one in enumerate(values)
        }
    return values


def _change(key: str, before: Any, now: Any) -> str:
    if key == "code":
        return "audiofw's code has changed"
    name = key.removeprefix("libraries.").removeprefix("plugins.")
    if name.endswith(".code"):
        return f"{name.removesuffix('.code')}: its code has changed"
    return f"{name}: {'none' if before is None else before} → {'none' if now is None else now}"
