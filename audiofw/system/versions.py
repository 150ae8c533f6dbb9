"""The libraries whose versions can affect results, and their installed versions."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterable

ROWS = ("librosa", "numpy", "scipy", "soxr")
"""Libraries that affect extracted features, in addition to libsndfile; a new version can change digits."""

FIGURES = (*ROWS, "catboost", "hydra-core", "lightgbm", "pluggy", "scikit-learn", "soundfile", "xgboost")
"""Libraries that affect the scores of a run."""

ANSWERS = ("numpy", "scikit-learn", "scipy", "skops", "soundfile", "soxr")
"""Libraries that affect the predictions of any saved model, in addition to the model's own library."""


def version_of(distribution: str) -> str | None:
    """Version of an installed distribution; None if it is not installed."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def versions_of(distributions: Iterable[str]) -> dict[str, str]:
    """Versions of distributions, sorted by name, without those that are not installed."""
    found = {name: version_of(name) for name in sorted(distributions)}
    return {name: version for name, version in found.items() if version is not None}
