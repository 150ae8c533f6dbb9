"""audiofw: train and evaluate audio classifiers on your own labelled recordings.

Plugins are registered with :data:`hookimpl` and can use the feature extraction in ``audiofw.spectral``. From Python,
`run`, `evaluate`, `load_model`, `features` and `feature_names` do what the commands do; they are imported lazily.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from audiofw.contract.hookspecs import hookimpl
from audiofw.errors import AudiofwError, ConfigError, DataError, PluginError
from audiofw.version import __version__

if TYPE_CHECKING:
    from audiofw.api import evaluate, feature_names, features, run
    from audiofw.bundle.load import load_model

__all__ = [
    "AudiofwError",
    "ConfigError",
    "DataError",
    "PluginError",
    "__version__",
    "evaluate",
    "feature_names",
    "features",
    "hookimpl",
    "load_model",
    "run",
]

_LAZY = {
    "evaluate": "audiofw.api",
    "feature_names": "audiofw.api",
    "features": "audiofw.api",
    "load_model": "audiofw.bundle.load",
    "run": "audiofw.api",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'audiofw' has no attribute {name!r}")
