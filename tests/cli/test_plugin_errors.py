"""What the commands say of a plugin's bug: one line with plugin, clip and line, or the whole traceback."""

from __future__ import annotations

import csv
import io
import json
import traceback
from pathlib import Path

import pytest
from bundles import make_run
from conftest import tone, write_wav

import audiofw as fw
from audiofw.errors import PluginError

PLUGIN = """\
import os
import numpy as np
from audiofw import hookimpl

@hookimpl
def register_features(register):
    register(picky)
    register(picky, name="slow", holds_gil=True)
    register(picky, name="misnamed", names=lambda sr, **options: [][0])  # at: names

def picky(y, sr, *, rows: int = 2):
    "Level of a clip, unless it is one of those that os.environ['BUG'] names by their pitch."
    check_pitch(y, sr)
    return np.full((rows, 1), np.abs(y).mean())

def check_pitch(y, sr):
    pitch = np.abs(np.fft.rfft(y)).argmax() / len(y) * sr * (np.abs(y).max() > 0.01)  # not of made-up noise
    for low, high in [part.split("-") for part in os.environ.get("BUG", "").split()]:
        if float(low) < pitch < float(high):
            {}["pitch"]  # at: pitch
    if os.environ.get("NAN") and pitch > float(os.environ["NAN"]):
        y[:] = np.nan

@hookimpl
def register_augmentations(register):
    register(warped)

def warped(y, sr, rng):
    "Breaks."
    return y[np.abs(y).argmax() :: 0]  # at: augmentation

@hookimpl
def register_poolings(register):
    register(learned)

def learned(seed, *, fails_in: str = "fit"):
    "Breaks where it is fitted."
    from sklearn.base import BaseEstimator, TransformerMixin

    class Learned(TransformerMixin, BaseEstimator):
        def fit(self, X, y=None):
            return self if fails_in != "fit" else self.nothing  # at: fit

        def transform(self, X):
            return np.array([[np.nan if fails_in == "nan" else picture.mean()] for picture in X])

    return Learned()

@hookimpl
def register_models(register):
    register(tree)

def tree(seed, *, fails_in: str = "predict"):
    "Breaks."
    from sklearn.tree import DecisionTreeClassifier

    class Tree(DecisionTreeClassifier):
        def predict(self, X):
            return {}[len(X)]  # at: predict

    if fails_in == "factory":
        raise RuntimeError("no wood")  # at: factory
    return Tree()
"""

QUICK = ("pooling=stats", "model=lda", "split=kfold", "split.n_splits=2", "audit=false", "report=false", "bundle=false")


def at(mark: str) -> str:
    """Give the place in the plugin that is marked so."""
    (number,) = (number for number, line in enumerate(PLUGIN.splitlines(), 1) if line.endswith(f"# at: {mark}"))
    return f"picky.py:{number}"


@pytest.fixture
def bug(monkeypatch):
    """Set the pitches on which the plugin fails."""
    return lambda pitches: monkeypatch.setenv("BUG", pitches)


@pytest.fixture
def words(tmp_path, sounds, monkeypatch):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "picky.py").write_text(PLUGIN)
    monkeypatch.setenv("AUDIOFW_PLUGINS_PATH", str(tmp_path / "mine"))
    return ("feature=picky", f"data.source={sounds(clips=6, low=200, high=3000)}", "hydra.run.dir=run", *QUICK)


def one_line(outcome) -> str:
    assert (outcome.code, outcome.out) == (1, "")
    (line,) = outcome.err.splitlines()
    return line


@pytest.mark.parametrize("feature", ["picky", "slow"])
def test_a_bug_ends_the_run_with_plugin_clip_line_and_exception(audiofw, words, bug, tmp_path, feature):
    bug("2990-3010")
    clip = tmp_path / "sounds/high/0.wav"
    assert one_line(audiofw(*words, f"feature={feature}")) == (
        f"audiofw: feature={feature}: {clip}: {at('pitch')}: KeyError: 'pitch' (HYDRA_FULL_ERROR=1 shows the traceback)"
    )
    assert not (tmp_path / "run").exists()  # no partial files are left behind


@pytest.mark.parametrize("feature", ["picky", "slow"])
def test_the_whole_traceback_is_shown_on_request(audiofw, words, bug, monkeypatch, feature):
    bug("2990-3010")
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    with pytest.raises(PluginError) as caught:
        audiofw(*words, f"feature={feature}")
    shown = "".join(traceback.format_exception(caught.value))
    assert '{}["pitch"]  # at: pitch' in shown
    assert "KeyError: 'pitch'" in shown
    assert shown.rstrip().splitlines()[-1].startswith(f"audiofw.errors.PluginError: feature={feature}: ")
    assert "Refused" not in shown


