"""A saved model is scored on recordings that it was not trained on, and copies of its training clips are found."""

import json
import os
import shutil
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import soundfile
from bundles import change_facts, copy_of, rewrite
from conftest import tone, write_wav

import audiofw as fw
from audiofw.api import RunResult
from audiofw.errors import AudiofwError, ConfigError, DataError
from audiofw.experiment.evaluation import config_of
from audiofw.leaderboard.runs import read_runs
from audiofw.system.spreadsheet import read_records

SR = 16000
FREQUENCIES = {"low": 200, "mid": 900, "high": 4000}
QUICK = ["n_jobs=1", "report=false", "feature=mfcc", "pooling=stats", "model=lda"]


def chirps(frequency: float, seed: int) -> np.ndarray:
    """Make a sound with enough change for a fingerprint: short tones and pauses at random."""
    rng = np.random.default_rng(seed)
    parts = [tone(frequency * rng.uniform(0.8, 1.2), rng.uniform(0.03, 0.1), SR, 0.1, seed + i) for i in range(40)]
    return np.concatenate([part * rng.uniform(0.1, 1) for part in parts])[: 2 * SR]


def make(folder: Path, clips: range, **frequencies: float) -> Path:
    for label, frequency in (frequencies or FREQUENCIES).items():
        for i in clips:
            write_wav(folder / label / f"{i}.wav", chirps(frequency, 1000 * i + int(frequency)), SR)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("evaluate")
    make(folder / "sounds", range(10))
    with patch.dict(os.environ, {"AUDIOFW_CACHE": str(folder / "cache")}):
        fw.run([f"data.source={folder / 'sounds'}", *QUICK], path=folder / "run")
    return folder


@pytest.fixture(scope="module")
def fresh(folder) -> Path:
    return make(folder / "fresh", range(20, 26))


def evaluate(folder: Path, source: Path, path: Path, *words: str) -> RunResult:
    return fw.evaluate(folder / "run", source, ["report=false", "n_jobs=1", *words], path=path)


def findings(result) -> dict[str, dict]:
    return {one["kind"]: one for one in result.metrics["audit"]}


def test_new_recordings_are_scored_with_intervals(folder, fresh, tmp_path):
    result = evaluate(folder, fresh, tmp_path / "out")
    model, metrics = fw.load_model(folder / "run"), result.metrics
    files = sorted(fresh.rglob("*.wav"))
    right = np.mean(model.predict(files) == [file.parent.name for file in files])
    assert metrics["scores"]["accuracy"]["pooled"] == right == result.score
    low, high = metrics["scores"]["accuracy"]["interval"]
    assert low <= right <= high
    assert metrics["n_tested"] == len(files) == 18
    assert metrics["baseline"]["accuracy"] == pytest.approx(1 / 3)
    assert metrics["audit"] == []
    np.testing.assert_allclose(
        [row["p(low)"] for row in result.predictions], model.predict_proba(files)[:, 1], atol=1e-5
    )
    assert metrics["confidence"]["sets"]["coverage"] == 0.9


def test_prediction_sets_are_those_of_the_model(folder, fresh, tmp_path):
    sets = evaluate(folder, fresh, tmp_path / "out").metrics["confidence"]["sets"]
    files = sorted(fresh.rglob("*.wav"))
    given = fw.load_model(folder / "run").predict_set(files, coverage=0.9)
    assert sets["mean_size"] == pytest.approx(np.mean([len(labels) for labels in given]))
    held = [file.parent.name in labels for file, labels in zip(files, given, strict=True)]
    assert sets["measured"] == pytest.approx(np.mean(held))


def test_copies_of_training_clips_are_found_whatever_their_names_and_formats(folder, fresh, tmp_path):
    test = Path(shutil.copytree(fresh, tmp_path / "test"))
    shutil.copy(folder / "sounds/low/3.wav", test / "low/new.wav")
    y, sr = soundfile.read(folder / "sounds/mid/4.wav")
    soundfile.write(test / "mid/louder.ogg", 0.5 * y, sr)
    result = evaluate(folder, test, tmp_path / "out")
    assert findings(result)["identical"]["files"] == ["low/new.wav"]
    assert "low/new.wav and low/3.wav" in findings(result)["identical"]["message"]
    assert findings(result)["near-duplicate"]["files"] == ["mid/louder.ogg"]
    assert {one["severity"] for one in result.metrics["audit"]} == {"warning"}
    with pytest.raises(DataError, match="audit: 1 of 20 test clips is equal to a training clip"):
        evaluate(folder, test, tmp_path / "again", "audit=raise")


