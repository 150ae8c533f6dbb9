"""``audiofw export``: one graph from samples to label and probabilities, which is compared before it is written."""

import inspect
import json
import os
import re
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import soundfile
from bundles import make_run
from conftest import tone, write_wav

import audiofw as fw
from audiofw.bundle.files import read_bundle
from audiofw.bundle.load import read_model
from audiofw.bundle.onnx import compare
from audiofw.bundle.onnx.export import open_session, to_onnx
from audiofw.bundle.onnx.graph import Graph
from audiofw.contract.hookspecs import KINDS
from audiofw.contract.plugin import read_plugin
from audiofw.errors import PluginError

SOFT = ("model=logistic_regression", "model.C=0.001")  # whose probabilities are not all 0 and 1
RUNS = {
    "ripples": ("feature=ripples", "pooling=functionals", "audio.focus=event"),
    "windows": ("windows.hop=0.1", "audio.duration=0.25", "audio.trim=40"),
    "flattened": ("feature=mel", "feature.n_mels=16", "pooling=flatten", "audio.focus=start"),
    "joined": ("feature=mfcc+stft", "feature.stft.n_fft=256", "feature.join=columns", "pooling=stats"),
    "averaged": ("feature=mfcc+mel", "pooling=stats", "calibration=temperature", "normalize=columns"),
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Make a run by its name, once."""
    made = {}

    def run(name: str) -> Path:
        if name not in made:
            made[name] = make_run(tmp_path_factory.mktemp(name), *SOFT, *RUNS[name])
        return made[name]

    return run


def read(file: Path) -> np.ndarray:
    return soundfile.read(file, dtype="float32")[0]


def others(folder: Path) -> list[Path]:
    """Recordings of other lengths and pitches than those of the runs."""
    sizes = {"short": (300, 0.1), "long": (1000, 2.0), "middle": (2500, 0.61)}
    return [write_wav(folder / f"{name}.wav", tone(*each, noise=0.2, seed=9)) for name, each in sizes.items()]


@pytest.mark.parametrize("name", RUNS)
def test_the_graph_gives_a_batch_of_clips_the_models_labels_and_probabilities(audiofw, runs, tmp_path, name):
    outcome = audiofw("export", str(runs(name)))
    assert (outcome.code, outcome.err) == (0, "")
    assert re.match(
        r"model\.onnx: largest difference \S+e-0[678] on \d\d inputs, 0 with a different label", outcome.out
    )
    files = others(tmp_path)
    labels, shares = compare.answers(open_session(Path("model.onnx").read_bytes()), [read(file) for file in files])
    model = fw.load_model(runs(name))
    assert labels.tolist() == model.predict(files).tolist()
    np.testing.assert_allclose(shares, model.predict_proba(files), atol=2e-6)
    assert np.ptp(shares) > 0.5


def test_a_model_of_several_labels_gives_zeros_and_ones(audiofw, tmp_path):
    sounds = {"a": 300, "b": 2000, "a,b": 5000}
    for label, frequency in sounds.items():
        for i in range(8):
            write_wav(tmp_path / "sounds" / label / f"{i}.wav", tone(frequency * (1 + 0.01 * i), 0.3, seed=i))
    words = ["task=multilabel", "n_jobs=1", "audit=false", "report=false", "feature=mfcc", "pooling=stats", "model=lda"]
    fw.run([f"data.source={tmp_path}/sounds", "audio.duration=0.3", *words], path=tmp_path / "run")
    assert audiofw("export", str(tmp_path / "run")).code == 0
    session = open_session(Path("model.onnx").read_bytes())
    files = [tmp_path / "sounds" / label / "7.wav" for label in sounds]
    labels, shares = compare.answers(session, [read(file) for file in files])
    assert labels.tolist() == [[1, 0], [0, 1], [1, 1]]
    np.testing.assert_allclose(shares, fw.load_model(tmp_path / "run").predict_proba(files), atol=2e-6)


def test_the_file_says_what_it_takes_and_its_readme_how_to_call_it(audiofw, runs, capfd):
    assert audiofw("export", str(runs("ripples")), "-o", "pets.onnx").code == 0
    known = open_session(Path("pets.onnx").read_bytes()).get_modelmeta().custom_metadata_map
    assert (json.loads(known["classes"]), known["sample_rate"]) == (["high", "low", "mid"], "22050")
    readme = Path("pets.onnx.md").read_text()
    assert "mono, 22050 Hz" in readme
    assert "of which the loudest 0.6 s count" in readme
    (code,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    assert len(code.strip().splitlines()) <= 10
    capfd.readouterr()
    exec(code, {})
    assert re.match(r"(high|low|mid) \[", capfd.readouterr().out)


# ---- what is not exported


def same(graph: Graph, y: str, sr: int) -> str:
    y = graph.lengthened(y, 5000)
    return graph.Reshape(graph.Abs(graph.part(y, 0, 5000)), [5, 1000])


def size(y, sr):
    """Absolute samples, a thousand a frame."""
    return np.abs(y[:5000]).reshape(5, 1000)


@pytest.fixture(scope="module")
def of_a_plugin(tmp_path_factory) -> Path:
    """Make a run with a feature from a file, which offers a graph."""
    folder = tmp_path_factory.mktemp("plugin")
    code = ["from audiofw import hookimpl", "import numpy as np", "@hookimpl", "def register_features(register):"]
    code += ["    register(size, onnx=same)", inspect.getsource(same), inspect.getsource(size)]
    (folder / "own").mkdir()
    (folder / "own/size.py").write_text("\n".join(code).replace(": Graph", ""))
    with patch.dict(os.environ, {"AUDIOFW_PLUGINS_PATH": str(folder / "own")}):
        make_run(folder, *SOFT, "feature=size")
    return folder


def test_a_plugins_feature_that_offers_its_graph_is_exported(audiofw, of_a_plugin):
    outcome = audiofw("--plugins-dir", str(of_a_plugin / "own"), "export", str(of_a_plugin / "run"))
    assert (outcome.code, outcome.err) == (0, "")
    assert Path("model.onnx").exists()


@pytest.mark.parametrize(
    ("graph", "said"),
    [
        (None, r"^feature=size: cannot be exported: it is registered without onnx=, its graph$"),
        (
            lambda graph, y, sr: graph.Reshape(y, [7, 1000]),
            "^model=.*: the graph of feature=size and pooling=stats f",
        ),
        (lambda graph, y, sr: 1 / 0, r"^feature=size: onnx: .*test_export.py:\d+: ZeroDivisionError"),
        (lambda graph, y, sr: None, "^feature=size: onnx returned None, not a value of the graph$"),
    ],
    ids=["none", "fails", "raises", "returns nothing"],
)
def test_a_feature_without_a_graph_that_runs_is_refused_in_one_line(of_a_plugin, monkeypatch, graph, said):
    monkeypatch.setenv("AUDIOFW_PLUGINS_PATH", str(of_a_plugin / "own"))
    facts, files = read_bundle(of_a_plugin / "run")
    model = read_model(facts, files, "run")
    feature = replace(model.unit.feature, plugin=replace(model.unit.feature.plugin, onnx=graph))
    with pytest.raises(PluginError, match=said) as refusal:
        to_onnx(replace(model, unit=replace(model.unit, feature=feature)), files)
    assert len(str(refusal.value).splitlines()) == 1


def test_a_graph_that_computes_something_else_is_not_written(audiofw, runs, monkeypatch):
    monkeypatch.setattr(compare, "_samples", lambda model, sounds: [np.zeros(5000, np.float32) for _ in sounds])
    outcome = audiofw("export", str(runs("ripples")))
    assert outcome.code == 1
    assert "the ONNX model predicts differently, so it was not written: largest difference 0." in outcome.err
    assert "decision trees jump where a feature is at a threshold, which --tolerance 0.01 accepts" in outcome.err
    assert list(Path().iterdir()) == []


def test_only_a_feature_or_a_pooling_may_offer_a_graph():
    with pytest.raises(PluginError, match="only a feature or a pooling can be registered with onnx"):
        read_plugin(KINDS["model"], lambda: None, "own.py", "size", onnx=same)
    with pytest.raises(PluginError, match=r"size: onnx=3 must be a function \(graph, …\) that returns a value"):
        read_plugin(KINDS["feature"], size, "own.py", onnx=3)


def test_a_sampling_rate_that_depends_on_the_file_is_refused_in_one_line(audiofw, tmp_path):
    outcome = audiofw("export", str(make_run(tmp_path, *SOFT, "audio.sample_rate=null")))
    assert outcome.code == 1
    assert "audio.sample_rate=null: the graph takes samples of one rate" in outcome.err
    assert len(outcome.err.splitlines()) == 1
