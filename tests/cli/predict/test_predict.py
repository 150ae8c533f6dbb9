"""Predictions are written as they are made, for recordings of any kind, number and length."""

import csv
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile
from broken import damage
from bundles import make_run
from conftest import tone, write_wav
from gates import PATIENCE, PYTHONPATH

import audiofw as fw
from audiofw.audio.load import load, load_stretch
from audiofw.audio.stretch import as_stretch
from audiofw.bundle.prediction import Prediction
from audiofw.bundle.timeline import Cell, cells, segments
from audiofw.extraction.over_time import windows
from audiofw.parallel.executors import Lost
from audiofw.system.spreadsheet import read_records


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    return make_run(tmp_path_factory.mktemp("predict"))


@pytest.fixture
def clips(tmp_path) -> Path:
    """Make a folder of a few new sounds."""
    for name, frequency in {"a/low.wav": 210, "a/b/high.wav": 4100, "mid.wav": 910}.items():
        write_wav(tmp_path / "clips" / name, tone(frequency, 0.6, seed=99))
    return tmp_path / "clips"


def rows_of(text: str) -> list[dict[str, str]]:
    return read_records(io.StringIO(text, newline=""))


def command(*words: object) -> list[str]:
    return [sys.executable, "-m", "audiofw", *map(str, words)]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": PYTHONPATH}


# --- clips -------------------------------------------------------------------------------------------------------


def test_files_folders_and_patterns_are_predicted_in_order(audiofw, run, clips):
    outcome = audiofw("predict", str(run), str(clips / "mid.wav"), str(clips / "a"), str(clips / "**/h*.wav"))
    assert (outcome.code, outcome.err) == (0, "")
    rows = rows_of(outcome.out)
    assert [row["path"] for row in rows] == [
        str(clips / name) for name in ("mid.wav", "a/b/high.wav", "a/low.wav", "a/b/high.wav")
    ]
    assert [row["predicted"] for row in rows] == ["mid", "high", "low", "high"]
    for row in rows:
        shares = [float(row[f"p({label})"]) for label in ("high", "low", "mid")]
        assert sum(shares) == pytest.approx(1, abs=1e-5)
        assert float(row["confidence"]) == max(shares)
        assert row["error"] == ""


def test_the_command_and_python_say_the_same(audiofw, run, clips):
    files = sorted(clips.rglob("*.wav"))
    rows = rows_of(audiofw("predict", str(run), *map(str, files)).out)
    shares = fw.load_model(run).predict_proba(files)
    written = [[float(row[f"p({label})"]) for label in ("high", "low", "mid")] for row in rows]
    np.testing.assert_allclose(written, shares, atol=1e-6)


def test_out_of_fold_and_command_read_a_clip_alike(audiofw, tmp_path):
    run = make_run(tmp_path, "bundle.refit=false")
    with (run / "predictions.csv").open() as file:
        said = {row["path"]: row for row in csv.DictReader(file)}
    rows = rows_of(audiofw("predict", str(run), *(str(tmp_path / "sounds" / name) for name in said)).out)
    assert len(rows) == len(said) > 5
    for row, expected in zip(rows, said.values(), strict=True):
        assert row["predicted"] == expected["predicted"]
        assert float(row["p(low)"]) == pytest.approx(float(expected["p(low)"]), abs=1e-5)


@pytest.mark.parametrize("n_jobs", ["1", "2"])
def test_a_bad_file_is_a_row_with_its_reason(audiofw, run, clips, n_jobs):
    (clips / "bad.wav").write_bytes(b"RIFF no sound")
    (clips / "empty.flac").touch()
    write_wav(clips / "silent.wav", np.zeros(2000))
    outcome = audiofw(
        "predict", str(run), str(clips), "nosuch.wav", "no*.wav", str(clips / "mid.wav"), "--n-jobs", n_jobs
    )
    assert outcome.code == 1
    rows = rows_of(outcome.out)
    errors = {Path(row["path"]).name: row["error"] for row in rows if row["error"]}
    assert errors.keys() == {"bad.wav", "empty.flac", "silent.wav", "nosuch.wav", "no*.wav"}
    assert errors["nosuch.wav"] == "no such file"
    assert errors["empty.flac"] == "empty file (0 bytes)"
    assert all(row["predicted"] == "" for row in rows if row["error"])
    assert [row["predicted"] for row in rows if not row["error"]] == ["high", "low", "mid", "mid"]


