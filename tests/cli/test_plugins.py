"""``audiofw plugins`` marks what cannot be used, and gives everything as JSON."""

import json
import textwrap

import pytest

from audiofw.contract.hookspecs import KINDS

NEEDY = """
    from typing import Annotated, Literal

    from annotated_types import Ge
    from audiofw import hookimpl

    @hookimpl
    def register_features(register):
        register(needy)

    def needy(y, sr, *, rows: Annotated[int, Ge(1)] = 3, kind: Literal["a", "b"] = "a"):
        '''What needs a library.

        Parameters
        ----------
        rows
            Number of rows.
        '''
        import nonsense_not_there
"""


@pytest.fixture
def mine(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/needy.py").write_text(textwrap.dedent(NEEDY))
    return tmp_path / "mine"


def test_a_plugin_whose_library_is_not_installed_is_marked_with_the_command(audiofw, mine):
    outcome = audiofw("--plugins-dir", "mine", "plugins")
    (line,) = (line for line in outcome.out.splitlines() if " needy " in line)
    assert "not usable without nonsense_not_there: What needs a library." in line
    assert outcome.out.endswith("nonsense_not_there is not installed: pip install nonsense_not_there\n")
    assert outcome.out.count("not usable without") == 1


def test_choosing_it_names_the_command(audiofw, mine, sounds):
    outcome = audiofw("--plugins-dir", "mine", f"data.source={sounds(clips=3)}", "feature=needy", "audit=false")
    assert outcome.code == 1
    assert "install it: pip install nonsense_not_there" in outcome.err


def test_everything_is_there_as_json(audiofw, mine):
    (mine / "broken.py").write_text("import nonsense\n")
    outcome = audiofw("--plugins-dir", "mine", "plugins", "--json")
    assert outcome.err == ""
    facts = json.loads(outcome.out)
    assert {plugin["kind"] for plugin in facts["plugins"]} == set(KINDS)
    (needy,) = (plugin for plugin in facts["plugins"] if plugin["name"] == "needy")
    assert needy == {
        "kind": "feature",
        "name": "needy",
        "description": "What needs a library.",
        "owner": str(mine / "needy.py"),
        "file": str(mine / "needy.py"),
        "options": [
            {"name": "rows", "type": "int ≥ 1", "default": 3, "description": "Number of rows."},
            {"name": "kind", "type": "a | b", "default": "a", "description": ""},
        ],
        "open_ended": False,
        "missing": {"nonsense_not_there": "pip install nonsense_not_there"},
    }
    (broken,) = facts["broken"]
    assert broken["owner"] == str(mine / "broken.py")
    assert "nonsense" in broken["reason"]


def test_a_broken_plugin_is_in_one_runs_output_and_always_in_the_list(audiofw, mine, sounds):
    (mine / "broken.py").write_text("import nonsense\n")
    words = ["--plugins-dir", "mine", f"data.source={sounds(clips=6)}", "feature=mfcc", "pooling=stats"]
    words += ["audit=false", "report=false", "bundle=false", "n_jobs=1"]
    first, second = audiofw(*words), audiofw(*words)
    assert first.code == second.code == 0
    assert "plugin not loaded" in first.err
    assert second.err == ""
    assert "plugin not loaded" in audiofw("--plugins-dir", "mine", "plugins").err
