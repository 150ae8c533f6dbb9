"""From recordings with label tables to a scored model, from the command line."""

import csv
import json

import numpy as np
import pytest
from conftest import tone, write_wav

SR = 8000
FAST = ["feature=mfcc", "pooling=stats", "audio.sample_rate=8000", "audio.duration=1", "report=false", "n_jobs=1"]
EVENTS = [(1.0, 2.5, "low"), (4.0, 5.0, "high"), (6.0, 7.5, "low"), (8.5, 9.5, "high")]


@pytest.fixture
def scenes(tmp_path):
    """Ten recordings of tones in noise, with the same events as Raven, Audacity and CSV tables."""
    rows = ["file_name;start;end;label"]
    for number in range(10):
        y = 0.02 * np.random.default_rng(number).standard_normal(11 * SR)
        moved = [(start + 0.1 * (number % 3), end + 0.1 * (number % 3), label) for start, end, label in EVENTS]
        raven, track = ["Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tSpecies"], []
        for i, (start, end, label) in enumerate(moved, 1):
            sound = tone({"low": 300, "high": 2000}[label] * (1 + 0.01 * number), end - start, SR)
            y[round(start * SR) : round(start * SR) + sound.size] += sound
            raven.append(f"{i}\tSpectrogram 1\t1\t{start:.9f}\t{end:.9f}\t{label}")
            track.append(f"{start:.6f}\t{end:.6f}\t{label}")
            rows.append(f"rec{number};{start:.3f};{end:.3f};{label}".replace(".", ","))
        write_wav(tmp_path / f"sounds/rec{number}.wav", y, SR)
        for folder, suffix, lines in (("raven", ".Table.1.selections.txt", raven), ("audacity", ".txt", track)):
            (tmp_path / folder).mkdir(exist_ok=True)
            (tmp_path / folder / f"rec{number}{suffix}").write_text("\r\n".join(lines) + "\r\n")
    (tmp_path / "events.csv").write_bytes("\n".join(rows).encode("utf-16"))
    return tmp_path


def metrics(folder):
    found = json.loads((folder / "metrics.json").read_text())
    return {key: value for key, value in found.items() if not key.endswith("seconds") and key != "n_from_cache"}


@pytest.mark.parametrize("unit", ["event", "windows"])
def test_the_format_of_the_tables_changes_no_metric(audiofw, scenes, unit):
    found = []
    for tables in ("raven", "audacity", "events.csv"):
        folder = scenes / "out" / tables
        words = ["data.source=sounds", f"data.annotations={tables}", f"data.unit={unit}", f"hydra.run.dir={folder}"]
        outcome = audiofw(*words, *FAST, "split=kfold", "audit=false")
        assert outcome.code == 0, outcome.err
        found.append(metrics(folder))
    assert found[0] == found[1] == found[2]
    assert found[0]["classes"] == (["background", "high", "low"] if unit == "windows" else ["high", "low"])
    assert found[0]["value"] > 0.9


