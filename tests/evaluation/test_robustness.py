"""Augmented copies are used only for training; degraded test clips only for testing."""

import json
import re
import textwrap
from pathlib import Path

import numpy as np
import pytest
from conftest import write_wav

from audiofw.audio.effects import band_limited
from audiofw.config.overrides import take_plugin_folders
from audiofw.errors import DataError
from audiofw.evaluation import changes
from audiofw.evaluation.changes import CHANGES
from audiofw.experiment.hydra_app import run_app

PLUGINS = """
    import json, os
    import numpy as np
    from audiofw import hookimpl

    @hookimpl
    def register_features(register):
        register(level)

    def level(y, sr):
        "The level of a clip, which tells the clip."
        if np.abs(y).max() > 200:
            raise ValueError("much too loud")
        return np.sqrt(np.mean(np.asarray(y, float) ** 2)).reshape(1, 1)

    @hookimpl
    def register_augmentations(register):
        register(louder)

    def louder(y, sr, rng):
        "A hundred times as loud: every copy is louder than any clip."
        return 100 * y

    @hookimpl
    def register_models(register):
        register(stump)

    def stump(seed):
        "A tree of one split, which writes down what it is shown."
        from sklearn.tree import DecisionTreeClassifier

        class Stump(DecisionTreeClassifier):
            def fit(self, X, y, **options):
                self.note("fit", X)
                return super().fit(X, y, **options)

            def predict(self, X):
                self.note("predict", X)
                return super().predict(X)

            def note(self, what, X):
                with open("seen.jsonl", "a") as file:
                    file.write(json.dumps([what, X[:, 0].round(4).tolist()]) + "\\n")

        return Stump(max_depth=1, random_state=seed)
"""


@pytest.fixture
def levels(tmp_path):
    """Write eight quiet and eight loud clips with different levels, and the plugins that use the level."""
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins/level.py").write_text(textwrap.dedent(PLUGINS))
    for i in range(8):
        hiss = np.random.default_rng(i).standard_normal(8000).astype(np.float32)
        hum = (1 + i / 100) * band_limited(hiss, 22050, 6000)
        write_wav(tmp_path / f"sounds/quiet/{i}.wav", 0.02 * hum)
        write_wav(tmp_path / f"sounds/loud/{i}.wav", 0.2 * hum)
    return tmp_path


WORDS = (
    "--plugins-dir",
    "plugins",
    "data.source=sounds",
    "feature=level",
    "pooling=stats",
    "model=stump",
    "split=kfold",
    "split.n_splits=4",
    "audit=false",
    "report=false",
    "bundle=false",
    "n_jobs=1",
)


def seen(folder: Path) -> list[tuple[str, list[float]]]:
    return [tuple(json.loads(line)) for line in (folder / "seen.jsonl").read_text().splitlines()]


def metrics(folder: Path) -> dict:
    (file,) = folder.rglob("metrics.json")
    return json.loads(file.read_text())


def test_copies_of_training_clips_are_fitted_on_and_no_other(audiofw, levels):
    outcome = audiofw(*WORDS, "augmentation=louder", "augmented_copies=2", "unknown=false")
    assert outcome.code == 0, outcome.err
    pairs = seen(levels)
    assert [what for what, _ in pairs] == ["fit", "predict"] * 4
    for (_, fitted), (_, predicted) in zip(pairs[::2], pairs[1::2], strict=True):
        clips, copies = (np.sort([level for level in fitted if (level > 1) == loud]) for loud in (False, True))
        assert (len(clips), len(predicted)) == (12, 4)
        np.testing.assert_allclose(copies, np.repeat(100 * clips, 2), rtol=0.01)
        assert not set(predicted) & set(fitted)


