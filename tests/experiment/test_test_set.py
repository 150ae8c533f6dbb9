"""A test set that is set aside is scored once, by the saved model, and takes no part in any choice."""

import json
import shutil
from pathlib import Path

import pytest
from bundles import make_sounds

import audiofw as fw
from audiofw.errors import ConfigError, DataError
from audiofw.experiment import chosen, run

QUICK = ["n_jobs=1", "report=false", "feature=mfcc", "pooling=stats", "model=lda", "audio.duration=0.5", "cache=false"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("aside")
    make_sounds(folder / "sounds", clips=10)
    make_sounds(folder / "aside", clips=3)
    for file in (folder / "aside").rglob("*.wav"):  # other samples, though the same length
        content = bytearray(file.read_bytes())
        content[-2:] = b"\x01\x01"
        file.write_bytes(content)
    return folder


def words(folder: Path, *more: str) -> list[str]:
    return [f"data.source={folder / 'sounds'}", *QUICK, *more]


def aside(folder: Path) -> str:
    return f"data.test={folder / 'aside'}"


def test_the_saved_model_is_scored_and_nothing_else_changes(folder, tmp_path):
    plain = fw.run(words(folder), path=tmp_path / "plain")
    result = fw.run(words(folder, aside(folder)), path=tmp_path / "run")
    test = json.loads((tmp_path / "run/test/metrics.json").read_text())
    assert test["n_tested"] == 9
    assert test["value"] == 1
    assert result.metrics["scores"] == plain.metrics["scores"]
    assert (result.path / "predictions.csv").read_bytes() == (plain.path / "predictions.csv").read_bytes()
    assert {one["path"] for one in result.predictions} <= {
        file.relative_to(folder / "sounds").as_posix() for file in (folder / "sounds").rglob("*.wav")
    }


def test_copies_in_the_training_data_are_a_warning_on_the_terminal_and_in_the_report(folder, audiofw):
    shutil.copytree(folder / "aside", "test")
    shutil.copy(folder / "sounds/low/0.wav", "test/low/copy.wav")
    outcome = audiofw(*words(folder, "data.test=test", "report=true", "report.audio=false", "hydra.run.dir=run"))
    assert outcome.code == 0, outcome.err
    assert "test set test, 10 clips, scored once with the saved model:" in outcome.out
    assert "test clips is equal to a training clip" in outcome.out.replace("are each", "is")
    page = Path("run/report.html").read_text()
    assert 'href="test/report.html"' in page
    assert "equal to a training clip" in page


def test_another_run_in_the_same_folder_removes_the_earlier_scores(folder, tmp_path):
    fw.run(words(folder, aside(folder)), path=tmp_path / "run")
    fw.run(words(folder), path=tmp_path / "run")
    assert not (tmp_path / "run/test").exists()


@pytest.mark.parametrize(
    ("more", "error", "reason"),
    [
        (["data.test=missing"], DataError, "data.test: no such file or folder: missing"),
        (["data.test=''"], ConfigError, "data.test: is empty"),
        (["data.test=strangers"], DataError, "data.test: none of these labels is a class of the model: owl"),
        (["data.test=strangers", "bundle=false"], ConfigError, "data.test=strangers: is scored with the saved model"),
    ],
)
def test_a_test_set_that_cannot_be_used_is_refused_before_any_work(folder, tmp_path, monkeypatch, more, error, reason):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(folder / "sounds/low", "strangers/owl")
    with pytest.raises(error, match=reason):
        fw.run(words(folder, *more), path=tmp_path / "run")
    assert not Path("run/metrics.json").exists()


def test_no_job_of_a_sweep_meets_the_test_set_and_the_best_is_scored_at_the_end(folder, sweep_here, monkeypatch):
    def refuse(*given, **options):
        raise AssertionError("a job has met the test set")

    monkeypatch.setattr(run, "score_test_set", refuse)
    monkeypatch.setattr(run, "check_test_set", lambda config, classes=None: classes and refuse())
    scored, score = [], chosen.score_test_set
    monkeypatch.setattr(chosen, "score_test_set", lambda *given: scored.append(given[0]) or score(*given))
    outcome = sweep_here(*words(folder, aside(folder), "model=lda,knn", "hydra.sweep.dir=sweep"))
    assert outcome.code == 0, outcome.err
    assert len(scored) == 1
    test = json.loads(Path("sweep/test/metrics.json").read_text())
    assert test["evaluated"]["model"] == str(scored[0])
    assert not list(Path("sweep").glob("*/test"))
    assert "scored once with the chosen run" in outcome.out


def test_the_winner_of_a_search_is_scored_on_the_test_set(folder, sweep_here):
    search = ["hydra/sweeper=optuna", "tune.n_trials=2", "model=knn", "model.n_neighbors=range(1,4)"]
    outcome = sweep_here(*words(folder, aside(folder), *search, "hydra.sweep.dir=sweep"))
    assert outcome.code == 0, outcome.err
    test = json.loads(Path("sweep/test/metrics.json").read_text())
    assert test["evaluated"]["model"].endswith("held_out")
    assert [place.as_posix() for place in Path("sweep").rglob("test")] == ["sweep/test"]
