"""Features and poolings compute the same in ONNX as in Python, and so does the graph of a whole model."""

from typing import Any

import numpy as np
import pytest
from conftest import tone

from audiofw.audio.segments import Segments
from audiofw.bundle.onnx.alone import compiled
from audiofw.bundle.onnx.clips import cut
from audiofw.bundle.onnx.graph import Graph
from audiofw.bundle.onnx.waveform import TOOLS
from audiofw.contract.plugin import Choice
from audiofw.contract.registry import load_menus
from audiofw.errors import PluginError
from audiofw.extraction.recording import Unit

SR = 22050
MENUS = load_menus()


def choose(kind: str, name: str, **options: Any) -> Choice:
    return MENUS.choose_member(kind, name, options)


SOUNDS = {
    "tone": tone(440, 1.0),
    "noise": 0.1 * np.random.default_rng(0).standard_normal(40_000),
    "silence and a click": np.eye(1, 12_345, 6_000)[0],
    "faint": 1e-4 * tone(3_000, 0.3),
    "short": tone(1_000, 0.02),
    "one sample": np.array([0.5]),
}

FEATURES = {
    "mel": [
        {},
        {"n_fft": 1000, "hop_length": 300, "win_length": 700, "window": "hamming", "htk": True, "norm": None},
        {"power": 1.0, "ref": 2.0, "top_db": None, "pad_mode": "reflect", "fmin": 50.0, "fmax": 9_000.0},
        {"power": 1.5, "center": False, "n_fft": 512, "hop_length": 777, "n_mels": 20},
        {"pad_mode": "edge", "n_fft": 1021, "hop_length": 10_007, "n_mels": 16},
        {"pad_mode": "symmetric", "dtype": "float32", "top_db": 40.0},
    ],
    "stft": [{}, {"db": False, "n_fft": 255}, {"amin": 1e-30, "top_db": 200.0, "n_fft": 1024}],
    "mfcc": [{}, {"n_mfcc": 13, "dct_type": 3, "norm": None, "lifter": 22.0, "ref": "max"}],
    "descriptors": [{}, {"n_mels": 0, "chroma": False, "n_fft": 1000, "hop_length": 300}, {"n_mfcc": 0, "n_mels": 9}],
    "ripples": [
        {},
        {"rates": [], "scales": [8.0]},
        {"rates": [4.0, 60.0], "scales": []},
        {"group": 5, "n_mels": 33, "rates": [2.0], "scales": [3.0, 40.0], "hop_length": 512},
    ],
}


LEAST = {"mfcc": 3e-3}  # sums of 128 levels, which may be rounded to 1e-5 dB, times a lifter of up to 12


def check(made: np.ndarray, expected: np.ndarray, off: float | np.ndarray) -> None:
    assert made.dtype == np.float32
    assert made.shape == expected.shape
    excess = np.abs(made - expected) - off
    assert np.argwhere(excess > 0).tolist() == []


@pytest.mark.parametrize(("name", "options"), [(name, each) for name in FEATURES for each in FEATURES[name]], ids=str)
def test_a_feature_gives_the_same_frames(name, options):
    feature = choose("feature", name, **options)
    unit = Unit(SR, 0.0, "keep", feature, choose("pooling", "flatten"), Segments(duration=None))
    run = compiled(lambda graph, y: feature.draw(graph, y, SR))
    share = 4e-4 if options.get("dtype") == "float32" else 4e-6
    for y in SOUNDS.values():
        (made,) = run(y)
        expected = unit.pool(y.astype(np.float32), SR).reshape(made.shape[::-1]).T
        check(
            made, expected, share * np.abs(expected).max(axis=1, keepdims=True) + LEAST.get(name, 1e-5)
        )  # rows differ in their units


POOLINGS = {
    "stats": [{}, {"statistics": ["max"], "quantiles": [0.0, 1.0, 0.3], "delta": False}],
    "functionals": [
        {},
        {"statistics": [], "parts": [1, 7], "by_change": 0.0, "squash": None},
        {"quantiles": [0.5], "delta": True, "parts": [], "statistics": ["min"]},
        {"parts": [2, 3], "by_change": 0.4},
    ],
}