def test_a_bundle_alone_knows_its_training_clips(folder, tmp_path):
    shutil.copytree(folder / "run/model", tmp_path / "model")
    (tmp_path / "test/low").mkdir(parents=True)
    shutil.copy(folder / "sounds/low/3.wav", tmp_path / "test/low")
    result = fw.evaluate(tmp_path / "model", tmp_path / "test", ["report=false"], path=tmp_path / "out")
    assert "identical" in findings(result)


def test_another_label_of_the_same_sound_is_a_contradiction(folder, fresh, tmp_path):
    test = Path(shutil.copytree(fresh, tmp_path / "test"))
    shutil.copy(folder / "sounds/low/3.wav", test / "high/new.wav")
    found = findings(evaluate(folder, test, tmp_path / "out"))
    assert found["contradiction"]["message"].endswith("high/new.wav (high) and low/3.wav (low)")


def test_groups_of_the_training_clips_are_found(tmp_path, folder):
    words = [f"data.source={folder / 'sounds'}", r"data.pattern=(?P<group>\d+)\.wav", *QUICK]
    fw.run(words, path=tmp_path / "run")
    test = make(tmp_path / "test", range(9, 11))
    result = fw.evaluate(tmp_path / "run", test, ["report=false"], path=tmp_path / "out")
    assert findings(result)["source"]["files"] == ["high/9.wav", "low/9.wav", "mid/9.wav"]
    assert result.metrics["interval_over"] == "groups"


def test_a_run_without_an_audit_says_that_copies_are_not_found(tmp_path, folder, fresh):
    fw.run([f"data.source={folder / 'sounds'}", "audit=false", *QUICK], path=tmp_path / "run")
    result = fw.evaluate(tmp_path / "run", fresh, ["report=false"], path=tmp_path / "out")
    (finding,) = result.metrics["audit"]
    assert "were not measured" in finding["message"]
    assert finding["severity"] == "note"


def test_classes_that_the_model_does_not_know_are_told_and_not_scored(folder, fresh, tmp_path, audiofw):
    test = make(Path(shutil.copytree(fresh, tmp_path / "test")), range(2), owl=2000)
    outcome = audiofw("evaluate", str(folder / "run"), str(test), "report=false", "-o", "out")
    assert outcome.code == 0, outcome.err
    assert "does not know 1 class of the test set: owl (2 clips: " in outcome.out
    metrics = json.loads(Path("out/metrics.json").read_text())
    assert metrics["n_tested"] == 18
    (row,) = metrics["evaluated"]["unknown_classes"]
    assert sum(row["answers"].values()) == row["clips"] == 2


def test_the_report_is_written_and_written_again(folder, fresh, audiofw):
    outcome = audiofw("evaluate", str(folder / "run"), str(fresh), "report.audio=false", "-o", "out")
    assert outcome.code == 0, outcome.err
    page = Path("out/report.html").read_text()
    assert "a test set for the saved model of" in page
    assert audiofw("report", "out", "--no-audio").code == 0
    assert Path("out/report.html").read_text().count("<section") == page.count("<section")


def test_an_evaluation_is_not_a_run_of_a_leaderboard(folder, fresh, tmp_path):
    evaluate(folder, fresh, tmp_path / "runs/out")
    shutil.copytree(folder / "run", tmp_path / "runs/run")
    assert [run.folder.name for run in read_runs([tmp_path / "runs"])] == ["run"]


def test_several_labels_are_scored(tmp_path, folder):
    rows = ["file_name,label"]
    for label in FREQUENCIES:
        rows += [f"{label}/{i}.wav,{label}{';mid' if i % 3 == 0 and label != 'mid' else ''}" for i in range(10)]
    (folder / "sounds/several.csv").write_text("\n".join(rows))
    fw.run([f"data.source={folder / 'sounds/several.csv'}", "task=multilabel", *QUICK], path=tmp_path / "run")
    rows = ["file_name,label", "low/1.wav,low;owl", "mid/2.wav,mid", "high/3.wav,high;mid", "high/4.wav,"]
    (folder / "sounds/test.csv").write_text("\n".join(rows))
    source = folder / "sounds/test.csv"
    result = fw.evaluate(tmp_path / "run", source, ["report=false"], path=tmp_path / "out")
    assert result.metrics["task"] == "multilabel"
    assert result.metrics["evaluated"]["unknown_classes"] == [{"class": "owl", "clips": 1, "answers": {}}]
    assert [row["label"] for row in result.predictions] == ["high;mid", "", "low", "mid"]
    assert len(findings(result)["identical"]["files"]) == 4


