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
    assert "\nnonsense_not_there is not installed: pip install nonsense_not_there\n" in outcome.out
    assert outcome.out.count("not usable without nonsense_not_there") == 1


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


def test_a_new_plugin_passes_its_test_and_runs_as_the_command_says(audiofw, sounds):
    made = audiofw("plugins", "new", "loudness", "--kind", "feature")
    assert made.code == 0, made.err
    lines = made.out.splitlines()
    assert lines[:2] == ["my_plugins/loudness.py", "tests/test_loudness.py"]
    commands = {line.split(":")[0]: line.split()[2:] for line in lines[3:]}
    tested = audiofw(*commands["test"][:3])
    assert tested.code == 0, tested.out
    assert tested.out.splitlines()[0].split() == ["plugin", "check", "result"]
    assert "feature=loudness  silence                    passed" in tested.out
    assert "16 of 16 checks passed" in tested.out
    assert "ms for a clip of 3 s; feature=mel: " in tested.out
    outcome = audiofw(*commands["try"], f"data.source={sounds(clips=6)}", "audit=false", "report=false")
    assert outcome.code == 0, outcome.err


def test_a_failing_check_is_in_the_table_and_below_it_with_line_and_remedy(audiofw, mine):
    code = (mine / "needy.py").read_text().replace("import nonsense_not_there", "return y")
    (mine / "needy.py").write_text(code)
    outcome = audiofw("plugins", "test", "mine/needy.py")
    assert outcome.code == 1
    assert "feature=needy  noise                      FAILED" in outcome.out
    assert "\nfeature=needy: noise\n  needy.py:11: returned an array of shape (22050,): return (rows, f" in outcome.out
    assert "no help for kind: add a section 'Parameters'" in outcome.out
    assert " checks passed, " in outcome.out.splitlines()[-1]


def test_plugins_are_tested_with_options(audiofw):
    outcome = audiofw("plugins", "test", "feature.n_mels=10", "mel")
    assert outcome.code == 0, outcome.out
    refused = audiofw("plugins", "test", "mel", "feature.n_mles=10")
    assert refused.code == 1
    assert "feature.mel.n_mles: unknown option (did you mean 'n_mels'?)" in refused.out
    assert audiofw("plugins", "test", "feature.n_mels=10").code == 2


def test_a_package_is_written_into_a_folder_of_its_own(audiofw, tmp_path):
    words = ["plugins", "new", "loudness", "--kind", "model", "--package", "audiofw-loud", "--licence", "ISC"]
    made = audiofw(*words, "--author", "Ann Other")
    assert made.code == 0, made.err
    assert "audiofw-loud/src/audiofw_loud/loudness.py" in made.out.splitlines()
    assert 'install: pip install -e "audiofw-loud[test]"' in made.out
    assert "ISC License" in (tmp_path / "audiofw-loud/LICENSE").read_text()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["new", "loudness"], "the following arguments are required: --kind"),
        (["new", "loudness", "--kind", "featur"], "invalid choice: 'featur'"),
        (["new", "Loud", "--kind", "feature"], "use lowercase letters, digits"),
        (
            ["new", "x", "--kind", "model", "--package", "audiofw-x", "--licence", "mit"],
            "--licence mit: unknown; known: BSD-3-Clause, ISC, MIT",
        ),
        (["test"], "the following arguments are required: subject"),
        (["test", "nowhere.py"], "nowhere.py: file not found"),
        (["test", "mell"], "(did you mean 'mel'?)"),
        (["shw", "mel"], "invalid choice: 'shw'"),
    ],
)
def test_wrong_words_are_refused_in_one_line(audiofw, tmp_path, words, said):
    outcome = audiofw("plugins", *words)
    assert outcome.code == 2
    (line,) = outcome.err.splitlines()
    assert said in line
    assert list(tmp_path.iterdir()) == []