def test_each_change_is_scored_by_the_models_as_they_are(audiofw, levels):
    outcome = audiofw(*WORDS, "robustness=true")
    assert outcome.code == 0, outcome.err
    table = metrics(levels)["robustness"]
    assert [row["change"] for row in table] == ["none", *CHANGES]
    values = {row["change"]: row["value"] for row in table}
    assert values.pop("12 dB quieter") == 0.5  # the loud clips are classified as quiet
    assert set(values.values()) == {1.0}  # the others do not change the level
    assert {row["n_tested"] for row in table} == {16}
    (quieter,) = (row for row in table if row["change"] == "12 dB quieter")
    assert 0.2 < quieter["interval"][0] < 0.5 < quieter["interval"][1] < 0.8
    assert [what for what, _ in seen(levels)].count("fit") == 4
    assert "change to the test clips" in outcome.out
    assert "12 dB quieter" in outcome.out


def test_clips_that_cannot_be_changed_are_left_out_of_that_row_alone(audiofw, levels, monkeypatch):
    def picky(y, sr, rng):
        if np.abs(y).max() > 0.2:
            raise DataError("too loud")
        return y

    def broken(y, sr, rng):
        raise DataError("no")

    changes = {"picky": picky, "broken": broken}
    monkeypatch.setattr("audiofw.evaluation.changes.CHANGES", changes)
    outcome = audiofw(*WORDS, "robustness=true")
    assert outcome.code == 1
    assert "robustness: no score for broken" in outcome.err
    assert metrics(levels)["robustness"][1:] == [
        {"change": "picky", "value": 1.0, "interval": pytest.approx([0.025 ** (1 / 8), 1.0]), "n_tested": 8},
        {"change": "broken", "value": None, "interval": None, "n_tested": 0},
    ]
    assert "robustness: picky: 8 clips left out, loud/0.wav the first" in outcome.err
    assert "robustness: broken: " in outcome.err


@pytest.fixture
def two_changes(monkeypatch):
    """Try only two changes, where any will do."""
    monkeypatch.setattr(changes, "CHANGES", dict(list(CHANGES.items())[:2]))


def test_a_plugins_bug_on_a_changed_clip_ends_the_run_and_a_bug_in_a_change_is_a_traceback(
    audiofw, levels, monkeypatch
):
    def loudest(y, sr, rng):
        return 1000 * y

    def broken(y, sr, rng):
        raise ZeroDivisionError("ours")

    monkeypatch.setattr("audiofw.evaluation.changes.CHANGES", {"loudest": loudest})
    outcome = audiofw(*WORDS, "robustness=true", "hydra.run.dir=plugin")
    assert outcome.code == 1
    assert re.search(r"audiofw: feature=level: \S+/0\.wav: level\.py:\d+: ValueError: much too loud", outcome.err)
    monkeypatch.setattr("audiofw.evaluation.changes.CHANGES", {"broken": broken})
    with pytest.raises(ZeroDivisionError, match="ours"):
        audiofw(*WORDS, "robustness=true", "hydra.run.dir=ours")


def test_the_table_is_the_same_from_the_cache_and_the_scores_are_those_without_it(audiofw, levels, two_changes):
    def run(*words: str) -> dict:
        assert audiofw(*WORDS, f"hydra.run.dir=runs/{len(list(levels.glob('runs/*')))}", *words).code == 0
        return metrics(max(levels.glob("runs/*")))

    plain, cold, warm = run(), run("robustness=true"), run("robustness=true")
    assert plain["robustness"] == []
    assert cold["robustness"] == warm["robustness"]
    assert plain["scores"] == cold["scores"]


def test_a_sweep_does_not_take_over_a_run_that_lacks_the_table(levels, two_changes, monkeypatch):
    monkeypatch.chdir(levels)
    assert run_app(take_plugin_folders(["-m", *WORDS, "hydra.sweep.dir=swept", "robustness=false,true"])) == 0
    without, with_it = (metrics(levels / "swept" / number)["robustness"] for number in "01")
    assert (len(without), len(with_it)) == (0, 1 + len(changes.CHANGES))


def test_a_plan_counts_the_changed_clips_that_are_tested(audiofw, levels):
    outcome = audiofw(*(word for word in WORDS if "split" not in word), "robustness=true", "--plan")
    assert outcome.code == 0, outcome.err
    (line,) = (line for line in outcome.out.splitlines() if "12 dB quieter" in line)
    assert line.split("12 dB quieter 1")[1].split()[:4] == ["1", "4", "0", "4"]
