"""The libraries whose versions tell whether a result may differ, and the versions that are installed here."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterable

ROWS = ("librosa", "numpy", "scipy", "soxr")
"""What a row depends on, beside libsndfile: a new version may change a digit."""

FIGURES = (*ROWS, "catboost", "hydra-core", "lightgbm", "pluggy", "scikit-learn", "soundfile", "xgboost")
"""What a run's figures depend on."""

ANSWERS = ("numpy", "scikit-learn", "scipy", "skops", "soundfile", "soxr")
"""What the answers of any saved model depend on, beside the library that it is of."""


def version_of(distribution: str) -> str | None:
    """Name the version of an installed distribution; None where it is not installed."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def versions_of(distributions: Iterable[str]) -> dict[str, str]:
    """List the versions of distributions, in the order of their names, without those that are not installed."""
    found = {name: version_of(name) for name in sorted(distributions)}
    return {name: version for name, version in found.items() if version is not None}
