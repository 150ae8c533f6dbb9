"""normalize=group standardises each group by its own clips, without labels and inside the folds."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import tone, write_wav

import audiofw as fw
from audiofw.data.splits import Fold
from audiofw.errors import ConfigError
from audiofw.evaluation.cross_validate import cross_validate
from audiofw.evaluation.fit import Sample
from audiofw.learn.discriminant import ShrunkDiscriminant
from audiofw.learn.preprocessing import standardise_groups

RNG = np.random.default_rng(0)
GROUPS = np.repeat([f"speaker{i}" for i in range(6)], 20)
Y = np.tile([0, 1], 60)
SHIFTS = 20 * RNG.standard_normal((6, 3))
X = (RNG.standard_normal((120, 3)) + 2 * Y[:, None] + np.repeat(SHIFTS, 20, axis=0)).astype(np.float32)
FOLDS = [Fold(np.flatnonzero(g != GROUPS), np.flatnonzero(g == GROUPS)) for g in np.unique(GROUPS)]


def accuracy(**options) -> float:
    evaluation = cross_validate(lambda: ShrunkDiscriminant(0.1), FOLDS, X, Y, n_classes=2, groups=GROUPS, **options)
    return evaluation.scores["accuracy"]


def test_groups_that_are_shifted_become_comparable():
    assert accuracy(by_group=True) > 0.9 > 0.75 > accuracy()


def test_each_group_has_mean_0_and_deviation_1():
    made = standardise_groups(X, GROUPS)
    for group in np.unique(GROUPS):
        assert np.allclose(made[group == GROUPS].mean(axis=0), 0, atol=1e-5)
        assert np.allclose(made[group == GROUPS].std(axis=0), 1, atol=1e-4)


def test_only_the_rows_that_take_part_count():
    sample = Sample.of(X, Y, 2, groups=GROUPS, by_group=True)
    some = np.arange(5, 15)
    assert np.allclose(sample.take(some), standardise_groups(X[some], GROUPS[some]))
    changed = replace(sample, X=np.where(np.isin(np.arange(120), some)[:, None], X, 1e6).astype(np.float32))
    assert np.array_equal(changed.take(some), sample.take(some))


def test_shuffled_labels_stay_at_chance():
    y = RNG.permutation(Y)
    evaluation = cross_validate(lambda: ShrunkDiscriminant(0.1), FOLDS, X, y, n_classes=2, groups=GROUPS, by_group=True)
    assert 0.3 < evaluation.scores["accuracy"] < 0.7


@pytest.fixture
def speakers(tmp_path, monkeypatch) -> list[str]:
    """Record two words of four speakers, whose voices differ more than the words; returns the options."""
    monkeypatch.setenv("AUDIOFW_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    for speaker in range(4):
        for word, factor in (("a", 1.0), ("b", 1.1)):
            for i in range(5):
                y = tone(300 * 1.5**speaker * factor, 0.3, seed=10 * speaker + i)
                write_wav(tmp_path / "words" / f"{word}_s{speaker}_{i}.wav", y)
    pattern = r"data.pattern=(?P<label>\w)_(?P<group>s\d)_\d\.wav$"
    return ["data.source=words", pattern, "split=leave_one_group_out", "feature=mfcc", "pooling=stats", "audit=false"]


def test_a_run_states_the_score_without_and_saves_a_model_for_single_clips(speakers):
    with_groups = fw.run([*speakers, "model=lda", "normalize=group"], path="group")
    without = fw.run([*speakers, "model=lda", "normalize=none"], path="none")
    assert with_groups.metrics["ungrouped"]["pooled"] == without.score
    assert without.metrics["ungrouped"] is None
    assert f"Without it, accuracy is {without.score:.3f}" in Path("group/report.html").read_text()
    clips = sorted(Path("words").glob("*.wav"))
    assert np.array_equal(with_groups.model.predict_proba(clips), without.model.predict_proba(clips))
    said = json.loads(Path("group/model/bundle.json").read_text())["score"]
    assert said["value"] == without.score
    assert said["measured_on"].endswith(", without normalize=group")


def test_the_console_warns(speakers, audiofw):
    out = audiofw(*speakers, "model=lda", "normalize=group", "report=false", "hydra.run.dir=run").out
    assert "which is impossible for a single clip of a new group" in out


def test_columns_are_standardised_before_any_model(speakers):
    model = fw.run([*speakers, "model=lda", "normalize=columns", "report=false"], path="run").model
    assert model.classifier.steps[0][0] == "normalize"


def test_robustness_is_measured_with_groups_too(speakers):
    words = ["model=lda", "normalize=group", "robustness=true", "report=false"]
    metrics = fw.run([*speakers, *words], path="run").metrics
    assert metrics["robustness"][0]["value"] == metrics["value"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            [r"data.pattern=(?P<label>\w)_s\d_\d\.wav$", "split=kfold"],
            "needs the group of every clip: set data.pattern",
        ),
        (
            [r"data.pattern=(?P<label>\w)_(?P<group>s\d_\d)\.wav$", "data.include=[a]", "split=kfold"],
            "every group has a single clip",
        ),
    ],
)
def test_what_cannot_be_normalised_is_refused(speakers, words, message):
    rest = [word for word in speakers if not word.startswith(("data.pattern", "split="))]
    with pytest.raises(ConfigError, match=message):
        fw.run([*rest, "normalize=group", *words], path="run")
