"""Every available plugin fulfils the contract; a new one is tested automatically."""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

import nets
import numpy as np
import pytest
from omegaconf import OmegaConf
from quick import QUICK

from audiofw.audio.segments import Segments
from audiofw.contract.hookspecs import KINDS
from audiofw.contract.plugin import Choice, Plugin
from audiofw.contract.registry import load_menus
from audiofw.contract.schema import Option, make_schema
from audiofw.errors import PluginError
from audiofw.extraction.columns import name_columns
from audiofw.extraction.recording import Unit

MENUS = load_menus()


def every(*kinds: str):
    """Parametrize a test over all plugins of the given kinds."""
    plugins = [plugin for kind in kinds for plugin in MENUS.plugins[kind].values()]
    return pytest.mark.parametrize("plugin", plugins, ids=lambda plugin: f"{plugin.kind.name}={plugin.name}")


def bound(plugin: Plugin, sr: int | None = None, **options) -> Choice:
    if plugin.name == "embedding":
        pytest.importorskip("onnxruntime", reason="an extra; .[test] has it")
        network = nets.write_onnx(Path(SCRATCH.name) / "net.onnx")
        options = {"model": str(network), "sample_rate": sr or SR, "window": nets.WIDE / (sr or SR), **options}
    if plugin.name == "catboost":
        pytest.importorskip("catboost", reason="an extra; .[test] has it")
    return MENUS.choose_member(plugin.kind.name, plugin.name, options)


SR = 22050
SCRATCH = tempfile.TemporaryDirectory()
RNG = np.random.default_rng(0)
CLIPS = {
    "noise": RNG.standard_normal(SR).astype(np.float32) / 10,
    "tone": np.sin(np.arange(3 * SR) / 10).astype(np.float32),
    "silence": np.zeros(SR, np.float32),
    "one sample": np.ones(1, np.float32),
    "a hundred samples": RNG.standard_normal(100).astype(np.float32),
    "clipped": np.sign(RNG.standard_normal(SR)).astype(np.float32),
}


@every(*KINDS)
def test_it_composes(plugin):
    config = OmegaConf.structured(make_schema(plugin.name, [Option("name", str, plugin.name), *plugin.options]))
    assert MENUS.choose(plugin.kind.name, OmegaConf.to_container(config)).name == plugin.name


@every(*KINDS)
def test_it_says_what_it_is_and_what_each_option_does(plugin):
    assert plugin.summary.endswith(".")
    assert [option.name for option in plugin.described_options() if not option.help] == []


def lengthened(feature: Choice, y: np.ndarray) -> np.ndarray:
    """Pad a clip as far as the feature has declared to need it."""
    return np.pad(y, (0, max(0, round(feature.min_duration * SR) - y.size)))


@every("feature")
@pytest.mark.parametrize("clip", CLIPS)
def test_a_feature_is_a_finite_matrix_for_any_clip(plugin, clip):
    feature = bound(plugin)
    frames = feature(lengthened(feature, CLIPS[clip]), SR)
    assert frames.ndim == 2
    assert frames.dtype == np.float32
    assert frames.size
    assert np.isfinite(frames).all()


@every("feature")
@pytest.mark.parametrize("sr", [8000, 16000, 44100])
def test_a_feature_takes_any_sample_rate(plugin, sr):
    assert np.isfinite(bound(plugin, sr)(CLIPS["noise"].copy(), sr)).all()


@every("feature")
def test_a_feature_refuses_nan(plugin):
    with pytest.raises(PluginError, match=r"ValueError: .*finite"):
        bound(plugin)(np.full(SR, np.nan, np.float32), SR)


@every("feature")
def test_longer_clips_have_more_frames_of_the_same_rows(plugin):
    short, long = (bound(plugin)(CLIPS["tone"][: n * SR].copy(), SR) for n in (1, 3))
    assert short.shape[0] == long.shape[0]
    assert short.shape[1] < long.shape[1]


def pooled(plugin: Plugin, frames: np.ndarray) -> np.ndarray:
    """Pool ``frames`` into one row, fitting a pooling that learns on random feature matrices first."""
    pooling = bound(plugin)
    if not pooling.learns:
        return pooling(frames)
    some = [RNG.standard_normal((len(frames), 10 + i)).astype(np.float32) for i in range(20)]
    return pooling(None, 0).fit(some).transform([frames])[0]


@every("pooling")
@pytest.mark.parametrize("frames", [1, 2, 50])
def test_a_pooling_makes_a_finite_vector(plugin, frames):
    row = pooled(plugin, RNG.standard_normal((5, frames)).astype(np.float32))
    assert row.ndim == 1
    assert row.size
    assert np.isfinite(row).all()


