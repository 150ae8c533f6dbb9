"""Import a plugin file as a module with a unique name."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

PLUGIN_PACKAGES = ("audiofw.plugins.", "audiofw_plugins.")
"""Prefixes of the names of modules imported from files: built-in plugins, and those in plugin folders."""


def import_once(file: Path, package: str) -> ModuleType:
    """Import a file like `import_file`, but only once per process; for files that do not change while it runs."""
    module = sys.modules.get(f"{package}.{file.stem}")
    return module if module and module.__file__ == str(file) else import_file(file, package)


def import_file(file: Path, package: str) -> ModuleType:
    """Import a plugin file as ``package.stem``, without changing ``sys.path``.

    This allows ``plugins/lightgbm.py`` to import the library lightgbm.
    """
    name = f"{package}.{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