def test_bugs_are_listed_on_request(audiofw, words, bug, tmp_path):
    bug("2990-3070 195-202")
    outcome = audiofw(*words, "data.on_plugin_error=skip")
    assert outcome.code == 0, outcome.err
    rows = list(csv.DictReader((tmp_path / "run/failures.csv").open()))
    assert [row["name"] for row in rows] == ["high/0.wav", "high/1.wav", "low/0.wav"]
    assert {row["reason"] for row in rows} == {f"feature=picky: {at('pitch')}: KeyError: 'pitch'"}


@pytest.mark.parametrize(("over", "code"), [("3190", 0), ("3130", 1)])  # two clips of twelve, three of them
def test_wrong_values_are_listed_up_to_a_limit(audiofw, words, monkeypatch, tmp_path, over, code):
    monkeypatch.setenv("NAN", over)
    monkeypatch.setenv("BUG", "")
    outcome = audiofw(*words)
    assert outcome.code == code, outcome.err
    if code:
        line = one_line(outcome)
        assert line.startswith(f"audiofw: feature=picky: {tmp_path}/sounds/high/3.wav: returned NaN; ")
        assert "for 3 of 12 clips (25.0 %)" in line
        assert "FULL_ERROR" not in line  # there is no traceback to see
    else:
        rows = list(csv.DictReader((tmp_path / "run/failures.csv").open()))
        assert [row["reason"] for row in rows] == ["feature=picky: returned NaN"] * 2


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["augmentation=warped"], f"augmentation=warped: {at('augmentation')}: ValueError: slice step cannot be zero"),
        (["pooling=learned"], f"pooling=learned: Learned failed in fold 1: {at('fit')}: AttributeError: 'Learned'"),
        (
            ["pooling=learned", "pooling.fails_in=nan"],
            "pooling=learned: transform must return one row of finite numbers",
        ),
        (["model=tree"], f"model=tree: Tree failed: {at('predict')}: KeyError: 6"),
        (["model=tree", "model.fails_in=factory"], f"model=tree: {at('factory')}: RuntimeError: no wood"),
        (["feature=misnamed", "report=true"], f"feature=misnamed: names: {at('names')}: IndexError: list index out of"),
    ],
)
def test_every_kind_of_plugin_is_named_with_its_line(audiofw, words, more, said):
    outcome = audiofw(*words, *more)
    assert one_line(outcome).startswith(f"audiofw: {said}")


def test_a_sweep_tells_the_line_in_the_jobs_record_and_in_the_leaderboard(sweep_here, words, bug, tmp_path):
    bug("2990-3010")
    outcome = sweep_here(*words[1:], "feature=picky,mel", "hydra.sweep.dir=sweep")
    assert outcome.code == 1
    records = [json.loads(file.read_text()) for file in sorted((tmp_path / "sweep").glob("*/result.json"))]
    line = f"feature=picky: {tmp_path}/sounds/high/0.wav: {at('pitch')}: KeyError: 'pitch'"
    assert [record["status"] for record in records] == ["failed", "finished"]
    assert records[0]["reason"] == line
    assert line in " ".join(outcome.out.split())
    assert "Traceback" not in outcome.err
    assert '{}["pitch"]  # at: pitch' in (tmp_path / "sweep/0/audiofw.log").read_text()


def test_a_sweep_shows_the_whole_traceback_on_request(audiofw, words, bug, monkeypatch):
    bug("2990-3010")
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    outcome = audiofw("-m", *words[1:], "feature=slow", "hydra.sweep.dir=sweep")
    assert outcome.code == 1
    assert '{}["pitch"]  # at: pitch' in outcome.err
    assert "KeyError: 'pitch'" in outcome.err


def test_a_plan_refuses_a_job_whose_plugin_fails_on_a_clip(audiofw, words, bug, tmp_path):
    bug("2990-3500")
    outcome = audiofw(*words, "--plan")
    assert outcome.code == 1
    said = " ".join(outcome.out.split())
    assert f"cannot run: feature=picky: {tmp_path}/sounds/high/" in said
    assert f"{at('pitch')}: KeyError: 'pitch'" in said
    outcome = audiofw(*words, "--plan", "data.on_plugin_error=skip")
    assert outcome.code == 0, outcome.out


