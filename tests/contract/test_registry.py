"""Plugins are found, read and registered; a broken one does not affect the others."""

import textwrap
from pathlib import Path

import pytest

from audiofw.contract.hookspecs import KINDS
from audiofw.contract.plugin import Choice, code_digest, read_plugin
from audiofw.contract.registry import Origin, load_menus, origin_of
from audiofw.errors import ConfigError, PluginError

LOUDNESS = """
    from audiofw import hookimpl

    @hookimpl
    def register_features(register):
        register(loudness)

    def loudness(y, sr, *, hop_length: int = 512):
        "Root-mean-square level of each frame."
        return y[None, ::hop_length]
"""


@pytest.fixture
def drop(tmp_path: Path):
    """Write a plugin file: ``drop(code, "name.py")`` returns its folder."""

    def write(code: str, name: str = "loudness.py", folder: str = "plugins") -> Path:
        file = tmp_path / folder / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(textwrap.dedent(code))
        return file.parent

    return write


def test_a_dropped_file_is_available(drop):
    plugin = load_menus([drop(LOUDNESS)]).find("feature", "loudness")
    assert plugin.summary == "Root-mean-square level of each frame."
    assert [(o.name, o.annotation, o.default) for o in plugin.options] == [("hop_length", int, 512)]
    assert plugin.owner.endswith("loudness.py")


def test_the_path_variable_names_folders_too(drop, monkeypatch):
    monkeypatch.setenv("AUDIOFW_PLUGINS_PATH", str(drop(LOUDNESS)))
    assert load_menus().find("feature", "loudness")


def test_the_current_folder_is_not_searched(drop, monkeypatch):
    monkeypatch.chdir(drop(LOUDNESS))
    with pytest.raises(ConfigError, match="unknown feature"):
        load_menus().find("feature", "loudness")


def test_a_missing_folder_is_an_error(tmp_path):
    with pytest.raises(PluginError, match="plugins folder not found"):
        load_menus([tmp_path / "nowhere"])


def test_a_plugin_named_as_its_library_can_import_it(drop):
    code = LOUDNESS.replace("    from audiofw", "    import json\n    from audiofw", 1)
    folder = drop(code + "\n    KIND = json.dumps({})\n", "json.py")
    assert load_menus([folder]).find("feature", "loudness").function.__globals__["KIND"] == "{}"


def test_a_choice_hands_over_what_the_function_asks_for():
    def tree(n_jobs, *, depth: int = 1):
        return n_jobs, depth

    choice = Choice(read_plugin(KINDS["model"], tree, "test"), {"depth": 3})
    assert choice(42, -1) == (-1, 3)


@pytest.mark.parametrize(
    ("signature", "reason"),
    [
        ("y, sr, *, hop_length=512", "'hop_length' needs a type and a default, e.g. hop_length: int = 512"),
        ("y, sr, *, hop_length: int", "'hop_length' needs a type and a default"),
        ("y, sr, *, hop_length: set = None", "'hop_length': an option cannot have the type set"),
        ("y, sr, *, hop_length: int = 'a'", "'hop_length' has the default 'a', which is not int"),
        ("y, sr, *, hop_length: Nonsense = 1", "cannot read its type annotations"),
        ("y, sr, *, name: str = 'a'", "an option cannot be called 'name'"),
        ("y, sr, hop_length", "unknown argument 'hop_length'; a feature may take (y, sr)"),
        ("y, *, hop_length: int = 1", "'sr' is missing; a feature has the signature (y, sr, *"),
    ],
)
def test_a_signature_that_violates_the_contract_is_explained(drop, signature, reason):
    code = LOUDNESS.replace("y, sr, *, hop_length: int = 512", signature)
    code = code.replace("    from audiofw", "    from __future__ import annotations\n    from audiofw", 1)
    menus = load_menus([drop(code)])
    with pytest.raises(PluginError) as error:
        menus.find("feature", "loudness")
    assert reason in str(error.value)
    assert "loudness.py: loudness: " in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (
            "import nonsense_that_is_not_there",
            "import failed: loudness.py:1 needs a library that cannot be imported: No module named",
        ),
        ("def f(:", "import failed: SyntaxError"),
        ("raise SystemExit(3)", "import failed: loudness.py:1: SystemExit: 3"),
        ("x = 1", "registers no plugin; add @hookimpl above def register_features(register)"),
        (
            LOUDNESS.replace("register_features", "register_feature"),
            "unknown hook 'register_feature' (did you mean 'register_features'?)",
        ),
        (LOUDNESS.replace("(register)", "(registry)", 1), "registry"),
        (
            LOUDNESS.replace("register(loudness)", "register(1 / 0)"),
            "register_features failed: loudness.py:6: ZeroDivisionError",
        ),
    ],
)
def test_a_broken_file_is_left_out_with_its_reason(drop, code, reason, caplog):
    menus = load_menus([drop(code)])
    menus.warn()
    (said,) = caplog.messages
    assert reason in said
    assert "loudness.py: " in said
    assert "\n" not in said
    assert menus.find("feature", "mel")
    with pytest.raises(ConfigError, match=r"not loaded: .*loudness\.py"):
        menus.find("feature", "loudness")


