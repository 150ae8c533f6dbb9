"""Files that a model's plugins need are found by digest, or carried in the bundle."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from bundles import change_facts, make_sounds
from weighing import drop_scaled

import audiofw as fw
from audiofw.errors import DataError


@pytest.fixture
def trained(tmp_path, monkeypatch):
    """Train a model that needs a file: ``trained("bundle.carry=true")`` returns the run's folder."""
    monkeypatch.setenv("AUDIOFW_PLUGINS_PATH", str(drop_scaled(tmp_path / "plugins")))
    monkeypatch.setenv("AUDIOFW_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "by.txt").write_text("2")

    def train(*words: str) -> Path:
        source = make_sounds(tmp_path / "sounds", clips=4)
        common = ["feature=scaled", "feature.by=by.txt", "pooling=stats", "model=lda", "audit=false", "report=false"]
        fw.run([f"data.source={source}", *common, *words], path=tmp_path / "run")
        return tmp_path / "run"

    return train


def predict(run: Path) -> np.ndarray:
    return fw.load_model(run).predict_proba(sorted((run.parent / "sounds").rglob("*.wav")))


def elsewhere(tmp_path: Path, monkeypatch) -> None:
    """Behave as on another machine: nothing cached, another current folder, and the file gone."""
    monkeypatch.setenv("AUDIOFW_CACHE", str(tmp_path / "cache2"))
    monkeypatch.chdir(tmp_path / "plugins")
    (tmp_path / "by.txt").rename(tmp_path / "moved.txt")


def test_the_bundle_says_which_file_it_needs(trained):
    facts = json.loads((trained() / "model/bundle.json").read_text())
    ((option, name, digest, size),) = facts["feature"]["files"]
    assert (option, name, size) == ("by", "by.txt", 1)
    assert len(digest) == 40
    assert "by" not in facts["feature"]["options"]


def test_it_is_found_where_it_was(trained, tmp_path, monkeypatch):
    run = trained()
    expected = predict(run)
    monkeypatch.chdir(tmp_path / "plugins")
    assert np.array_equal(predict(run), expected)


@pytest.mark.parametrize("place", ["run", "plugins"])
def test_it_is_found_beside_the_model_and_in_the_current_folder(trained, tmp_path, monkeypatch, place):
    run = trained()
    expected = predict(run)
    elsewhere(tmp_path, monkeypatch)
    shutil.copy(tmp_path / "moved.txt", tmp_path / place / "by.txt")
    assert np.array_equal(predict(run), expected)


def test_a_missing_file_is_one_line(trained, tmp_path, monkeypatch):
    run = trained()
    elsewhere(tmp_path, monkeypatch)
    with pytest.raises(DataError, match=r"feature\.by: the model needs the file by\.txt \(0\.0 MB, digest \w+…\): put"):
        predict(run)


def test_a_file_of_the_same_name_with_other_content_is_not_used(trained, tmp_path, monkeypatch):
    run = trained()
    elsewhere(tmp_path, monkeypatch)
    (tmp_path / "plugins/by.txt").write_text("3")
    with pytest.raises(DataError, match=r"by\.txt has other content"):
        predict(run)


def test_a_bundle_that_carries_its_file_needs_nothing_else(trained, tmp_path, monkeypatch):
    run = trained("bundle.carry=true")
    expected = predict(run)
    elsewhere(tmp_path, monkeypatch)
    assert np.array_equal(predict(run), expected)


def test_a_carried_file_must_be_the_one_that_was_trained_with(trained, tmp_path, monkeypatch):
    run = trained("bundle.carry=true")
    elsewhere(tmp_path, monkeypatch)
    change_facts(run / "model", lambda facts: facts["feature"]["files"][0].__setitem__(3, 99))
    assert predict(run) is not None
    other = "0" * 40

    def swap(facts):
        carried = next(name for name in facts["files"] if name.endswith(".txt"))
        facts["files"][f"{other}.txt"] = facts["files"].pop(carried)
        (run / "model" / carried).rename(run / f"model/{other}.txt")
        facts["feature"]["files"][0][2] = other

    change_facts(run / "model", swap)
    with pytest.raises(DataError, match=r"is not the file by\.txt that the model needs"):
        predict(run)


@pytest.mark.parametrize("name", ["../by.txt", "/etc/passwd", ""])
def test_a_name_that_points_elsewhere_is_refused(trained, name):
    run = trained()
    change_facts(run / "model", lambda facts: facts["feature"]["files"][0].__setitem__(1, name))
    with pytest.raises(DataError, match="is not the name of a file"):
        predict(run)