def test_no_recording_is_on_both_sides_by_default_and_predictions_name_stretches(audiofw, scenes):
    outcome = audiofw("data.source=sounds", "data.annotations=raven", "data.unit=windows", "hydra.run.dir=run", *FAST)
    assert outcome.code == 0, outcome.err
    assert "audit warning: source" not in outcome.out
    with (scenes / "run/predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    tested = {row["path"].partition("@")[0] for row in rows}
    assert len(tested) in (2, 3)
    assert all(row["group"] == row["path"].partition("@")[0] for row in rows)


def test_rows_that_do_not_fit_are_in_failures_csv(audiofw, scenes):
    (scenes / "raven/rec3.Table.1.selections.txt").write_text(
        "Selection\tBegin Time (s)\tEnd Time (s)\tSpecies\n1\t1,0\t2,5\tlow\n2\t5,0\t4,0\tlow\n3\t99\t100\tlow\n"
    )
    outcome = audiofw("data.source=sounds", "data.annotations=raven", "hydra.run.dir=run", *FAST)
    assert outcome.code == 0, outcome.err
    assert "rec3.Table.1.selections.txt: line 3: ends before it starts: 5 s to 4 s" in outcome.err
    with (scenes / "run/failures.csv").open(newline="") as file:
        failures = list(csv.DictReader(file))
    assert [row["name"].rpartition("/")[2] for row in failures] == [
        "rec3.Table.1.selections.txt: line 3",
        "rec3.Table.1.selections.txt: line 4",
    ]
    raised = audiofw("data.source=sounds", "data.annotations=raven", "data.on_error=raise", *FAST)
    assert raised.code == 1
    assert "line 3: ends before it starts" in raised.err


def test_a_report_plays_the_stretches(audiofw, scenes):
    words = [word for word in FAST if word != "report=false"]
    outcome = audiofw("data.source=events.csv", "data.columns.root=sounds", "hydra.run.dir=run", *words)
    assert outcome.code == 0, outcome.err
    page = (scenes / "run/report.html").read_text()
    assert "rec0.wav@" in page or "@4" in page
    assert "no longer available" not in page
    assert audiofw("report", "run").code == 0
    assert audiofw("verify", "run").code == 0


def test_an_option_out_of_range_is_refused(audiofw, scenes):
    for word in ("windows.min_overlap=0", "windows.min_overlap=2", "windows.background_ratio=-1", "data.unit=frames"):
        assert audiofw("data.source=sounds", "data.annotations=raven", word).code == 2
    assert audiofw("data.source=sounds", "data.annotations=raven", "data.unit=windows", "audio.duration=null").code == 2


def test_background_is_not_among_the_classes_of_f1(audiofw, scenes):
    words = [
        "data.source=sounds",
        "data.annotations=raven",
        "data.unit=windows",
        "score=f1",
        "hydra.run.dir=run",
        *FAST,
    ]
    outcome = audiofw(*words)
    assert outcome.code == 0, outcome.err
    assert "F1 without background" in outcome.out
    found = metrics(scenes / "run")
    assert found["negative"] == "background"
    each = {row["class"]: row["f1"] for row in found["per_class"]}
    assert found["value"] == pytest.approx((each["high"] + each["low"]) / 2)
    assert audiofw(*words, "data.background=low").code == 0


def test_predictions_have_start_end_and_time_of_day_and_scores_by_site(audiofw, scenes):
    for number in range(10):
        site, day = "POND" if number % 2 else "HILL", 10 + number // 4
        (scenes / f"sounds/rec{number}.wav").rename(scenes / f"sounds/{site}_202506{day}_04{number:02}00.wav")
        table = scenes / f"audacity/rec{number}.txt"
        table.rename(table.with_name(f"{site}_202506{day}_04{number:02}00.txt"))
    words = ["data.source=sounds", "data.annotations=audacity", "data.unit=windows", "split=kfold", "hydra.run.dir=run"]
    outcome = audiofw(*words, *FAST)
    assert outcome.code == 0, outcome.err
    assert "so they are grouped by site and day: 6 groups" in outcome.err
    assert "by site: event F1 (IoU 0.5) from" in outcome.out
    with (scenes / "run/predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[1] | {"start": "0.5", "end": "1.5", "time": "2025-06-10T04:00:00.500"} == rows[1]
    assert rows[1]["group"] == "HILL 2025-06-10"
    found = metrics(scenes / "run")["by_group"]
    assert [(way["by"], way["score"]) for way in found] == [
        (way, score) for score in ("accuracy", "event_f1") for way in ("group", "site")
    ]
    assert {row["group"] for row in found[1]["groups"]} == {"HILL", "POND"}
    assert sum(row["n"] for row in found[1]["groups"]) == len(rows)
    board = audiofw("leaderboard", "run")  # the columns do not keep predictions from being read
    assert "ignored" not in board.err
    assert "no readable" not in board.out