def test_two_plugins_of_one_name_are_both_refused(drop):
    drop(LOUDNESS)
    menus = load_menus([drop(LOUDNESS, "louder.py")])
    with pytest.raises(PluginError, match=r"two plugins have this name, in .*louder\.py and .*loudness\.py"):
        menus.find("feature", "loudness")


def test_a_plugin_cannot_replace_a_built_in_one_silently(drop):
    menus = load_menus([drop(LOUDNESS.replace("loudness", "mel"))])
    with pytest.raises(PluginError, match="two plugins have this name"):
        menus.find("feature", "mel")


def test_two_files_of_one_name_are_told_apart(drop):
    other = LOUDNESS.replace("loudness", "louder")
    menus = load_menus([drop(LOUDNESS, folder="a"), drop(other, folder="b")])
    assert menus.find("feature", "loudness")
    assert any("has the same file name" in broken.reason for broken in menus.broken)


def test_a_name_of_its_own_is_given_by_register(drop):
    code = LOUDNESS.replace("register(loudness)", "register(loudness, name='rms_level')")
    assert load_menus([drop(code)]).find("feature", "rms_level")


def test_open_models_say_so():
    def tree(seed, *, depth: int = 1, **params):
        """A tree."""

    assert read_plugin(KINDS["model"], tree, "test").open_ended
    assert not load_menus().find("feature", "mel").open_ended


def test_the_identity_changes_with_the_source_and_the_options(drop):
    def identity(code, **options):
        return Choice(load_menus([drop(code)]).find("feature", "loudness"), options).identity

    base = identity(LOUDNESS, hop_length=512)
    assert base == identity(LOUDNESS, hop_length=512)
    assert base != identity(LOUDNESS, hop_length=256)
    assert base != identity(LOUDNESS.replace("return y[", "return 2 * y["), hop_length=512)
    assert base == identity(LOUDNESS + "\n    # another text\n", hop_length=512)


def test_the_code_of_a_package_is_all_of_its_modules(tmp_path, monkeypatch):
    package = tmp_path / "some_package_of_tests"
    package.mkdir()
    (package / "__init__.py").write_text("from .inner import feature\n")
    (package / "inner.py").write_text("def feature(y, sr):\n    return y\n")
    (package / "tables.py").write_text("A = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    from some_package_of_tests import feature

    before = code_digest(feature)
    (package / "tables.py").write_text("A = 2\n")
    assert code_digest(feature) != before


def test_every_built_in_plugin_loads():
    assert load_menus().broken == []


TRUST = """
    from audiofw import hookimpl

    @hookimpl
    def register_trusted_types(register):
        register("package.models.One", "package.models.Two")
"""


def test_a_plugin_says_which_classes_bundles_may_hold(drop):
    menus = load_menus([drop(TRUST)])
    assert menus.trusted == {"package.models.One", "package.models.Two"}
    assert not menus.broken
    assert not load_menus().trusted


@pytest.mark.parametrize("name", ['"One"', '"package.*"', '"a b.c"', "int", '""'])
def test_a_trusted_class_is_given_by_its_full_name(drop, name):
    menus = load_menus([drop(TRUST.replace('"package.models.One"', name))])
    (broken,) = menus.broken
    assert "not the full name of a class" in broken.reason
    assert not menus.trusted


def test_some_plugins_can_be_loaded_alone(drop):
    folder = drop(LOUDNESS)
    drop(TRUST, "trust.py")
    menus = load_menus([folder], only=[Origin("built in", "mel"), Origin("file", "loudness")])
    assert {kind: list(menu) for kind, menu in menus.plugins.items() if menu} == {"feature": ["mel", "loudness"]}
    assert [origin_of(plugin) for plugin in menus.plugins["feature"].values()] == [
        Origin("built in", "mel"),
        Origin("file", "loudness"),
    ]
