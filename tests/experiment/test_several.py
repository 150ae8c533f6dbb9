"""Runs with several features: what is extracted, cached, joined, reported, saved and predicted."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from conftest import tone, write_wav
from weighing import drop_scaled

import audiofw as fw
from audiofw.bundle.files import read_bundle
from audiofw.bundle.golden import check_golden
from audiofw.bundle.onnx.export import to_onnx
from audiofw.cache.folder import recipe_folders
from audiofw.errors import ConfigError, DataError
from audiofw.experiment.hydra_app import compose
from audiofw.extraction.table import unit_for

FEW = ["feature.mel.n_mels=8", "feature.mfcc.n_mfcc=5", "feature.mfcc.pooling=stats", "audio.duration=0.4"]
BOTH = ["feature=mel+mfcc", *FEW]


@pytest.fixture
def clips(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("AUDIOFW_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    for label, frequency in (("low", 200), ("high", 2000)):
        for i in range(8):
            write_wav(tmp_path / "sounds" / label / f"{i}.wav", tone(frequency * (1 + 0.02 * i), 0.5, seed=i))
    return tmp_path / "sounds"


def run(clips: Path, *words: str, path: str = "run"):
    quiet = [] if "report=true" in words else ["report=false"]
    words = tuple(word for word in words if word != "report=true")
    return fw.run([f"data.source={clips}", "audit=false", "n_jobs=1", *quiet, *words], path=path)


def test_columns_are_those_of_each_feature_side_by_side(clips):
    both = fw.features(clips, BOTH)
    mel = fw.features(clips, ["feature=mel", "feature.n_mels=8", "audio.duration=0.4"])
    mfcc = fw.features(clips, ["feature=mfcc", "feature.n_mfcc=5", "pooling=stats", "audio.duration=0.4"])
    assert np.array_equal(both, np.hstack([mel, mfcc]))


def test_columns_are_named_by_member():
    names = fw.feature_names(BOTH)
    mel = fw.feature_names(["feature=mel", "feature.n_mels=8", "audio.duration=0.4"])
    mfcc = fw.feature_names(["feature=mfcc", "feature.n_mfcc=5", "pooling=stats", "audio.duration=0.4"])
    assert names == [*(f"mel:{name}" for name in mel), *(f"mfcc:{name}" for name in mfcc)]


def test_a_sweep_over_combinations_extracts_nothing_twice(clips, sweep_here, tmp_path):
    words = [f"data.source={clips}", "audit=false", "report=false", "bundle=false", "audio.duration=0.4", "model=lda"]
    sweep_here(*words, "hydra.sweep.dir=sweep", "pooling=stats", "feature=mel,mfcc,mel+mfcc,mfcc+mel,mel+mfcc+ripples")
    jobs = sorted(tmp_path.glob("sweep/*/metrics.json"), key=lambda file: int(file.parent.name))
    cached = [json.loads(file.read_text())["n_from_cache"] for file in jobs]
    assert cached == [0, 0, 16, 16, 0]  # ripples are new in the last
    assert len(recipe_folders(tmp_path / "cache/features")) == 3


def test_members_of_several_rates_and_durations(clips):
    words = ["feature=mel+wide:mel", "feature.mel.n_mels=8", "feature.wide.n_mels=8", "audio.duration=0.2"]
    own = ["feature.wide.audio.sample_rate=16000", "feature.wide.audio.duration=0.4"]
    both = fw.features(clips, [*words, *own])
    wide = fw.features(clips, ["feature=mel", "feature.n_mels=8", "audio.sample_rate=16000", "audio.duration=0.4"])
    assert np.array_equal(both[:, both.shape[1] // 2 :], wide)


@pytest.mark.parametrize("join", ["average", "stack", "columns"])
def test_a_run_with_report_and_a_model_that_predicts_the_same_elsewhere(clips, join, tmp_path, monkeypatch):
    result = run(clips, *BOTH, f"feature.join={join}", "model=lda", "report=true")
    assert result.score == 1.0
    measured = json.loads(Path("run/importance.json").read_text())
    assert [name for name, _ in measured["member"]] == ["mel", "mfcc"]
    assert "By feature" in Path("run/report.html").read_text()
    files = sorted(clips.rglob("*.wav"))
    before = result.model.predict_proba(files)
    monkeypatch.setenv("AUDIOFW_CACHE", str(tmp_path / "cache2"))
    model = fw.load_model(shutil.copytree("run/model", "moved"))
    assert np.array_equal(model.predict_proba(files), before)
    assert model.predict(files).tolist() == [file.parent.name for file in files]
    facts, inside = read_bundle(Path("moved"))
    assert max(check.difference for check in check_golden(model, inside)) < 1e-6
    assert sum(facts["widths"]) == facts["columns"] == result.metrics["n_columns"]


@pytest.mark.parametrize("join", ["average", "stack", "columns"])
@pytest.mark.parametrize("model", ["lda", "vote"])
def test_its_model_is_exported(clips, join, model):
    pytest.importorskip("skl2onnx")
    members = ["model.members=[lda,logistic_regression]"] if model == "vote" else []
    loaded = run(clips, *BOTH, f"feature.join={join}", f"model={model}", *members).model
    exported = to_onnx(loaded, read_bundle(Path("run"))[1])
    assert exported.difference < 1e-4
    assert exported.relabelled == 0


def test_probabilities_are_averaged_or_columns_joined(clips):
    average, columns = (run(clips, *BOTH, f"feature.join={join}", path=join).metrics for join in ("average", "columns"))
    assert average["n_columns"] == columns["n_columns"]
    proba = [Path(f"{join}/predictions.csv").read_text() for join in ("average", "columns")]
    assert proba[0] != proba[1]


def test_a_timeline_of_windows(clips, audiofw, tmp_path):
    run(clips, *BOTH, "feature.mfcc.audio.sample_rate=16000", "model=lda")
    y = np.concatenate([tone(200, 2.0), tone(2000, 2.0)])
    write_wav(tmp_path / "long.wav", y)
    out = audiofw("predict", "run", "long.wav", "--window", "0.4", "--format", "csv").out
    assert [line.split(",")[3] for line in out.splitlines()[1:]] == ["low", "high"]


def test_windows_along_a_clip_and_augmented_copies(clips):
    words = ["windows.hop=0.1", "audio.duration=0.2", "augmentation=waveform", "augmented_copies=1", "model=lda"]
    result = run(clips, "feature=mel+mfcc", *FEW[:3], *words)
    assert result.metrics["n_columns"] == result.model.width
    assert result.model.predict(clips / "low" / "0.wav").tolist() == ["low"]


def test_robustness_changes_what_every_member_hears(clips):
    rows = run(clips, *BOTH, "robustness=true", "model=lda").metrics["robustness"]
    assert len(rows) > 5
    assert all(row["n_tested"] for row in rows)


def test_a_clip_that_one_feature_cannot_use_is_left_out(clips, tmp_path, monkeypatch):
    plugins = drop_scaled(tmp_path / "plugins")
    (plugins / "picky.py").write_text(
        "from audiofw import DataError, hookimpl\n"
        "@hookimpl\ndef register_features(register):\n    register(picky)\n"
        "def picky(y, sr):\n    'Refuses quiet clips.'\n"
        "    if 0.01 < abs(y).max() < 0.3: raise DataError('too quiet')\n    return y[None, :1000]\n"
    )
    monkeypatch.setenv("AUDIOFW_PLUGINS_PATH", str(plugins))
    write_wav(clips / "low" / "quiet.wav", 0.2 * tone(200))
    result = run(clips, "feature=mel+picky", "feature.mel.n_mels=8", "pooling=stats", "model=lda")
    assert result.metrics["n_failures"] == 1
    assert "quiet.wav" in Path("run/failures.csv").read_text()
    with pytest.raises(DataError, match="too quiet"):
        result.model.predict(clips / "low" / "quiet.wav")


def test_a_vector_shorter_than_in_training_is_padded_in_its_own_columns(clips, tmp_path):
    words = ["feature=mel+mfcc", "feature.mel.pooling=flatten", "feature.mfcc.pooling=stats", *FEW[:2], "model=lda"]
    result = run(clips, *words, "audio.duration=0.5")
    write_wav(tmp_path / "short.wav", tone(200, 0.3))
    unit = result.model.unit
    row = unit(tmp_path / "short.wav")[0]
    assert row.size == sum(unit.widths)
    alone = fw.features(tmp_path / "short.wav", ["feature=mfcc", "pooling=stats", "feature.n_mfcc=5"])[0]
    assert np.array_equal(row[unit.widths[0] :], alone)


def test_a_plan_lists_each_extraction_once(clips, audiofw):
    out = audiofw("--plan", "-m", f"data.source={clips}", "feature=mel,mel+mfcc", "model=lda", "audit=false").out
    assert out.count("mel + functionals") == 1
    assert out.count("mfcc + functionals") == 1


def test_poolings_that_learn_are_refused(tmp_path, monkeypatch, clips):
    (drop_scaled(tmp_path / "plugins") / "learned.py").write_text(
        "from audiofw import hookimpl\n"
        "@hookimpl\ndef register_poolings(register):\n    register(learned)\n"
        "def learned(seed):\n    'Learns.'\n"
    )
    monkeypatch.setenv("AUDIOFW_PLUGINS_PATH", str(tmp_path / "plugins"))
    with pytest.raises(ConfigError, match=r"feature\.mel\.pooling=learned: a pooling that is fitted on clips cannot"):
        run(clips, "feature=mel+mfcc", "feature.mel.pooling=learned")


def test_windows_need_one_duration(clips):
    with pytest.raises(ConfigError, match=r"feature\.mel\.audio\.duration=0\.3: with windows\.hop, all need the same"):
        run(clips, "feature=mel+mfcc", "feature.mel.audio.duration=0.3", "windows.hop=0.1", "audio.duration=0.2")


def test_a_unit_of_one_feature_stays_as_it_is():
    config, choices = compose(["feature=mel"])
    unit = unit_for(asdict(config.audio), asdict(config.windows), "floor", choices)
    assert unit.parts == (unit,)
