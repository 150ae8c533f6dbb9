"""What the documents say is true: their commands compose, their code runs, their options exist."""

import re
import shlex
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from audiofw.cli.main import COMMANDS
from audiofw.config.overrides import quote_text, take_plugin_folders
from audiofw.contract.registry import load_menus
from audiofw.experiment.hydra_app import compose, store_schema

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()


def blocks(language: str = "") -> list[str]:
    found = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    return [code for its_language, code in found if its_language == language]


def commands() -> list[str]:
    """Every command line of audiofw in the README, without its comment."""
    lines = (line for block in blocks() for line in block.splitlines())
    parts = (part.strip() for line in lines for part in re.split(r"\s#\s|&&", line))
    return [part for part in parts if part.startswith("audiofw ")]


@pytest.fixture
def readmes_plugin(tmp_path, monkeypatch) -> Path:
    """Save the README's plugin where the README says."""
    monkeypatch.chdir(tmp_path)
    (code,) = (code for code in blocks("python") if "@hookimpl" in code)
    (file,) = re.findall(r"Save this as `(\S+)`", README)
    Path(file).parent.mkdir()
    Path(file).write_text(code)
    return Path(file)


def test_the_readmes_plugin_is_a_file_that_runs(audiofw, sounds, readmes_plugin):
    words = shlex.split(next(line for line in commands() if "--plugins-dir" in line))[1:]
    outcome = audiofw(*words, f"data.source={sounds()}", "report=false")
    assert outcome.code == 0, outcome.err
    assert "loudness" in outcome.out


def test_the_readmes_notebook_runs(sounds, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files = sorted(sounds(folder="pets", cat=900, dog=250).rglob("*.wav"))
    (code,) = (code for code in blocks("python") if "audiofw.run" in code)
    names: dict = {}
    exec(compile(code, "README.md", "exec"), names)
    assert names["accuracy"]["pooled"] > 0.5
    assert names["labels"].tolist() == [file.parent.name for file in files]
    assert names["probabilities"].shape == (len(files), 2)
    assert names["X"].shape == (len(files), len(names["columns"]))
    assert names["columns"][0].startswith("mel_")
    assert names["scores"].mean() > 0.9


@pytest.mark.parametrize("line", commands())
def test_every_command_of_the_readme_composes(line, readmes_plugin):
    words = take_plugin_folders(shlex.split(line)[1:])
    if words[0] in COMMANDS or words[0].startswith("--help"):
        return
    overrides = [word for word in quote_text(words) if not word.startswith("-")]
    if "--config-dir" in words:
        overrides = [word for word in overrides if word not in ("my_conf", "+experiment=mine")]
    singles = []
    for word in overrides:
        (override,) = OverridesParser.create().parse_overrides([word])
        if override.is_range_sweep() or override.is_choice_sweep():
            singles.append(f"{word.partition('=')[0]}={next(iter(override.sweep_string_iterator()))}")
        elif not override.is_sweep_override():  # an interval has no first value
            singles.append(word)
    assert compose([word for word in singles if not word.startswith("hydra/")])


def test_the_readmes_options_exist():
    store_schema(load_menus())
    config = OmegaConf.load(ROOT / "conf/config.yaml")
    rows = re.findall(r"^\| (`[^|]+) \| ", README.split("## What there is to choose")[1].split("##")[0], re.MULTILINE)
    assert len(rows) > 10
    for row in rows:
        names = re.findall(r"`([\w.]+)`", row)
        section = names[0].rpartition(".")[0]
        for name in names:
            key = f"{section}{name}" if name.startswith(".") else name
            known = OmegaConf.select(config, key, default="missing") != "missing" or key in load_menus().plugins
            assert known, key


def test_the_changelog_names_every_built_in_plugin():
    changelog = (ROOT / "CHANGELOG.md").read_text()
    for menu in load_menus().plugins.values():
        for name in menu:
            assert f"`{name}`" in changelog


def test_every_option_of_the_config_has_a_comment():
    lines = (ROOT / "conf/config.yaml").read_text().split("\nhydra:")[0].splitlines()
    values = [line for line in lines if re.match(r"\s*\w+: \S", line)]
    assert [line for line in values if "#" not in line] == []
