"""Tiny networks in ONNX and LiteRT files: a matrix product, ReLU, and a second product; what they give is known."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np

RNG = np.random.default_rng(7)
WIDE, HIDDEN, CLASSES = 400, 6, 3
FIRST = RNG.standard_normal((WIDE, HIDDEN)).astype(np.float32) / 20
SECOND = RNG.standard_normal((HIDDEN, CLASSES)).astype(np.float32)
BIAS = np.float32(0.1)  # so that silence does not give zeros
SCALE, ZERO = 0.02, 128


def hidden(x: np.ndarray) -> np.ndarray:
    """Compute the layer before the classes, ``(n, HIDDEN)``."""
    return np.maximum(x.reshape(len(x), -1) @ FIRST + BIAS, 0)


def write_onnx(
    path: Path, *, batch: int | str = "N", shape: tuple[int | str, ...] = (WIDE,), kind: str = "float"
) -> Path:
    """Write an ONNX network; ``kind`` is float, or uint8 for a quantised input."""
    path.write_bytes(make_onnx(batch, shape, kind).SerializeToString())
    return path


def make_onnx(batch: int | str = "N", shape: tuple[int | str, ...] = (WIDE,), kind: str = "float") -> Any:
    from onnx import TensorProto, helper, numpy_helper

    types = {"float": TensorProto.FLOAT, "uint8": TensorProto.UINT8, "int16": TensorProto.INT16}
    weights = {"first": FIRST, "second": SECOND, "flat": np.array([-1, WIDE], np.int64)}
    weights |= {"bias": np.full(HIDDEN, BIAS), "scale": np.array(SCALE, np.float32), "zero": np.array(ZERO, np.uint8)}
    nodes = [
        helper.make_node("Reshape", ["real", "flat"], ["rows"]),
        helper.make_node("MatMul", ["rows", "first"], ["product"]),
        helper.make_node("Add", ["product", "bias"], ["inner"]),
        helper.make_node("Relu", ["inner"], ["hidden"]),
        helper.make_node("MatMul", ["hidden", "second"], ["scores"]),
    ]
    first = {
        "float": helper.make_node("Identity", ["sound"], ["real"]),
        "uint8": helper.make_node("DequantizeLinear", ["sound", "scale", "zero"], ["real"]),
        "int16": helper.make_node("Cast", ["sound"], ["real"], to=TensorProto.FLOAT),
    }[kind]
    graph = helper.make_graph(
        [first, *nodes],
        "tiny",
        [helper.make_tensor_value_info("sound", types[kind], [batch, *shape])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [batch, CLASSES])],
        [numpy_helper.from_array(values, name) for name, values in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def write_split_onnx(folder: Path) -> Path:
    """Write an ONNX network whose weights are in a file beside it."""
    import onnx

    folder.mkdir(exist_ok=True)
    onnx.save_model(
        make_onnx(), folder / "net.onnx", save_as_external_data=True, location="net.data", size_threshold=100
    )
    return folder / "net.onnx"


def zip_files(path: Path, *files: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for file in files:
            archive.write(file, f"model/{file.name}")
    return path


def write_litert(path: Path) -> Path:
    """Write a LiteRT network of the same two layers, which takes one window at a time."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    def tensor(name: str, shape: tuple[int, ...], buffer: int = 0) -> Any:
        made = schema.TensorT()
        made.name, made.shape, made.buffer = name, list(shape), buffer
        made.type = schema.TensorType.FLOAT32
        return made

    def product(result: int, activation: int, *given: int) -> Any:
        options = schema.FullyConnectedOptionsT()
        options.fusedActivationFunction = activation
        made = schema.OperatorT()
        made.opcodeIndex, made.inputs, made.outputs = 0, list(given), [result]
        made.builtinOptionsType = schema.BuiltinOptions.FullyConnectedOptions
        made.builtinOptions = options
        return made

    def buffer(values: np.ndarray | None) -> Any:
        made = schema.BufferT()
        made.data = None if values is None else np.frombuffer(np.ascontiguousarray(values).tobytes(), np.uint8)
        return made

    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.FULLY_CONNECTED
    code.version = 1
    graph = schema.SubGraphT()
    graph.tensors = [
        tensor("sound", (1, WIDE)),
        tensor("first", (HIDDEN, WIDE), 1),
        tensor("hidden", (1, HIDDEN)),
        tensor("second", (CLASSES, HIDDEN), 2),
        tensor("scores", (1, CLASSES)),
        tensor("bias", (HIDDEN,), 3),
    ]
    relu, none = schema.ActivationFunctionType.RELU, schema.ActivationFunctionType.NONE
    graph.operators = [product(2, relu, 0, 1, 5), product(4, none, 2, 3)]
    graph.inputs, graph.outputs, graph.name = [0], [4], "main"
    model = schema.ModelT()
    model.version, model.operatorCodes, model.subgraphs = 3, [code], [graph]
    model.buffers = [buffer(None), buffer(FIRST.T), buffer(SECOND.T), buffer(np.full(HIDDEN, BIAS))]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    path.write_bytes(bytes(builder.Output()))
    return path
