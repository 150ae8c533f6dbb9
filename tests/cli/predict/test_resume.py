"""``--resume`` goes on with the same model, options and recordings only, and an output has one writer."""

import csv
import errno
import json
import os
import shutil
from pathlib import Path

import pytest
from bundles import change_facts, make_run
from conftest import tone, write_wav

from audiofw.cli.predict import resume
from audiofw.cli.predict.formats import RESUMED
from audiofw.system.locks import sole


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    return make_run(tmp_path_factory.mktemp("resume"))


@pytest.fixture
def clips(tmp_path) -> Path:
    for name, frequency in {"a.wav": 210, "b.wav": 910, "c.wav": 4100}.items():
        write_wav(tmp_path / "clips" / name, tone(frequency, 0.6, seed=99))
    return tmp_path / "clips"


def labels(file: str) -> dict[str, str]:
    if file.endswith("jsonl"):
        records = [json.loads(line) for line in Path(file).read_text().splitlines()]
        return {Path(record["path"]).name: record.get("predicted", record.get("label", "")) for record in records}
    with Path(file).open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len({row["path"] for row in rows}) == len(rows)
    return {Path(row["path"]).name: row.get("predicted", row.get("label", "")) for row in rows}


def touch(path: Path, frequency: float) -> None:
    """Change a recording; its time is changed too, whatever the clock's resolution."""
    write_wav(path, tone(frequency, 0.6, seed=98))
    os.utime(path, ns=(1, path.stat().st_mtime_ns + 10**9))


@pytest.mark.parametrize("options", [[], ["--window", "0.6"]])
@pytest.mark.parametrize("name", ["out.csv", "out.jsonl"])
@pytest.mark.parametrize("changed", ["a.wav", "b.wav", "c.wav"])
def test_a_changed_recording_is_predicted_again_and_the_others_are_kept(audiofw, run, clips, name, changed, options):
    words = ["predict", str(run), str(clips), "-o", name, *options]
    assert audiofw(*words).code == 0
    assert labels(name) == {"a.wav": "low", "b.wav": "mid", "c.wav": "high"}
    new = {"a.wav": ("high", 4100), "b.wav": ("low", 210), "c.wav": ("mid", 910)}[changed]
    touch(clips / changed, new[1])
    assert audiofw(*words, "--resume").code == 0
    assert labels(name) == {"a.wav": "low", "b.wav": "mid", "c.wav": "high"} | {changed: new[0]}
    whole = Path(name).read_bytes()
    assert audiofw(*words, "--resume").code == 0
    assert Path(name).read_bytes() == whole


def test_a_recording_that_was_not_there_is_asked_for_again(audiofw, run, clips):
    words = ["predict", str(run), str(clips / "a.wav"), str(clips / "d.wav"), str(clips / "e*.wav"), "-o", "out.csv"]
    assert audiofw(*words).code == 1
    for name in ("d.wav", "e1.wav"):
        write_wav(clips / name, tone(910, 0.6))
    assert audiofw(*words, "--resume").code == 0
    assert labels("out.csv") == {"a.wav": "low", "d.wav": "mid", "e1.wav": "mid"}


def test_a_recording_that_is_gone_keeps_its_row(audiofw, run, clips):
    words = ["predict", str(run), str(clips), "-o", "out.csv"]
    assert audiofw(*words).code == 0
    (clips / "b.wav").unlink()
    assert audiofw(*words, "--resume").code == 0
    assert labels("out.csv").keys() == {"a.wav", "b.wav", "c.wav"}


def test_rows_that_the_journal_does_not_vouch_for_are_predicted_again(audiofw, run, clips):
    words = ["predict", str(run), str(clips), "-o", "out.csv"]
    assert audiofw(*words).code == 0
    whole, journal = Path("out.csv").read_bytes(), Path("out.csv.resume.jsonl")
    Path("out.csv").write_bytes(whole.replace(b"a.wav,low", b"a.wav,mid"))
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join([lines[0], *lines[2:]])[:-5])  # neither of the first, nor of the last: killed
    assert audiofw(*words, "--resume").code == 0
    assert labels("out.csv") == {"a.wav": "low", "b.wav": "mid", "c.wav": "high"}
    assert sorted(Path("out.csv").read_bytes().splitlines()) == sorted(whole.splitlines())


