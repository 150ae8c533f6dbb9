"""LiteRT (TensorFlow Lite) files; needs the extra ``litert``."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from audiofw.errors import ConfigError, first_line
from audiofw.networks.tensors import Opened, Tensor, pick

MISSING = "LiteRT files need ai-edge-litert: pip install 'audiofw[litert]'"


def open_litert(data: bytes, output: str | None, threads: int) -> Opened:
    """Open a LiteRT network.

    Raises
    ------
    ConfigError
        If it cannot be used; the message does not name the file.
    """
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as error:
        raise ConfigError(MISSING) from error
    try:
        probe = Interpreter(model_content=data)  # checks the file, before it is read below
        inputs, outputs = probe.get_input_details(), probe.get_output_details()
        details = {each["name"]: each for each in probe.get_tensor_details()}
    except Exception as error:  # of several kinds
        raise ConfigError(f"not a LiteRT network, or damaged: {first_line(error)}") from error
    if len(inputs) != 1:
        listed = ", ".join(each["name"] for each in inputs)
        raise ConfigError(f"the network has {len(inputs)} inputs ({listed}); only one can be used")
    names = [each["name"] for each in outputs]
    chosen = pick("output", output, names, list(details))
    if names != [chosen]:
        data = _with_output(data, details[chosen]["index"])
    source, sink, own = inputs[0], details[chosen], threading.local()

    def call(values: np.ndarray) -> np.ndarray:
        shape = tuple(values.shape)
        if getattr(own, "shape", None) != shape:  # an interpreter cannot be shared by threads
            if not hasattr(own, "interpreter"):
                own.interpreter = Interpreter(model_content=data, num_threads=threads)
            own.interpreter.resize_tensor_input(source["index"], shape)
            own.interpreter.allocate_tensors()
            own.shape = shape
        own.interpreter.set_tensor(source["index"], values)
        own.interpreter.invoke()
        return np.asarray(own.interpreter.get_tensor(sink["index"]))

    return Opened(_tensor(source), _tensor(sink), call)


def _tensor(said: dict[str, Any]) -> Tensor:
    shape = said["shape_signature"] if len(said["shape_signature"]) else said["shape"]
    scale, zero = said["quantization"]
    sizes = tuple(int(size) if size > 0 else None for size in shape)
    return Tensor(said["name"], sizes, np.dtype(said["dtype"]), float(scale), int(zero))


def _with_output(data: bytes, tensor: int) -> bytes:
    """Make a tensor inside the network its output, so that its value is kept whatever computes it.

    Tensors inside can be read from an interpreter, but with a delegate such as XNNPACK they hold zeros.
    """
    from ai_edge_litert import schema_py_generated as schema

    changed = bytearray(data)
    graph = schema.Model.GetRootAs(changed, 0).Subgraphs(0)
    graph.OutputsAsNumpy()[:] = tensor  # a view of the file's bytes
    return bytes(changed)