@every("pooling")
def test_a_pooling_leaves_its_frames_as_they_were(plugin):
    frames = RNG.standard_normal((5, 20)).astype(np.float32)
    before = frames.copy()
    pooled(plugin, frames)
    assert (frames == before).all()


@every("feature", "pooling")
def test_each_row_and_column_has_a_unique_name(plugin):
    feature = bound(plugin if plugin.kind.name == "feature" else MENUS.plugins["feature"]["mfcc"])
    pooling = bound(plugin if plugin.kind.name == "pooling" else MENUS.plugins["pooling"]["stats"])
    unit = Unit(SR, 0.0, "keep", feature, pooling, Segments(1.0))
    frames, _ = unit.example()
    d = pooling(None, 0).fit([frames] * 20).transform([frames]).shape[1] if pooling.learns else unit.try_out()
    names = name_columns({"feature": feature, "pooling": pooling}, unit, d)
    assert len(set(names)) == len(names) == d
    assert all(re.fullmatch(r"[^.@]+(\.[^.@]+)*(@\d+/\d+)?", name) for name in names)


@every("model")
@pytest.mark.parametrize("n_classes", [2, 4])
def test_a_model_learns_what_is_plain_and_gives_probabilities(plugin, n_classes):
    y = np.arange(80) % n_classes
    X = (RNG.standard_normal((80, 6)) + 4 * np.eye(n_classes, 6)[y]).astype(np.float32)
    model = bound(plugin)(42, 1).fit(X[:60], y[:60])
    assert (model.predict(X[60:]) == y[60:]).mean() > 0.8
    assert np.allclose(model.predict_proba(X[60:]).sum(axis=1), 1, atol=1e-5)


@every("model")
def test_a_model_gives_the_same_answer_twice_and_for_any_number_of_threads(plugin):
    X, y = RNG.standard_normal((60, 8)).astype(np.float32), np.arange(60) % 3
    quick = QUICK.get(plugin.name, {})
    first, again = (bound(plugin, **quick)(7, jobs).fit(X, y).predict_proba(X) for jobs in (1, 2))
    assert np.allclose(first, again, atol=1e-6)


@every("model")
def test_a_model_takes_options_of_its_library_and_refuses_unknown_ones(plugin):
    if not plugin.open_ended:
        pytest.skip("its options are closed")
    if "make" in plugin.asks:
        pytest.skip("its other options are those of what it makes")
    params = bound(plugin, random_state=5)(42, 1).get_params()
    assert 5 in [value for name, value in params.items() if name.rpartition("__")[2] == "random_state"]
    with pytest.raises(Exception, match="no_such_option"):
        bound(plugin, no_such_option=1)(42, 1)


@every("split")
@pytest.mark.filterwarnings("ignore:The groups parameter is ignored")
def test_a_split_makes_parts_without_a_clip_in_common(plugin):
    y = np.arange(60) % 2
    groups = [f"g{i // 6}" for i in range(60)]
    folds = [str(i % 3) for i in range(60)]
    splitter = bound(plugin)(42, groups, folds)
    pairs = list(splitter.split(np.zeros((60, 1)), y, groups))
    assert pairs
    for train, test in pairs:
        assert not set(train) & set(test)
        assert len(train)
        assert len(test)


@every("augmentation")
@pytest.mark.parametrize("clip", CLIPS)
@pytest.mark.parametrize("sr", [8000, 22050, 44100])
def test_an_augmentation_gives_finite_samples_of_any_clip_at_any_rate(plugin, clip, sr):
    for seed in range(3):
        changed = bound(plugin)(CLIPS[clip].copy(), sr, np.random.default_rng(seed))
        assert changed.ndim == 1
        assert changed.dtype == np.float32
        assert changed.size
        assert np.isfinite(changed).all()


@every("augmentation")
def test_an_augmentation_takes_its_chance_from_the_generator_alone(plugin):
    first, again, other = (bound(plugin)(CLIPS["noise"].copy(), SR, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_the_menus_open_without_any_heavy_library():
    code = (
        "import sys; from audiofw.experiment.hydra_app import store_schema; "
        "from audiofw.contract.registry import load_menus; "
        "store_schema(load_menus()); "
        "heavy = ('numpy', 'scipy', 'sklearn', 'librosa.core', 'matplotlib', 'xgboost', 'lightgbm', 'soundfile'); "
        "print([module for module in heavy if module in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
