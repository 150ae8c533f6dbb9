"""The steps of a pipeline."""

from __future__ import annotations

from typing import Any


def last_step(model: Any, prefix: str = "") -> tuple[Any, str, str]:
    """Find the classifier at the end of a pipeline: itself, its class's name, and the prefix of its parameters."""
    steps = getattr(model, "steps", None)
    if steps:
        return last_step(steps[-1][1], f"{prefix}{steps[-1][0]}__")
    return model, type(model).__name__, prefix