@pytest.mark.parametrize(
    ("words", "code", "reason"),
    [
        (["RUN", "missing"], 1, "data.source: no such file or folder: missing"),
        (["RUN", "empty"], 1, "empty; use a folder or archive"),
        (["RUN", "strangers"], 1, "none of these labels is a class of the model: owl; its classes: high, low, mid"),
        (["nothing", "strangers"], 1, "nothing: no such file or folder; give a run's folder"),
        (["empty", "strangers"], 1, "empty: no model found; give a run's folder"),
        (["RUN"], 2, "the following arguments are required: SOURCE"),
        (["RUN", "strangers", "model=svm"], 2, "model=svm: not an option of an evaluation"),
        (["RUN", "strangers", "data.source=x"], 2, "data.source=x: not an option of an evaluation"),
        (["RUN", "strangers", "more"], 2, "more: not an option of an evaluation"),
        (["RUN", "strangers", "data.patern=x"], 2, "data.patern"),
        (["RUN", "strangers", "score=nothing"], 2, "score=nothing: unknown score"),
        (["RUN", "strangers", "-o", "."], 2, ".: contains "),
    ],
)
def test_what_cannot_be_evaluated_is_one_line(folder, audiofw, words, code, reason):
    Path("empty").mkdir()
    make(Path("strangers"), range(1), owl=2000)
    outcome = audiofw("evaluate", *[str(folder / "run") if word == "RUN" else word for word in words])
    assert outcome.code == code, outcome.err
    assert reason in outcome.err
    assert outcome.err.count("\n") == 1


def test_a_folder_of_an_evaluation_is_used_again_but_nothing_else(folder, fresh, tmp_path):
    evaluate(folder, fresh, tmp_path / "out")
    evaluate(folder, fresh, tmp_path / "out", "data.limit=2")
    assert len(list(read_records((tmp_path / "out/predictions.csv").open()))) == 6
    (tmp_path / "out/mine.txt").touch()
    with pytest.raises(ConfigError, match=r"contains mine.txt"):
        evaluate(folder, fresh, tmp_path / "out")


def test_a_score_below_the_least_is_the_exit_code(folder, fresh, audiofw):
    outcome = audiofw("evaluate", str(folder / "run"), str(fresh), "report=false", "min_score=2", "-o", "out")
    assert outcome.code == 3
    assert Path("out/metrics.json").is_file()


def test_damaged_facts_about_the_training_clips_are_one_line(folder, fresh, tmp_path):
    for broken in (b"[[1, 2]]", b"{}{", b'[["a", "b", null, null, 1000000]]'):
        bundle = copy_of(folder / "run", tmp_path / str(len(broken)))
        rewrite(bundle, "training.json", broken)
        with pytest.raises(AudiofwError, match=r"training.json is damaged"):
            fw.evaluate(bundle, fresh, path=tmp_path / "out")


@pytest.mark.parametrize(
    ("reading", "error", "reason"),
    [
        ({"pattern": 5}, ConfigError, "data.pattern"),
        ({"columns": 5}, DataError, "bundle.json is damaged"),
        ({"columns": {"strange": "x"}}, ConfigError, "strange"),
        (5, DataError, "bundle.json is damaged"),
    ],
)
def test_a_strangers_bundle_sets_only_how_labels_are_read(folder, fresh, tmp_path, reading, error, reason):
    bundle = copy_of(folder / "run", tmp_path)
    change_facts(bundle, lambda facts: facts.update(reading=reading))
    with pytest.raises(error, match=reason):
        fw.evaluate(bundle, fresh, path=tmp_path / "out")


def test_a_strangers_bundle_cannot_name_other_recordings(folder, fresh, tmp_path):
    facts = json.loads((folder / "run/model/bundle.json").read_text())
    facts["reading"] |= {"source": "/etc", "annotations": "/etc/*", "skip": "/etc/passwd"}
    config = config_of(facts, str(fresh), [])
    assert (config.data.source, config.data.annotations, config.data.skip) == (str(fresh), None, None)
