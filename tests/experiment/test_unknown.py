"""Sounds of no class: measured in a run, saved with its model, and rejected by prediction."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from conftest import tone, write_wav

import audiofw as fw
from audiofw.errors import ConfigError
from audiofw.serve.service import Service, UploadLimits

WORDS = ["feature=mfcc", "pooling=stats", "audio.duration=0.6", "split=kfold", "audit=false", "n_jobs=1"]
UNKNOWN = ["--unknown", "0.05"]


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> Path:
    """Tones of two pitches, and clicks that belong to neither."""
    folder = tmp_path_factory.mktemp("clips")
    for label, frequency in {"high": 3000, "low": 300}.items():
        for i in range(20):
            write_wav(folder / "tones" / label / f"{i}.wav", tone(frequency * (1 + 0.02 * i), 0.6, seed=i))
    for i in range(6):
        y = np.zeros(13_230)
        y[:: 1500 + 200 * i] = 0.9
        write_wav(folder / "clicks" / f"{i}.wav", y)
    return folder


@pytest.fixture(scope="module")
def run(clips):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUDIOFW_CACHE", str(clips / "cache"))
        words = [f"data.source={clips / 'tones'}", f"unknown.source={clips / 'clicks'}", "model=lda", *WORDS]
        return fw.run(words, path=clips / "run")


def test_a_run_says_what_its_model_answers_to_sounds_of_no_class(run, clips):
    unknown = run.metrics["unknown"]
    rows = {row["sound"]: row for row in unknown["sounds"]}
    assert set(rows) == {"white noise", "pink noise", "hum", "silence"}
    assert sum(rows["white noise"]["answers"].values()) == 2
    assert rows["silence"]["n_used"] == 0  # refused, as in prediction
    assert unknown["n_known"] == 40
    assert 0 <= unknown["lost"] <= 0.15
    foreign = unknown["foreign"]
    assert (foreign["n"], foreign["n_used"]) == (6, 6)
    assert foreign["auroc"] > 0.95
    assert foreign["accepted"] < 0.2
    page = (run.path / "report.html").read_text()
    assert "Sounds of no class" in page
    assert "clicks" in page


def test_silence_is_asked_about_where_the_run_keeps_it(clips, monkeypatch):
    words = [f"data.source={clips / 'tones'}", "audio.silence=keep", "model=lda", "report=false", *WORDS]
    unknown = fw.run(words, path=clips / "kept").metrics["unknown"]
    assert unknown["sounds"][-1]["n_used"] == 1


def test_python_rejects_and_ranks_by_typicality(run, clips):
    files = [*sorted((clips / "tones").rglob("*.wav")), *sorted((clips / "clicks").iterdir())]
    labels = run.model.predict(files, unknown=0.05)
    assert (labels[40:] == "unknown").mean() > 0.8
    assert (labels[:40] == "unknown").mean() <= 0.05
    assert "unknown" not in run.model.predict(files)
    typical = run.model.typicality(files)
    assert typical[40:].max() < np.median(typical[:40])


def test_the_command_line_answers_unknown_and_gives_the_typicality(run, clips, audiofw):
    outcome = audiofw("predict", str(run.path), str(clips / "clicks"), str(clips / "tones/low/3.wav"), *UNKNOWN)
    rows = list(csv.DictReader(outcome.out.splitlines()))
    assert [row["predicted"] for row in rows] == ["unknown"] * 6 + ["low"]
    assert all(float(row["typicality"]) <= 0.05 for row in rows[:6])
    plain = audiofw("predict", str(run.path), str(clips / "clicks")).out
    assert "typicality" not in plain
    assert "unknown" not in plain


def test_stretches_unlike_the_training_clips_become_unknown(run, clips, audiofw, tmp_path):
    y = np.concatenate([tone(310, 1.2), np.resize(np.eye(1, 1700)[0] * 0.9, 26_460)])
    write_wav(tmp_path / "long.wav", y)
    outcome = audiofw("predict", str(run.path), "long.wav", "--window", "0.6", *UNKNOWN)
    rows = list(csv.DictReader(outcome.out.splitlines()))
    assert [row["label"] for row in rows] == ["low", "unknown"]
    assert float(rows[0]["end"]) == pytest.approx(1.2)


@pytest.mark.parametrize(
    ("share", "reason"),
    [("0.001", "needs 999 test clips, and the run has tested 40"), ("0", "between 0 and 1"), ("1", "between 0 and 1")],
)
def test_a_share_that_cannot_be_kept_is_refused(run, clips, audiofw, share, reason):
    for more in ([], ["--window", "0.6"]):
        outcome = audiofw("predict", str(run.path), str(clips / "clicks"), "--unknown", share, *more)
        assert outcome.code == 2
        assert reason in outcome.err


def test_verify_notices_another_distance(run, audiofw, tmp_path):
    import shutil

    from bundles import rewrite

    bundle = Path(shutil.copytree(run.path / "model", tmp_path / "model"))
    assert audiofw("verify", str(bundle)).code == 0
    golden = json.loads((bundle / "golden.json").read_text())
    golden[0]["distance"] += 0.01
    rewrite(bundle, "golden.json", json.dumps(golden).encode())
    outcome = audiofw("verify", str(bundle))
    assert outcome.code == 1
    assert "DIFFERENT" in outcome.out


@pytest.fixture
def ignorant(clips, tmp_path):
    words = [f"data.source={clips / 'tones'}", "model=lda", "unknown=false", "report=false", *WORDS]
    return fw.run(words, path=tmp_path / "ignorant")


def test_a_run_can_do_without(ignorant, clips, audiofw):
    assert ignorant.metrics["unknown"] is None
    outcome = audiofw("predict", str(ignorant.path), str(clips / "clicks"), *UNKNOWN)
    assert outcome.code == 2
    assert "train again, with unknown=true" in outcome.err
    with pytest.raises(ConfigError, match="train again"):
        ignorant.model.typicality(clips / "clicks/0.wav")
    assert audiofw("verify", str(ignorant.path)).code == 0


@pytest.mark.parametrize("model", ["knn", "lightgbm"])
def test_scores_do_not_depend_on_it_and_every_model_has_it(clips, tmp_path, model):
    words = [f"data.source={clips / 'tones'}", f"model={model}", "report=false", *WORDS]
    with_it, without = (fw.run([*words, f"unknown={on}"], path=tmp_path / on) for on in ("true", "false"))
    assert with_it.metrics["scores"] == without.metrics["scores"]
    assert with_it.model.typicality(clips / "tones/low/0.wav")[0] > 0.05


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["unknown.source=nowhere"], "unknown.source=nowhere: no such file or folder"),
        (["unknown.source=.", "unknown.enabled=false"], "not with unknown.enabled=false"),
    ],
)
def test_a_source_that_cannot_be_measured_is_refused_before_any_work(clips, audiofw, words, reason):
    outcome = audiofw(f"data.source={clips / 'tones'}", *words)
    assert outcome.code == 2
    assert reason in outcome.err
    assert "Traceback" not in outcome.err


def test_foreign_recordings_that_cannot_be_used_are_counted(clips, tmp_path):
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign/broken.wav").write_bytes(b"RIFF")
    words = [f"data.source={clips / 'tones'}", f"unknown.source={tmp_path / 'foreign'}", "model=lda", *WORDS]
    foreign = fw.run(words, path=tmp_path / "run").metrics["unknown"]["foreign"]
    assert (foreign["n"], foreign["n_used"], foreign["accepted"]) == (1, 0, None)


def test_several_labels_are_rejected_by_distance(clips, tmp_path):
    words = [f"data.source={clips / 'tones'}", "task=multilabel", "model=lda", "report=false", *WORDS]
    model = fw.run(words, path=tmp_path / "run").model
    assert model.reference.confidences == []
    files = [clips / "tones/low/3.wav", *sorted((clips / "clicks").iterdir())]
    labels = model.predict(files, unknown=0.05)
    assert labels[0] == "low"
    assert (labels[1:] == "unknown").mean() > 0.8


def test_a_service_answers_unknown(run, clips):
    service = Service(run.model, UploadLimits(unknown=0.05))
    service.warm()
    strange, known = service(clips / "clicks/0.wav"), service(clips / "tones/low/3.wav")
    assert (strange.label, known.label) == ("unknown", "low")
    assert strange.likeliest in ("high", "low")
    assert strange.typicality <= 0.05 < known.typicality
    with pytest.raises(ConfigError, match="needs 999 test clips"):
        Service(run.model, UploadLimits(unknown=0.001)).warm()
