"""task=multilabel from the command line: clips whose labels are known, through all that a run leaves."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from conftest import write_wav
from mixtures import SR, mixture, write_mixtures
from quick import QUICK
from reports import Page

import audiofw as package
from audiofw.contract.registry import load_menus
from audiofw.errors import ConfigError

RUN = ("task=multilabel", "feature=mel", "pooling=stats", "audit=false", "hydra.run.dir=run")


@pytest.fixture
def run(audiofw, tmp_path: Path):
    """Run on 48 mixtures, by default without a report and model."""

    def go(*words: str, clips: int = 48):
        table = tmp_path / "mixtures" / "table.csv"
        if not table.exists():
            write_mixtures(table.parent, clips)
        return audiofw(f"data.source={table}", *RUN, *words)

    return go


def metrics_of(folder: str = "run"):
    return json.loads(Path(folder, "metrics.json").read_text())


def rows_of(file: str) -> list[dict[str, str]]:
    with Path(file).open(newline="") as lines:
        return list(csv.DictReader(lines))


FAST = ("report=false", "bundle=false", "split=kfold", "split.n_splits=2")


def test_labels_that_can_be_heard_are_found_and_the_summary_says_how_well(run):
    said = run(*FAST, "model=lda")
    assert said.code == 0
    metrics = metrics_of()
    assert (metrics["task"], metrics["score"], metrics["classes"]) == ("multilabel", "map", ["high", "low", "mid"])
    assert metrics["value"] > 0.97
    assert metrics["scores"]["subset_accuracy"]["pooled"] > 0.8
    assert "mAP 0.9" in said.out or "mAP 1.0" in said.out
    assert "average precision" in said.out
    assert "prediction sets (conformal): not available, since clips may have several labels" in said.out
    assert "6 of 48 clips have no label: they count as none of the classes" in said.err
    predictions = rows_of("run/predictions.csv")
    right = np.mean([row["label"] == row["predicted"] for row in predictions])
    assert right == pytest.approx(metrics["scores"]["subset_accuracy"]["pooled"])
    assert {row["label"] for row in predictions} >= {"", "high", "high;low", "high;low;mid"}


@pytest.mark.parametrize("model", sorted(load_menus().plugins["model"]))
def test_every_model_learns_several_labels(run, model):
    words = []
    for key, value in QUICK.get(model, {}).items():
        inner = {f"+model.{key}.{name}": one for name, one in value.items()} if isinstance(value, dict) else {}
        words += [
            f"{name}={json.dumps(one).replace(' ', '')}" for name, one in (inner or {f"model.{key}": value}).items()
        ]
    said = run(*FAST, f"model={model}", *words)
    if "pip install" in said.err:
        pytest.skip(said.err.strip())
    assert said.code == 0, said.err
    assert metrics_of()["value"] > 0.85


@pytest.mark.parametrize("option", ["calibration=temperature", "calibration=sigmoid", "balance=balanced"])
def test_calibration_and_balance_work_for_each_label(run, option):
    assert run(*FAST, "model=logistic_regression", option).code == 0
    assert metrics_of()["value"] > 0.8


def test_windows_augmentation_and_groups_work(run):
    words = ("windows.hop=0.1", "audio.duration=0.2", "augmentation=waveform", "augmented_copies=1", "model=lda")
    said = run(*FAST, *words, "split=group_kfold", "data.pattern=(?P<group>\\d\\d)\\d", "split.n_splits=2")
    assert said.code == 0, said.err
    assert metrics_of()["interval_over"] == "groups"
    assert metrics_of()["value"] > 0.9


def test_a_saved_model_names_all_labels_and_is_the_same_everywhere(run, audiofw):
    assert run("report=false", "model=lda").code == 0
    write_wav(Path("new/two.wav"), mixture(["high", "low"], seed=1000), SR)
    write_wav(Path("new/none.wav"), mixture([], seed=1001), SR)
    said = audiofw("predict", "run", "new", "-o", "out.csv")
    assert said.code == 0, said.err
    rows = {row["path"]: row for row in rows_of("out.csv")}
    assert [rows[f"new/{name}.wav"]["predicted"] for name in ("none", "two")] == ["", "high;low"]
    assert list(rows["new/two.wav"]) == ["path", "predicted", "p(high)", "p(low)", "p(mid)", "error"]
    model = package.load_model("run")
    assert model.predict(["new/none.wav", "new/two.wav"]).tolist() == ["", "high;low"]
    shares = model.predict_proba("new/two.wav")[0]
    assert [round(float(share), 6) for share in shares] == [
        float(rows["new/two.wav"][f"p({c})"]) for c in model.classes_
    ]
    facts = json.loads(Path("run/model/bundle.json").read_text())
    assert facts["thresholds"] == dict(zip(model.classes_.tolist(), model.thresholds.tolist(), strict=True))
    assert audiofw("verify", "run").code == 0


def test_labels_over_time_are_those_above_their_thresholds(run, audiofw):
    assert run("report=false", "model=lda", "audio.duration=0.4").code == 0
    y = np.concatenate([mixture(labels, 0.8, seed=7) for labels in (["low"], ["high", "low"], [])])
    write_wav(Path("long.wav"), y, SR)
    said = audiofw("predict", "run", "long.wav", "--window", "0.4")
    found = [row.split(",")[1:4] for row in said.out.splitlines()[1:]]
    assert found == [["0.0", "1.6", "low"], ["0.8", "1.6", "high"]]


@pytest.mark.parametrize("options", [["--coverage", "0.9"], ["--min-confidence", "0.5"]])
def test_what_needs_one_label_per_clip_is_refused_in_one_line(run, audiofw, options):
    assert run("report=false", "model=lda").code == 0
    said = audiofw("predict", "run", "mixtures/000.wav", *options)
    assert said.code == 2
    assert "several" in said.err
    assert said.err.count("\n") == 1


def test_the_report_shows_each_label_and_which_occur_together(run):
    assert run("split=kfold", "split.n_splits=2", "model=logistic_regression").code == 0
    page = Page(Path("run/report.html"))
    text = page.text
    for said in (
        "Labels that occur together",
        "Precision–recall curves",
        "average precision",
        "threshold",
        "one label per",
    ):
        assert said in text
    assert "Confusion matrix" not in text
    together = metrics_of()["together"]
    assert together[0][0] == 24
    assert together[0][1] == 12


def test_the_leaderboard_compares_runs_by_map(run, audiofw):
    for model in ("lda", "knn"):
        assert run(*FAST, f"model={model}", f"hydra.run.dir=runs/{model}").code == 0
    said = audiofw("leaderboard", "runs")
    assert said.code == 0, said.err
    assert "mAP" in said.out
    assert "not significantly worse" in said.out or "sign-flip" in said.out
    assert audiofw("leaderboard", "runs", "--score", "f1_micro").code == 0


def test_robustness_is_measured_by_the_main_score(run):
    assert run(*FAST, "model=lda", "robustness=true", "score=f1_macro").code == 0
    rows = {row["change"]: row for row in metrics_of()["robustness"]}
    assert rows["none"]["value"] == metrics_of()["value"] > rows["pink noise, SNR 0 dB"]["value"]


def test_a_search_holds_out_clips_of_every_label(run, tmp_path, sweep_here):
    table = write_mixtures(tmp_path / "mixtures")
    pytest.importorskip("optuna")
    words = [word for word in RUN if not word.startswith("hydra")]
    said = sweep_here(
        "hydra/sweeper=optuna", f"data.source={table}", *words, *FAST, "model=logistic_regression",
        "model.C=interval(0.01,1)", "tune.n_trials=2", "hydra.sweep.dir=tuned",
    )  # fmt: skip
    assert said.code == 0, said.err
    held = json.loads(next(Path("tuned").glob("held*/metrics.json")).read_text())
    assert held["score"] == "map"
    assert all(0 < row["support"] < held["n_tested"] for row in held["per_class"])


def test_a_plan_estimates_from_jobs_of_the_same_task(run, audiofw, tmp_path):
    assert run(*FAST, "model=lda").code == 0
    words = ("--plan", f"data.source={tmp_path / 'mixtures' / 'table.csv'}", *RUN[1:-1], *FAST, "model=lda")
    assert "time unknown: no earlier job with model=lda" not in audiofw(*words, "task=multilabel").out
    assert "time unknown: no earlier job with model=lda" in audiofw(*words).out


def test_the_audit_names_the_label_that_a_shortcut_tells(run, tmp_path, audiofw):
    table = write_mixtures(tmp_path / "mixtures")
    for row in rows_of(str(table)):
        if "high" in row["label"].split(";"):
            file = table.parent / row["path"]
            write_wav(file, mixture(row["label"].split(";"), 0.8, seed=int(file.stem)), SR)
    said = audiofw("audit", f"data.source={table}", "task=multilabel")
    assert "duration alone predicts the label 'high'" in said.out


# --- odd data


def table_of(folder: Path, labels: list[str]) -> Path:
    rows = ["path,label"]
    for i, label in enumerate(labels):
        write_wav(folder / f"{i}.wav", mixture(label.split(";") if label else [], seed=i), SR)
        rows.append(f"{i}.wav,{label}")
    (folder / "table.csv").write_text("\n".join(rows))
    return folder / "table.csv"


def test_a_single_label_is_told_from_its_absence(audiofw, tmp_path):
    table = table_of(tmp_path, ["low", ""] * 10)
    assert audiofw(f"data.source={table}", *RUN, *FAST, "model=lda").code == 0
    assert metrics_of()["scores"]["f1_macro"]["pooled"] > 0.9


def test_a_label_of_every_clip_is_told_and_left_out_of_means(audiofw, tmp_path):
    table = table_of(tmp_path, ["low", "low;mid"] * 10)
    said = audiofw(f"data.source={table}", *RUN, *FAST, "model=lda")
    assert said.code == 0
    assert "All test clips have the label low, so it is left out of mAP and ROC AUC" in said.out
    low, mid = metrics_of()["per_class"]
    assert low["average_precision"] is None
    assert metrics_of()["value"] == mid["average_precision"]


def test_a_label_of_a_single_clip_is_told(audiofw, tmp_path):
    table = table_of(tmp_path, ["low", "low;mid", ""] * 6 + ["high;low"])
    said = audiofw(f"data.source={table}", *RUN, *FAST, "model=lda")
    assert said.code == 0
    assert "has no clip with high" in said.out


@pytest.mark.parametrize("labels", [["low;mid"] * 6, [""] * 6, ["low", "low"]])
def test_clips_that_are_all_alike_are_refused_in_one_line(audiofw, tmp_path, labels):
    said = audiofw(f"data.source={table_of(tmp_path, labels)}", *RUN, *FAST)
    assert said.code == 1
    assert said.err.splitlines()[-1].startswith("audiofw: data: every one of ")
    assert "nothing to tell apart" in said.err


def test_two_clips_are_enough_to_run_and_too_few_to_score(audiofw, tmp_path):
    said = audiofw(f"data.source={table_of(tmp_path, ['low', ''])}", *RUN, *FAST)
    assert said.code == 0
    assert metrics_of()["n_tested"] == 2


def test_a_score_of_the_other_task_is_refused(run):
    said = run("score=accuracy")
    assert said.code == 2
    assert "score=accuracy: not a score of task=multilabel; available: map" in said.err


def test_from_python_predictions_hold_all_labels(tmp_path):
    table = write_mixtures(tmp_path / "mixtures", 24)
    result = package.run([f"data.source={table}", *RUN[:-1], *FAST, "model=lda"], path=tmp_path / "run")
    assert result.metrics["task"] == "multilabel"
    assert {row["label"] for row in result.predictions} >= {"", "high;mid"}
    with pytest.raises(ConfigError, match="score=mcc: not a score"):
        package.run([f"data.source={table}", *RUN[:-1], "score=mcc"], path=tmp_path / "other")
