"""Nested values: read from a YAML file, and laid out by dotted keys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any


def read_yaml(file: Path) -> Any:
    """Read the plain values of a YAML file.

    Raises
    ------
    OSError, ValueError
        For a file that cannot be read, and for one that is not YAML.
    """
    import yaml  # type: ignore[import-untyped]

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as quick, where it was built
    try:
        return yaml.load(file.read_text(encoding="utf-8"), loader)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error


def flatten(values: Mapping[Any, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """List nested values by their dotted keys; a section without keys is a value."""
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
