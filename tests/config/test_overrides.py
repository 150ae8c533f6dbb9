"""What users type on the command line reaches Hydra as they mean it."""

import os
import shlex

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from audiofw.config.options import SWITCHES
from audiofw.config.overrides import as_typed, command_line, quote_text, take_plugin_folders
from audiofw.errors import ConfigError

ODD = [
    "My Pets (1), new.zip",
    r"(?P<fold>\d)-",
    r"(?P<label>\d)_(?P<group>\w+)_",
    "a=b.zip",
    "{braces}.zip",
    "[brackets].zip",
    "it's.zip",
    'two "words".zip',
    r"C:\sounds\pets.zip",
    "trailing\\",
    "quote\\'.zip",
    "$HOME:?*#!%&;|<>~`^.zip",
    " blanks around ",
    "42",
    "true",
    "ünïcödé 音.zip",
]


@pytest.mark.parametrize("text", ODD)
@pytest.mark.parametrize("key", ["data.source", "data.pattern", "+data.source", "++data.source"])
def test_plain_text_arrives_as_it_was_typed(key, text):
    (override,) = OverridesParser.create().parse_overrides(quote_text([f"{key}={text}"]))
    assert override.value() == text


@pytest.mark.parametrize("text", ODD)
def test_plain_text_survives_hydras_sweeper(text):
    parser = OverridesParser.create()
    (override,) = parser.parse_overrides(quote_text([f"data.source={text}"]))
    (again,) = parser.parse_overrides([f"data.source={override.get_value_element_as_str()}"])
    assert again.value() == text


@pytest.mark.parametrize(
    "word",
    [
        "data.source=choice(a.zip,b.zip)",
        "data.source='quoted already'",
        'data.source="quoted, already"',
        "data.pattern=null",
        "data.pattern=",
        "data.limit=3",
        "feature=mel,stft",
        "-m",
    ],
)
def test_hydras_own_is_left_alone(word):
    assert quote_text([word]) == [word]


def test_sources_are_swept_by_choice():
    (override,) = OverridesParser.create().parse_overrides(quote_text(["data.source=choice(a.zip,b.zip)"]))
    assert list(override.sweep_string_iterator()) == ["a.zip", "b.zip"]


def test_plugin_folders_move_to_the_environment(tmp_path):
    words = take_plugin_folders(["--plugins-dir", f"{tmp_path}/a", "model=x", f"--plugins-dir={tmp_path}/b"])
    assert words == ["model=x"]
    assert os.environ["AUDIOFW_PLUGINS_PATH"].split(os.pathsep) == [f"{tmp_path}/a", f"{tmp_path}/b"]


def test_a_plugin_folder_must_be_named():
    with pytest.raises(ConfigError, match="--plugins-dir needs a folder"):
        take_plugin_folders(["--plugins-dir"])


@pytest.mark.parametrize(
    ("word", "read"),
    [
        ("report=false", "report.enabled=false"),
        ("report=True", "report.enabled=True"),
        ("++report=false", "++report.enabled=false"),
        ("report=true,false", "report.enabled=true,false"),
        ("report.audio=false", "report.audio=false"),
        ("report=pdf", "report=pdf"),
    ],
)
def test_report_has_a_switch_although_it_is_a_section(word, read):
    assert quote_text([word]) == [read]


@pytest.mark.parametrize("text", ODD)
def test_what_was_typed_can_be_shown_again(text):
    word = f"data.source={text}"
    assert quote_text([as_typed(quote_text([word])[0])]) == quote_text([word])


def test_words_without_quotes_of_ours_are_shown_as_they_are():
    assert as_typed("data.source='My Pets.zip'") == "data.source=My Pets.zip"
    assert as_typed("feature=mel") == "feature=mel"
    assert as_typed("+model.words='a b'") == "+model.words='a b'"


def test_a_plugin_folder_given_twice_is_listed_once(tmp_path, monkeypatch):
    monkeypatch.setenv("AUDIOFW_PLUGINS_PATH", f"{tmp_path}/a")
    take_plugin_folders(["--plugins-dir", f"{tmp_path}/a", "--plugins-dir", f"{tmp_path}/b"])
    assert os.environ["AUDIOFW_PLUGINS_PATH"].split(os.pathsep) == [f"{tmp_path}/a", f"{tmp_path}/b"]


@pytest.mark.parametrize("text", ODD)
def test_a_written_command_is_read_by_the_shell_as_it_was_given(text):
    words = quote_text([f"data.source={text}", "model=lda"])
    assert quote_text(shlex.split(command_line(words))[1:]) == words