def test_names_may_be_odd(audiofw, run, tmp_path):
    names = ["[x].wav", "new\nline ü.wav", os.fsdecode(b"not utf-8 \xff.wav"), "-dash.wav"]
    for name in names:
        write_wav(tmp_path / name, tone(900, 0.6))
    for words in ([], ["--window", "0.6"]):
        outcome = audiofw("predict", str(run), *words, "--", *names, "")
        assert outcome.code == 1
        rows = rows_of(outcome.out)
        assert [row.get("predicted") or row.get("label") or "" for row in rows] == ["mid"] * 4 + [""]
        assert [row["path"] for row in rows] == ["[x].wav", r"new\nline ü.wav", r"not utf-8 \xff.wav", "-dash.wav", ""]
        assert rows[-1]["error"] == "an empty name"


def test_an_empty_folder_is_a_row(audiofw, run, tmp_path):
    (tmp_path / "none").mkdir()
    outcome = audiofw("predict", str(run), "none")
    assert outcome.code == 1
    assert rows_of(outcome.out)[0]["error"] == "no sound in this folder"


def test_json_and_jsonl_hold_the_same(audiofw, run, clips):
    (clips / "bad.wav").write_bytes(b"x")
    as_json = json.loads(audiofw("predict", str(run), str(clips), "--format", "json").out)
    lines = audiofw("predict", str(run), str(clips), "--format", "jsonl").out.splitlines()
    assert [json.loads(line) for line in lines] == as_json
    assert as_json[0]["probabilities"].keys() == {"high", "low", "mid"}
    assert as_json[2].keys() == {"path", "error"}


def test_top_gives_the_most_probable_first(audiofw, run, clips):
    outcome = audiofw("predict", str(run), str(clips / "mid.wav"), "--top", "2")
    (row,) = rows_of(outcome.out)
    assert list(row) == ["path", "predicted", "confidence", "label1", "p1", "label2", "p2", "error"]
    assert row["label1"] == row["predicted"] == "mid"
    assert float(row["p1"]) > float(row["p2"])
    assert len(rows_of(audiofw("predict", str(run), str(clips / "mid.wav"), "--top", "99").out)[0]) == 10


def test_a_table_is_for_people(audiofw, run, clips):
    outcome = audiofw("predict", str(run), str(clips), "--format", "table")
    header, *lines = outcome.out.splitlines()
    assert header.startswith("path  predicted  confidence")
    assert len(lines) == 3


def test_what_is_not_confident_is_unknown(audiofw, run, tmp_path):
    write_wav(tmp_path / "odd.wav", np.random.default_rng(5).normal(size=9000) * 0.1)
    (row,) = rows_of(audiofw("predict", str(run), "odd.wav").out)
    above = str(min(1.0, float(row["confidence"]) + 1e-4))
    (same,) = rows_of(audiofw("predict", str(run), "odd.wav", "--min-confidence", above).out)
    assert same["predicted"] == "unknown"
    assert row["predicted"] != "unknown"
    assert same["confidence"] == row["confidence"]


def test_a_set_of_labels_is_as_large_as_its_coverage_needs(audiofw, run, tmp_path):
    sure = write_wav(tmp_path / "sure.wav", tone(900, 0.6))
    torn = write_wav(tmp_path / "torn.wav", tone(430, 0.6, noise=0.5))
    (few, _), (many, _) = (
        rows_of(audiofw("predict", str(run), str(sure), str(torn), "--coverage", share).out)
        for share in ("0.5", "0.99")
    )
    assert few["labels"] == few["predicted"] == "mid"
    assert sorted(many["labels"].split(";")) == ["high", "low", "mid"]  # too few clips were tested for this coverage
    assert fw.load_model(run).predict_set(sure, coverage=0.5) == [["mid"]]
    (record,) = json.loads(audiofw("predict", str(run), str(sure), "--coverage", "0.5", "--format", "json").out)
    assert record["labels"] == ["mid"]


