"""Versions that a model's predictions depend on: those that a bundle was made with, and how they differ from here."""

from __future__ import annotations

import importlib.metadata
import platform
import sys
from collections.abc import Iterable, Mapping
from typing import Any

import soundfile

from audiofw.contract.plugin import Plugin, code_digest
from audiofw.contract.registry import origin_of
from audiofw.system.versions import ANSWERS, version_of
from audiofw.version import __version__

IF_USED = ("librosa",)
DISTRIBUTIONS = {"sklearn": "scikit-learn"}


def versions_for(modules: Iterable[str]) -> dict[str, str]:
    """List the versions that a model's predictions depend on.

    Parameters
    ----------
    modules : iterable of str
        Top-level modules whose classes the model holds.
    """
    used = [name for name in IF_USED if name in sys.modules]
    names = {*ANSWERS, *used, *(distribution_of(module) for module in modules)} - {"", "audiofw"}
    return {**_basics(), **{name: version_of(name) or "missing" for name in sorted(names)}}


def _basics() -> dict[str, str]:
    return {
        "audiofw": __version__,
        "python": ".".join(platform.python_version_tuple()[:2]),
        "libsndfile": soundfile.__libsndfile_version__,
    }


def distribution_of(module: str) -> str:
    """Name the distribution that contains a top-level module; empty for the standard library."""
    if module in sys.stdlib_module_names:
        return ""
    name = DISTRIBUTIONS.get(module, module)
    if version_of(name):
        return name
    return next(iter(importlib.metadata.packages_distributions().get(module, [""])))


def version_differences(
    facts: Mapping[str, Any], plugins: Mapping[str, tuple[Plugin, Mapping[str, Any]]], row_code: str
) -> list[str]:
    """List differences from a bundle's versions: ``numpy 2.0 (here 2.4)``, ``different code of feature=mfcc``.

    ``plugins`` maps ``feature=mfcc`` to the plugin here, and to what the bundle says of it.
    """
    said = facts["versions"]
    basics = _basics()
    here = {name: basics.get(name) or version_of(name) or "missing" for name in said}
    found = [f"{name} {said[name]} (here {here[name]})" for name in said if said[name] != here[name]]
    if facts["code"] != row_code:
        found.append("different code of audiofw for decoding and features")
    for who, (plugin, of_plugin) in plugins.items():
        if of_plugin["owner"] != portable_owner(plugin):
            found.append(f"{who} of {of_plugin['owner']} (here {portable_owner(plugin)})")
        elif of_plugin["code"] != code_digest(plugin.function):
            found.append(f"different code of {who}")
    return found


def portable_owner(plugin: Plugin) -> str:
    """Name a plugin's owner without a path, so that it is the same on another machine."""
    origin = origin_of(plugin)
    return f"{origin.name}.py" if origin.kind == "file" else plugin.owner
