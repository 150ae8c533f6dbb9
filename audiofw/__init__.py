"""audiofw: from a pile of labelled recordings to a trained, honestly measured classifier.

A plugin needs nothing but :data:`hookimpl`; ``audiofw.spectral`` holds the kernels that plugins may use.
"""

from pluggy import HookimplMarker

from audiofw.errors import AudiofwError, ConfigError, DataError, PluginError

__all__ = ["AudiofwError", "ConfigError", "DataError", "PluginError", "__version__", "hookimpl"]

__version__ = "0.1.0"

hookimpl = HookimplMarker("audiofw")
"""Marks a plugin's hook, as in ``@hookimpl def register_features(register): register(loudness)``."""
