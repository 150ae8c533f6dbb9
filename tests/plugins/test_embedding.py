"""feature=embedding: what a network is given, what becomes of its output, and what cannot be used."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import nets
import numpy as np
import pytest
from conftest import tone, write_wav

import audiofw as fw
from audiofw import spectral
from audiofw.contract.registry import load_menus
from audiofw.errors import ClipError, ConfigError, DataError
from audiofw.experiment.hydra_app import compose

pytest.importorskip("onnxruntime")

SR = 8000
WINDOW = nets.WIDE / SR
Y = np.random.default_rng(0).standard_normal(1000).astype(np.float32) / 10


@pytest.fixture
def network(tmp_path) -> Path:
    return nets.write_onnx(tmp_path / "net.onnx")


def embed(network: Path, y: np.ndarray = Y, **options) -> np.ndarray:
    options = {"model": str(network), "output": "hidden", "sample_rate": SR, "window": WINDOW, **options}
    return load_menus().choose_member("feature", "embedding", options)(y, SR)


def test_each_window_becomes_a_column_and_the_last_one_ends_with_the_clip(network):
    windows = np.stack([Y[0:400], Y[400:800], Y[600:1000]])
    assert np.allclose(embed(network), nets.hidden(windows).T, atol=1e-6)
    assert embed(network, hop=0.0125).shape == (nets.HIDDEN, 7)


def test_windows_that_overlap_more_than_a_hundredfold_are_refused(network):
    with pytest.raises(
        ConfigError, match=r"feature\.hop=0\.001: too short for feature\.window=0\.5; at least a hundredth"
    ):
        embed(network, window=0.5, hop=0.001)


def test_gain_mean_and_std_are_applied_before_the_network(network):
    made = embed(network, Y[:400], gain=4.0, mean=-0.5, std=2.0)
    assert np.allclose(made[:, 0], nets.hidden((4 * Y[None, :400] + 0.5) / 2)[0], atol=1e-5)


@pytest.mark.parametrize("layout", ["time_bands", "bands_time"])
def test_a_log_mel_spectrogram_is_cut_into_windows_of_frames(tmp_path, layout):
    network = nets.write_onnx(tmp_path / "net.onnx", shape=(1, 20, 20))
    framing = {"n_fft": 256, "win_length": 200, "hop_length": 80, "n_mels": 20, "fmin": 100.0, "fmax": 3500.0}
    y = np.tile(Y, 5)
    made = embed(network, y, input="log_mel", window=0.2, hop=0.1, layout=layout, **framing)
    mel = spectral.melspectrogram(y, sr=SR, center=False, htk=True, norm=None, power=1.0, **framing)
    picture = np.log(mel.T + 1e-6)
    first = picture[:20] if layout == "time_bands" else picture[:20].T
    assert np.allclose(made[:, 0], nets.hidden(first.reshape(1, -1))[0], atol=1e-4)
    assert made.shape[1] == 1 + int(np.ceil((len(picture) - 20) / 10))


def test_a_second_network_makes_the_spectrogram(tmp_path):
    from onnx import TensorProto, helper

    frames = helper.make_graph(
        [helper.make_node("Reshape", ["y", "shape"], ["frames"])],
        "front",
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, "n"])],
        [helper.make_tensor_value_info("frames", TensorProto.FLOAT, [1, 1, "t", 20])],
        [helper.make_tensor("shape", TensorProto.INT64, [4], [1, 1, -1, 20])],
    )
    front = tmp_path / "front.onnx"
    front.write_bytes(helper.make_model(frames, opset_imports=[helper.make_opsetid("", 17)]).SerializeToString())
    network = nets.write_onnx(tmp_path / "net.onnx", shape=(20, 20, 1))
    made = embed(network, input="network", front=str(front), hop_length=20, window=WINDOW, hop=WINDOW / 2)
    assert np.allclose(made[:, 1], nets.hidden(Y[None, 200:600])[0], atol=1e-6)
    with pytest.raises(ConfigError, match=r"feature\.front is missing"):
        embed(network, input="network")


@pytest.mark.parametrize(("within", "shape"), [("mean", (nets.HIDDEN // 2, 2)), ("frames", (nets.HIDDEN // 2, 4))])
def test_several_vectors_of_a_window_are_averaged_or_kept(tmp_path, within, shape):
    from onnx import helper, numpy_helper

    model = nets.make_onnx()
    model.graph.initializer.append(numpy_helper.from_array(np.array([-1, 2, nets.HIDDEN // 2]), "two"))
    model.graph.node.append(helper.make_node("Reshape", ["hidden", "two"], ["pair"]))
    (tmp_path / "net.onnx").write_bytes(model.SerializeToString())
    made = embed(tmp_path / "net.onnx", Y[:800], output="pair", within=within)
    expected = nets.hidden(Y[:800].reshape(2, 400)).reshape(2, 2, -1)
    assert made.shape == shape
    assert np.allclose(made, (expected.mean(axis=1) if within == "mean" else expected.reshape(4, -1)).T, atol=1e-6)


def test_a_whole_clip_is_one_window_for_a_network_that_takes_any_length(tmp_path):
    from onnx import TensorProto, helper

    graph = helper.make_graph(
        [helper.make_node("ReduceMean", ["y"], ["mean"], axes=[1], keepdims=1)],
        "any",
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, "n"])],
        [helper.make_tensor_value_info("mean", TensorProto.FLOAT, [1, 1])],
    )
    network = tmp_path / "any.onnx"
    network.write_bytes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()
    )
    made = embed(network, output=None, window=None)
    assert made == pytest.approx(Y.mean(), abs=1e-6)


# --- a whole run --------------------------------------------------------------------------------------------------


def words(network: Path, *more: str) -> list[str]:
    options = [f"model={network}", "output=hidden", f"sample_rate={SR}", f"window={WINDOW}"]
    return ["feature=embedding", *(f"feature.{option}" for option in options), "pooling=stats", *more]


@pytest.fixture
def clips(tmp_path, monkeypatch):
    monkeypatch.setenv("AUDIOFW_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    for label, frequency in (("low", 200), ("high", 2000)):
        for i in range(6):
            write_wav(tmp_path / "sounds" / label / f"{i}.wav", tone(frequency, 0.3, seed=i))
    return tmp_path / "sounds"


def test_a_run_with_its_report_and_a_model_that_predicts_elsewhere(clips, network, tmp_path, monkeypatch):
    common = [f"data.source={clips}", "model=lda", "audit=false", "bundle.carry=true"]
    result = fw.run(words(network, *common), path=tmp_path / "run")
    assert result.metrics["n_columns"] == 18 * nets.HIDDEN
    rows = json.loads((tmp_path / "run/importance.json").read_text())["row"]
    assert [name for name, _ in rows] == [f"embedding{i}" for i in range(nets.HIDDEN)]
    before = result.model.predict_proba(sorted(clips.rglob("*.wav")))
    network.unlink()
    monkeypatch.setenv("AUDIOFW_CACHE", str(tmp_path / "cache2"))
    model = fw.load_model(shutil.copytree(tmp_path / "run/model", tmp_path / "moved"))
    assert np.array_equal(model.predict_proba(sorted(clips.rglob("*.wav"))), before)


def test_cold_and_warm_rows_are_equal(clips, network):
    cold, warm = (fw.features(clips, words(network)) for _ in range(2))
    assert np.array_equal(cold, warm)


def test_a_clip_shorter_than_the_window_is_padded_with_zeros(clips, network, tmp_path):
    y = tone(200, 0.02, sr=SR)
    write_wav(tmp_path / "short.wav", y, SR)
    row = fw.features(tmp_path / "short.wav", words(network, "pooling.statistics=[mean]", "pooling.delta=false"))
    padded = np.pad(np.round(np.clip(y, -1, 1) * 32767 - 0.5) / 32768, (0, nets.WIDE - y.size))
    assert np.allclose(row[0, : nets.HIDDEN], nets.hidden(padded[None])[0], atol=1e-3)


def test_the_file_of_the_network_is_needed(network):
    with pytest.raises(ConfigError, match=r"^feature\.model is missing: give the network's file"):
        compose(["feature=embedding"])
    with pytest.raises(ConfigError, match=r"^feature\.model=gone\.onnx: no such file$"):
        compose(["feature=embedding", "feature.model=gone.onnx"])


@pytest.mark.parametrize("preset", ["yamnet", "birdnet", "speech_embedding"])
def test_a_preset_says_where_its_file_is_from_and_refuses_others(network, preset, monkeypatch, tmp_path):
    for place in ("", "/nets/"):
        with pytest.raises(
            ConfigError, match=rf"^feature\.model={place}\w.*: no such file; it is in the wheel of the pa"
        ):
            compose([f"feature={preset}"])
        monkeypatch.setenv("AUDIOFW_NETWORKS", "/nets")
    with pytest.raises(
        ConfigError, match=r"net\.onnx: not the file in the wheel .*; for another one, set feature\.sha2"
    ):
        compose([f"feature={preset}", f"feature.model={network}"])
    _, choices = compose([f"feature={preset}", f"feature.model={network}", "feature.sha256=null"])
    assert choices["feature"].name == "embedding"


def test_another_rate_than_the_networks_is_refused(network):
    with pytest.raises(ConfigError, match=r"audio\.sample_rate=22050: feature=embedding needs 8000 Hz"):
        compose(words(network, "audio.sample_rate=22050"))
    with pytest.raises(ConfigError, match=r"feature\.sample_rate=16000: the clip is at 8000 Hz"):
        embed(network, sample_rate=16000)


def test_a_window_that_the_network_does_not_take(network):
    with pytest.raises(ConfigError, match=r"the network takes \(any, 400\), not windows of \(800\)"):
        embed(network, window=0.1)


def test_a_network_of_integers_needs_a_gain(tmp_path):
    network = nets.write_onnx(tmp_path / "net.onnx", kind="int16")
    with pytest.raises(ConfigError, match=r"feature\.gain=1: the network takes int16, .*: set 32768"):
        embed(network)
    expected = nets.hidden(np.round(32768 * Y[None, 400:800]))[0]
    assert np.allclose(embed(network, Y[400:800], gain=32768.0)[:, 0], expected, rtol=1e-4, atol=1e-2)


def test_zeros_only_are_refused(clips, tmp_path):
    from onnx import numpy_helper

    model = nets.make_onnx()
    for weights in model.graph.initializer:
        if weights.name in ("first", "bias"):
            weights.CopyFrom(numpy_helper.from_array(np.zeros_like(numpy_helper.to_array(weights)), weights.name))
    (tmp_path / "net.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ClipError, match=r"net\.onnx returned zeros only; is feature\.output the right tensor\?"):
        embed(tmp_path / "net.onnx")
    with pytest.raises(fw.AudiofwError, match="returned zeros only"):
        fw.features(clips, words(tmp_path / "net.onnx"))


def test_nan_costs_the_clip(clips, tmp_path):
    from onnx import helper

    model = nets.make_onnx()
    model.graph.node.append(helper.make_node("Sqrt", ["scores"], ["roots"]))
    (tmp_path / "net.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(fw.AudiofwError, match="NaN"):
        fw.features(clips, [*words(tmp_path / "net.onnx"), "feature.output=roots"])


def test_a_network_that_was_swapped_since_the_model_was_saved(clips, network, tmp_path):
    fw.run(words(network, f"data.source={clips}", "model=lda", "audit=false", "report=false"), path=tmp_path / "run")
    nets.write_onnx(network, batch=1)
    with pytest.raises(DataError, match=r"feature\.model: the model needs the file net\.onnx .*has other content"):
        fw.load_model(tmp_path / "run")
