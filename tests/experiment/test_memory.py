"""A run that will need much memory says so before any work, and which models do not."""

import pytest

from audiofw.experiment import memory
from audiofw.experiment.hydra_app import compose
from audiofw.experiment.memory import models_in_passes, warn_of_memory
from audiofw.experiment.run import make_model
from audiofw.extraction.table import units_of


def warn(n_clips, *words):
    config, choices = compose(["feature=mfcc", "pooling=stats", "audio.duration=0.5", *words])
    warn_of_memory(config, lambda: make_model(config, choices), units_of(config, choices)[0], n_clips)


@pytest.mark.parametrize("name", ["knn", "svm"])
def test_a_model_that_reads_all_is_told_with_those_that_do_not(caplog, name, monkeypatch):
    monkeypatch.setattr(memory, "models_in_passes", lambda *_: ["lda", "xgboost"])
    warn(10_000_000, f"model={name}")
    (record,) = caplog.records
    said = record.getMessage()
    assert said.startswith("this model reads all training clips into memory: at least ")
    assert "GB of memory for 10000000 clips of " in said
    assert said.endswith("models that read a part at a time: lda, xgboost")


@pytest.mark.parametrize(
    "words", [["model=lda"], ["model=knn", "max_table_gb=1000"], ["model=knn", "max_table_gb=null"]]
)
def test_a_model_that_reads_in_passes_or_a_table_that_fits_is_not_told(caplog, words):
    warn(10_000_000, *words)
    warn(100, "model=knn", "max_table_gb=0")
    assert caplog.records == []


@pytest.mark.parametrize("option", ["normalize=group", "task=multilabel"])
def test_options_that_need_all_clips_are_named(caplog, option):
    warn(10_000_000, "model=lda", option)
    assert caplog.records[0].getMessage().startswith(f"{option} reads all training clips into memory: at least ")


def test_the_models_that_read_in_passes_are_those_that_the_docs_name():
    found = set(models_in_passes(0, 100))
    assert {"lda", "logistic_regression", "lightgbm"} <= found <= {"lda", "logistic_regression", "lightgbm", "xgboost"}
