"""What a plugin does wrong with its hooks is said in one line of ours, and tracing shows what they register."""

import inspect
import re
import textwrap
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from audiofw.contract import hookspecs, registry
from audiofw.contract.hooks import REGISTER, Bringer, new_manager, take_hooks
from audiofw.contract.hookspecs import HOOKS, KINDS
from audiofw.contract.menus import Menus
from audiofw.contract.registry import load_menus

DOCS = (Path(__file__).parents[2] / "docs/plugins.md").read_text()


def module(code: str) -> ModuleType:
    made = ModuleType("hooks_of_a_test")
    exec(compile("from audiofw import hookimpl\n" + textwrap.dedent(code), "/plugins/loud.py", "exec"), vars(made))
    return made


def reasons(code: str, plugin: str = "y, sr") -> list[str]:
    """Load a plugin, and give the reasons why it cannot be used."""
    menus = Menus()
    body = f'{textwrap.dedent(code)}\n\ndef loud({plugin}):\n    "Level."\n    return y[None]\n'
    take_hooks(menus, new_manager(), module(body), Bringer("/plugins/loud.py", "/plugins/loud.py"))
    said = [broken.reason for broken in menus.broken]
    assert all(reason.startswith("/plugins/loud.py: ") and "\n" not in reason for reason in said)
    return [reason.removeprefix("/plugins/loud.py: ") for reason in said]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (
            "loud, nam='x'",
            "line 4: register has no argument 'nam' (did you mean 'name'?): register(function",
        ),
        ("", "line 4: register: missing a required argument: 'function': register(function"),
        ("loud, 'a', 'b'", "line 4: register: too many positional arguments: register(function"),
        ("'loud'", "line 4: register takes a function that is made with def, not 'loud'"),
        ("dict", "line 4: register takes a function that is made with def, not the class dict"),
        ("loud, holds_gil='yes'", "line 4: register: holds_gil='yes' must be a bool"),
        ("loud, name=3", "line 4: register: name=3 must be text"),
        ("loud, names=['a']", "line 4: register: names=['a'] must be a function that returns a list of names"),
        ("loud, name='a b'", "'a b' is not a valid name for a feature"),
        ("loud, name=''", "'' is not a valid name for a feature"),
    ],
)
def test_wrong_arguments_of_register_are_explained(call, said):
    (reason,) = reasons(f"@hookimpl\ndef register_features(register):\n    register({call})")
    assert reason.startswith(said)


@pytest.mark.parametrize(
    ("hook", "said"),
    [
        ("def register_features(registry):", "line 2: register_features(registry): write def register_features(regis"),
        ("def register_features():", "line 2: register_features(): write def register_features(register)"),
        ("def register_features(register, menus):", "line 2: register_features(register, menus): write def"),
        ("def register_feature(register):", "line 2: unknown hook 'register_feature' (did you mean 'register_fe"),
    ],
)
def test_a_hook_of_the_wrong_form_is_explained(hook, said):
    (reason,) = reasons(f"@hookimpl\n{hook}\n    register(loud)")
    assert reason.startswith(said)


def test_a_hook_cannot_wrap_others():
    (reason,) = reasons("@hookimpl(wrapper=True)\ndef register_features(register):\n    yield")
    assert reason.startswith("line 2: register_features is called once for each plugin and cannot be a wrapper")


def test_a_wrong_hook_does_not_affect_the_others():
    menus = Menus()
    code = """
        @hookimpl
        def register_features(register):
            register(loud)

        @hookimpl
        def register_models(registry):
            pass

        def loud(y, sr):
            "Level."
    """
    taken = take_hooks(menus, new_manager(), module(code), Bringer("loud.py", "loud.py"))
    assert [tuple(one) for one in taken] == [("register_features", "feature=loud")]
    assert menus.find("feature", "loud")
    assert len(menus.broken) == 1


