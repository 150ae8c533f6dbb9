"""Run a part of a graph by itself, to compare it with what it stands for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from onnx import TensorProto, helper

from audiofw.bundle.onnx.export import open_session
from audiofw.bundle.onnx.graph import Graph
from audiofw.bundle.onnx.nodes import OPSET
from audiofw.bundle.onnx.waveform import IR_VERSION, TOOLS


def compiled(draw: Callable[[Graph, str], str | Sequence[str]]) -> Callable[[np.ndarray], list[Any]]:
    """Make a function of samples ``(n,)`` of what ``draw(graph, "y")`` adds to a graph; it returns the outputs."""
    graph = Graph(TOOLS)
    made = draw(graph, "y")
    outputs = [helper.make_empty_tensor_value_info(name) for name in ([made] if isinstance(made, str) else made)]
    inputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n"])]
    opset = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(graph.finish("alone", inputs, outputs), opset_imports=opset, ir_version=IR_VERSION)
    session = open_session(model.SerializeToString(), threads=1)
    return lambda y: list(session.run(None, {"y": y.astype(np.float32)}))
