"""Every option of the config declares what it affects."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any, get_type_hints

import pytest

import audiofw
from audiofw.config.options import Config, effect_of
from audiofw.contract.schema import Effect

EFFECTS: dict[Effect, set[str]] = {
    "nothing": {
        "audit",
        "bundle.carry",
        "bundle.enabled",
        "bundle.refit",
        "cache.enabled",
        "cache.max_gb",
        "cache.verify",
        "data.max_entries",
        "data.max_ratio",
        "data.max_unpacked_gb",
        "data.on_error",
        "data.on_plugin_error",
        "n_jobs",
        "report.audio",
        "report.enabled",
        "sweep.rerun",
        "tune.n_jobs",
        "tune.n_trials",
        "tune.prune",
        "tune.sampler",
        "tune.storage",
        "min_score",
    },
    "measures": {
        "coverage",
        "data.test",
        "operating.precision",
        "operating.recall",
        "robustness",
        "timeline.enabled",
        "score",
        "unknown.enabled",
        "unknown.source",
    },
    "predictions": {
        "audio.channel",
        "audio.duration",
        "audio.focus",
        "audio.offset",
        "audio.sample_rate",
        "audio.silence",
        "audio.trim",
        "augmented_copies",
        "balance",
        "calibration",
        "data.annotated",
        "data.annotations",
        "data.background",
        "data.columns.end",
        "data.columns.fold",
        "data.columns.group",
        "data.columns.high",
        "data.columns.label",
        "data.columns.low",
        "data.columns.path",
        "data.columns.root",
        "data.columns.start",
        "data.exclude",
        "data.include",
        "data.limit",
        "data.pattern",
        "data.separator",
        "data.skip",
        "data.source",
        "data.unit",
        "data.recorder",
        "data.unlabelled",
        "data.widen",
        "max_table_gb",
        "normalize",
        "pad.to",
        "pad.value",
        "seed",
        "task",
        "timeline.tune",
        "timeline.windows",
        "tune.holdout",
        "tune.holdout_folds",
        "windows.background_ratio",
        "windows.hop",
        "windows.min_overlap",
        "windows.most",
    },
}


def keys(section: Any, prefix: str = "") -> set[str]:
    found: set[str] = set()
    hints = get_type_hints(section)
    for each in fields(section):
        inner, key = hints[each.name], f"{prefix}{each.name}"
        found |= keys(inner, f"{key}.") if is_dataclass(inner) else {key}
    return found


def test_every_option_says_what_it_can_change():
    found: dict[str, set[str]] = {effect: set() for effect in EFFECTS}
    for key in keys(Config):
        found[effect_of(key)].add(key)
    assert found == EFFECTS


@pytest.mark.parametrize("key", ["feature", "model.n_jobs", "model.cache.enabled", "+model.gamma", "data", "bundles"])
def test_plugins_their_options_and_unknown_keys_may_change_everything(key):
    assert effect_of(key) == "predictions"


@pytest.mark.parametrize("section", ["cache", "bundle", "report", "sweep"])
def test_a_section_without_effect_has_no_option_with_one(section):
    assert effect_of(section) == effect_of(f"{section}.enabled") == "nothing"


# --- the declarations, checked against runs ---------------------------------------------------------------

WITHOUT_EFFECT = [
    "audit=warn",
    "bundle.carry=true",
    "bundle.refit=false",
    "cache.enabled=false",
    "cache.max_gb=1",
    "cache.verify=content",
    "data.max_entries=9000",
    "data.max_ratio=90",
    "data.max_unpacked_gb=3",
    "data.on_error=raise",
    "data.on_plugin_error=skip",
    "min_score=0.1",
    "n_jobs=1",
    "report.audio=false",
    "sweep.rerun=all",
    "tune.n_jobs=2",
    "tune.n_trials=3",
    "tune.prune=false",
    "tune.sampler=random",
    "tune.storage=sqlite:///a.db",
]
MEASURES = [
    "score=mcc",
    "coverage=0.8",
    "operating.precision=0.5",
    "operating.recall=0.5",
    "robustness=true",
    "timeline.enabled=false",
    "unknown.enabled=true",
]


@pytest.fixture
def run(sounds, tmp_path):
    """Run with overrides; returns the predictions as text, and the metrics without the times."""
    fixed = [f"data.source={sounds(clips=8, seconds=0.2)}", "audio.duration=0.2", "report=false", "feature=mfcc"]

    def run(name: str, *words: str) -> tuple[str, dict[str, Any]]:
        left = audiofw.run([*fixed, "pooling=stats", "split=kfold", "split.n_splits=2", *words], path=tmp_path / name)
        aside = ("seconds", "model_bytes", "n_from_cache", "audit")
        kept = {key: value for key, value in left.metrics.items() if not key.endswith(aside)}
        return (left.path / "predictions.csv").read_text(), kept

    return run


def test_options_without_effect_change_no_prediction_and_no_score(run):
    assert {word.partition("=")[0] for word in WITHOUT_EFFECT} | {"report.enabled", "bundle.enabled"} == EFFECTS[
        "nothing"
    ]
    assert run("one", "bundle=false", "audit=false") == run("other", "bundle.enabled=true", *WITHOUT_EFFECT)


def test_options_that_only_measure_change_no_prediction(run, tmp_path):
    words = [*MEASURES, f"unknown.source={tmp_path}", f"data.test={tmp_path / 'sounds'}"]
    assert {word.partition("=")[0] for word in words} == EFFECTS["measures"]
    (one, measured), (other, otherwise) = run("one", "bundle=false"), run("other", "bundle=true", *words)
    assert one == other
    assert measured != otherwise
    without, nothing = run("without", "bundle=false", "unknown=false")
    assert without == one
    assert nothing == {**measured, "unknown": None}
