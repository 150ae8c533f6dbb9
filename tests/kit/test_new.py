"""A new plugin runs, passes its test and its linter as it is written; a package installs."""

import importlib.metadata
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from audiofw.contract.hookspecs import KINDS
from audiofw.errors import ConfigError
from audiofw.kit.contract import contract_checks
from audiofw.kit.new import LICENCES, Publisher, name_plugins, package_files, plugin_files, write_files

ROOT = Path(__file__).resolve().parents[2]
PUBLISHER = Publisher("Ann Other", "MIT")


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_plugin_keeps_the_contract_and_runs(kind, tmp_path):
    write_files(plugin_files(name_plugins("loudness", [kind]), "mine"), tmp_path)
    checks = contract_checks(tmp_path / "mine/loudness.py")
    assert {check.who for check in checks} == {f"{kind}=loudness"}
    for check in checks:
        check()


def test_the_test_that_is_written_beside_it_passes(tmp_path):
    write_files(plugin_files(name_plugins("loudness", ["split"]), "mine"), tmp_path)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment)
    assert "5 passed" in done.stdout, done.stdout


@pytest.fixture
def package(tmp_path) -> Path:
    plugins = name_plugins("loudness", ["feature", "pooling"])
    write_files(package_files(plugins, "audiofw-loud.est", PUBLISHER), tmp_path / "package")
    return tmp_path / "package"


def test_a_package_says_who_made_it_and_what_it_brings(package):
    project = tomllib.loads((package / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["audiofw"] == {
        "loudness_feature": "audiofw_loud_est.loudness_feature",
        "loudness_pooling": "audiofw_loud_est.loudness_pooling",
    }
    assert (project["license"], project["authors"]) == ("MIT", [{"name": "Ann Other"}])
    assert "Ann Other" in (package / "LICENSE").read_text()
    assert "| feature | `loudness_feature` | Level in each octave, in dB. |" in (package / "README.md").read_text()
    assert "${{ matrix.python }}" in (package / ".github/workflows/test.yml").read_text()


def test_a_package_is_built_installed_and_tests_itself(package, tmp_path):
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-index"]
    site = tmp_path / "site"
    subprocess.run([*pip, "--target", site, package], check=True, env={**os.environ, "PIP_NO_INPUT": "1"})
    (found,) = importlib.metadata.distributions(path=[str(site)])
    assert {entry.name for entry in found.entry_points} == {"loudness_feature", "loudness_pooling"}
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{site}"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "names or documented or silence"]
    done = subprocess.run(command, cwd=package, capture_output=True, text=True, env=environment)
    assert "5 passed" in done.stdout, done.stdout


def test_what_is_written_passes_ruff(package, tmp_path):
    pytest.importorskip("ruff", reason="a tool of developers; .[dev] has it")
    write_files(plugin_files(name_plugins("loudness", list(KINDS)), "mine"), tmp_path)
    for folder in (package, tmp_path):
        for words in (["check", "."], ["format", "--check", "."]):
            done = subprocess.run([sys.executable, "-m", "ruff", *words], cwd=folder, capture_output=True, text=True)
            assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("licence", LICENCES)
def test_every_licence_names_its_holder(licence):
    files = package_files(name_plugins("loudness", ["model"]), "audiofw-loud", Publisher("Ann Other", licence))
    assert "Ann Other" in files["LICENSE"]
    assert tomllib.loads(files["pyproject.toml"])["project"]["license"] == licence


@pytest.mark.parametrize("name", ["Loud", "2loud", "lo-ud", "class", "", "_x", "lo ud", "../x"])
def test_a_name_that_no_plugin_can_have_is_refused(name):
    with pytest.raises(ConfigError, match="use lowercase letters, digits"):
        name_plugins(name, ["feature"])


def test_a_name_that_is_taken_is_refused():
    with pytest.raises(ConfigError, match=r"feature=mel: already exists, in .*mel\.py"):
        name_plugins("mel", ["feature"])
    assert name_plugins("mel", ["model"])


@pytest.mark.parametrize("name", ["audiofw", "Audio", "../loud", "a b", "-x", ""])
def test_a_name_that_no_package_can_have_is_refused(name):
    with pytest.raises(ConfigError, match="give the name of a package, e"):
        package_files(name_plugins("loudness", ["model"]), name, PUBLISHER)


def test_no_file_is_replaced_and_none_is_written_if_one_is_there(tmp_path):
    files = plugin_files(name_plugins("loudness", ["model"]), "mine")
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/test_loudness.py").write_text("mine")
    with pytest.raises(ConfigError, match="already exists"):
        write_files(files, tmp_path)
    assert not (tmp_path / "mine").exists()
    assert (tmp_path / "tests/test_loudness.py").read_text() == "mine"