@pytest.mark.parametrize("share", ["0", "1"])
def test_a_coverage_of_none_or_all_is_refused(audiofw, run, clips, share):
    outcome = audiofw("predict", str(run), str(clips), "--coverage", share)
    assert outcome.code == 2
    assert "must be between 0 and 1" in outcome.err


def test_stdin_is_a_recording(audiofw, run, clips, monkeypatch):
    with (clips / "mid.wav").open("rb") as recording:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(recording))
        outcome = audiofw("predict", str(run), "-")
    assert outcome.code == 0, outcome.err
    (row,) = rows_of(outcome.out)
    assert (row["path"], row["predicted"]) == ("-", "mid")


def test_a_model_without_probabilities_gives_labels_alone(audiofw, sounds, tmp_path, monkeypatch):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/ridge.py").write_text(
        "from audiofw import hookimpl\n\n\n@hookimpl\ndef register_models(register):\n    register(ridge)\n\n\n"
        "def ridge(seed):\n    'A ridge.'\n    from sklearn.linear_model import RidgeClassifier\n"
        "    return RidgeClassifier()\n"
    )
    monkeypatch.setenv("AUDIOFW_PLUGINS_PATH", str(tmp_path / "mine"))
    words = [f"data.source={sounds()}", "feature=mfcc", "pooling=stats", "model=ridge", "audit=false", "report=false"]
    assert audiofw(*words, "hydra.run.dir=run").code == 0
    outcome = audiofw("predict", "run", str(tmp_path / "sounds/low/0.wav"))
    assert outcome.out.splitlines()[1].split(",")[1:3] == ["low", ""]
    assert audiofw("verify", "run").code == 0
    with pytest.raises(fw.PluginError, match="gives no probabilities"):
        fw.load_model("run").predict_proba([tmp_path / "sounds/low/0.wav"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--format", "xml"], "--format"),
        (["--top", "0"], "an integer of at least 1"),
        (["--min-confidence", "2"], "between 0 and 1"),
        (["--hop", "1"], "--window"),
        (["--threshold", "0.5"], "--window"),
        (["--window", "0"], "a positive number of seconds"),
        (["--window", "nan"], "a positive number of seconds"),
        (["--window", "1e9"], "a positive number of seconds, from 0.001 to 86400"),
        (["--window", "3", "--hop", "0.001"], "--hop 0.001: too short for --window 3.0; at least a hundredth of it"),
        (["--n-jobs", "1000000000"], "'1000000000' is not an integer from 1 to 1024, or -1"),
        (["--n-jobs", "0"], "'0' is not an integer from 1 to 1024, or -1"),
        (["--window", "1", "--top", "2"], "--top"),
        (["--format", "audacity"], "--window"),
        (["--window", "1", "--format", "audacity", "other.wav"], "a single recording"),
        (["--resume"], "--output"),
        (["--resume", "-o", "out.json"], "csv and jsonl"),
        (["-o", "no/such/folder/out.csv"], "cannot write"),
    ],
)
def test_a_wrong_option_is_one_line(audiofw, run, clips, words, said):
    outcome = audiofw("predict", str(run), str(clips), *words)
    assert outcome.code == 2
    assert said in outcome.err
    assert len(outcome.err.splitlines()) == 1


# --- outputs -----------------------------------------------------------------------------------------------------


def test_a_name_that_begins_with_a_dash_is_a_file(audiofw, run, clips):
    """As the shell writes ``*.wav``."""
    one = next(clips.rglob("*.wav"))
    for name in ("-x.wav", "-o.wav", "--top.wav", "-", "b.wav"):
        shutil.copy(one, name)
    names = ["--top.wav", "-o.wav", "-x.wav", "b.wav"]
    outcome = audiofw("predict", str(run), *names)
    assert outcome.code == 0, outcome.err
    said = [row["path"].lstrip("'").removeprefix("./") for row in csv.DictReader(outcome.out.splitlines())]
    assert said == names
    assert not Path(".wav").exists()
    assert audiofw("predict", str(run), "-o", "p.csv", "--", "-x.wav").code == 0
    outcome = audiofw("predict", str(run), "b.wav", "-y.wav")
    assert outcome.code == 2
    assert len(outcome.err.splitlines()) == 1
    assert "a name that begins with a dash is written ./-name" in outcome.err


