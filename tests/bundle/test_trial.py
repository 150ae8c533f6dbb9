"""A bundle that this machine does not know is tried in a process of its own, which may crash."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pytest
import xgboost
from bundles import BOOSTING, change_facts, copy_of, make_run, rewrite, rewrite_schema

import audiofw as fw
from audiofw.bundle import known, trial
from audiofw.bundle.boosters import check_boosters
from audiofw.bundle.files import read_bundle
from audiofw.bundle.load import read_model
from audiofw.errors import AudiofwError, DataError


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    return make_run(tmp_path_factory.mktemp("bundle"))


@pytest.fixture
def bundle(run, tmp_path) -> Path:
    return copy_of(run, tmp_path)


@pytest.fixture
def elsewhere(tmp_path, monkeypatch) -> list[list[str]]:
    """Move to a machine that knows no bundle; returns the commands of the trials."""
    monkeypatch.setattr(known, "cache_root", lambda: tmp_path / "elsewhere")
    calls: list[list[str]] = []
    plain = subprocess.run

    def noted(command: list[str], **options: Any) -> Any:
        calls.append(command)
        return plain(command, **options)

    monkeypatch.setattr(trial.subprocess, "run", noted)
    return calls


def longest_text(node: Any) -> tuple[dict[str, Any], str]:
    """Find where a skops schema holds a booster's text."""
    found = []
    todo = [node]
    while todo:
        node = todo.pop()
        if isinstance(node, dict):
            found += [(node, key) for key, value in node.items() if isinstance(value, str)]
            todo += node.values()
        elif isinstance(node, list):
            todo += node
    return max(found, key=lambda each: len(each[0][each[1]]))


def edit_booster(bundle: Path, old: str, new: str) -> None:
    def change(schema: dict[str, Any]) -> None:
        node, key = longest_text(schema)
        assert old in node[key]
        node[key] = node[key].replace(old, new, 1)

    rewrite_schema(bundle, change)


def refused(bundle: Path, *words: str) -> None:
    with pytest.raises(DataError) as refusal:
        fw.load_model(bundle)
    said = str(refusal.value)
    assert "\n" not in said
    assert said.startswith(str(bundle))
    assert [word for word in words if word not in said] == []


def test_a_bundle_written_here_is_not_tried(run, bundle, monkeypatch):
    monkeypatch.setattr(trial.subprocess, "run", lambda *_, **__: pytest.fail("tried"))
    fw.load_model(run)
    fw.load_model(bundle)  # a copy is known, too


def test_a_strangers_bundle_is_tried_once(bundle, elsewhere, caplog):
    first, again = fw.load_model(bundle), fw.load_model(bundle)
    assert len(elsewhere) == 1
    assert first.classes_.tolist() == again.classes_.tolist() == ["high", "low", "mid"]
    assert caplog.messages == []


def test_a_bundle_cannot_say_of_itself_that_it_is_known(bundle, elsewhere):
    fw.load_model(bundle)
    facts = json.loads((bundle / "bundle.json").read_text())
    assert known.is_known(facts)
    change_facts(bundle, lambda facts: facts.update(known=True, trusted=True, seed=facts["seed"] + 1))
    fw.load_model(bundle)
    assert len(elsewhere) == 2


