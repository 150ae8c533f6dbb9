"""Options that name files, and what a feature needs of its clips."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import tone, write_wav
from weighing import drop_scaled

import audiofw as fw
from audiofw.contract.hookspecs import KINDS
from audiofw.contract.plugin import Choice, read_plugin
from audiofw.contract.registry import load_menus
from audiofw.errors import ConfigError, PluginError
from audiofw.experiment.hydra_app import compose


@pytest.fixture(autouse=True)
def plugins(tmp_path, monkeypatch):
    monkeypatch.setenv("AUDIOFW_PLUGINS_PATH", str(drop_scaled(tmp_path / "plugins")))
    monkeypatch.setenv("AUDIOFW_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def clip(tmp_path) -> Path:
    return write_wav(tmp_path / "clip.wav", tone(300, 0.2))


def weigh(by: Path, text: str) -> list[str]:
    by.write_text(text)
    return ["feature=scaled", f"feature.by={by}", "pooling=stats", "pooling.delta=false"]


def test_a_swapped_file_gives_other_rows_than_those_in_the_cache(tmp_path, clip):
    file = tmp_path / "by.txt"
    once, again, twice = (fw.features(clip, weigh(file, text)) for text in ("1", "1", "2"))
    assert np.array_equal(once, again)
    assert np.allclose(twice, 2 * once)


def test_a_file_is_known_by_content_and_name_not_by_its_folder(tmp_path):
    identities = []
    for folder, text in (("a", "1"), ("b", "1"), ("c", "2")):
        (tmp_path / folder).mkdir()
        identities.append(compose(weigh(tmp_path / folder / "by.txt", text))[1]["feature"].identity)
    assert identities[0] == identities[1] != identities[2]


def test_a_job_whose_file_was_swapped_is_run_again(tmp_path, sounds, sweep_here):
    words = [*weigh(tmp_path / "by.txt", "1"), f"data.source={sounds(clips=6)}", "model=lda", "audit=false"]
    words += ["report=false", "bundle=false", "seed=1,2"]
    sweep_here(*words, "hydra.sweep.dir=one")
    same = sweep_here(*words, "hydra.sweep.dir=two")
    weigh(tmp_path / "by.txt", "2")
    other = sweep_here(*words, "hydra.sweep.dir=three")
    assert same.err.count("finished before") == 2
    assert "finished before" not in other.err


@pytest.mark.parametrize("given", ["gone.txt", "plugins"])
def test_a_file_that_cannot_be_read_is_one_line(given, clip):
    with pytest.raises(ConfigError, match=rf"^feature\.by={given}: (no such file|cannot be read: .*)$"):
        fw.features(clip, ["feature=scaled", f"feature.by={given}"])


def test_the_function_is_given_a_path(tmp_path):
    choice = load_menus().choose_member("feature", "scaled", {"by": str(tmp_path / "by.txt")})
    assert choice.arguments["by"] == tmp_path / "by.txt"
    assert load_menus().choose_member("feature", "scaled", {}).arguments["by"] is None


def test_the_rate_that_a_feature_needs_is_used_unasked(clip):
    config, _ = compose(["feature=strict", "feature.rate=8000"])
    assert config.audio.sample_rate == 8000
    assert fw.features(clip, ["feature=strict", "pooling=flatten", "pad.to=longest"]).shape == (1, 4000 // 2)


def test_without_such_a_need_the_rate_is_the_usual_one():
    assert compose(["feature=mfcc"])[0].audio.sample_rate == 22050
    assert compose(["feature=mfcc", "audio.sample_rate=null"])[0].audio.sample_rate is None


@pytest.mark.parametrize("rate", ["22050", "null"])
def test_another_rate_than_the_feature_needs_is_refused(rate):
    with pytest.raises(ConfigError, match=rf"^audio\.sample_rate={rate}: feature=strict needs 4000 Hz; remove it"):
        compose(["feature=strict", f"audio.sample_rate={rate}"])


def feature(y, sr, *, rate: int = 1):
    """Nothing."""


def test_needs_are_checked_at_registration():
    with pytest.raises(PluginError, match="sample_rate=0 must be a number above 0"):
        read_plugin(KINDS["feature"], feature, "me", sample_rate=0)
    with pytest.raises(PluginError, match="only a feature can be registered with min_duration"):
        read_plugin(KINDS["model"], lambda seed: None, "me", name="m", min_duration=1)


def test_a_need_that_is_no_number_is_blamed_on_the_plugin():
    plugin = read_plugin(KINDS["feature"], feature, "me", sample_rate=lambda *, rate: "fast")
    with pytest.raises(PluginError, match="feature=feature: sample_rate returned 'fast', not a number above 0"):
        _ = Choice(plugin, {"rate": 1}).sample_rate