@pytest.mark.parametrize("name", ["out.csv", "out.jsonl"])
def test_a_killed_run_goes_on_where_it_was(audiofw, run, clips, name):
    words = ["predict", str(run), str(clips), "-o", name]
    assert audiofw(*words).code == 0
    whole = Path(name).read_bytes()
    for size in range(0, len(whole), 41):
        Path(name).write_bytes(whole[:size])
        assert audiofw(*words, "--resume").code == 0
        assert Path(name).read_bytes() == whole


def test_what_is_done_is_not_done_again_and_errors_are_not_forgotten(audiofw, run, clips, monkeypatch):
    (clips / "bad.wav").write_bytes(b"x")
    words = ["predict", str(run), str(clips), "-o", "out.csv"]
    assert audiofw(*words).code == 1
    whole = Path("out.csv").read_bytes()
    write_wav(clips / "zz.wav", tone(900, 0.6))
    heard = []
    listening = "audiofw.extraction.recording.load_stretch"

    def listen(sound, *given, **options):
        heard.append(as_stretch(sound).path.name)
        return load_stretch(sound, *given, **options)

    monkeypatch.setattr(listening, listen)
    assert audiofw(*words, "--resume").code == 1
    assert heard == ["zz.wav"]
    assert Path("out.csv").read_bytes().startswith(whole)


def test_an_output_of_other_options_is_not_gone_on_with(audiofw, run, clips):
    assert audiofw("predict", str(run), str(clips), "-o", "out.csv").code == 0
    before = Path("out.csv").read_bytes()
    outcome = audiofw("predict", str(run), str(clips), "-o", "out.csv", "--resume", "--top", "2")
    assert outcome.code == 2
    assert "started with another --top" in outcome.err
    assert Path("out.csv").read_bytes() == before


def test_a_timeline_goes_on_with_the_recording_that_was_cut_off(audiofw, run, clips):
    changing(clips / "mid.wav", (210, 910, 4100, 210))
    words = ["predict", str(run), str(clips), "--window", "0.6", "-o", "out.csv"]
    assert audiofw(*words).code == 0
    whole = Path("out.csv").read_bytes()
    assert len(whole.splitlines()) > 6
    for size in range(0, len(whole), 97):
        Path("out.csv").write_bytes(whole[:size])
        assert audiofw(*words, "--resume").code == 0
        assert Path("out.csv").read_bytes() == whole


def test_a_closed_pipe_ends_quietly(run, clips):
    words = command("predict", run, *[clips] * 2000)
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())
    assert process.stdout.readline().startswith(b"path,")
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait(PATIENCE) == 0


def open_for_writing(fifo: Path) -> None:
    """Open a named pipe, as soon as somebody opens it to read."""
    opening = threading.Thread(target=fifo.open, args=("wb",), daemon=True)
    opening.start()
    opening.join(PATIENCE)
    assert not opening.is_alive(), "nobody reads"


def test_results_are_written_as_they_come_and_ctrl_c_keeps_them(run, clips, tmp_path):
    fifo = tmp_path / "never.wav"
    os.mkfifo(fifo)  # a recording that never arrives
    words = command("predict", run, clips, fifo, "-o", tmp_path / "out.json", "--n-jobs", "1")
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env=environment(), start_new_session=True)
    try:
        open_for_writing(fifo)
        assert "path" in (tmp_path / "out.json").read_text()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    assert (process.returncode, err) == (130, "audiofw: stopped\n")
    assert [record["predicted"] for record in json.loads((tmp_path / "out.json").read_text())] == ["high", "low", "mid"]


# --- timelines ---------------------------------------------------------------------------------------------------


