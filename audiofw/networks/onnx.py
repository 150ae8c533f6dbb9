"""ONNX files, run by onnxruntime; needs the extra ``onnx``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from audiofw.errors import ConfigError, first_line
from audiofw.networks.tensors import Device, Opened, Tensor, pick

MISSING = "ONNX files need onnx and onnxruntime: pip install 'audiofw[onnx]'"
GPUS = ("CUDAExecutionProvider", "ROCMExecutionProvider", "CoreMLExecutionProvider", "DmlExecutionProvider")


def open_onnx(files: Mapping[str, bytes], output: str | None, threads: int, device: Device) -> Opened:
    """Open an ONNX network, given under the name ``""``; external weights are taken from the other files.

    Raises
    ------
    ConfigError
        If it cannot be used; the message does not name the file.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    try:
        import onnx
        import onnxruntime
    except ImportError as error:
        raise ConfigError(MISSING) from error
    try:
        model = onnx.load_model_from_string(files[""])
        if not model.graph.node:
            raise ValueError("it has no nodes")
    except Exception as error:  # protobuf's, of several kinds
        raise ConfigError(f"not an ONNX or LiteRT network, or damaged: {first_line(error)}") from error
    for weights in [*model.graph.initializer, *_constants(model.graph)]:
        _inline(weights, files)
    given = {weights.name for weights in model.graph.initializer}
    inputs = [each.name for each in model.graph.input if each.name not in given]
    if len(inputs) != 1:
        raise ConfigError(f"the network has {len(inputs)} inputs ({', '.join(inputs)}); only one can be used")
    _choose_output(model.graph, output)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4  # errors are raised, too
    providers = [name for name in GPUS if device == "auto" and name in onnxruntime.get_available_providers()]
    try:
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=[*providers, "CPUExecutionProvider"]
        )
    except Exception as error:  # onnxruntime's, of many kinds
        raise ConfigError(f"onnxruntime cannot run it: {first_line(error)}") from error
    (source,), (sink,) = session.get_inputs(), session.get_outputs()

    def call(values: np.ndarray) -> np.ndarray:
        return np.asarray(session.run([sink.name], {source.name: values})[0])

    return Opened(_tensor(source, model.graph, "DequantizeLinear"), _tensor(sink, model.graph, "QuantizeLinear"), call)


def _constants(graph: Any) -> list[Any]:
    return [attribute.t for node in graph.node for attribute in node.attribute if attribute.HasField("t")]


def _inline(weights: Any, files: Mapping[str, bytes]) -> None:
    """Copy weights that stand in another file into the network, so that one file is all that a result depends on."""
    if not weights.external_data:
        return
    where = {entry.key: entry.value for entry in weights.external_data}
    name = where.get("location", "").rpartition("/")[2]
    if name not in files:
        raise ConfigError(
            f"its weights are in another file, {name}, whose changes would not be noticed: "
            "pack both into a zip, and give that"
        )
    start = int(where.get("offset", 0))
    weights.raw_data = files[name][start : start + int(where["length"]) if "length" in where else None]
    del weights.external_data[:]
    weights.data_location = 0


def _choose_output(graph: Any, name: str | None) -> None:
    """Leave only one output, which may be any tensor inside; what it does not need is not computed."""
    from onnx import ValueInfoProto

    outputs = {each.name: each for each in graph.output}
    inner = [made for node in graph.node for made in node.output if made]
    chosen = pick("output", name, list(outputs), inner)
    known = {each.name: each for each in graph.value_info} | outputs
    kept = ValueInfoProto()
    kept.CopyFrom(known.get(chosen, ValueInfoProto(name=chosen)))
    del graph.output[:]
    graph.output.append(kept)


def _tensor(said: Any, graph: Any, quantiser: str) -> Tensor:
    shape = tuple(size if isinstance(size, int) and size > 0 else None for size in said.shape)
    return Tensor(said.name, shape, _dtype(said.type), *_quantisation(graph, said.name, quantiser))


def _dtype(text: str) -> np.dtype[Any]:
    kind = text.removeprefix("tensor(").rstrip(")")
    try:
        return np.dtype({"float": "float32", "double": "float64"}.get(kind, kind))
    except TypeError as error:
        raise ConfigError(f"the network takes or gives {text}, which cannot be used") from error


def _quantisation(graph: Any, name: str, quantiser: str) -> tuple[float, int]:
    """Find scale and zero point of a quantised tensor, at the node that makes it or reads it."""
    from onnx.numpy_helper import to_array

    values = {weights.name: weights for weights in graph.initializer}
    values |= {
        node.output[0]: attribute.t
        for node in graph.node
        if node.op_type == "Constant"
        for attribute in node.attribute
        if attribute.name == "value"
    }
    for node in graph.node:
        named = node.input[:1] if quantiser == "DequantizeLinear" else node.output[:1]
        if node.op_type == quantiser and list(named) == [name]:
            scale, *zero = [to_array(values[each]).ravel() for each in node.input[1:] if each in values]
            return float(scale[0]), int(zero[0][0]) if zero else 0
    return 0.0, 0
