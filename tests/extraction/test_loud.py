"""Samples far beyond full scale: features as for others, or the clip's own error, and never a RuntimeWarning."""

import numpy as np
import pytest
import soundfile
from conftest import tone

from audiofw.audio.load import LOUDEST
from audiofw.errors import DataError
from audiofw.experiment.hydra_app import compose
from audiofw.extraction.table import units_of

FEATURES = ["ripples", "mel", "mfcc", "stft", "descriptors"]  # RuntimeWarnings are errors in all tests


def write(path, scale, sr=22050, subtype="DOUBLE"):
    soundfile.write(path, scale * np.clip(tone(440, 0.5, sr), -1, 1), sr, subtype=subtype)
    return path


@pytest.mark.parametrize("feature", FEATURES)
@pytest.mark.parametrize("pooling", ["functionals", "stats", "flatten"])
@pytest.mark.parametrize("extra", [[], ["audio.sample_rate=8000"], ["audio.trim=30"], ["augmentation=waveform"]])
def test_loud_samples_are_used_or_refused(tmp_path, feature, pooling, extra):
    config, choices = compose([f"feature={feature}", f"pooling={pooling}", *extra])
    for unit in units_of(config, choices)[-1:]:
        assert np.isfinite(unit(write(tmp_path / "a.wav", 0.9 * LOUDEST))).all()
        for scale in (1e15, 1e20, 1e30, 3e38):
            with pytest.raises(DataError, match=r"contains samples of up to .*, where full scale is 1"):
                unit(write(tmp_path / "b.wav", scale, 16000))
        with pytest.raises(DataError, match="contains NaN or infinite samples"):
            unit(write(tmp_path / "c.wav", 1e308))


@pytest.fixture
def mixed(sounds, tmp_path):
    folder = sounds(clips=6, seconds=0.5)
    for i, scale in enumerate((1e11, 1e30, 3e38, 1e308)):
        write(folder / "low" / f"huge{i}.wav", scale)
    return folder


def test_a_run_lists_them_as_failures(audiofw, mixed, tmp_path):
    words = ["feature=mel", "pooling=stats", "model=lda", "robustness=true", "bundle.refit=true", "hydra.run.dir=run"]
    outcome = audiofw(f"data.source={mixed}", *words)
    assert outcome.code == 0, outcome.err
    assert "RuntimeWarning" not in outcome.err
    failures = (tmp_path / "run/failures.csv").read_text()
    assert failures.count("contains samples of up to") == 2
    assert failures.count("contains NaN or infinite samples") == 1
    assert audiofw("audit", f"data.source={mixed}").code == 0


@pytest.mark.parametrize("channels", [1, 2])
def test_a_timeline_says_which_part_is_too_loud(audiofw, mixed, tmp_path, channels):
    assert audiofw(f"data.source={mixed}", "feature=mel", "pooling=stats", "model=lda", "hydra.run.dir=run").code == 0
    y = np.tile(tone(200, 0.5), 6)
    y[22050:33075] *= 1e30
    soundfile.write("long.wav", np.stack([y] * channels, axis=1), 22050, subtype="DOUBLE")
    outcome = audiofw("predict", "run", "long.wav", "--window", "0.5")
    assert outcome.code == 1
    assert outcome.err == ""
    rows = [row for row in outcome.out.splitlines() if "contains samples of up to" in row]
    assert [row.split(",")[1:3] for row in rows] == [["1.0", "1.5"]]