def changing(path: Path, frequencies: tuple[float, ...], seconds: float = 1.2, sr: int = 22050) -> Path:
    """Write a recording of successive tones."""
    return write_wav(path, np.concatenate([tone(f, seconds, sr, seed=i) for i, f in enumerate(frequencies)]), sr)


@pytest.mark.parametrize("sr", [22050, 44100])
def test_a_timeline_says_what_is_heard_when(audiofw, run, tmp_path, sr):
    changing(tmp_path / "long.wav", (210, 910, 4100, 910), 3.0, sr)
    words = ["predict", str(run), "long.wav", "--window", "0.6", "--hop", "0.3"]
    outcome = audiofw(*words, "--format", "audacity")
    assert (outcome.code, outcome.err) == (0, "")
    labels = [line.split("\t") for line in outcome.out.splitlines()]
    assert [label for _, _, label in labels] == ["low", "mid", "high", "mid"]
    np.testing.assert_allclose([float(end) for _, end, _ in labels], [3, 6, 9, 12], atol=0.3)
    assert [start for start, _, _ in labels[1:]] == [end for _, end, _ in labels[:-1]]
    rows = rows_of(audiofw(*words).out)
    assert [row["label"] for row in rows] == ["low", "mid", "high", "mid"]
    assert all(0.4 < float(row["confidence"]) <= 1 for row in rows)


def test_a_threshold_leaves_gaps_and_unknown_fills_them(audiofw, run, tmp_path):
    changing(tmp_path / "long.wav", (210, 910), 2.0)
    words = ["predict", str(run), "long.wav", "--window", "0.6"]
    assert rows_of(audiofw(*words, "--threshold", "1").out) == []
    (row,) = rows_of(audiofw(*words, "--min-confidence", "1").out)
    assert (row["label"], float(row["start"]), float(row["end"])) == ("unknown", 0, 4)


def stretches(rows: list[dict[str, str]]) -> list[tuple[str, float, float]]:
    return [(row["label"] or row["error"].partition(":")[0], float(row["start"]), float(row["end"])) for row in rows]


def test_silence_within_a_recording_is_a_row_with_its_reason(audiofw, run, tmp_path):
    y = np.concatenate([tone(210, 1.2), np.zeros(round(1.2 * 22050)), tone(4100, 1.2)])
    write_wav(tmp_path / "long.wav", y)
    outcome = audiofw("predict", str(run), "long.wav", "--window", "0.6")
    assert outcome.code == 1
    assert stretches(rows_of(outcome.out)) == [("low", 0, 1.2), ("silent", 1.2, 2.4), ("high", 2.4, 3.6)]


def test_samples_that_are_not_numbers_are_a_row_with_their_reason(audiofw, run, tmp_path):
    y = np.concatenate([tone(210, 1.2), tone(4100, 1.2)])
    y[round(1.3 * 22050)] = np.nan
    soundfile.write(tmp_path / "long.wav", y, 22050, subtype="FLOAT")
    outcome = audiofw("predict", str(run), "long.wav", "--window", "0.6")
    assert outcome.code == 1
    assert stretches(rows_of(outcome.out)) == [
        ("low", 0, 1.2),
        ("contains NaN or infinite samples", 1.2, 1.8),
        ("high", 1.8, 2.4),
    ]
    overlapping = audiofw("predict", str(run), "long.wav", "--window", "0.6", "--hop", "0.2", "--format", "json")
    whole = json.loads(overlapping.out)
    assert [row["end"] for row in whole[:-1]] == [row["start"] for row in whole[1:]]
    assert whole[-1]["end"] == pytest.approx(2.4)


@pytest.mark.parametrize(("suffix", "at"), [("ogg", 0.6), ("flac", 0.5)])
def test_a_hole_is_a_row_with_its_reason(audiofw, run, tmp_path, suffix, at):
    path = tmp_path / f"long.{suffix}"
    soundfile.write(path, np.concatenate([tone(210, 3.6), tone(4100, 3.6)]), 22050)
    damage(path, "flipped", at, n=10)
    outcome = audiofw("predict", str(run), path.name, "--window", "0.6")
    assert outcome.code == 1
    rows = rows_of(outcome.out)
    (lost,) = [row for row in rows if row["error"]]
    assert lost["error"].startswith("damaged: ")
    assert 0 < float(lost["start"]) < float(lost["end"]) < 7.2
    assert [row["end"] for row in rows[:-1]] == [row["start"] for row in rows[1:]]
    assert float(rows[-1]["end"]) == pytest.approx(7.2)


