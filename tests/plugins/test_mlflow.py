"""MLflow shows runs and sweeps as they were, and serves their models; its store is a SQLite file."""

import json

import numpy as np
import pytest

import audiofw as fw

mlflow = pytest.importorskip("mlflow", reason="the extra mlflow")
QUICK = ["feature=mfcc", "pooling=stats", "model=lda", "split=kfold", "split.n_splits=2", "audit=false", "n_jobs=1"]
pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning", "ignore::FutureWarning"),
]


@pytest.fixture
def store(tmp_path, monkeypatch) -> str:
    monkeypatch.chdir(tmp_path)  # MLflow puts its artefacts there
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    return uri


@pytest.fixture
def words(sounds, store):
    return [f"data.source={sounds(clips=6)}", *QUICK, "tracking=mlflow", f"tracking.uri={store}"]


def test_a_run_is_there_with_options_scores_of_folds_files_and_model(words, store, tmp_path):
    result = fw.run([*words, "tracking.registered_model=pitch"], path=tmp_path / "run")
    client = mlflow.MlflowClient(store)
    (run,) = client.search_runs([client.get_experiment_by_name("audiofw").experiment_id])
    assert run.info.status == "FINISHED"
    params = run.data.params
    assert (params["model.name"], params["split.n_splits"], params["audio.duration"]) == ("lda", "2", "3.0")
    assert (params["data.n_clips"], params["data.classes.low"]) == ("12", "6")
    accuracy = result.metrics["scores"]["accuracy"]
    assert run.data.metrics["accuracy"] == accuracy["pooled"]
    assert run.data.metrics["accuracy low"] == accuracy["interval"][0]
    history = client.get_metric_history(run.info.run_id, "fold accuracy")
    assert [(metric.step, metric.value) for metric in history] == list(enumerate(accuracy["folds"], 1))
    files = {file.path for file in client.list_artifacts(run.info.run_id)}
    assert files == {"model", "config.yaml", "metrics.json", "report.html", "predictions.csv"} | {
        "failures.csv",
        "versions.json",
    }


def test_the_registered_model_predicts_files_as_the_run_s_own_does(words, store, tmp_path):
    pandas = pytest.importorskip("pandas")
    result = fw.run([*words, "report=false", "tracking.registered_model=pitch"], path=tmp_path / "run")
    fw.run([*words, "report=false", "seed=1", "tracking.registered_model=pitch"], path=tmp_path / "again")
    mlflow.set_tracking_uri(store)
    model = mlflow.pyfunc.load_model("models:/pitch/1")
    files = [str(tmp_path / f"sounds/{label}/0.wav") for label in ("low", "high")]
    frame = model.predict(pandas.DataFrame({"path": files}))
    assert list(frame["label"]) == list(result.model.predict(files)) == ["low", "high"]
    shares = frame[[f"p({label})" for label in result.model.classes_]].to_numpy()
    assert np.allclose(shares, result.model.predict_proba(files))
    assert mlflow.pyfunc.load_model("models:/pitch/2").predict(pandas.DataFrame({"path": files})).shape == (2, 4)


def test_a_run_that_fails_is_there_with_its_reason(words, store, tmp_path):
    (tmp_path / "sounds/low/0.wav").write_bytes(b"")
    with pytest.raises(fw.DataError):
        fw.run([*words, "data.on_error=raise"], path=tmp_path / "run")
    client = mlflow.MlflowClient(store)
    (run,) = client.search_runs([client.get_experiment_by_name("audiofw").experiment_id])
    assert run.info.status == "FAILED"
    assert "low/0.wav" in run.data.tags["audiofw_reason"]


def test_the_runs_of_a_sweep_are_below_one_for_the_sweep(sweep_here, words, store):
    words = [*words, "report=false", "bundle=false", "tracking.experiment=pitches"]
    outcome = sweep_here(*words, "model=lda,knn", "hydra.sweep.dir=sweep")
    assert outcome.code == 0, outcome.err
    client = mlflow.MlflowClient(store)
    runs = client.search_runs([client.get_experiment_by_name("pitches").experiment_id])
    (parent,) = (run for run in runs if "mlflow.parentRunId" not in run.data.tags)
    children = [run for run in runs if run is not parent]
    assert {run.data.params["model.name"] for run in children} == {"lda", "knn"}
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parent.info.run_id}
    assert parent.data.metrics["accuracy"] == max(run.data.metrics["accuracy"] for run in children)
    assert {file.path for file in client.list_artifacts(parent.info.run_id)} == {"leaderboard.csv"}


def test_a_store_that_cannot_be_reached_is_a_warning(audiofw, words, tmp_path):
    words[-1] = "tracking.uri=nonsense://here"
    outcome = audiofw(*words, "report=false", "bundle=false", "hydra.run.dir=run")
    assert outcome.code == 0
    assert "tracking=mlflow: mlflow.py:" in outcome.err
    assert outcome.err.count("(at run_begins; results are not affected)") == outcome.err.count("tracking=mlflow") == 1
    assert json.loads((tmp_path / "run/result.json").read_text())["status"] == "finished"
