"""A run is repeated from its folder, and two runs are compared: in config, data, code, score and answers."""

import json
import os
import shutil
from pathlib import Path
from unittest.mock import patch

import pytest
import yaml
from bundles import make_sounds
from conftest import tone, write_wav

import audiofw as fw
from audiofw.api import RunResult
from audiofw.errors import DataError
from audiofw.experiment.rerun import rerun
from audiofw.leaderboard.ranking import rank
from audiofw.leaderboard.runs import read_runs
from audiofw.report.compare import compare_runs
from audiofw.results.changes import version_changes
from audiofw.results.clips import read_clips

QUICK = [
    "n_jobs=1",
    "audit=false",
    "report=false",
    "bundle=false",
    "feature=mfcc",
    "pooling=stats",
    "audio.duration=0.5",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("rerun")
    make_sounds(folder / "sounds", clips=10)
    for i in range(8):  # neither can be told from the other
        write_wav(folder / "sounds" / ("mid" if i % 2 else "high") / f"odd{i}.wav", tone(2000, 0.5, seed=100 + i))
    with patch.dict(os.environ, {"AUDIOFW_CACHE": str(folder / "cache")}):
        for model in ("lda", "knn"):
            words = [f"data.source={folder / 'sounds'}", f"model={model}", "split=kfold", *QUICK]
            fw.run(words, path=folder / model)
    return folder


@pytest.fixture
def copied(folder, tmp_path, monkeypatch) -> Path:
    """Copy the sounds and a run of them that names them by a relative path."""
    shutil.copytree(folder / "sounds", tmp_path / "sounds")
    shutil.copytree(folder / "lda", tmp_path / "lda")
    monkeypatch.chdir(tmp_path)
    config = yaml.safe_load(Path("lda/config.yaml").read_text())
    config["data"]["source"] = "sounds"
    Path("lda/config.yaml").write_text(yaml.safe_dump(config))
    return tmp_path


# ---- repeating


def test_a_run_lists_its_clips_with_the_digest_of_each(folder):
    clips = read_clips(folder / "lda")
    assert clips is not None
    assert [clip.name for clip in clips] == sorted(
        file.relative_to(folder / "sounds").as_posix() for file in (folder / "sounds").rglob("*.wav")
    )
    assert len({clip.digest for clip in clips}) == len(clips)
    assert {clip.label for clip in clips} == {"low", "mid", "high"}


def test_a_run_is_repeated_with_the_same_config_and_results(copied, audiofw):
    outcome = audiofw("rerun", "lda", "-o", "again")
    assert outcome.code == 0, outcome.err
    assert "config:   the same\ndata:     the same\nversions: the same\n" in outcome.out
    assert ", as before" in outcome.out
    assert "none of 38 predictions differ" in outcome.out
    assert Path("again/predictions.csv").read_bytes() == Path("lda/predictions.csv").read_bytes()
    before, now = (yaml.safe_load(Path(run, "config.yaml").read_text()) for run in ("lda", "again"))
    assert now == before


def test_changed_data_is_refused_with_what_has_changed_unless_wanted(copied, audiofw):
    Path("sounds/low/0.wav").unlink()
    write_wav(Path("sounds/low/new.wav"), tone(200))
    write_wav(Path("sounds/mid/1.wav"), tone(900, seed=77))
    shutil.move("sounds/mid/2.wav", "sounds/high/mid2.wav")
    outcome = audiofw("rerun", "lda", "-o", "again")
    assert outcome.code == 1
    assert "2 clips missing (low/0.wav, mid/2.wav); 2 clips added (high/mid2.wav, low/new.wav)" in outcome.err
    assert "1 clip changed (mid/1.wav); --changed-data uses it as it is now" in outcome.err
    assert outcome.err.count("\n") == 1
    assert not Path("again").exists()
    outcome = audiofw("rerun", "lda", "-o", "again", "--changed-data")
    assert outcome.code == 0, outcome.err
    assert "1 clip changed (mid/1.wav)" in outcome.out


def test_another_label_is_a_change_even_of_the_same_samples(copied):
    Path("sounds/metadata.csv").write_text(
        "file_name,label\n"
        + "".join(f"{file.relative_to('sounds')},{file.parent.name}\n" for file in Path("sounds").rglob("*.wav"))
    )
    assert rerun(Path("lda"), Path("same")).data == []
    table = Path("sounds/metadata.csv").read_text()
    Path("sounds/metadata.csv").write_text(table.replace("low/3.wav,low", "low/3.wav,mid"))
    with pytest.raises(DataError, match=r"1 clip with another label \(low/3.wav\)"):
        rerun(Path("lda"), Path("again"))


def test_a_run_that_does_not_say_what_its_data_was_is_refused(copied):
    Path("lda/clips.csv").unlink()
    with pytest.raises(DataError, match=r"clips.csv, which says what it was, is missing"):
        rerun(Path("lda"), Path("again"))


def test_other_versions_are_listed():
    before = {
        "audiofw": "1",
        "code": "a",
        "libraries": {"numpy": "1"},
        "plugins": {"model": {"name": "x", "code": "a"}},
    }
    now = {"audiofw": "2", "code": "b", "libraries": {"numpy": "2"}, "plugins": {"model": {"name": "x", "code": "b"}}}
    assert version_changes(before, now) == [
        "audiofw: 1 → 2",
        "audiofw's code has changed",
        "numpy: 1 → 2",
        "model: its code has changed",
    ]
    assert version_changes(before, before) == []
    other = {**before, "plugins": {"model": {"name": "y", "code": "b"}}}
    assert version_changes(before, other) == []  # the config says so


@pytest.mark.parametrize(
    ("words", "code", "reason"),
    [
        (["rerun", "missing"], 1, "missing: no such folder; give the folder of a run"),
        (["rerun", "sounds"], 1, "sounds: no results of a run (config.yaml and metrics.json)"),
        (["rerun"], 2, "the following arguments are required: RUN"),
        (["rerun", "lda", "-o", "sounds"], 2, "sounds: contains files that are not from a run"),
        (["rerun", "damaged"], 1, "metrics.json is missing or damaged"),
        (["compare", "lda"], 2, "the following arguments are required: RUN"),
        (["compare", "lda", "missing"], 1, "missing: no such folder; give the folders of two runs"),
        (["compare", "lda", "sounds"], 1, "sounds: metrics.json is missing or damaged"),
        (["compare", "lda", "lda", "-o", "sounds"], 2, "-o sounds: a folder; name a file"),
        (["compare", "lda", "lda", "-o", "mine.html"], 2, "mine.html: exists, and is not a page of audiofw's"),
    ],
)
def test_what_cannot_be_repeated_or_compared_is_one_line(copied, audiofw, words, code, reason):
    Path("mine.html").write_text("<h1>mine</h1>")
    shutil.copytree("lda", "damaged")
    Path("damaged/metrics.json").write_text("{")
    outcome = audiofw(*words)
    assert outcome.code == code, outcome.err
    assert reason in outcome.err
    assert outcome.err.strip().splitlines()[-1].startswith("audiofw: ")


# ---- comparing


def test_a_comparison_says_what_differs_and_which_answers_changed(folder, audiofw):
    outcome = audiofw("compare", str(folder / "lda"), str(folder / "knn"))
    assert outcome.code == 0, outcome.err
    rows = [
        {row["path"]: row["predicted"] for row in RunResult(folder / model).predictions} for model in ("lda", "knn")
    ]
    changed = [name for name in rows[0] if rows[0][name] != rows[1][name]]
    assert changed
    assert f"clips:    {len(changed)} of 38 changed: " in outcome.out
    assert "model.name: lda → knn" in outcome.out
    assert "data:     the same" in outcome.out
    page = Path("comparison.html").read_text()
    assert all(name in page for name in changed)
    assert page.count("<audio") == len(changed)
    assert audiofw("compare", str(folder / "lda"), str(folder / "knn"), "--no-audio").code == 0  # replaces it
    assert "<audio" not in Path("comparison.html").read_text()


def test_the_difference_is_tested_as_on_a_leaderboard(folder):
    board = rank(read_runs([folder / "lda", folder / "knn"]), ensemble=False)
    found = compare_runs(folder / "lda", folder / "knn")
    p = board.rows[-1].comparison.p
    assert p is not None
    assert f"(p = {p:.2g}, sign-flip test over 38 clips)" in found.verdict
    assert [run.value for run in found.runs] == [
        json.loads((folder / model / "metrics.json").read_text())["value"] for model in ("lda", "knn")
    ]


def test_a_run_compared_with_itself_has_no_differences(folder):
    found = compare_runs(folder / "lda", folder / "lda")
    assert found.verdict == "accuracy is the same"
    assert (found.options, found.data, found.code, found.changed) == ([], [], [], [])
    assert found.n_compared == 38


def test_runs_on_other_clips_are_compared_on_those_that_both_have_tested(copied, folder):
    for file in Path("sounds").rglob("odd*.wav"):
        file.unlink()
    fw.run(["data.source=sounds", "model=lda", "split=kfold", *QUICK], path="fewer")
    found = compare_runs(Path("lda"), Path("fewer"))
    assert found.n_compared == 30
    assert found.data == ["8 clips missing (high/odd0.wav, high/odd2.wav, high/odd4.wav, …)"]
    assert any("tested on other clips" in note for note in found.notes)
