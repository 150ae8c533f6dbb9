"""Networks in ONNX and LiteRT files give what their libraries give, and files that cannot be used are explained."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import nets
import numpy as np
import pytest

from audiofw.errors import ClipError, ConfigError
from audiofw.networks.network import open_network

pytest.importorskip("onnxruntime")

X = np.random.default_rng(1).standard_normal((5, nets.WIDE)).astype(np.float32)


@pytest.fixture
def onnx(tmp_path):
    return nets.write_onnx(tmp_path / "net.onnx")


@pytest.fixture
def litert(tmp_path):
    pytest.importorskip("ai_edge_litert")
    return nets.write_litert(tmp_path / "net.tflite")


@pytest.fixture(params=["onnx", "litert"])
def network(request):
    return request.getfixturevalue(request.param)


def test_the_only_output_needs_no_name(network):
    assert np.allclose(open_network(network)(X), nets.hidden(X) @ nets.SECOND, atol=1e-5)


def test_a_tensor_inside_is_reached_by_its_name(network):
    made = open_network(network, output="hidden")(X)
    assert np.allclose(made, nets.hidden(X), atol=1e-5)
    assert made.any()


def test_it_gives_what_the_bare_runtime_gives(onnx):
    import onnxruntime

    bare = onnxruntime.InferenceSession(onnx).run(None, {"sound": X})[0]
    assert np.abs(open_network(onnx)(X) - bare).max() < 1e-6


def test_it_gives_what_the_bare_interpreter_gives(litert):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(litert))
    interpreter.allocate_tensors()
    for window, made in zip(X, open_network(litert)(X), strict=True):
        interpreter.set_tensor(0, window[None])
        interpreter.invoke()
        assert np.abs(made - interpreter.get_tensor(4)[0]).max() < 1e-6


@pytest.mark.parametrize("batch", [1, 2, 5, 9])
def test_the_size_of_a_batch_changes_nothing(network, batch):
    assert np.allclose(open_network(network)(X, batch=batch), open_network(network)(X), atol=1e-6)


def test_a_network_that_takes_a_fixed_number_of_windows_is_given_as_many(tmp_path):
    made = open_network(nets.write_onnx(tmp_path / "net.onnx", batch=4), output="hidden")(X)
    assert np.allclose(made, nets.hidden(X), atol=1e-5)


@pytest.mark.parametrize("shape", [(1, nets.WIDE), (1, 1, nets.WIDE), ("any", nets.WIDE)])
def test_dimensions_of_size_1_are_added(tmp_path, shape):
    made = open_network(nets.write_onnx(tmp_path / "net.onnx", shape=shape), output="hidden")(X)
    assert np.allclose(made, nets.hidden(X), atol=1e-5)


def test_spectrograms_fit_a_network_of_four_dimensions(tmp_path):
    network = open_network(nets.write_onnx(tmp_path / "net.onnx", shape=(1, 20, 20)), output="hidden")
    assert np.allclose(network(X.reshape(5, 20, 20)), nets.hidden(X), atol=1e-5)


def test_a_quantised_input_is_given_steps(tmp_path):
    network = open_network(nets.write_onnx(tmp_path / "net.onnx", kind="uint8"), output="hidden")
    assert (network.input.scale, network.input.zero) == (pytest.approx(nets.SCALE), nets.ZERO)
    limits = (-nets.SCALE * nets.ZERO, nets.SCALE * (255 - nets.ZERO))
    steps = np.clip(np.round(X / nets.SCALE), -nets.ZERO, 255 - nets.ZERO)
    assert np.allclose(network(X), nets.hidden((nets.SCALE * steps).astype(np.float32)), atol=1e-4)
    assert np.abs(X).max() > limits[1]


def test_a_network_of_integers_is_given_rounded_numbers(tmp_path):
    network = open_network(nets.write_onnx(tmp_path / "net.onnx", kind="int16"), output="hidden")
    assert np.allclose(network(1000 * X), nets.hidden(np.round(1000 * X)), rtol=1e-4, atol=1e-2)


def test_several_threads_can_use_it_at_once(network):
    opened = open_network(network)
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda i: opened(X[i % 5 : i % 5 + 1]), range(40)))
    assert all(np.allclose(made, opened(X[i % 5 : i % 5 + 1])) for i, made in enumerate(results))


def test_a_file_is_opened_once_and_again_when_it_has_changed(onnx):
    first = open_network(onnx)
    assert open_network(onnx) is first
    nets.write_onnx(onnx, batch=4)
    assert open_network(onnx) is not first


def test_weights_beside_the_network_must_be_in_the_same_zip(tmp_path):
    network = nets.write_split_onnx(tmp_path / "split")
    with pytest.raises(ConfigError, match=r"net\.onnx: its weights are in another file, net\.data, .*pack both"):
        open_network(network)
    zipped = nets.zip_files(tmp_path / "net.zip", network, network.with_name("net.data"))
    assert np.allclose(open_network(zipped, output="hidden")(X), nets.hidden(X), atol=1e-5)


# --- what cannot be used ------------------------------------------------------------------------------------------


def test_windows_of_another_size_than_the_network_takes(network):
    with pytest.raises(ConfigError, match=rf"the network takes \(.*, {nets.WIDE}\), not windows of \(399\)"):
        open_network(network)(X[:, :399])


def test_a_missing_output_is_said_with_those_that_there_are(network):
    with pytest.raises(
        ConfigError, match=r"no output or inner tensor 'hiden' \(did you mean 'hidden'\?\); outputs: sc"
    ):
        open_network(network, output="hiden")


def test_of_several_outputs_one_must_be_chosen(tmp_path):
    from onnx import TensorProto, helper

    model = nets.make_onnx()
    model.graph.output.append(helper.make_tensor_value_info("hidden", TensorProto.FLOAT, ["N", nets.HIDDEN]))
    (tmp_path / "net.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ConfigError, match="the network has 2 outputs, choose one: scores, hidden"):
        open_network(tmp_path / "net.onnx")


def test_several_inputs_are_refused(tmp_path):
    from onnx import TensorProto, helper

    model = nets.make_onnx()
    model.graph.input.append(helper.make_tensor_value_info("rate", TensorProto.INT64, []))
    (tmp_path / "net.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ConfigError, match=r"the network has 2 inputs \(sound, rate\)"):
        open_network(tmp_path / "net.onnx")


@pytest.mark.parametrize("data", [b"", b"no network", b"PK\x03\x04 no zip", b"\0\0\0\0TFL3" + bytes(50), bytes(1000)])
def test_a_file_that_is_no_network(tmp_path, data):
    file = tmp_path / "net.onnx"
    file.write_bytes(data)
    with pytest.raises(ConfigError, match=r"^feature\.model=.*net\.onnx: ") as caught:
        open_network(file, option="feature.model")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_a_truncated_file(network, tmp_path, share):
    data = network.read_bytes()
    cut = tmp_path / f"cut{network.suffix}"
    cut.write_bytes(data[: int(share * len(data))])
    with pytest.raises((ConfigError, ClipError)):
        open_network(cut)(X)


def test_a_missing_file(tmp_path):
    with pytest.raises(ConfigError, match=r"gone\.onnx: no such file"):
        open_network(tmp_path / "gone.onnx")


def test_a_library_that_is_not_installed_is_named(network, monkeypatch):
    for name in ("onnxruntime", "ai_edge_litert", "ai_edge_litert.interpreter"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ConfigError, match=r"pip install 'audiofw\[(onnx|litert)\]'"):
        open_network(network, output="inner" if network.suffix == ".onnx" else "hidden", threads=3)


def test_out_of_memory_is_tried_once_with_half_the_batch(onnx):
    opened = open_network(onnx)
    sizes = []

    def call(values):
        sizes.append(len(values))
        if len(values) > 2:
            raise MemoryError
        return opened.call(values)

    poor = replace(opened, call=call)
    assert np.allclose(poor(X, batch=4), opened(X))
    assert sizes == [4, 2, 2, 1]
    with pytest.raises(MemoryError):
        poor(np.repeat(X, 3, axis=0), batch=12)
