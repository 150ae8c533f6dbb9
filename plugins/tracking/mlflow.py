"""Runs and sweeps in MLflow; install the extra with ``pip install "audiofw[mlflow]"``."""

import logging
import os
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from audiofw import hookimpl

MODEL_CODE = Path(__file__).with_name("_mlflow_model.py")
LONGEST = 500  # characters of a parameter, the least limit of MLflow's stores
MOST = 100  # parameters in a request
FOLDER_TAG = "audiofw_folder"


@hookimpl
def register_trackers(register):
    register(mlflow)


def mlflow(
    event,
    *,
    uri: str | None = None,
    experiment: str = "audiofw",
    model: bool = True,
    registered_model: str | None = None,
):
    """MLflow: options as parameters, scores of each fold and of the run, report, and the model for ``mlflow.pyfunc``.

    Parameters
    ----------
    uri
        Tracking server or store, e.g. sqlite:///mlflow.db; null: as MLflow is set up (MLFLOW_TRACKING_URI).
    experiment
        Name of the experiment; created if missing.
    model
        Whether to log the model.
    registered_model
        Name under which to register each run's model; null: do not.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # nothing is sent unasked
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    from mlflow import MlflowClient

    for chatty in ("alembic", "mlflow"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    client = MlflowClient(tracking_uri=uri)
    if event.name == "run_begins":
        begin(client, event, experiment)
    elif event.name == "sweep_ends":
        gather(client, event, experiment)
    elif "run_id" in event.notes:
        run_id = event.notes["run_id"]
        if event.name == "fold_done":
            log_metrics(client, run_id, {f"fold {name}": value for name, value in event.fold["scores"].items()}, event)
        elif event.name == "run_fails":
            client.set_tag(run_id, "audiofw_reason", event.reason)
            client.set_terminated(run_id, "FAILED")
        else:
            end(client, event, run_id, model, registered_model)


def begin(client, event, experiment):
    """Create the run, with its options."""
    from mlflow.entities import Param

    tags = {FOLDER_TAG: str(event.folder.resolve()), "mlflow.source.name": "audiofw"}
    run = client.create_run(experiment_id(client, experiment), tags=tags, run_name=run_name(event))
    event.notes["run_id"] = run.info.run_id
    options = {**dict(flat(event.config)), **{f"data.{key}": value for key, value in flat(event.data)}}
    params = [Param(clean(key), str(value)[:LONGEST]) for key, value in options.items() if str(value)]
    for start in range(0, len(params), MOST):
        client.log_batch(run.info.run_id, params=params[start : start + MOST])


def run_name(event):
    """Name a run by its model and feature, and where it is."""
    chosen = [event.config[kind]["name"] for kind in ("model", "feature")]
    return f"{' on '.join(chosen)} ({event.folder.resolve().name})"


def experiment_id(client, name):
    """Look up an experiment, or create it."""
    found = client.get_experiment_by_name(name)
    return found.experiment_id if found else client.create_experiment(name)


def end(client, event, run_id, model, registered_model):
    """Log a finished run's scores, files and model."""
    scores = event.metrics["scores"]
    values = {name: score["pooled"] for name, score in scores.items()}
    for name, score in scores.items():
        low, high = score["interval"] or (None, None)
        values |= {f"{name} low": low, f"{name} high": high}
    values |= {f"baseline {name}": value for name, value in event.metrics.get("baseline", {}).items()}
    values |= {name: event.metrics[name] for name in ("n_clips", "n_tested", "n_failures", "extract_seconds")}
    log_metrics(client, run_id, values, event)
    for path in event.files.values():
        if path.is_file():
            client.log_artifact(run_id, str(path))
    if model and "model" in event.files:
        log_model(client, run_id, event.files["model"], registered_model)
    client.set_terminated(run_id, "FINISHED")


def log_metrics(client, run_id, values, event):
    """Log the numbers among some values; those of a fold as a step."""
    from mlflow.entities import Metric

    now, step = int(1000 * time.time()), event.fold.get("number", 0)
    metrics = [Metric(clean(name), float(value), now, step) for name, value in values.items() if value is not None]
    client.log_batch(run_id, metrics=metrics)


def log_model(client, run_id, bundle, registered_model):
    """Log a model that ``mlflow.pyfunc.load_model`` loads, and register it if wanted."""
    import mlflow.pyfunc
    from mlflow.exceptions import MlflowException
    from mlflow.models import ModelSignature
    from mlflow.types.schema import ColSpec, Schema

    from audiofw import __version__

    with TemporaryDirectory() as scratch, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of missing examples and type hints
        saved = Path(scratch) / "model"
        mlflow.pyfunc.save_model(
            saved,
            python_model=str(MODEL_CODE),
            artifacts={"bundle": str(bundle)},
            pip_requirements=[f"audiofw=={__version__}"],
            signature=ModelSignature(inputs=Schema([ColSpec("string", "path")])),
        )
        client.log_artifacts(run_id, str(saved), "model")
    if registered_model:
        try:
            client.create_registered_model(registered_model)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        source = f"{client.get_run(run_id).info.artifact_uri}/model"
        client.create_model_version(registered_model, source=source, run_id=run_id)


def gather(client, event, experiment):
    """Put the runs of a sweep below one for the sweep, with its leaderboard."""
    place, board = event.folder.resolve(), event.leaderboard
    where = experiment_id(client, experiment)
    parent = client.create_run(where, tags={FOLDER_TAG: str(place)}, run_name=f"sweep {place.name}").info.run_id
    for run in board["runs"]:
        if run.get("folder"):
            tagged = f"tags.`{FOLDER_TAG}` = '{Path(run['folder']).resolve()}'"
            for child in client.search_runs([where], tagged):
                client.set_tag(child.info.run_id, "mlflow.parentRunId", parent)
    best = board["runs"][0] if board["runs"] else {}
    if best.get("value") is not None:
        log_metrics(client, parent, {board["score"]: best["value"]}, event)
    for name in ("leaderboard.csv", "report.html"):
        if (place / name).is_file():
            client.log_artifact(parent, str(place / name))
    client.set_terminated(parent, "FINISHED")


def flat(values, prefix=""):
    """Iterate over nested values as (dotted name, value)."""
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def clean(name):
    """Replace what MLflow does not allow in a name, such as in labels."""
    return "".join(letter if letter.isalnum() or letter in "_-. /" else "_" for letter in name)[:250]
