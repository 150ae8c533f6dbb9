"""Inputs and outputs of networks: their shapes, their quantisation, and how one is chosen by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from audiofw.errors import ConfigError, nearest

Device = Literal["auto", "cpu"]

MOST_NAMES = 12  # of tensors in a message


class Tensor(NamedTuple):
    """An input or output of a network.

    Attributes
    ----------
    shape
        None for a dimension of any size.
    scale, zero
        Of quantised values: ``real = scale * (value - zero)``; scale 0 for others.
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: np.dtype[Any]
    scale: float = 0.0
    zero: int = 0

    def encode(self, x: np.ndarray) -> np.ndarray:
        """Convert real numbers to the type of the tensor; integers are rounded and clipped."""
        if self.dtype.kind not in "iu":
            return x.astype(self.dtype, copy=False)
        steps = np.array(x / (self.scale or 1.0))
        np.rint(steps, out=steps)
        steps += self.zero
        limits = np.iinfo(self.dtype)
        return np.clip(steps, limits.min, limits.max, out=steps).astype(self.dtype)

    def decode(self, x: np.ndarray) -> np.ndarray:
        """Convert values of the tensor to real numbers, float32."""
        real = self.scale * (x.astype(np.float32) - self.zero) if self.scale else x
        return real.astype(np.float32, copy=False)


class Opened(NamedTuple):
    """A file that was opened by its library: its input, its output, and a function that runs it."""

    input: Tensor
    output: Tensor
    call: Callable[[np.ndarray], np.ndarray]


def pick(kind: str, name: str | None, names: Sequence[str], inner: Sequence[str] = ()) -> str:
    """Choose an input or output by its name, or the only one.

    Raises
    ------
    ConfigError
        If there is none of this name, or there are several to choose from.
    """
    if name is None:
        if len(names) == 1:
            return names[0]
        raise ConfigError(f"the network has {len(names)} {kind}s, choose one: {_list(names)}")
    known = [*names, *inner]
    if name not in known:
        raise ConfigError(f"no {kind} or inner tensor '{name}'{nearest(name, known)}; {kind}s: {_list(names)}")
    return name


def _list(names: Sequence[str]) -> str:
    more = f", … ({len(names)})" if len(names) > MOST_NAMES else ""
    return ", ".join(names[:MOST_NAMES]) + more