@pytest.mark.parametrize("suffix", ["wav", "flac"])
def test_the_end_that_a_cut_file_lacks_is_a_row_with_its_reason(audiofw, run, tmp_path, suffix):
    path = tmp_path / f"long.{suffix}"
    soundfile.write(path, np.concatenate([tone(210, 1.2), tone(4100, 1.2)]), 22050, subtype="PCM_16")
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * 0.75)])
    outcome = audiofw("predict", str(run), path.name, "--window", "0.6")
    assert outcome.code == 1
    rows = rows_of(outcome.out)
    assert "cut short" in rows[-1]["error"]
    assert float(rows[-1]["start"]) == pytest.approx(float(rows[-2]["end"]), abs=1e-3)
    assert float(rows[-1]["end"]) == pytest.approx(2.4, abs=1e-3)
    labels = audiofw("predict", str(run), path.name, "--window", "0.6", "--format", "audacity")
    assert labels.code == 1
    assert f"long.{suffix} from 1." in labels.err


def test_a_bad_recording_is_a_row_in_a_timeline_too(audiofw, run, clips):
    (clips / "bad.wav").write_bytes(b"x")
    outcome = audiofw("predict", str(run), str(clips), "nosuch.wav", "--window", "0.3")
    assert outcome.code == 1
    errors = [row for row in rows_of(outcome.out) if row["error"]]
    assert [Path(row["path"]).name for row in errors] == ["bad.wav", "nosuch.wav"]
    outcome = audiofw("predict", str(run), str(clips / "bad.wav"), "--window", "0.3", "--format", "audacity")
    assert (outcome.code, outcome.out) == (1, "")
    assert "bad.wav: not audio" in outcome.err


@pytest.mark.parametrize("hop", [0.05, 0.3, 0.45, 0.6, 1.1])
@pytest.mark.parametrize("seconds", [0.1, 0.6, 2.345])
def test_windows_by_blocks_are_those_of_the_whole(tmp_path, monkeypatch, hop, seconds):
    monkeypatch.setattr("audiofw.extraction.over_time.BLOCK", 777)
    path = write_wav(tmp_path / "x.wav", tone(500, seconds))
    y, sr = load(path, sample_rate=None, duration=None)
    found = list(windows(path, None, 0.6, hop))
    for window in found:
        start = round(window.number * hop * sr)
        np.testing.assert_array_equal(window.y, y[start : start + window.y.size])
        assert window.end == (start + window.y.size) / sr
    assert all(window.y.size == round(0.6 * sr) for window in found[:-1])
    assert found[-1].end == y.size / sr or hop > 0.6


@pytest.mark.parametrize("sr", [8000, 44100, 48000])
def test_resampling_by_blocks_is_that_of_the_whole(tmp_path, monkeypatch, sr):
    monkeypatch.setattr("audiofw.extraction.over_time.BLOCK", 5000)
    path = write_wav(tmp_path / "x.wav", tone(500, 1.0, sr), sr)
    y, _ = load(path, sample_rate=22050, duration=None)
    (window,) = windows(path, 22050, 10.0, 10.0)
    assert abs(window.y.size - y.size) <= 1
    size = min(window.y.size, y.size)
    np.testing.assert_allclose(window.y[:size], y[:size], atol=1e-5)


CLASSES = np.array(["a", "b"])


def heard(*shares: float | None) -> list[tuple[int, float, Prediction | Lost]]:
    return [
        (i, i + 2.0, Lost("silent") if p is None else Prediction("a", np.array([p, 1 - p])))
        for i, p in enumerate(shares)
    ]


