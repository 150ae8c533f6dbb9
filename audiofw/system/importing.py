"""Import a file as a module under a name of its own."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

PLUGIN_PACKAGES = ("audiofw.plugins.", "audiofw_plugins.")
"""How the names of modules begin that were imported by file: the built-in plugins, and those of plugin folders."""


def import_file(file: Path, package: str) -> ModuleType:
    """Import a plugin file under a name of its own, ``package.stem``, without touching ``sys.path``.

    So ``plugins/lightgbm.py`` can import lightgbm.
    """
    name = f"{package}.{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
