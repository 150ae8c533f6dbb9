"""A run whose table is in a file gives the results of one whose table is in memory."""

import numpy as np
import pytest
from conftest import tone, write_wav

import audiofw as fw
from audiofw.evaluation import fit, large
from audiofw.learn import passes


@pytest.fixture
def clips(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for label, frequency in (("low", 200), ("high", 300)):
        for i in range(10):
            write_wav(
                tmp_path / "sounds" / label / f"{i}.wav", tone(frequency * (1 + 0.03 * i), 0.6, seed=i, noise=0.5)
            )
    return tmp_path / "sounds"


def shares(result):
    return np.array([[value for key, value in row.items() if key.startswith("p(")] for row in result.predictions])


@pytest.mark.parametrize(
    "words",
    [
        ["model=lda", "split=kfold", "split.n_splits=2", "windows.hop=0.2"],
        ["model=lda", "augmentation=waveform", "augmented_copies=1", "normalize=columns", "balance=balanced"],
        ["model=knn", "feature=mfcc+mel", "feature.join=columns", "feature.mel.n_mels=8"],
    ],
    ids=["windows", "copies", "several features"],
)
def test_a_table_in_a_file_gives_the_same_predictions(clips, words, monkeypatch):
    monkeypatch.setattr(fit, "BLOCK", 5)
    for module in (passes, large):
        monkeypatch.setattr(module, "BLOCK_BYTES", 50_000)
    quick = ["audio.duration=0.3", "report=false", "audit=false", "n_jobs=1"]
    if "+" not in "".join(words):
        quick.append("feature=mfcc")
    made = [
        fw.run([f"data.source={clips}", *quick, *words, f"max_table_gb={limit}"], path=f"run{limit}")
        for limit in (0, 0.5)
    ]
    np.testing.assert_allclose(*map(shares, made), atol=2e-6)
    assert made[0].metrics["unknown"]["lost"] == pytest.approx(made[1].metrics["unknown"]["lost"])
    assert len(made[0].model.predict([clips / "low" / "0.wav"])) == 1
