"""Build an ONNX graph node by node; needs the extra ``onnx``.

A value of the graph is known by its name, a ``str``. Clips of a batch differ in length, so a loop over the batch
computes each by itself, with its own number of frames: whatever is computed inside is written for one clip.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import count
from typing import Any

import numpy as np
from onnx import GraphProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

Tool = Callable[..., Any]
CAST = {np.dtype(kind): helper.np_dtype_to_tensor_dtype(np.dtype(kind)) for kind in ("f4", "f8", "i8", "?")}


class Graph:
    """The nodes of a graph, or of the body of a loop in it.

    Every operator of ONNX is a method, which adds a node and returns its output: ``graph.MatMul(a, b)``, or outputs:
    ``graph.TopK(x, k, outputs=2)``. Inputs are values, arrays, and numbers: integers become int64, others float32.
    The functions in ``tools`` are methods, too, which take the graph first: ``graph.melspectrogram(y, sr=sr)``.
    """

    def __init__(self, tools: Mapping[str, Tool] | None = None, outer: Graph | None = None) -> None:
        self.tools: Mapping[str, Tool] = tools or {}
        self.nodes: list[NodeProto] = []
        self.constants: dict[str, TensorProto] = {} if outer is None else outer.constants
        self._names: Iterator[int] = count() if outer is None else outer._names
        self._known: dict[Any, str] = {} if outer is None else outer._known

    def __getattr__(self, name: str) -> Tool:
        if name in self.tools:
            return partial(self.tools[name], self)
        if name[:1].isupper():
            return partial(self.add, name)
        raise AttributeError(f"{name}: no operator of ONNX, and none of {', '.join(sorted(self.tools))}")

    def add(self, kind: str, *inputs: Any, outputs: int = 1, **attributes: Any) -> Any:
        """Add a node; returns the name of its output, or a tuple of several."""
        made = [self.name(kind) for _ in range(outputs)]
        self.nodes.append(helper.make_node(kind, [self.value(each) for each in inputs], made, **attributes))
        return made[0] if outputs == 1 else tuple(made)

    def name(self, kind: str) -> str:
        """Make up a new name."""
        return f"{kind.lower()}_{next(self._names)}"

    def value(self, given: Any) -> str:
        """Give the name of an input of a node; what is no value yet becomes a constant."""
        if isinstance(given, str):
            return given
        if not isinstance(given, (np.ndarray, np.generic)):
            given = np.array(given)
            given = given.astype(np.float32) if given.dtype.kind == "f" else given
        return self.constant(np.asarray(given))

    def constant(self, values: np.ndarray) -> str:
        """Add a constant; equal ones are stored once."""
        values = np.ascontiguousarray(values) if values.ndim else values
        key = (values.dtype.str, values.shape, values.tobytes())
        if key not in self._known:
            self._known[key] = name = self.name("constant")
            self.constants[name] = numpy_helper.from_array(values, name)
        return self._known[key]

    def cast(self, x: Any, kind: Any) -> str:
        """Convert to another type of numbers, given as numpy's."""
        return str(self.Cast(x, to=CAST[np.dtype(kind)]))

    def size(self, x: Any, axis: int = 0) -> str:
        """Length of an axis, as a scalar."""
        return str(self.Gather(self.Shape(x), axis))

    def vector(self, *numbers: Any) -> str:
        """Join integers, known or computed, to a vector, such as a shape."""
        return str(self.Concat(*(self.Reshape(number, [1]) for number in numbers), axis=0))

    def part(self, x: Any, start: Any, stop: Any, axis: int = 0) -> str:
        """Give ``x[start:stop]`` along an axis."""
        return str(self.Slice(x, self.vector(start), self.vector(stop), [axis]))

    def arange(self, stop: Any) -> str:
        """Give the integers from 0 to below ``stop``."""
        return str(self.Range(0, stop, 1))

    def rename(self, names: Mapping[str, str]) -> None:
        """Give the outputs of nodes of this graph other names."""
        for node in self.nodes:
            node.output[:] = [names.get(output, output) for output in node.output]

    def each(self, number: Any, body: Callable[[Graph, str], Sequence[str]]) -> tuple[str, ...]:
        """Compute something for every number from 0 to below ``number``; the results are stacked.

        Parameters
        ----------
        number : value
            A scalar.
        body : callable
            ``body(inner, i)`` adds nodes to the graph ``inner`` and returns values, of the same shapes for every ``i``.
        """
        inner = Graph(self.tools, self)
        index, going, goes = (self.name(word) for word in ("index", "going", "goes"))
        results = [*body(inner, index)]
        inner.nodes.append(helper.make_node("Identity", [going], [goes]))
        takes = [_scalar(index, TensorProto.INT64), _scalar(going, TensorProto.BOOL)]
        gives = [_scalar(goes, TensorProto.BOOL), *map(helper.make_empty_tensor_value_info, results)]
        within = helper.make_graph(inner.nodes, "each", takes, gives)  # the constants are in the outermost graph
        made = self.add("Loop", number, True, outputs=len(results), body=within)
        return (made,) if isinstance(made, str) else made

    def finish(self, name: str, inputs: Sequence[ValueInfoProto], outputs: Sequence[ValueInfoProto]) -> GraphProto:
        """Make ONNX's own object of the nodes and constants."""
        return helper.make_graph(self.nodes, name, inputs, outputs, [*self.constants.values()])


def _scalar(name: str, kind: int) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, [])
