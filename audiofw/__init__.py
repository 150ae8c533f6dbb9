"""audiofw: from a pile of labelled recordings to a trained, honestly measured classifier.

A plugin needs nothing but :data:`hookimpl`; ``audiofw.spectral`` holds the kernels that plugins may use.
"""

from pluggy import HookimplMarker

from audiofw.errors import AudiofwError, ConfigError, DataError, PluginError

__all__ = ["AudiofwError", "ConfigError", "DataError", "PluginError", "__version__", "hookimpl"]

hookimpl = HookimplMarker("audiofw")
"""Marks a plugin's hook, as in ``@hookimpl def register_features(register): register(loudness)``."""


def __getattr__(name: str) -> str:
    if name == "__version__":
        from importlib.metadata import version  # reading the metadata costs more than the rest of this module

        return version("audiofw")
    raise AttributeError(f"module 'audiofw' has no attribute '{name}'")
