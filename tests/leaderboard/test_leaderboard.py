"""Folders of runs become one table, in whatever state they are."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from rich.console import Console

from audiofw.cli.leaderboard import main
from audiofw.errors import ConfigError, DataError
from audiofw.evaluation.scores import score_counts
from audiofw.leaderboard.ranking import Leaderboard, rank
from audiofw.leaderboard.runs import read_predictions, read_runs
from audiofw.leaderboard.table import differing_options, show_option
from audiofw.report.leaderboard import (
    FILE,
    as_json,
    print_leaderboard,
    show_leaderboard,
    write_leaderboard_csv,
    write_leaderboard_table,
)

CLASSES = ["cat", "dog", "owl"]
CONFIG: dict[str, Any] = {
    "data": {"source": "pets.zip", "limit": None, "columns": {"path": None}, "include": []},
    "audio": {"sample_rate": 22050},
    "cache": {"enabled": True},
    "report": {"enabled": True, "audio": True},
    "n_jobs": -1,
    "seed": 42,
    "feature": {"name": "mel", "n_mels": 128},
    "pooling": {"name": "stats"},
    "model": {"name": "lightgbm", "learning_rate": 0.1},
    "split": {"name": "kfold", "n_splits": 5},
}


def make_run(
    folder: Path,
    *,
    skill: float = 1.0,
    seed: int = 0,
    n: int = 60,
    n_folds: int = 5,
    prefix: str = "clip",
    group: str = "",
    probabilities: bool = True,
    fit_seconds: float = 1.0,
    score: str = "accuracy",
    model_bytes: int | None = 1000,
    result: dict[str, Any] | None = None,
    **options: dict[str, Any],
) -> Path:
    """Write the files of a finished run whose model makes random errors, fewer with higher ``skill``."""
    y, proba = np.arange(n) % len(CLASSES), np.random.default_rng(seed).random((n, len(CLASSES)))
    proba[np.arange(n), y] += skill
    proba /= proba.sum(axis=1, keepdims=True)
    guess, folds = proba.argmax(axis=1), np.arange(n) // 3 % n_folds + 1
    folder.mkdir(parents=True)
    config = CONFIG | {
        key: CONFIG.get(key, {}) | value if isinstance(value, dict) else value for key, value in options.items()
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    shown = proba if probabilities else None
    metrics = {
        "score": score,
        "scores": summarise(y, guess, shown, folds),
        "interval_level": 0.95,
        "classes": CLASSES,
        "n_clips": n,
        "n_tested": n,
        "n_folds": n_folds,
        "fit_seconds": [fit_seconds] * n_folds,
        "predict_seconds": [0.01] * n_folds,
        **({} if model_bytes is None else {"model_bytes": model_bytes}),
    }
    (folder / "metrics.json").write_text(json.dumps(metrics))
    with (folder / "predictions.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["path", "label", "predicted", "fold", "group", *(f"p({c})" for c in CLASSES if probabilities)])
        for i in range(n):
            shares = [f"{share:.6g}" for share in proba[i]] if probabilities else []
            of = f"{group} {i % 7}" if group else ""
            writer.writerow([f"{prefix}{i}.wav", CLASSES[y[i]], CLASSES[guess[i]], folds[i], of, *shares])
    if result is not None:
        write_result(folder, **result)
    return folder


def summarise(y, guess, proba, folds) -> dict[str, Any]:
    """Expand each score to the fields that audiofw writes."""
    every = [folds == number for number in range(1, folds.max() + 1)]
    pooled, each = (
        score_all(y, guess, proba),
        [score_all(y[f], guess[f], None if proba is None else proba[f]) for f in every],
    )
    return {
        name: {
            "pooled": value,
            "std": None if value is None or len(each) < 2 else float(np.std([of[name] for of in each], ddof=1)),
            "interval": None if value is None else [value - 0.1, value + 0.1],
            "folds": [of[name] for of in each],
        }
        for name, value in pooled.items()
    }


def score_all(y, guess, proba) -> dict[str, float | None]:
    confusions = np.bincount(3 * y + guess, minlength=9).reshape(1, 3, 3).astype(float)
    values = {name: float(value[0]) for name, value in score_counts(confusions, positive=1).items()}
    return {**values, "log_loss": None if proba is None else float(-np.log(proba[np.arange(len(y)), y]).mean())}


def write_result(folder: Path, status: str = "finished", **more: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    job = more.pop("job", folder.name)
    record = {"job": job, "status": status, "overrides": [], "score": "accuracy", "value": None, "reason": None}
    record |= {"seconds": 1.5, "started": "2026-01-31T12:00:00+00:00", "pid": os.getpid(), "reused": None}
    (folder / "result.json").write_text(json.dumps(record | more))
    return folder


def dead_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def board_of(*folders: Path, **options: Any) -> Leaderboard:
    return rank(read_runs(folders), **options)


def names(board: Leaderboard) -> list[str]:
    return [row.run.folder.name for row in board.rows if row.run]


# --- reading ----------------------------------------------------------------------------------------------


def test_runs_are_found_at_any_depth_by_either_file(tmp_path):
    make_run(tmp_path / "sweep/a/0", result={})
    make_run(tmp_path / "plain")
    write_result(tmp_path / "sweep/b", "failed", reason="boom")
    assert {(run.folder.name, run.status) for run in read_runs([tmp_path])} == {
        ("0", "finished"),
        ("plain", "finished"),
        ("b", "failed"),
    }


def test_folder_given_twice_counts_once(tmp_path):
    make_run(tmp_path / "sweep/0")
    assert len(read_runs([tmp_path, tmp_path / "sweep", tmp_path / "sweep/0"])) == 1


def test_missing_folder_and_folder_without_runs_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"nowhere: no such folder"):
        read_runs([tmp_path / "nowhere"])
    (tmp_path / "metrics.json").write_text('{"loss": 1}')
    with pytest.raises(DataError, match=r"no runs found"):
        read_runs([tmp_path])


def test_run_whose_process_is_gone_was_stopped(tmp_path):
    write_result(tmp_path / "gone", "running", pid=dead_process())
    write_result(tmp_path / "alive", "running", pid=os.getpid())
    runs = {run.folder.name: run for run in read_runs([tmp_path])}
    assert (runs["gone"].status, runs["gone"].reason) == ("failed", "stopped before it finished")
    assert runs["alive"].status == "running"


def test_failed_run_is_not_ranked_by_what_an_earlier_attempt_left(tmp_path):
    make_run(tmp_path / "0", result={"status": "failed", "reason": "\nboom: no memory\nand more"})
    board = board_of(tmp_path)
    assert board.rows == ()
    assert [run.reason for run in board.failures] == ["boom: no memory"]


def test_finished_run_without_figures_is_a_failure(tmp_path):
    make_run(tmp_path / "0", result={})
    (tmp_path / "0/metrics.json").write_text('{"score": "accu')
    write_result(tmp_path / "1")
    assert [run.reason for run in board_of(tmp_path).failures] == ["metrics.json is missing or damaged"] * 2


@pytest.mark.parametrize("damage", ["", "{", "[1]", "null", '{"status": "fine"}', '{"scores": 3}', "\x00", '"' * 9])
def test_damaged_and_alien_files_are_passed_over_with_one_line(tmp_path, caplog, damage):
    make_run(tmp_path / "good")
    for name in ("result.json", "metrics.json"):
        folder = tmp_path / f"bad {name}"
        folder.mkdir()
        (folder / name).write_text(damage)
    assert [run.folder.name for run in read_runs([tmp_path])] == ["good"]
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 2
    assert all(re.fullmatch(r"ignored: .*bad \w+\.json.*: .+", line) for line in lines)


def test_bytes_that_are_no_text_are_passed_over(tmp_path, caplog):
    for name in ("a", "b"):
        make_run(tmp_path / name)
    for file in ("config.yaml", "predictions.csv"):
        (tmp_path / "b" / file).write_bytes(b"\xff\xfe\x00")
    board = board_of(tmp_path)
    assert len(board.rows) == 2
    assert {row.comparison.tied for row in board.rows} == {None}
    assert len(caplog.records) == 2


@pytest.mark.parametrize("text", ["3", "- a", "a: [", "a: !!python/object:os.system {}"])
def test_damaged_config_leaves_the_run_without_options(tmp_path, caplog, text):
    make_run(tmp_path / "0")
    (tmp_path / "0/config.yaml").write_text(text)
    assert read_runs([tmp_path])[0].options == {}
    assert len(caplog.records) == 1


def test_job_found_twice_counts_by_its_newest_finished_run(tmp_path):
    make_run(tmp_path / "old", result={"job": "j", "started": "2026-01-01T00:00:00+00:00"})
    make_run(tmp_path / "new", result={"job": "j", "started": "2026-01-02T00:00:00+00:00"})
    write_result(tmp_path / "newest", "failed", job="j", started="2026-01-03T00:00:00+00:00")
    write_result(tmp_path / "fail 1", "failed", job="k", reason="first", started="2026-01-01T00:00:00+00:00")
    write_result(tmp_path / "fail 2", "failed", job="k", reason="second", started="2026-01-01T01:00:00+02:00")
    board = board_of(tmp_path)
    assert names(board) == ["new"]
    assert [run.reason for run in board.failures] == ["first"]


def test_failures_that_never_got_a_job_id_all_count(tmp_path):
    for name in "ab":
        write_result(tmp_path / name, "failed", job="", reason="no")
    assert len(read_runs([tmp_path])) == 2


def test_predictions_are_read_alike_with_and_without_quotes(tmp_path):
    plain, quoted = make_run(tmp_path / "plain"), make_run(tmp_path / "quoted", prefix='a "b", c')
    one, two = (read_predictions(run, probabilities=True) for run in read_runs([plain, quoted]))
    np.testing.assert_array_equal(one.probabilities, two.probabilities[np.argsort(np.argsort(range(60)))])
    assert one.probabilities.shape == (60, 3)
    assert two.paths[0] == 'a "b", c0.wav'
    assert (one.labels, one.predicted, one.folds) == (two.labels, two.predicted, two.folds)


def test_order_of_the_rows_in_a_file_does_not_matter(tmp_path):
    make_run(tmp_path / "a", skill=0.9)
    file = make_run(tmp_path / "b", skill=0.1) / "predictions.csv"
    before = board_of(tmp_path)
    head, *lines = file.read_text().splitlines()
    file.write_text("\n".join([head, *reversed(lines), ""]))
    after = board_of(tmp_path)
    assert after.rows[1].comparison == before.rows[1].comparison
    assert after.rows[1].comparison.unit == "clips"
    assert after.ensemble.value == before.ensemble.value


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: text[: text.index("\n", len(text) // 2) + 1],
        lambda text: text.replace("path", "file"),
        lambda text: text.replace(",dog,", ",wolf,"),
        lambda text: text.replace(",1,", ",first,"),
        lambda text: re.sub(r",0\.\d+$", ",7.5", text, count=1, flags=re.MULTILINE),
        lambda text: re.sub(r",0\.\d+$", ",nan", text, count=1, flags=re.MULTILINE),
        lambda text: "",
    ],
    ids=["cut", "cut at a line", "alien", "unknown class", "no fold", "no probability", "nan", "empty"],
)
def test_damaged_predictions_are_not_used(tmp_path, caplog, damage):
    file = make_run(tmp_path / "0") / "predictions.csv"
    file.write_text(damage(file.read_text()))
    assert read_predictions(read_runs([tmp_path])[0], probabilities=True) is None
    assert len(caplog.records) == 1


# --- columns ----------------------------------------------------------------------------------------------


def columns_of(tmp_path: Path, *configs: dict[str, Any]) -> list[str]:
    for i, config in enumerate(configs):
        make_run(tmp_path / str(i), n=6, n_folds=2, **config)
    return differing_options(read_runs([tmp_path]))


def test_only_options_that_differ_are_columns_and_plugins_come_first(tmp_path):
    columns = columns_of(
        tmp_path,
        {},
        {"audio": {"sample_rate": 16000}, "model": {"name": "xgboost"}, "feature": {"name": "mfcc"}},
    )
    assert columns == ["feature", "model", "audio.sample_rate"]


def test_option_of_one_plugin_is_no_column_because_another_lacks_it_or_has_another_default(tmp_path):
    xgboost = {"name": "xgboost", "max_depth": 6, "learning_rate": 0.3}
    assert columns_of(tmp_path, {}, {"model": xgboost}) == ["model"]


def test_option_that_differs_within_a_plugin_is_a_column(tmp_path):
    columns = columns_of(
        tmp_path, {}, *({"model": {"name": "xgboost", "max_depth": depth, "learning_rate": 0.3}} for depth in (3, 6))
    )
    assert columns == ["model", "model.max_depth"]
    assert [show_option(run, "model.max_depth") for run in read_runs([tmp_path])] == ["–", "3", "6"]


def test_option_added_to_one_run_of_a_plugin_is_a_column(tmp_path):
    assert columns_of(tmp_path, {}, {"model": {"gamma": 1}}) == ["model.gamma"]


def test_options_that_cannot_matter_are_no_columns(tmp_path):
    same = {"cache": {"enabled": False}, "data": {"max_ratio": 5}, "sweep": {"resume": True}, "audit": "raise"}
    same |= {"score": "mcc", "coverage": 0.8, "robustness": True, "bundle": {"refit": False}, "tune": {"n_trials": 9}}
    assert columns_of(tmp_path, {}, {"seed_": {"x": 1}, **same}) == ["seed_.x"]


def test_runs_that_options_do_not_tell_apart_are_named_by_folder(tmp_path):
    make_run(tmp_path / "monday/0")
    make_run(tmp_path / "friday/0")
    make_run(tmp_path / "friday/1", model={"name": "xgboost"})
    runs = read_runs([tmp_path])
    assert differing_options(runs) == ["model", "run"]
    assert {show_option(run, "run") for run in runs} == {"monday/0", "friday/0", "friday/1"}


def test_options_are_shown_as_on_the_command_line(tmp_path):
    make_run(tmp_path / "0", data={"include": ["cat", None, 2], "on": True})
    run = read_runs([tmp_path])[0]
    shown = [show_option(run, key) for key in ("data.include", "data.on", "data.limit", "model", "model.learning_rate")]
    assert shown == ["[cat,null,2]", "true", "null", "lightgbm", "0.1"]


# --- ranking ----------------------------------------------------------------------------------------------


def test_rows_are_sorted_best_first(tmp_path):
    for name, skill in (("poor", 0.0), ("good", 0.9), ("fair", 0.3)):
        make_run(tmp_path / name, skill=skill)
    board = board_of(tmp_path)
    assert names(board) == ["good", "fair", "poor"]
    assert board.rows[0].value == max(row.value for row in board.rows)
    assert board.rows[0].std is not None


def test_of_log_loss_less_is_better(tmp_path):
    make_run(tmp_path / "good", skill=0.9)
    make_run(tmp_path / "poor", skill=0.0)
    board = board_of(tmp_path, score="log_loss")
    assert names(board) == ["good", "poor"]
    assert board.rows[0].value < board.rows[1].value


def test_equal_scores_are_sorted_by_fit_time(tmp_path):
    for name, seconds in (("slow", 3.0), ("quick", 0.1), ("middling", 1.0)):
        make_run(tmp_path / name, fit_seconds=seconds)
    assert names(board_of(tmp_path)) == ["quick", "middling", "slow"]


def test_row_without_the_score_comes_last(tmp_path):
    make_run(tmp_path / "sure", skill=2.0, probabilities=False)
    make_run(tmp_path / "poor", skill=0.0)
    board = board_of(tmp_path, score="log_loss")
    assert names(board) == ["poor", "sure"]
    assert board.rows[1].value is None
    assert board.rows[1].comparison.tied is None


def test_first_runs_score_counts_where_they_differ_and_a_note_says_so(tmp_path):
    make_run(tmp_path / "0", score="f1", result={"started": "2026-01-01T00:00:00+00:00"})
    make_run(tmp_path / "1", score="mcc", result={"started": "2026-01-02T00:00:00+00:00"})
    board = board_of(tmp_path)
    assert board.score == "f1"
    assert board.notes[0] == "the runs' main scores differ (f1, mcc): ranked by f1, change it with --score"
    board = board_of(tmp_path, score="mcc")
    assert board.score == "mcc"
    assert not any("--score" in note for note in board.notes)


def test_unknown_score_is_refused(tmp_path):
    make_run(tmp_path / "0")
    with pytest.raises(ConfigError, match="did you mean 'accuracy'"):
        board_of(tmp_path, score="acuracy")


def test_worse_and_not_distinguishable_rows_are_told_apart(tmp_path):
    make_run(tmp_path / "best", skill=0.8, n=150)
    make_run(tmp_path / "near", skill=0.78, n=150)
    make_run(tmp_path / "chance", skill=0.0, n=150)
    rows = {row.run.folder.name: row.comparison for row in board_of(tmp_path).rows}
    assert rows["near"].tied is True
    assert rows["chance"].tied is False
    assert rows["chance"].n_units == 150


def test_runs_on_other_clips_are_ranked_but_not_compared(tmp_path):
    make_run(tmp_path / "a", skill=0.9)
    make_run(tmp_path / "b", skill=0.2, prefix="other")
    board = board_of(tmp_path)
    assert board.rows[1].comparison.tied is None
    assert any("tested on other clips" in note for note in board.notes)
    assert board.ensemble is None


# --- ensemble ---------------------------------------------------------------------------------------------


def test_ensemble_of_models_that_err_differently_is_one_more_row(tmp_path):
    for seed in range(6):
        make_run(tmp_path / str(seed), skill=0.4, seed=seed, n=150, model={"learning_rate": seed / 10})
    board = board_of(tmp_path)
    averaged = board.ensemble
    assert averaged.value > board.rows[0].value
    assert averaged.std > 0
    assert averaged.interval[0] < averaged.value < averaged.interval[1]
    assert 0 < averaged.comparison.p < 1
    assert sum(weight for _, weight in averaged.members) == pytest.approx(1)
    assert averaged.model_bytes == 1000 * len(averaged.members)
    assert averaged.fit_seconds == pytest.approx(len(averaged.members))
    assert board.notes[-1].endswith("of 6 runs; each fold is scored with weights selected on the others")


def test_ensemble_leaves_out_runs_that_do_not_fit(tmp_path):
    make_run(tmp_path / "a", skill=0.9)
    make_run(tmp_path / "b", skill=0.8, seed=1)
    make_run(tmp_path / "votes", skill=0.7, seed=2, probabilities=False)
    make_run(tmp_path / "elsewhere", skill=0.7, seed=3, prefix="other")
    make_run(tmp_path / "ten folds", skill=0.7, seed=4, n_folds=10)
    board = board_of(tmp_path)
    assert {run.folder.name for run, _ in board.ensemble.members} <= {"a", "b"}
    assert "of 2 runs" in board.notes[-1]


def test_ensemble_on_one_holdout_says_how_it_is_scored(tmp_path):
    for seed in range(3):
        make_run(tmp_path / str(seed), seed=seed, n_folds=1, skill=0.3)
    board = board_of(tmp_path)
    assert board.ensemble.comparison.unit == "clips"
    assert board.ensemble.std is None
    assert "each of 5 parts of the test clips is scored with weights selected on the others" in board.notes[-1]


def test_no_ensemble_of_one_run_or_when_not_asked_for(tmp_path):
    make_run(tmp_path / "a")
    assert board_of(tmp_path).ensemble is None
    make_run(tmp_path / "b", seed=1)
    assert board_of(tmp_path).ensemble is not None
    assert board_of(tmp_path, ensemble=False).ensemble is None


def test_marks_of_the_rows_do_not_depend_on_the_ensemble(tmp_path):
    for seed in range(4):
        make_run(tmp_path / str(seed), seed=seed, skill=0.3 + seed / 5)
    with_it, without = board_of(tmp_path), board_of(tmp_path, ensemble=False)
    assert [row.comparison for row in with_it.rows] == [row.comparison for row in without.rows]


# --- terminal, files, exit codes --------------------------------------------------------------------------


@pytest.fixture
def sweep(tmp_path) -> Path:
    """Two models and a failed run, which share an override."""
    shared = ["data.source=pets.zip"]
    make_run(tmp_path / "sweep/0", skill=0.9, result={"overrides": [*shared, "model=lightgbm"]})
    make_run(
        tmp_path / "sweep/1",
        skill=0.1,
        seed=5,
        model_bytes=None,
        result={"overrides": [*shared, "model=xgboost"]},
        model={"name": "xgboost"},
    )
    write_result(tmp_path / "sweep/2", "failed", overrides=[*shared, "model=broken"], reason="[red] out, of luck")
    return tmp_path / "sweep"


def test_table_shows_figures_marks_and_failures(sweep, capsys):
    assert main([str(sweep)]) == 1
    out = capsys.readouterr().out
    best = next(line for line in out.splitlines() if line.startswith("best"))
    assert re.search(r"best +lightgbm +1\.000 ± 0\.000 +0\.900–1\.100 +1 +0\.01 +1 kB", best)
    assert re.search(r"xgboost +.*<?0\.\d{3} +1 +0\.01 +–", out)
    assert re.search(r"ensemble +[01]\.\d{3}", out)
    assert "1 of 3 runs failed" in out
    assert re.search(r"^model=broken +\[red\] out, of luck", out, re.MULTILINE)
    assert out.startswith("accuracy 1.000, best of 2 runs: model=lightgbm")


def test_a_failed_run_is_named_by_its_options_never_by_its_folder(tmp_path, capsys):
    words = ["data.source='my pets.zip'", "model=a"]
    write_result(tmp_path / "0", "failed", reason="no luck", overrides=words)
    main([str(tmp_path)])
    assert "data.source=my pets.zip model=a" in capsys.readouterr().out
    write_result(tmp_path / "1", "failed", reason="no luck", overrides=words)
    main([str(tmp_path)])
    out = capsys.readouterr().out
    assert out.count("data.source=my pets.zip model=a") == 2
    assert str(tmp_path) not in out


def test_exit_code_is_0_when_all_finished(sweep, capsys):
    assert main([str(sweep / "0"), str(sweep / "1")]) == 0
    assert "failed" not in capsys.readouterr().out


def test_sweep_of_failures_alone_is_shown(tmp_path, capsys):
    write_result(tmp_path / "0", "failed", reason="no luck", overrides=["model=a"])
    assert show_leaderboard(tmp_path) == 1
    assert "1 of 1 runs failed" in capsys.readouterr().out
    assert "no luck" in (tmp_path / FILE).read_text()


def test_runs_still_running_are_counted_and_are_no_failures(sweep, capsys):
    write_result(sweep / "3", "running")
    assert show_leaderboard(sweep) == 1
    assert "1 of 4 runs are still running" in capsys.readouterr().out


def test_long_tables_are_cut_on_the_terminal_only(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("audiofw.report.leaderboard.MOST_ROWS", 2)
    for i in range(5):
        make_run(tmp_path / str(i), n=6, n_folds=1, model={"learning_rate": i})
        write_result(tmp_path / f"failed {i}", "failed", overrides=[f"model.learning_rate=-{i}"])
    assert main([str(tmp_path), "--no-ensemble"]) == 1
    out = capsys.readouterr().out
    assert "… and 3 more rows in leaderboard.csv" in out
    assert "and 3 more in leaderboard.csv" in out
    assert len((tmp_path / FILE).read_text().splitlines()) == 11


@pytest.mark.parametrize(("width", "costs"), [(200, True), (60, False)])
def test_a_narrow_terminal_shows_no_costs_rather_than_broken_names(sweep, width, costs):
    said = Console(file=io.StringIO(), width=width)
    print_leaderboard(board_of(sweep), said)
    text = said.file.getvalue()
    assert ("size" in text) == costs
    assert all(name in text for name in ("95%", "best", "ensemble"))


def test_csv_has_every_run_with_full_precision(sweep):
    board = board_of(sweep)
    write_leaderboard_table(board, sweep / "x.csv")
    with (sweep / "x.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["status"] for row in rows] == ["finished", "finished", "ensemble", "failed"]
    first, second, averaged, failed = rows
    assert float(first["value"]) == board.rows[0].value == float(first["accuracy"])
    assert float(second["p_adjusted"]) == board.rows[1].comparison.p
    assert (first["rank"], first["model"], first["feature"], first["job"]) == ("1", "lightgbm", "mel", "0")
    assert first["folder"] == str(sweep / "0")
    assert first["p_adjusted"] == second["model_bytes"] == averaged["rank"] == failed["value"] == ""
    assert float(first["ensemble_weight"]) + float(second["ensemble_weight"]) == pytest.approx(1)
    assert (failed["reason"], failed["overrides"]) == ("[red] out, of luck", "data.source=pets.zip model=broken")


def test_file_goes_into_the_first_folder_or_where_asked(sweep, tmp_path, capsys):
    main([str(sweep / "1"), str(sweep / "0")])
    assert (sweep / "1" / FILE).exists()
    assert not (sweep / "0" / FILE).exists()
    main([str(sweep), "--csv", str(tmp_path / "mine.csv")])
    assert (tmp_path / "mine.csv").exists()
    assert not (sweep / FILE).exists()


def test_file_that_cannot_be_written_is_one_line(sweep, tmp_path):
    with pytest.raises(DataError, match=r"nowhere.x\.csv: cannot write the leaderboard: No such file"):
        main([str(sweep), "--csv", str(tmp_path / "nowhere/x.csv")])


def test_json_has_the_same(sweep, capsys):
    assert main([str(sweep), "--json"]) == 1
    values = json.loads(capsys.readouterr().out)
    assert values == json.loads(json.dumps(as_json(board_of(sweep))))
    assert [run["status"] for run in values["runs"]] == ["finished", "finished", "ensemble", "failed"]
    assert values["options"] == ["model"]
    assert sum(member["weight"] for member in values["ensemble"]) == pytest.approx(1)


def test_file_can_be_written_while_the_sweep_runs(sweep):
    def written() -> list[str]:
        write_leaderboard_csv(sweep)
        with (sweep / FILE).open(newline="") as file:
            return [row["status"] for row in csv.DictReader(file)]

    write_result(sweep / "3", "running")
    assert written() == ["finished", "finished", "failed", "running"]
    make_run(sweep / "4", seed=7, model={"name": "forest"}, result={})
    assert written() == ["finished", "finished", "finished", "failed", "running"]


def test_nan_in_a_file_is_no_figure(tmp_path, capsys):
    make_run(tmp_path / "a")
    make_run(tmp_path / "b", seed=1)
    file = tmp_path / "b/metrics.json"
    file.write_text(re.sub(r'"pooled": [\d.]+', '"pooled": NaN', file.read_text()))
    assert main([str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["runs"][1]["value"] is None
