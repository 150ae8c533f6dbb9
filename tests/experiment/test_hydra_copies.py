"""Hydra's repository is copied quickly inside our own command, and as ever anywhere else."""

import copy
import re
from types import SimpleNamespace

import hydra
import pytest
from hydra._internal.config_repository import ConfigRepository
from hydra._internal.config_search_path_impl import ConfigSearchPathImpl
from hydra._internal.hydra import Hydra
from hydra.core.plugins import Plugins

import audiofw as fw
from audiofw.experiment.hydra_copies import known_mode, shallow_copies
from audiofw.system.paths import bundled


@pytest.fixture
def repository() -> ConfigRepository:
    Plugins.instance()  # knows the kinds of sources
    search_path = ConfigSearchPathImpl()
    search_path.append("schema", "structured://")
    return ConfigRepository(search_path)


def shares_sources(repository: ConfigRepository) -> bool:
    return copy.deepcopy(repository).sources[0] is repository.sources[0]


def test_the_copy_is_shallow_inside_and_deep_outside(repository):
    assert hydra.__version__.startswith(("1.3.", "1.4.")), "look whether this Hydra still copies its repository deeply"
    with shallow_copies():
        assert shares_sources(repository)
        with shallow_copies():
            assert shares_sources(repository)
        assert shares_sources(repository)
    assert not shares_sources(repository)
    assert "__deepcopy__" not in vars(ConfigRepository)


def test_a_copy_with_other_sources_leaves_the_first_its_own(repository):
    with shallow_copies():
        other = copy.deepcopy(repository)
        other.initialize_sources(ConfigSearchPathImpl())
    assert [len(one.sources) for one in (repository, other)] == [1, 0]


def test_after_an_exception_the_copy_is_deep_again(repository):
    with pytest.raises(KeyboardInterrupt), shallow_copies():
        raise KeyboardInterrupt
    assert not shares_sources(repository)


def test_another_hydra_is_left_as_it_is(repository, monkeypatch):
    monkeypatch.setattr(hydra, "__version__", "1.5.0")
    with shallow_copies():
        assert not shares_sources(repository)


@pytest.fixture
def seen(repository, monkeypatch) -> list[bool]:
    """Whether the copy was shallow, each time that Hydra looked for sources."""
    found = []
    original = ConfigRepository.initialize_sources

    def watched(self, search_path):
        found.append(shares_sources(repository))
        return original(self, search_path)

    monkeypatch.setattr(ConfigRepository, "initialize_sources", watched)
    return found


@pytest.mark.parametrize("word", ["--cfg=job", "feature=nonsense"])
def test_our_command_copies_quickly_and_leaves_nothing_behind(audiofw, repository, seen, word):
    audiofw(word)
    assert seen[0]
    assert not shares_sources(repository)


def test_a_run_from_python_copies_as_hydra_does(seen, sounds, tmp_path, monkeypatch):
    monkeypatch.setattr("audiofw.api.run_found", lambda *args: (SimpleNamespace(missing=[]), None))
    fw.run([f"data.source={sounds()}"], path=tmp_path / "run")
    assert set(seen) == {False}


@pytest.fixture
def composed(monkeypatch) -> list[str]:
    """Hydra's own lookup of its mode, recorded."""
    asked = []
    monkeypatch.setattr(Hydra, "get_mode", lambda self, config_name, overrides: asked.append(config_name))
    return asked


def look_up_mode(words: list[str]) -> None:
    with known_mode(words):
        Hydra.get_mode(None, "config", words)
    Hydra.get_mode(None, "afterwards", words)


@pytest.mark.parametrize("words", [[], ["seed=1", "-m", "hydra.run.dir=a"], ["hydra.sweep.dir=b", "data.source=hydra"]])
def test_the_config_is_not_composed_for_a_mode_that_nothing_sets(composed, words):
    look_up_mode(words)
    assert composed == ["afterwards"]


@pytest.mark.parametrize(
    "word",
    [
        *("hydra.mode=MULTIRUN", "+hydra.mode=RUN", "++hydra.mode=RUN", "hydra/launcher=joblib", "--config-dir=x"),
        *("-cd", "-cn=other", "--config-name", "hydra.run.dirs=x", "hydra={mode: RUN}", "~hydra.mode", "-cp"),
    ],
)
def test_the_config_is_composed_where_it_may_set_the_mode(composed, word):
    look_up_mode(["seed=1", word])
    assert composed == ["config", "afterwards"]


def test_no_config_of_ours_sets_the_mode():
    files = list(bundled("conf").rglob("*.yaml"))
    assert files
    assert not [file for file in files if re.search(r"^\s*mode:", file.read_text(), re.MULTILINE)]