def test_two_entry_points_of_one_module_are_said_to_be_one():
    plugin, menus, manager = module("@hookimpl\ndef register_features(register): pass"), Menus(), new_manager()
    for where in ("loud 1.0 (a)", "loud 1.0 (b)"):
        take_hooks(menus, manager, plugin, Bringer("loud 1.0", where))
    (broken,) = menus.broken
    assert broken.reason == "loud 1.0 (b): loaded before, as loud 1.0 (a); remove one of the two entry points"


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Load the same file as an installed package and from a folder."""
    code = """
        from audiofw import hookimpl

        @hookimpl
        def register_features(register):
            register(loud)

        def loud(y, sr):
            "Level."
            return y[None]
    """
    (tmp_path / "loud.py").write_text(textwrap.dedent(code))
    entry = SimpleNamespace(
        name="loud",
        value="loud",
        module="loud",
        dist=SimpleNamespace(name="audiofw-loud", version="1.0"),
        load=lambda: registry.import_file(tmp_path / "loud.py", "installed_for_a_test"),
    )
    monkeypatch.setattr(registry.importlib.metadata, "entry_points", lambda group: [entry])
    return tmp_path


def test_a_plugin_that_is_installed_and_in_a_folder_is_explained(installed):
    (broken,) = load_menus([installed]).broken
    assert broken.reason == (
        f"feature=loud: installed as audiofw-loud 1.0, and in {installed / 'loud.py'}; leave out the folder, "
        "or uninstall the package: pip uninstall audiofw-loud"
    )


def test_tracing_says_what_is_loaded_from_where_and_what_hooks_register(installed, monkeypatch, capsys):
    (installed / "broken.py").write_text("import nonsense_that_is_not_there\n")
    monkeypatch.setenv("AUDIOFW_TRACE_PLUGINS", "1")
    load_menus([installed])
    said = capsys.readouterr().err.splitlines()
    assert "plugins: package, audiofw-loud 1.0 (loud): register_features: feature=loud" in said
    assert f"plugins: file, {installed / 'broken.py'}: nothing" in said
    assert f"plugins: file, not loaded: {installed / 'broken.py'}: import failed" in "\n".join(said)
    (catboost,) = (line for line in said if "catboost.py" in line)
    assert catboost == "plugins: built in, catboost.py: register_models: model=catboost"
    load_menus([installed])
    assert capsys.readouterr().err == ""


def test_nothing_is_traced_unasked(capsys):
    load_menus()
    assert capsys.readouterr().err == ""


def test_a_broken_plugin_warns_once_until_its_file_changes(tmp_path, caplog):
    file = tmp_path / "broken.py"
    for code, warnings in (
        ("import nonsense_not_there", 1),
        (None, 0),
        ("import nonsense_not_there, os", 1),
        (None, 0),
    ):
        if code:
            file.write_text(code)
        caplog.clear()
        load_menus([tmp_path]).warn()
        assert len(caplog.messages) == warnings
    load_menus([tmp_path]).warn(again=True)
    assert len(caplog.messages) == 1


# ---- the docs


def test_every_hook_is_documented_and_has_an_example_that_runs():
    examples = "".join(re.findall(r"^```python\n(.*?)^```$", DOCS, re.MULTILINE | re.DOTALL))
    assert [hook for hook in HOOKS if f"@hookimpl\ndef {hook}(register):" not in examples] == []
    assert [hook for hook in HOOKS if not inspect.getdoc(getattr(hookspecs, hook))] == []
    marked = {name for name in vars(hookspecs) if hasattr(getattr(hookspecs, name), "audiofw_spec")}
    assert marked == set(HOOKS)


def test_the_docs_have_the_signature_of_every_kind():
    rows = re.findall(r"^\| ([\w ]+) \| `(register_\w+)` \| `\((.*?), \*, …\)` \|", DOCS, re.MULTILINE)
    ways: dict[str, set[str]] = {}
    for kind, hook, signature in rows:
        assert KINDS[kind.split()[0]].hook == hook
        ways.setdefault(kind.split()[0], set()).add(signature)
    either = {name: {*kind.either} or {", ".join(kind.all_offers)} for name, kind in KINDS.items()}
    assert ways == either


def test_the_docs_have_the_signature_of_register():
    plain = [part.replace(annotation=part.empty) for part in REGISTER.parameters.values()][1:]
    assert f"`register{inspect.Signature(plain)}`" in DOCS
    assert "`register(*names)`" in DOCS