def test_a_stretch_is_the_mean_of_the_windows_over_it():
    found = list(cells(heard(1.0, 0.0, 1.0), CLASSES, 2.0, 1.0))
    assert [(cell.start, cell.end) for cell in found] == [(0, 1), (1, 2), (2, 3), (3, 4)]
    assert [cell.shares[0] for cell in found] == [1.0, 0.5, 0.5, 1.0]


def test_a_window_that_is_lost_leaves_the_others():
    found = list(cells(heard(1.0, None, None, 0.0), CLASSES, 2.0, 1.0))
    assert [None if cell.shares is None else cell.shares[0] for cell in found] == [1.0, 1.0, None, 0.0, 0.0]


def test_neighbours_of_one_label_are_merged():
    shares = [0.9, 0.7, 0.2, 0.45, 0.9]
    stretches = [Cell(i, i + 1, np.array([p, 1 - p])) for i, p in enumerate(shares)]
    assert [(s.start, s.end, s.label) for s in segments(stretches, CLASSES)] == [(0, 2, "a"), (2, 4, "b"), (4, 5, "a")]
    assert next(segments(stretches, CLASSES)).confidence == pytest.approx(0.8)
    assert [(s.start, s.end) for s in segments(stretches, CLASSES, threshold=0.6)] == [(0, 2), (2, 3), (4, 5)]
    labels = [s.label for s in segments(stretches, CLASSES, min_confidence=0.6)]
    assert labels == ["a", "b", "unknown", "a"]


# --- cost --------------------------------------------------------------------------------------------------------


ONE_AFTER_THE_OTHER = """
import json, resource, sys
from audiofw.cli.main import main
for words in json.loads(sys.argv[1]):
    code = main(words)
    print("ended:", code, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)
"""


