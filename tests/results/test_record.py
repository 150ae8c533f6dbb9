"""A job is identified by its config, data and code."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from audiofw.config.options import Config, effect_of, option_values
from audiofw.data.dataset import Dataset
from audiofw.experiment.hydra_app import compose
from audiofw.extraction.clips import find_dataset
from audiofw.results.record import job_identity

CODE = "of some code"
CLIPS_SAY_IT = ("data.", "tune.holdout")  # the clips themselves are part of the identity


@pytest.fixture(scope="module")
def composed() -> tuple[Config, Any]:
    return compose([])


@pytest.fixture
def dataset(sounds, composed) -> Dataset:
    config, _ = composed
    return find_dataset(replace(config, data=replace(config.data, source=str(sounds(clips=2, seconds=0.1)))))


def changed(section: Any, key: str) -> Any:
    """Copy a config, or a section, with a different value for one option; the value is not validated here."""
    name, _, rest = key.partition(".")
    value = getattr(section, name)
    return replace(section, **{name: changed(value, rest) if rest else f"not {value}"})


def test_a_job_is_another_by_each_option_that_can_change_its_result(composed, dataset):
    config, choices = composed
    identity = job_identity(config, choices, dataset, CODE)
    keys = [key for key, _ in option_values(config)]
    others = {key for key in keys if job_identity(changed(config, key), choices, dataset, CODE) != identity}
    said_by_clips = {key for key in keys if key.startswith(CLIPS_SAY_IT)} - {"data.background"}
    assert others == {key for key in keys if effect_of(key) != "nothing"} - said_by_clips
    assert {"score", "seed", "audio.trim", "balance", "robustness"} <= others
    assert not {"n_jobs", "audit", "cache.max_gb", "bundle.refit", "data.on_error"} & others


def test_a_job_is_another_by_its_plugins_and_their_options(composed, dataset):
    config, choices = composed
    others = [compose(words)[1] for words in (["model=knn"], ["model=knn", "model.n_neighbors=2"], ["split=kfold"])]
    assert len({job_identity(config, each, dataset, CODE) for each in [choices, *others]}) == 4


def test_a_job_is_another_by_its_clips_and_their_labels(composed, dataset):
    config, choices = composed
    first, *rest = dataset.clips
    relabelled = dataset._replace(clips=[first._replace(label="another"), *rest])
    known = {job_identity(config, choices, each, CODE) for each in (dataset, dataset._replace(clips=rest), relabelled)}
    Path(first.path).write_bytes(b"something else")
    assert len({*known, job_identity(config, choices, dataset, CODE)}) == 4


def test_a_job_is_another_by_the_code_that_runs_it(composed, dataset):
    config, choices = composed
    assert len({job_identity(config, choices, dataset, code) for code in ("one", "other")}) == 2
