"""One ONNX graph from samples to labels: the parts of a clip, feature, pooling, padding, classifier."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
from onnx import ModelProto, TensorProto, compose, helper, load_from_string

from audiofw.bundle.model import Model
from audiofw.bundle.onnx.clips import cut
from audiofw.bundle.onnx.descriptors import feature_set
from audiofw.bundle.onnx.fourier import lengthened, spectrogram
from audiofw.bundle.onnx.graph import Graph
from audiofw.bundle.onnx.levels import amplitude_to_db, melspectrogram, mfcc, power_to_db
from audiofw.bundle.onnx.nodes import OPSET
from audiofw.bundle.onnx.ripples import ripples
from audiofw.bundle.onnx.segments import segment_means
from audiofw.bundle.onnx.statistics import change, statistics
from audiofw.extraction.padding import PadValue
from audiofw.extraction.recording import Unit
from audiofw.version import __version__

IR_VERSION = 8  # of the first runtimes with this set of operators; a later one would lock them out

TOOLS = {
    tool.__name__: tool
    for tool in (
        amplitude_to_db,
        change,
        feature_set,
        lengthened,
        melspectrogram,
        mfcc,
        power_to_db,
        ripples,
        segment_means,
        spectrogram,
        statistics,
    )
}
"""What the functions that plugins register as ``onnx`` can call besides ONNX's operators."""


PREFIX = "classifier_"  # of the names that the classifier's converter has given


def draw(model: Model, classifier: bytes) -> bytes:
    """Make the graph of a model that takes samples and their numbers, with its classifier in ONNX.

    Raises
    ------
    PluginError
        If a feature or pooling offers no graph.
    NotImplementedError
        For a setting that has no graph.
    """
    graph = Graph(TOOLS)
    named = compose.add_prefix(load_from_string(classifier), PREFIX)
    graph.constants.update({each.name: each for each in named.graph.initializer})

    rate = rate_of(model)

    def of_clip(inner: Graph, i: str) -> list[str]:
        y = inner.part(inner.Gather("samples", i), 0, inner.Gather("lengths", i))
        return _answer(inner, _rows(inner, y, rate, model), model, named)

    codes, shares = graph.each(graph.size("samples"), of_clip)
    several = model.thresholds is not None
    label = codes if several else graph.Gather(model.classes_.astype(object), codes)
    graph.rename({label: "label", shares: "probabilities"})
    return bytes(_wrapped(graph, model, several, named).SerializeToString())


def rate_of(model: Model) -> int:
    """Find the sampling rate that the graph takes."""
    rates = {part.sample_rate for part in model.unit.parts}
    if len(rates) > 1 or None in rates:
        listed = ", ".join("null" if rate is None else f"{rate}" for rate in sorted(rates, key=str))
        raise NotImplementedError(f"audio.sample_rate={listed}: the graph takes samples of one rate")
    return rates.pop() or 0


def _rows(graph: Graph, y: str, rate: int, model: Model) -> str:
    """Compute the feature vectors of a clip, ``(windows, width)``."""
    widths = getattr(model.unit, "widths", ()) or [model.width or 0]
    pairs = zip(model.unit.parts, widths, strict=True)
    made = [_rows_of_unit(graph, y, rate, unit, width, model.pad_value) for unit, width in pairs]
    return str(graph.Concat(*made, axis=1))


def _rows_of_unit(graph: Graph, y: str, rate: int, unit: Unit, width: int, pad_value: PadValue) -> str:
    y, starts, size = cut(graph, y, unit.segments, rate)

    def of_window(inner: Graph, i: Any) -> list[str]:
        start = inner.Gather(starts, i)
        return [_row(inner, inner.part(y, start, inner.Add(start, size)), rate, unit, width, pad_value)]

    if unit.segments.hop is None:
        return str(graph.Unsqueeze(of_window(graph, 0)[0], [0]))
    return graph.each(graph.size(starts), of_window)[0]


def _row(graph: Graph, y: str, rate: int, unit: Unit, width: int, pad_value: PadValue) -> str:
    """Compute the feature vector of a segment, padded to the width of the classifier's rows."""
    least = math.ceil(unit.feature.min_duration * rate)
    if least:
        y = graph.Pad(y, graph.vector(0, graph.Max(graph.Sub(least, graph.size(y)), 0)))
    row = unit.pooling.draw(graph, unit.feature.draw(graph, y, rate))
    row = graph.part(row, 0, width)
    value = graph.ReduceMin(row, keepdims=0) if pad_value == "floor" else np.float32(0)
    padded = graph.Pad(row, graph.vector(0, graph.Sub(width, graph.size(row))), value)
    return str(graph.Reshape(padded, [width]))


def _answer(graph: Graph, rows: str, model: Model, classifier: ModelProto) -> list[str]:
    """Classify a clip by all its windows: the code of its class or of each label, and the probabilities."""
    code, share = (output.name for output in classifier.graph.output)
    graph.nodes.append(helper.make_node("Identity", [rows], [classifier.graph.input[0].name]))
    graph.nodes.extend(classifier.graph.node)
    mean = graph.ReduceMean(_columns(graph, share, model), axes=[0], keepdims=0)
    if model.thresholds is not None:
        over = graph.GreaterOrEqual(graph.cast(mean, np.float64), model.thresholds.astype(np.float64))
        return [graph.cast(over, np.int64), mean]
    if model.unit.segments.hop is None:
        return [graph.Reshape(code, np.empty(0, np.int64)), mean]
    return [graph.ArgMax(mean, axis=0, keepdims=0), mean]


def _columns(graph: Graph, shares: str, model: Model) -> str:
    """Give every class its column, also one that was not in the training set; with one label, a sum of 1."""
    seen = np.asarray(model.classifier.classes_, int)
    if model.thresholds is not None:
        return shares
    shares = graph.Div(shares, graph.ReduceSum(shares, [1], keepdims=1))
    if len(seen) == len(model.classes_):
        return shares
    return str(graph.MatMul(shares, np.eye(len(model.classes_), dtype=np.float32)[seen]))


def _wrapped(graph: Graph, model: Model, several: bool, classifier: ModelProto) -> ModelProto:
    """Add names, shapes and what callers need to know of the model."""
    n = len(model.classes_)
    label = (TensorProto.INT64, ["batch", n]) if several else (TensorProto.STRING, ["batch"])
    inputs = [
        helper.make_tensor_value_info("samples", TensorProto.FLOAT, ["batch", "samples"]),
        helper.make_tensor_value_info("lengths", TensorProto.INT64, ["batch"]),
    ]
    outputs = [
        helper.make_tensor_value_info("label", *label),
        helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", n]),
    ]
    made = helper.make_model(
        graph.finish("audiofw", inputs, outputs),
        opset_imports=[helper.make_opsetid("", OPSET), *(o for o in classifier.opset_import if o.domain)],
        ir_version=IR_VERSION,
        producer_name="audiofw",
        producer_version=__version__,
    )
    known = {"classes": json.dumps(model.classes_.tolist(), ensure_ascii=False), "sample_rate": f"{rate_of(model)}"}
    helper.set_model_props(made, known)
    return made