@pytest.mark.parametrize(("name", "options"), [(name, each) for name in POOLINGS for each in POOLINGS[name]], ids=str)
@pytest.mark.parametrize("offset", [0.0, 1.0])  # with 1, no value is negative, and functionals compresses them
def test_a_pooling_gives_the_same_vector(name, options, offset):
    pooling = choose("pooling", name, **options)
    run = compiled(lambda graph, y: pooling.draw(graph, graph.Reshape(y, [4, -1])))
    rng = np.random.default_rng(0)
    matrices = [rng.normal(size=(4, n)) for n in (1, 2, 3, 50)]
    for frames in [*matrices, np.zeros((4, 9)), np.repeat(matrices[1], 5, axis=1)]:
        frames = (frames - offset * frames.min()).astype(np.float32)
        check(run(frames.ravel())[0], np.asarray(pooling(frames.copy()), np.float32), 2e-6)


SEGMENTS = {
    "start": {"focus": "start"},
    "event": {"focus": "event"},
    "whole": {"duration": None},
    "trimmed": {"trim": 20.0, "focus": "start"},
    "trimmed whole": {"trim": 30.0, "duration": None},
    "windows": {"hop": 0.3},
    "few windows": {"hop": 0.1, "most": 3},
}


def bursts(seconds: float, *at: float) -> np.ndarray:
    """Noise bursts of 0.2 s in digital silence, so that several parts of the sound have equal energy."""
    y, rng = np.zeros(round(seconds * 8000), np.float32), np.random.default_rng(0)
    for second in at:
        start = round(second * 8000)
        y[start : start + 1600] = rng.standard_normal(1600)
    return y


CLIPS = {
    "event late": bursts(3.0, 2.2),
    "several": bursts(4.0, 0.1, 1.5, 1.8, 3.7),
    "shorter": bursts(0.7, 0.1),
    "as long": bursts(1.0, 0.1),
    "a sample longer": np.append(bursts(1.0, 0.1), np.float32(0.1)),
    "two samples longer": np.append(bursts(1.0, 0.1), np.float32([0.1, 0.1])),
    "silent": bursts(2.0),
}


@pytest.mark.parametrize("name", SEGMENTS)
def test_the_same_parts_of_a_clip_are_used(name):
    segments = Segments(**{"duration": 1.0, **SEGMENTS[name]})
    run = compiled(lambda graph, y: cut(graph, y, segments, 8000))
    for clip in CLIPS.values():
        y, starts, size = run(clip)
        read = None if segments.to_read is None else round(segments.to_read * 8000)
        expected = segments.cut(clip[:read], 8000)
        assert len(starts) == len(expected)
        for start, part in zip(starts, expected, strict=True):
            np.testing.assert_array_equal(y[start : start + size], part)


def test_no_more_of_a_long_clip_is_used_than_predict_reads():
    segments = Segments(duration=1.0, focus="event")
    y, starts, _ = compiled(lambda graph, y: cut(graph, y, segments, 8000))(bursts(70.0, 3.0, 65.0, 65.1))
    assert len(y) == 60 * 8000
    assert 2.2 * 8000 <= starts[0] <= 3.0 * 8000


def test_a_setting_without_a_graph_is_refused_in_one_line():
    mel = choose("feature", "mel", pad_mode="linear_ramp")
    with pytest.raises(PluginError, match=r"^feature=mel: cannot be exported: pad_mode=linear_ramp: use const"):
        mel.draw(Graph(TOOLS), "y", SR)


def test_an_operator_that_does_not_exist_is_told_with_the_functions_that_do():
    with pytest.raises(AttributeError, match=r"melspectrogramm: no operator of ONNX, and none of .*melspectrogram"):
        Graph(TOOLS).melspectrogramm("y")
