"""What a plugin lacks is found without importing it, and the command that installs it is the right one."""

import importlib.metadata
import importlib.util

import pytest

from audiofw.contract.libraries import install_command, missing_libraries
from audiofw.contract.registry import load_menus


def needy(y, sr):
    import json
    import os.path

    import nonsense_one.inner
    from nonsense_two import something

    if sr:
        import nonsense_three
    try:
        import nonsense_optional
    except ImportError:
        nonsense_optional = None
    return json, os, nonsense_one, something, nonsense_three, nonsense_optional


def test_libraries_that_are_not_installed_are_found():
    assert missing_libraries(needy) == ["nonsense_one", "nonsense_two", "nonsense_three"]


def test_a_function_without_source_lacks_nothing():
    assert missing_libraries(len) == []


def test_no_built_in_plugin_but_those_of_extras_can_lack_anything(monkeypatch):
    extras, found = ("catboost", "mlflow"), importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in extras else found(name))
    plugins = [plugin for menu in load_menus().plugins.values() for plugin in menu.values()]
    lacking = {plugin.name: missing_libraries(plugin.function) for plugin in plugins}
    assert {name: missing for name, missing in lacking.items() if missing} == {name: [name] for name in extras}


@pytest.mark.parametrize(
    ("library", "owner", "command"),
    [
        ("catboost", "", 'pip install "audiofw[catboost]"'),
        ("some_lib", "audiofw-loud", 'pip install "audiofw-loud[fast]"'),
        ("catboost", "audiofw-loud", 'pip install "audiofw[catboost]"'),
        ("nonsense", "", "pip install nonsense"),
        ("nonsense", "not-installed-at-all", "pip install nonsense"),
    ],
)
def test_the_command_is_that_of_the_extra_that_has_the_library(library, owner, command, monkeypatch):
    required = {
        "audiofw": ["numpy>=1.26", 'catboost>=1.2.7; extra == "catboost"'],
        "audiofw-loud": ["audiofw", "some-lib[x]>=2; python_version > '3' and extra == 'fast'"],
    }

    def requires(name: str) -> list[str]:
        if name not in required:
            raise importlib.metadata.PackageNotFoundError(name)
        return required[name]

    monkeypatch.setattr(importlib.metadata, "requires", requires)
    assert install_command(library, owner) == command