def test_another_model_is_refused(audiofw, run, clips, tmp_path):
    assert audiofw("predict", str(run), str(clips), "-o", "out.csv").code == 0
    before = Path("out.csv").read_bytes()
    other = Path(shutil.copytree(run / "model", tmp_path / "other"))
    change_facts(other, lambda facts: facts.update(made="2000-01-01T00:00:00+00:00"))
    outcome = audiofw("predict", str(other), str(clips), "-o", "out.csv", "--resume")
    assert outcome.code == 2
    (line,) = outcome.err.splitlines()
    assert line.endswith("out.csv: cannot be resumed: started with another model; leave out --resume to start over")
    assert Path("out.csv").read_bytes() == before
    assert audiofw("predict", str(other), str(clips), "-o", "out.csv").code == 0
    assert audiofw("predict", str(other), str(clips), "-o", "out.csv", "--resume").code == 0


@pytest.mark.parametrize(
    ("first", "then", "said"),
    [
        ([], ["--min-confidence", "0.99"], "--min-confidence"),
        (["--window", "0.3"], ["--window", "0.6"], "--window, --hop"),
        (["--window", "0.3"], ["--window", "0.3", "--hop", "0.1"], "--hop"),
        (["--window", "0.3"], ["--window", "0.3", "--threshold", "0.5"], "--threshold"),
        (["--coverage", "0.9"], ["--coverage", "0.8"], "--coverage"),
    ],
)
def test_other_options_are_refused(audiofw, run, clips, first, then, said):
    words = ["predict", str(run), str(clips), "-o", "out.csv"]
    assert audiofw(*words, *first).code == 0
    outcome = audiofw(*words, *then, "--resume")
    assert outcome.code == 2
    assert f"started with another {said};" in outcome.err
    assert audiofw(*words, *first, "--n-jobs", "1", "--resume").code == 0


@pytest.mark.parametrize("content", [None, "", "x", "[]", "{}", '{"format": 0}', '{"format": 1, "model": 1}\n[1]\n'])
def test_a_missing_or_foreign_journal_is_one_line(audiofw, run, clips, content):
    words = ["predict", str(run), str(clips), "-o", "out.csv"]
    assert audiofw(*words).code == 0
    before, journal = Path("out.csv").read_bytes(), Path("out.csv.resume.jsonl")
    journal.unlink()
    if content is not None:
        journal.write_text(content)
    outcome = audiofw(*words, "--resume")
    assert outcome.code == 2
    (line,) = outcome.err.splitlines()
    assert "out.csv: cannot be resumed: " in line
    assert "leave out --resume to start over" in line
    assert Path("out.csv").read_bytes() == before


@pytest.mark.parametrize("name", ["out.csv", "out.json", "link.csv"])
def test_a_second_process_on_one_output_is_refused(audiofw, run, clips, name):
    Path("link.csv").symlink_to("out.csv")
    real = Path(name).resolve()
    with sole(real.with_name(f".{real.name}.lock"), "held"):
        outcome = audiofw("predict", str(run), str(clips), "-o", name)
        assert outcome.code == 1
        assert outcome.err == f"audiofw: --output {name}: another process is writing it\n"
        assert not real.exists()
    assert audiofw("predict", str(run), str(clips), "-o", name).code == 0
    assert not list(Path().glob(".*"))


def test_a_device_may_be_the_output(audiofw, run, clips):
    assert audiofw("predict", str(run), str(clips), "-o", "/dev/null").code == 0
    assert not Path("/dev/null.resume.jsonl").exists()


def test_a_disk_that_is_full_midway_is_one_line(audiofw, run, clips, monkeypatch):
    def fill(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(resume.Journal, "wrote", fill)
    outcome = audiofw("predict", str(run), str(clips), "-o", "out.csv")
    assert outcome.code == 1
    assert outcome.err == (
        "audiofw: out.csv: cannot write: No space left on device; free some space, or choose another folder with"
        " --output (the results before that are kept: continue with --resume -o out.csv)\n"
    )


def test_an_output_that_cannot_be_resumed_leaves_no_journal(audiofw, run, clips):
    words = ["predict", str(run), str(clips), "-o", "out.csv"]
    assert audiofw(*words).code == 0
    assert Path("out.csv.resume.jsonl").exists()
    assert audiofw(*words, "--format", "table").code == 0
    assert "table" not in RESUMED
    assert not Path("out.csv.resume.jsonl").exists()
