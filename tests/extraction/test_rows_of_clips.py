"""Whole runs with several rows per clip, or none before the fold: windows, augmented copies, poolings that learn."""

import json
from pathlib import Path

import pytest

PLUGINS = '''
import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

from audiofw import hookimpl


@hookimpl
def register_poolings(register):
    register(loudest)


@hookimpl
def register_augmentations(register):
    register(quieter)


def loudest(seed, *, rows: int = 3):
    """The rows that are loudest in the training clips, on average over time."""
    return Loudest(rows)


class Loudest(TransformerMixin, BaseEstimator):
    def __init__(self, rows):
        self.rows = rows

    def fit(self, X, y=None):
        print("fitted on", len(X))
        self.rows_ = np.argsort(np.mean([picture.mean(axis=1) for picture in X], axis=0))[-self.rows:]
        return self

    def transform(self, X):
        return np.array([picture[self.rows_].mean(axis=1) for picture in X])


def quieter(y, sr, rng, *, most: float = 20.0):
    """A lower level, by chance."""
    return y * np.float32(10 ** (-rng.uniform(0, most) / 20))
'''
QUICK = ("feature=mfcc", "report=false", "audit=false", "bundle=false", "n_jobs=1")


@pytest.fixture
def plugins(tmp_path):
    folder = tmp_path / "plugins"
    folder.mkdir()
    (folder / "several.py").write_text(PLUGINS)
    return f"--plugins-dir={folder}"


def metrics() -> dict:
    (file,) = Path("outputs").rglob("metrics.json")
    return json.loads(file.read_text())


def test_windows_of_a_clip_are_trained_on_and_the_clip_is_scored(audiofw, sounds):
    source = sounds(clips=6, seconds=1.0)
    outcome = audiofw(f"data.source={source}", "audio.duration=0.4", "windows.hop=0.2", "split=kfold", *QUICK)
    assert outcome.code == 0, outcome.err
    assert metrics()["n_tested"] == metrics()["n_clips"] == 12
    assert metrics()["value"] > 0.9


def test_a_flawless_run_says_how_little_that_may_mean(audiofw, sounds):
    outcome = audiofw(f"data.source={sounds(clips=10)}", "split=kfold", *QUICK)
    assert metrics()["value"] == 1
    assert "With 20 test clips, that is still compatible with an accuracy of 0.832" in outcome.out


def test_a_pooling_that_learns_is_fitted_on_the_training_clips_of_each_fold(audiofw, sounds, plugins):
    source = sounds(clips=6)
    outcome = audiofw(plugins, f"data.source={source}", "pooling=loudest", "split=kfold", "split.n_splits=3", *QUICK)
    assert outcome.code == 0, outcome.err
    assert outcome.out.count("fitted on 8\n") == 3
    assert metrics()["n_columns"] == 3


def test_copies_are_trained_on_and_never_tested(audiofw, sounds, plugins):
    source = sounds(clips=6)
    words = ("pooling=loudest", "augmentation=quieter", "augmented_copies=2", "split=kfold", "split.n_splits=3")
    outcome = audiofw(plugins, f"data.source={source}", *words, *QUICK)
    assert outcome.code == 0, outcome.err
    assert outcome.out.count("fitted on 24\n") == 3  # 8 clips with two copies each
    assert metrics()["n_tested"] == 12


@pytest.mark.parametrize(("words", "fitted"), [([], 32), (["augmented_copies=0"], 8), (["augmentation=null"], 8)])
def test_there_are_three_copies_where_it_is_only_said_how(audiofw, sounds, plugins, words, fitted):
    augmentation = [] if "augmentation=null" in words else ["augmentation=quieter"]
    words = [
        f"data.source={sounds(clips=6)}",
        "pooling=loudest",
        *augmentation,
        *words,
        "split=kfold",
        "split.n_splits=3",
    ]
    outcome = audiofw(plugins, *words, *QUICK)
    assert outcome.code == 0, outcome.err
    assert outcome.out.count(f"fitted on {fitted}\n") == 3


RECIPE = """
# @package _global_
defaults:
  - override /augmentation: waveform

augmentation: {speed: 0.2}
augmented_copies: 1
"""


def test_null_takes_a_recipes_augmentation_off(audiofw, sounds):
    Path("mine/experiment").mkdir(parents=True)
    Path("mine/experiment/faster.yaml").write_text(RECIPE)
    words = [f"data.source={sounds(clips=6)}", "+experiment=faster", "hydra.run.dir=run", *QUICK]
    words = ["--config-dir", "mine", *words]
    assert audiofw(*words).code == 0
    assert "waveform" in Path("run/config.yaml").read_text()
    outcome = audiofw(*words, "augmentation=null", "augmented_copies=0")
    assert outcome.code == 0, outcome.err
    assert "waveform" not in Path("run/config.yaml").read_text()


def test_copies_without_an_augmentation_are_refused(audiofw, sounds):
    outcome = audiofw(f"data.source={sounds(clips=6)}", "augmented_copies=2", *QUICK)
    assert outcome.code == 2
    assert "augmented_copies=2 needs an augmentation" in outcome.err
