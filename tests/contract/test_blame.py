"""What a plugin's code raises becomes one error that names the plugin and the line, a helper's too."""

from __future__ import annotations

import importlib
import sys
import textwrap
from pathlib import Path

import librosa
import numpy as np
import pytest

from audiofw.contract.blame import blame, named
from audiofw.contract.registry import load_menus
from audiofw.errors import ClipError, ConfigError, DataError, PluginError

PLUGIN = """\
import numpy as np
from audiofw import DataError, hookimpl

@hookimpl
def register_features(register):
    register(direct)
    register(helped)
    register(library)

def direct(y, sr):
    return {}["f0"]

def helped(y, sr):
    return [peak(y)]

def peak(y):
    return y[y.size + 7]  # line 17

def library(y, sr):
    return np.linalg.inv(np.zeros((2, 2)))
"""


def call(folder: Path, name: str) -> PluginError:
    choice = load_menus([folder]).choose("feature", {"name": name})
    with pytest.raises(PluginError) as caught:
        choice(np.zeros(10, np.float32), 8000)
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("direct", "feature=direct: peaks.py:11: KeyError: 'f0'"),
        ("helped", "feature=helped: peaks.py:17: IndexError: index 17 is out of bounds for axis 0 with size 10"),
        ("library", "feature=library: peaks.py:20: LinAlgError: Singular matrix"),
    ],
)
def test_the_innermost_line_of_the_plugins_own_file_is_named(tmp_path, name, expected):
    (tmp_path / "peaks.py").write_text(PLUGIN)
    error = call(tmp_path, name)
    assert str(error) == expected
    assert (error.plugin, error.clip) == (f"feature={name}", None)
    assert type(error.__cause__).__name__ in str(error)


@pytest.fixture
def package(tmp_path, monkeypatch):
    """An importable package of a module with a feature, and another with its helper in a folder of its own."""
    files = {
        "__init__.py": "",
        "feature.py": "from loudness_pkg.dsp.level import level\n\ndef loud(y, sr):\n    return level(y)\n",
        "dsp/__init__.py": "",
        "dsp/level.py": "import numpy as np\n\ndef level(y):\n    return np.stack([y, y[1:]])\n",
    }
    for name, text in files.items():
        file = tmp_path / "loudness_pkg" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("loudness_pkg.feature")
    for name in [name for name in sys.modules if name.partition(".")[0] == "loudness_pkg"]:
        del sys.modules[name]


def test_in_a_package_the_helpers_file_is_named_with_its_folders(package):
    with pytest.raises(PluginError) as caught, blame("feature=loud", package.loud):
        package.loud(np.zeros(4), 8000)
    assert str(caught.value).startswith("feature=loud: loudness_pkg/dsp/level.py:4: ValueError: all input arrays")


def test_a_call_that_never_reaches_the_plugin_is_placed_at_its_first_line(package):
    with pytest.raises(PluginError, match=r"^feature=loud: loudness_pkg/feature\.py:3: TypeError: "):  # noqa: SIM117
        with blame("feature=loud", package.loud):
            package.loud(np.zeros(4))


def test_what_depends_on_the_clip_is_the_clips_own():
    for error in (librosa.util.exceptions.ParameterError("too short"), MemoryError()):
        with pytest.raises(ClipError), blame("feature=any"):
            raise error
    with pytest.raises(PluginError) as caught, blame("feature=any"):
        raise librosa.util.exceptions.LibrosaError("another")
    assert not isinstance(caught.value, ClipError)


def test_a_plugin_that_exits_is_a_plugin_that_fails():
    with pytest.raises(PluginError, match=r"^model=tree: \S*test_blame.py:\d+: SystemExit: enough$"):  # noqa: SIM117
        with blame("model=tree", test_a_plugin_that_exits_is_a_plugin_that_fails):
            sys.exit("enough")


def test_ctrl_c_is_nobodys_fault():
    with pytest.raises(KeyboardInterrupt), blame("model=tree"):
        raise KeyboardInterrupt


@pytest.mark.parametrize("kind", [DataError, ConfigError, PluginError])
def test_an_error_that_the_plugin_chose_passes_and_learns_whose_it_is(kind):
    own = kind("no dog in it")
    with pytest.raises(kind) as caught, blame("feature=dogs"):
        raise own
    assert caught.value is own
    assert own.plugin == "feature=dogs"


def test_the_name_of_a_plugin_is_added_by_whoever_knows_it():
    with pytest.raises(PluginError) as caught, named({"model": "tree", "pooling": "mean"}), blame("model"):
        raise ValueError("no wood")
    assert str(caught.value) == "model=tree: ValueError: no wood"


BROKEN = """
    import numpy as np

    table = {}

    def fill():
        table["a"] = missing

    fill()
"""


def test_a_file_that_does_not_import_is_placed_and_keeps_its_cause(tmp_path):
    (tmp_path / "broken.py").write_text(textwrap.dedent(BROKEN))
    menus = load_menus([tmp_path])
    assert menus.broken[0].reason.endswith("import failed: broken.py:7: NameError: name 'missing' is not defined")
    with pytest.raises(ConfigError) as caught:
        menus.find("feature", "broken")
    assert isinstance(caught.value.__cause__, NameError)


def test_a_hook_that_exits_costs_its_plugin_alone(tmp_path):
    text = "from audiofw import hookimpl\n\n@hookimpl\ndef register_features(register):\n    raise SystemExit(3)\n"
    (tmp_path / "leaving.py").write_text(text)
    (reason,) = (broken.reason for broken in load_menus([tmp_path]).broken)
    assert reason.endswith("leaving.py: register_features failed: leaving.py:5: SystemExit: 3")