def test_a_written_command_names_the_folders_of_plugins_that_are_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    owners = ["built in", "package 1.0", f"{tmp_path}/my own/a.py", f"{tmp_path}/my own/b.py", "/else/c.py"]
    written = shlex.split(command_line(["predict", "run"], owners))
    assert written == ["audiofw", "--plugins-dir", "my own", "--plugins-dir", "/else", "predict", "run"]


@pytest.mark.parametrize("section", SWITCHES)
def test_a_section_with_a_switch_can_be_switched_as_a_whole(section):
    assert quote_text([f"{section}=false"]) == [f"{section}.enabled=false"]
    assert quote_text([f"++{section}=True"]) == [f"++{section}.enabled=True"]
    assert quote_text([f"{section}=true,false"]) == [f"{section}.enabled=true,false"]
    for word in (f"{section}=null", f"{section}.enabled=false", f"x{section}=false", f"{section}=falsely"):
        assert quote_text([word]) == [word]


def test_these_sections_have_a_switch():
    assert {"bundle", "cache", "report"} <= set(SWITCHES)


ITEMS = [
    "Grünfink",
    "true",
    "False",
    "nan",
    "inf",
    "None",
    "null",
    "007",
    "1e3",
    "1_000",
    "0x10",
    "a b",
    "x (y)",
    "it's",
]


@pytest.mark.parametrize("key", ["data.exclude", "data.include", "+data.exclude", "tune.holdout_folds"])
def test_items_of_a_list_of_text_arrive_as_they_were_typed(key):
    (override,) = OverridesParser.create().parse_overrides(quote_text([f"{key}=[{','.join(ITEMS)}]"]))
    assert override.value() == ITEMS


@pytest.mark.parametrize(
    ("typed", "items"),
    [
        ("[]", []),
        ("[ a , b ]", ["a", "b"]),
        ("['a, b',c]", ["a, b", "c"]),
        ('["[x]",y]', ["[x]", "y"]),
    ],
)
def test_a_list_of_text_keeps_hydras_own_quotes_and_blanks_around_items_go(typed, items):
    (override,) = OverridesParser.create().parse_overrides(quote_text([f"data.exclude={typed}"]))
    assert override.value() == items


def test_lists_of_text_can_be_swept():
    (override,) = OverridesParser.create().parse_overrides(quote_text(["data.exclude=[Bär],[dog,true]"]))
    swept = [[str(item.text) for item in items] for items in override.sweep_iterator()]
    assert swept == [["Bär"], ["dog", "true"]]


@pytest.mark.parametrize(
    ("typed", "value"),
    [("1e2", 100), ("1E+2", 100), ("1.5e1", 15), ("2.e3", 2000), ("-1e2", -100), ("1e-3", 0.001), ("1.25e1", 12.5)],
)
def test_a_whole_number_may_be_written_with_an_exponent(typed, value):
    (override,) = OverridesParser.create().parse_overrides(quote_text([f"model.n_estimators={typed}"]))
    assert (override.value(), type(override.value())) == (value, type(value))


def test_whole_numbers_in_sweeps_and_lists_may_have_exponents_and_text_keeps_them():
    assert quote_text(
        ["model.n=1e2,2e2", "model.n=interval(1e1,1e2)", "model.n=[1e1]", "model.a='1e2'", "x.y=a1e2"]
    ) == [
        "model.n=100,200",
        "model.n=interval(10,100)",
        "model.n=[10]",
        "model.a='1e2'",
        "x.y=a1e2",
    ]


@pytest.mark.parametrize("name", ["My Net (1).onnx", "a,b.onnx", "Grün=1.onnx", "it's.onnx", "[x].onnx", "plain.onnx"])
def test_a_plugins_option_may_name_a_file_with_any_characters(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_bytes(b"network")
    words = quote_text([f"feature.model={name}", f"feature.net.model={name}", f"+feature.front={name}"])
    parsed = OverridesParser.create().parse_overrides(words)
    assert [override.value() for override in parsed] == [name] * 3
    assert [as_typed(word) for word in words] == [
        f"feature.model={name}",
        f"feature.net.model={name}",
        f"+feature.front={name}",
    ]


def test_what_names_no_file_is_left_to_hydra(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["feature.n_mels=32,64", "model.members=[svm,lda]", "feature.model=gone (1).onnx"]
    assert quote_text(words) == words
