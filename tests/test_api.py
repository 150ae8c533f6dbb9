"""The Python interface does what the commands do, and heavy libraries are imported lazily."""

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from bundles import QUICK, make_sounds
from conftest import tone, write_wav

import audiofw as fw
from audiofw.leaderboard.runs import read_predictions, read_runs
from audiofw.report.facts import read_run_facts


@pytest.fixture
def folder(tmp_path) -> Path:
    return make_sounds(tmp_path / "sounds", clips=6)


@pytest.fixture
def quick(folder) -> list[str]:
    return [f"data.source={folder}", "audio.duration=0.6", *QUICK]


def test_a_run_gives_what_its_folder_holds(quick, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    result = fw.run([*quick, "feature=mfcc", "model=xgboost"])
    assert result.path.parts[0] == "outputs"
    assert (result.path / "result.json").is_file()
    assert result.metrics["scores"]["accuracy"]["pooled"] == result.score
    assert len(result.predictions) == result.metrics["n_tested"]
    row = result.predictions[0]
    assert row["label"] in ("low", "mid", "high")
    assert row["fold"] == 1
    assert row["group"] is None
    assert row["p(low)"] + row["p(mid)"] + row["p(high)"] == pytest.approx(1, abs=1e-5)
    assert result.model.classes_.tolist() == ["high", "low", "mid"]
    assert repr(result.model).startswith("Model(xgboost on mfcc, 3 classes: high, low, mid, accuracy ")
    assert repr(result).startswith(f"RunResult({result.path}: xgboost on mfcc + stats, accuracy ")
    assert repr(result).endswith(", 3 classes: high, low, mid)")
    assert "\n" not in repr(result) + repr(result.model)
    assert capsys.readouterr().out == ""


def test_a_run_equals_the_commands(quick, audiofw, tmp_path):
    result = fw.run(quick, path=tmp_path / "python")
    assert audiofw(*quick, f"hydra.run.dir={tmp_path / 'command'}").code == 0
    for name in ("predictions.csv", "config.yaml", "versions.json"):
        assert (result.path / name).read_bytes() == (tmp_path / "command" / name).read_bytes()
    model = fw.load_model(tmp_path / "command")
    files = sorted((tmp_path / "sounds").rglob("*.wav"))
    np.testing.assert_array_equal(model.predict_proba(files), result.model.predict_proba(files))


def test_a_model_predicts_one_file_or_many(quick, folder, tmp_path):
    model = fw.run(quick, path=tmp_path / "run").model
    files = [folder / "low/0.wav", str(folder / "high/3.wav")]
    assert model.predict(files).tolist() == ["low", "high"]
    assert model.predict(files[0]).tolist() == ["low"]
    assert model.predict_proba(files).argmax(axis=1).tolist() == [1, 0]
    assert model.predict_proba(files[0]).shape == (1, 3)


def test_a_file_that_cannot_be_used_is_named(quick, folder, tmp_path):
    model = fw.run(quick, path=tmp_path / "run").model
    (tmp_path / "bad.wav").write_bytes(b"x")
    with pytest.raises(fw.DataError, match=r"bad\.wav: not audio"):
        model.predict([folder / "low/0.wav", tmp_path / "bad.wav"])
    with pytest.raises(fw.DataError, match="no recordings"):
        model.predict([])
    with pytest.raises(fw.DataError, match=r"bad\.wav: not audio"):
        fw.features([tmp_path / "bad.wav"])
    with pytest.raises(fw.DataError, match=r"nosuch\.wav: no such file"):
        fw.features(["nosuch.wav"])


def test_features_are_rows_with_named_columns(folder):
    words = ["feature=mel", "feature.n_mels=16", "n_jobs=1"]
    files = sorted((folder / "low").glob("*.wav"))
    X = fw.features(files, words)
    assert X.dtype == np.float32
    names = fw.feature_names(words)
    assert X.shape == (6, len(names))
    assert len(set(names)) == len(names)
    assert names[0].startswith("mel_")
    np.testing.assert_array_equal(fw.features(folder / "low", words), X)
    np.testing.assert_array_equal(fw.features(files[2], words), X[2:3])


def test_options_are_a_list(folder):
    for call in (lambda: fw.run("feature=mel"), lambda: fw.features(folder, "feature=mel")):
        with pytest.raises(fw.ConfigError, match="overrides must be a list"):
            call()
    with pytest.raises(fw.ConfigError, match="sweeps are only available on the command line"):
        fw.run(["-m", "model=lda,svm"])
    with pytest.raises(fw.ConfigError, match="did you mean 'mel'"):
        fw.features(folder, ["feature=mell"])


def test_the_names_for_users_are_these():
    assert sorted(fw.__all__) == [
        "AudiofwError",
        "ConfigError",
        "DataError",
        "PluginError",
        "__version__",
        "evaluate",
        "feature_names",
        "features",
        "hookimpl",
        "load_model",
        "run",
    ]
    for name in fw.__all__:
        assert getattr(fw, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'feature'"):
        _ = fw.feature


def test_nothing_heavy_is_imported_before_it_is_needed():
    code = (
        "import sys, audiofw\n"
        "print([name for name in ('numpy', 'sklearn', 'hydra', 'skops', 'omegaconf') if name in sys.modules])\n"
        "audiofw.load_model\n"
        "print([name for name in ('sklearn', 'hydra', 'matplotlib', 'omegaconf') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["[]", "[]"]


FORMULAS = ("=1+1", "'quoted")


def test_no_result_file_holds_a_formula_and_all_come_back(audiofw, sounds, quick, tmp_path):
    """Labels, names and reasons may begin with what a spreadsheet runs."""
    folder = sounds(clips=6, folder="odd", **dict(zip(FORMULAS, (200, 2000), strict=True)))
    (folder / FORMULAS[0] / "bad.wav").write_bytes(b"x")
    words = [f"data.source={folder}", *quick[1:]]
    result = fw.run(words, path=tmp_path / "odd run")
    assert {row["label"] for row in result.predictions} == set(FORMULAS)
    assert all(row["path"].startswith(FORMULAS) for row in result.predictions)
    assert result.predictions[0].keys() >= {f"p({label})" for label in FORMULAS}
    (run,) = read_runs([result.path])
    assert set(read_predictions(run).labels) == set(FORMULAS)
    assert set(read_predictions(run).paths) == {row["path"] for row in result.predictions}
    assert [row["name"] for row in read_run_facts(result.path).failures] == ["=1+1/bad.wav"]
    assert audiofw("predict", str(result.path), str(folder), "-o", "out.csv").code == 1
    assert audiofw("leaderboard", str(result.path)).code == 0
    for file in [*result.path.glob("*.csv"), Path("out.csv")]:
        with file.open(newline="") as stream:
            cells = [cell for row in csv.reader(stream) for cell in row]
        assert not any(cell.startswith(("=", "+", "@", "\t", "\r")) for cell in cells), file
        assert not any(cell.startswith("-") and not cell[1:2].isdigit() for cell in cells), file


def test_predict_goes_on_with_names_that_look_like_formulas(audiofw, sounds, quick, tmp_path, monkeypatch):
    result = fw.run(quick, path=tmp_path / "run")
    monkeypatch.chdir(tmp_path)
    for name in ("=1.wav", "+2.wav", "'3.wav"):
        write_wav(tmp_path / name, tone(200))
    words = ["predict", str(result.path), "=1.wav", "+2.wav", "'3.wav", "-o", "out.csv"]
    assert audiofw(*words).code == 0
    whole = Path("out.csv").read_bytes()
    assert b"\n'=1.wav," in whole
    assert audiofw(*words, "--resume").code == 0
    assert Path("out.csv").read_bytes() == whole