def test_the_trial_imports_nothing_from_the_working_folder(bundle, elsewhere, tmp_path, monkeypatch):
    (tmp_path / "json.py").write_text("from pathlib import Path\nPath('written').touch()\n")
    (tmp_path / "audiofw.py").write_text("from pathlib import Path\nPath('written').touch()\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    fw.load_model(bundle)
    assert len(elsewhere) == 1
    assert not Path("written").exists()


def test_a_text_that_aborts_lightgbm_costs_one_line(bundle, elsewhere):
    edit_booster(bundle, "left_child=", "left_child=x")
    refused(bundle, "crashes the library that loads it (SIGABRT): damaged or malicious, refused")


def test_a_bundle_that_takes_too_long_costs_one_line(bundle, elsewhere, monkeypatch):
    monkeypatch.setattr(trial, "SECONDS", 0.01)
    monkeypatch.setattr(trial, "SECONDS_PER_MB", 0.0)
    refused(bundle, "takes more than 0 s to load: damaged or malicious, refused")
    assert len(elsewhere) == 1


def test_a_bundle_that_needs_too_much_memory_costs_one_line(bundle, elsewhere, monkeypatch):
    pytest.importorskip("resource")
    monkeypatch.setattr(trial, "MEMORY", 2**28)
    monkeypatch.setattr(trial, "MEMORY_PER_BYTE", 0)
    refused(bundle, "refused")


def test_a_booster_with_a_billion_classes_costs_one_line(bundle, elsewhere):
    pytest.importorskip("resource")
    edit_booster(bundle, "num_class=3", "num_class=1000000000")
    refused(bundle, "needs far more memory than its size explains: damaged or malicious, refused")


def test_a_model_that_predicts_other_than_its_golden_answers_is_loaded_with_a_warning(bundle, elsewhere, caplog):
    answers = json.loads((bundle / "golden.json").read_text())
    answers[0]["probabilities"] = answers[0]["probabilities"][::-1]
    rewrite(bundle, "golden.json", json.dumps(answers).encode())
    fw.load_model(bundle)
    (message,) = caplog.messages
    assert message == (
        f"{bundle}: 1 of {len(answers)} golden clips are predicted differently than when the model was saved; "
        "see audiofw verify"
    )


# --- trees that lead elsewhere -----------------------------------------------------------------------------------

X = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
Y = np.arange(60) % 3


def line_of(text: str, key: str) -> str:
    return next(line for line in text.splitlines() if line.startswith(f"{key}="))


@pytest.mark.parametrize(
    ("key", "value"), [("split_feature", "99"), ("split_feature", "-3"), ("left_child", "0"), ("right_child", "9")]
)
def test_a_lightgbm_tree_that_leads_elsewhere_is_refused(monkeypatch, key, value):
    model = lightgbm.LGBMClassifier(n_estimators=2, num_leaves=4, min_child_samples=3, verbosity=-1).fit(X, Y)
    check_boosters(model, "sound")
    text = model.booster_.model_to_string()
    line = line_of(text, key)
    _, *rest = line.partition("=")[2].split()
    assert len(rest) == 2
    forged = text.replace(line, f"{key}={' '.join([value, *rest])}", 1)
    monkeypatch.setattr(lightgbm.Booster, "model_to_string", lambda *_, **__: forged)
    with pytest.raises(DataError, match="hostile: contains a decision tree with indices out of range"):
        check_boosters(model, "hostile")


@pytest.mark.parametrize(
    ("key", "value"), [("split_indices", 99), ("left_children", 0), ("right_children", 1), ("left_children", 999)]
)
def test_an_xgboost_tree_that_leads_elsewhere_is_refused(monkeypatch, key, value):
    model = xgboost.XGBClassifier(n_estimators=2, max_depth=2).fit(X, Y)
    check_boosters(model, "sound")
    saved = json.loads(bytes(model.get_booster().save_raw(raw_format="json")))
    tree = saved["learner"]["gradient_booster"]["model"]["trees"][0]
    assert tree["left_children"][0] != -1
    tree[key][0] = value
    monkeypatch.setattr(xgboost.Booster, "save_raw", lambda *_, **__: json.dumps(saved).encode())
    with pytest.raises(DataError, match="hostile: contains a decision tree with indices out of range"):
        check_boosters(model, "hostile")


# --- facts ------------------------------------------------------------------------------------------------------

ODD = [None, -1, 10**9, "x", [], {}, math.nan, math.inf, [None]]
PLACES = [
    *(("audio", name) for name in ("sample_rate", "duration", "offset", "silence", "channel", "trim", "focus")),
    *(("windows", name) for name in ("hop", "most")),
    *(("pad", name) for name in ("to", "value")),
    *(("feature", "options", name) for name in ("n_mels", "n_mfcc", "n_fft", "hop_length", "fmin", "top_db", "window")),
    *(("pooling", "options", name) for name in ("statistics", "quantiles", "delta")),
    *(("feature", "name"), ("feature", "origin"), ("columns",), ("classes",), ("conformity",), ("made_of",)),
]


@pytest.mark.parametrize("place", PLACES, ids=".".join)
def test_facts_with_an_odd_value_are_refused_in_one_line_or_harmless(run, tmp_path, place):
    _, files = read_bundle(run)
    clip = next((run.parent / "sounds").rglob("*.wav"))
    for value in ODD:
        facts, _ = read_bundle(run)
        section = facts
        for key in place[:-1]:
            section = section[key]
        section[place[-1]] = value
        try:
            model, said = read_model(facts, files, "b", tried=True), ""
            assert model.predict([clip]).size == len(model.predict_set([clip], coverage=0.5)) == 1
        except AudiofwError as error:
            said = str(error)
        assert "\n" not in said


NETWORK = {"name": "embedding", "origin": ["built in", "embedding"], "options": {"model": "/dev/zero"}}


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        (("feature", "options", "n_mels"), 10**9, "feature.n_mels=1000000000: must be int ≥ 1, ≤ 1024"),
        (("feature", "options", "n_mels"), True, "feature.n_mels=true: must be int"),
        (("feature", "options", "n_mels"), "128", "feature.n_mels=128: must be int"),
        (("audio", "sample_rate"), 10, "audio.sample_rate=10: must be int ≥ 500"),
        (("windows", "most"), 10**9, "windows.most=1000000000: must be int ≥ 1, ≤ 10000"),
        (("pooling", "options", "quantiles"), [0.5] * 1000, "(at most 100)"),
        (("columns",), 10**9, "columns=1000000000: must be int ≥ 1, ≤ 100000000 or null"),
        (("feature",), NETWORK, "feature.model names a file without its digest"),
        (("columns",), 7, "bundle.json and model.skops have different numbers of columns"),
        (("conformity",), ["x"], "conformity=[x]: must be list of float"),
    ],
)
def test_options_in_a_bundle_have_the_ranges_of_the_command_lines(bundle, place, value, said):
    def change(facts: dict[str, Any]) -> None:
        section = facts
        for key in place[:-1]:
            section = section[key]
        section[place[-1]] = value

    facts, files = read_bundle(bundle)
    change(facts)
    with pytest.raises(DataError) as refusal:
        read_model(facts, files, str(bundle), tried=True)
    assert str(refusal.value).startswith(f"{bundle}: ")
    assert said in str(refusal.value)


# --- mutants ----------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "fork"), reason="each mutant needs a process")
@pytest.mark.parametrize("words", [BOOSTING, ["model=xgboost", "model.n_estimators=8"], ["model=knn"]], ids="".join)
def test_a_mutant_of_a_model_is_refused_or_crashes_the_trial_alone(tmp_path, words):
    run = make_run(tmp_path, *words)
    script = Path(__file__).parents[1] / "mutants.py"
    command = [sys.executable, str(script), str(run / "model"), "12"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    outcomes = json.loads(done.stdout.splitlines()[-1])
    assert len(outcomes) == 12
    assert {trial for trial, _ in outcomes} <= {"fine", "refused", "crashed"}
    assert {plain for trial, plain in outcomes if trial == "fine"} <= {"fine"}
    assert [trial for trial, _ in outcomes].count("refused") >= 3