def test_features_raises_the_error_with_its_clip_and_plugin(words, bug, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    bug("2990-3010")
    file = str(tmp_path / "sounds/high/0.wav")
    options = ["feature=picky", "pooling=stats", "data.on_plugin_error=skip"]  # a row for each file, or none at all
    for over in ("", "2500"):
        monkeypatch.setenv("NAN", over)
        with pytest.raises(fw.PluginError) as caught:
            fw.features([tmp_path / "sounds/low/0.wav", file], options)
        assert (caught.value.clip, caught.value.plugin) == (file, "feature=picky")
        bug("")


def test_a_bug_in_the_audit_is_a_traceback_and_not_a_missing_probe(audiofw, words, monkeypatch):
    def broken(y, sr):
        raise ZeroDivisionError("ours")

    monkeypatch.setattr("audiofw.audit.probe.fingerprint", broken)
    with pytest.raises(ZeroDivisionError, match="ours"):
        audiofw(*words, "audit=warn", "cache.enabled=false")


# --- predict ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A run of the plugin's feature, made while it did not fail."""
    folder = tmp_path_factory.mktemp("predict")
    (folder / "mine").mkdir()
    (folder / "mine" / "picky.py").write_text(PLUGIN)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUDIOFW_PLUGINS_PATH", str(folder / "mine"))
        return make_run(folder, "feature=picky", "pooling=stats", "model=lda")


@pytest.fixture
def predicted(audiofw, run, tmp_path, monkeypatch):
    """Predict some tones, given by their pitch, and give the outcome and its rows."""
    monkeypatch.setenv("AUDIOFW_PLUGINS_PATH", str(run.parent / "mine"))

    def predict(pitches, *words):
        files = [str(write_wav(tmp_path / f"{i:03}.wav", tone(pitch, 0.6))) for i, pitch in enumerate(pitches)]
        outcome = audiofw("predict", str(run), *words, *files)
        return outcome, list(csv.DictReader(io.StringIO(outcome.out)))

    return predict


WINDOWS = pytest.mark.parametrize("words", [(), ("--window", "0.3")], ids=["clips", "timeline"])


@WINDOWS
@pytest.mark.parametrize("n_jobs", ["1", "2"])
def test_a_bug_on_some_recordings_is_a_row_with_its_reason(predicted, bug, words, n_jobs):
    bug("1900-2100")
    outcome, rows = predicted([2000, 2000, 400, 2000], *words, "--n-jobs", n_jobs)
    assert (outcome.code, outcome.err) == (1, "")
    said = {Path(row["path"]).name: row["error"] for row in rows}
    assert list(said) == ["000.wav", "001.wav", "002.wav", "003.wav"]
    reason = f"feature=picky: {at('pitch')}: KeyError: 'pitch'"
    assert list(said.values()) == [reason, reason, "", reason]


@WINDOWS
def test_a_bug_on_every_recording_ends_in_one_line(predicted, bug, words, tmp_path):
    bug("1900-2100")
    for pitches in ([2000], [2000] * 3, [2000] * 40 + [400]):  # 32 at the start are enough
        outcome, rows = predicted(pitches, *words)
        assert outcome.code == 1
        assert rows == []
        (line,) = outcome.err.splitlines()
        assert line.startswith(f"audiofw: feature=picky: {tmp_path}/000.wav: {at('pitch')}: KeyError: 'pitch'")


@WINDOWS
def test_bad_recordings_alone_never_end_a_prediction(predicted, audiofw, run, tmp_path, words):
    bad = [tmp_path / f"bad{i}.wav" for i in range(40)]
    for file in bad:
        file.write_bytes(b"RIFF no sound")
    outcome = audiofw("predict", str(run), *words, *map(str, bad))
    rows = list(csv.DictReader(io.StringIO(outcome.out)))
    assert (outcome.code, outcome.err, len(rows)) == (1, "", 40)


def test_a_model_raises_the_error_with_its_clip_and_plugin(run, bug, tmp_path, monkeypatch):
    monkeypatch.setenv("AUDIOFW_PLUGINS_PATH", str(run.parent / "mine"))
    model, file = fw.load_model(run), write_wav(tmp_path / "a.wav", tone(2000, 0.6))
    bug("1900-2100")
    with pytest.raises(fw.PluginError) as caught:
        model.predict([file])
    assert (caught.value.clip, caught.value.plugin) == (str(file), "feature=picky")
    assert isinstance(caught.value.__cause__, KeyError)