def run_elsewhere(*commands: list[object]) -> list[tuple[int, int]]:
    """Run commands in one other process: each one's exit code, and the megabytes taken up to its end."""
    words = json.dumps([[str(word) for word in line] for line in commands])
    code = [sys.executable, "-c", ONE_AFTER_THE_OTHER, words]
    done = subprocess.run(code, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment())
    assert done.returncode == 0, done.stderr[-2000:]
    assert "Traceback" not in done.stderr
    ends = re.findall(r"^ended: (\d+) (\d+)$", done.stderr, re.MULTILINE)
    assert len(ends) == len(commands)
    return [(int(code), int(most) // (1024 if sys.platform != "darwin" else 2**20)) for code, most in ends]


def test_memory_does_not_grow_with_a_recordings_length(run, tmp_path):
    sr = 44100
    minute = np.tile(tone(900, 1.0, sr), 60).astype(np.float32)
    for name, minutes in {"short": 1, "long": 10}.items():
        with soundfile.SoundFile(tmp_path / f"{name}.flac", "w", sr, 1, "PCM_16") as file:
            for _ in range(minutes):
                file.write(minute)
    words = ["predict", run, "--window", "5", "--n-jobs", "1"]
    (_, short), (_, long) = ends = run_elsewhere(
        [*words, tmp_path / "short.flac"],
        [*words, tmp_path / "long.flac"],
    )
    assert [code for code, _ in ends] == [0, 0]
    assert long - short < 40  # as float32 it is 95 MB more


def test_the_path_to_a_label_imports_no_more_than_it_needs(run, clips):
    code = (
        "import sys; from audiofw.cli.main import main\n"
        f"main(['predict', {str(run)!r}, {str(clips / 'mid.wav')!r}])\n"
        "names = ('hydra', 'omegaconf', 'matplotlib', 'librosa', 'numba', 'xgboost', 'catboost', 'optuna',"
        " 'loky', 'docstring_parser', 'platformdirs', 'antlr4', "
        " 'audiofw.experiment.hydra_app', 'audiofw.experiment.run')\n"
        "print([name for name in names if name in sys.modules], file=sys.stderr)\n"
        "print([name for name in sys.modules if name.startswith('audiofw.plugins.')], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment())
    assert "mid" in done.stdout
    strange, plugins = done.stderr.splitlines()
    assert strange == "[]"
    assert (
        plugins
        == "['audiofw.plugins.features.mfcc', 'audiofw.plugins.models.lightgbm', 'audiofw.plugins.poolings.stats']"
    )


# --- fuzz --------------------------------------------------------------------------------------------------------

FORMATS = {"wav": ("WAV", "PCM_16"), "flac": ("FLAC", "PCM_16"), "ogg": ("OGG", "VORBIS"), "mp3": ("MP3", None)}


def mutated(data: bytes, rng: np.random.Generator) -> bytes:
    """Damage a file as disks, networks and attackers might."""
    changed = bytearray(data)
    for _ in range(rng.integers(1, 6)):
        at = int(rng.integers(len(changed) or 1))
        match rng.integers(7):
            case 0:
                changed[at : at + 1] = bytes([rng.integers(256)])
            case 1:
                del changed[at:]
            case 2:
                del changed[at : at + int(rng.integers(64))]
            case 3:
                changed[at:at] = rng.bytes(int(rng.integers(64)))
            case 4:
                changed[at : at + 4] = rng.choice([b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff"])
            case 5:
                head = int(rng.integers(min(64, len(changed)) or 1))
                changed[head : head + 1] = bytes([rng.integers(256)])
            case _:
                changed[at : at + 256] = bytes(len(changed[at : at + 256]))
    return bytes(changed)


def write_mutants(folder: Path, each: int, seed: int) -> int:
    rng = np.random.default_rng(seed)
    y = tone(900, 0.3).astype(np.float32)
    folder.mkdir()
    for suffix, (format, subtype) in FORMATS.items():
        whole = io.BytesIO()
        soundfile.write(whole, y, 22050, format=format, subtype=subtype)
        for i in range(each):
            (folder / f"{i:05}.{suffix}").write_bytes(mutated(whole.getvalue(), rng))
    return each * len(FORMATS)


def test_damaged_files_cost_a_row_each_and_nothing_more(run, tmp_path):
    each = int(os.environ.get("AUDIOFW_FUZZ", "50"))
    count = write_mutants(tmp_path / "mutants", each, seed=0)
    write_mutants(tmp_path / "others", each, seed=4)
    ends = run_elsewhere(
        ["predict", run, tmp_path / "mutants", "-o", tmp_path / "clips.jsonl"],
        ["predict", run, tmp_path / "others", "-o", tmp_path / "times.jsonl", "--window", "0.1", "--hop", "0.05"],
    )
    assert {code for code, _ in ends} <= {0, 1}
    clips, times = (
        [json.loads(line) for line in (tmp_path / name).read_text().splitlines()]
        for name in ("clips.jsonl", "times.jsonl")
    )
    assert len({record["path"] for record in clips}) == len(clips) == count
    assert {"error" in record for record in clips} == {True, False}
    assert len({record["path"] for record in times}) == count


# --- the time of day ----------------------------------------------------------------------------------------------


def test_recordings_that_say_when_they_were_made_tell_the_time_of_day(audiofw, run, tmp_path):
    for name in ("POND_20250612_235959.wav", "z.wav"):
        changing(tmp_path / "dated" / name, (300.0, 2000.0))
    rows = rows_of(audiofw("predict", str(run), "dated").out)
    assert [row["time"] for row in rows] == ["2025-06-12T23:59:59", ""]
    rows = rows_of(audiofw("predict", str(run), "dated", "--window", "0.4").out)
    assert rows[0]["time"] == "2025-06-12T23:59:59"
    assert [row["time"] for row in rows if float(row["start"]) == 1.2] == ["2025-06-13T00:00:00.200", ""]
    records = json.loads(audiofw("predict", str(run), "dated", "--window", "0.4", "--format", "json").out)
    assert [record.get("time", "") for record in records] == [row["time"] for row in rows]
    (tmp_path / "tables").mkdir()
    outcome = audiofw("predict", str(run), "dated", "--window", "0.4", "-o", "tables")
    assert outcome.code == 0, outcome.err
    dated = rows_of((tmp_path / "tables/POND_20250612_235959.csv").read_text())
    assert [row["time"] for row in dated] == [row["time"] for row in rows if row["time"]]
    assert "time" not in (tmp_path / "tables/z.csv").read_text()
