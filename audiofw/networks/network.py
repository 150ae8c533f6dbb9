"""Open pretrained networks, in ONNX or LiteRT files, and run them on batches of windows."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from audiofw.errors import ClipError, ConfigError, first_line
from audiofw.networks.tensors import Device, Tensor

LARGEST_ARCHIVE = 4 * 2**30  # bytes of an unpacked network


@dataclass(frozen=True, eq=False)
class Network:
    """A network with one input and one output; it can be used by several threads."""

    path: Path
    input: Tensor
    output: Tensor
    call: Callable[[np.ndarray], np.ndarray]

    def __call__(self, windows: np.ndarray, *, batch: int = 16) -> np.ndarray:
        """Run the network on windows.

        Parameters
        ----------
        windows : np.ndarray [shape=(n, …)]
            Real numbers, one window after the other, e.g. samples ``(n, size)`` or spectrograms ``(n, frames, bands)``.
            Dimensions of size 1 in the network's input are added.
        batch : int
            Largest number of windows at a time. Halved once if the memory does not suffice.

        Returns
        -------
        np.ndarray [shape=(n, …), dtype=float32]
            The output for each window.

        Raises
        ------
        ConfigError
            If the network takes windows of another shape.
        ClipError
            If the network fails on them.
        """
        shape = self._shape_of(windows.shape[1:])
        batched = len(shape) < len(self.input.shape)
        fixed = self.input.shape[0] if batched else 1
        size = fixed or max(1, min(batch, len(windows)))
        values = self.input.encode(windows.reshape(len(windows), *shape))
        try:
            return self._run(values, size, batched)
        except MemoryError as error:
            if fixed or size == 1:
                raise ClipError("not enough memory to run the network") from error
        return self._run(values, size // 2, batched)

    def _run(self, values: np.ndarray, size: int, batched: bool) -> np.ndarray:
        parts = []
        for start in range(0, len(values), size):
            part = values[start : start + size]
            short = size - len(part) if self.input.shape[0] else 0  # of a fixed number of windows
            full = np.concatenate([part, np.repeat(part[-1:], short, axis=0)]) if short else part
            made = self.output.decode(self._call(full if batched else full[0]))
            parts.append(made[: len(part)] if batched else made[None])
        return np.concatenate(parts)

    def _call(self, values: np.ndarray) -> np.ndarray:
        try:
            return self.call(values)
        except MemoryError:
            raise
        except Exception as error:  # a library's own, of any kind
            if "alloc" in str(error).lower() and "memory" in str(error).lower():
                raise MemoryError from error
            raise ClipError(f"{self.path.name} failed: {first_line(error)}") from error

    def _shape_of(self, window: Sequence[int]) -> tuple[int, ...]:
        """Find the shape in which the network takes a window, without the batch's dimension if there is one."""
        expected = self.input.shape
        for inner in (expected[1:], expected):
            if (shape := _fitted(window, inner)) is not None:
                return shape
        raise ConfigError(
            f"{self.path}: the network takes {_show(expected)}, not windows of {_show(window)}: "
            "set the window, the sampling rate or the front end"
        )


def _fitted(window: Sequence[int], expected: Sequence[int | None]) -> tuple[int, ...] | None:
    """Insert dimensions of size 1 into a window's shape until it is the expected one; None if that is not possible."""
    for places in combinations(range(len(expected)), len(window)):
        shape = [1] * len(expected)
        for place, size in zip(places, window, strict=True):
            shape[place] = size
        if all(there in (None, size) for there, size in zip(expected, shape, strict=True)):
            return tuple(shape)
    return None


def _show(shape: Sequence[int | None]) -> str:
    return f"({', '.join('any' if size is None else str(size) for size in shape)})"


def open_network(
    path: Path, *, output: str | None = None, threads: int = 1, device: Device = "auto", option: str = ""
) -> Network:
    """Open a network; the same file is opened only once in a process.

    Parameters
    ----------
    path : Path
        An ``.onnx`` or ``.tflite`` file, or a zip of an ONNX file with the files of its weights.
    output : str, optional
        Name of the output, or of any tensor inside the network; needed if there are several outputs.
    threads : int
        Number of threads for one batch.
    device : {"auto", "cpu"}
        "auto" uses a GPU if onnxruntime can.
    option : str
        The option that names the file, for messages.

    Raises
    ------
    ConfigError
        If the file is missing or damaged, is not a network, has several inputs, or lacks the output; or if the library
        for it is not installed.
    """
    where = f"{option}={path}" if option else str(path)
    try:
        status = path.stat()
    except OSError as error:
        raise ConfigError(f"{where}: no such file") from error
    return _open(path, (status.st_mtime_ns, status.st_size), output, threads, device, where)


@lru_cache(maxsize=4)
def _open(path: Path, state: Any, output: str | None, threads: int, device: Device, where: str) -> Network:
    data = _read(path, where)
    try:
        if data[""][4:8] == b"TFL3":
            from audiofw.networks.litert import open_litert

            return Network(path, *open_litert(data[""], output, threads))
        from audiofw.networks.onnx import open_onnx

        return Network(path, *open_onnx(data, output, threads, device))
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error.__cause__


def _read(path: Path, where: str) -> dict[str, bytes]:
    """Read a file, under the name ``""``, with the files beside it if it is a zip."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{where}: cannot be read: {error.strerror}") from error
    if not data.startswith(b"PK"):
        return {"": data}
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            infos = [info for info in archive.infolist() if not info.is_dir()]
            if sum(info.file_size for info in infos) > LARGEST_ARCHIVE:
                raise ConfigError(f"{where}: unpacks to more than {LARGEST_ARCHIVE // 2**30} GB, refused")
            files = {Path(info.filename).name: archive.read(info) for info in infos}
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError) as error:
        raise ConfigError(f"{where}: damaged zip: {error}") from error
    networks = [name for name in files if name.endswith((".onnx", ".tflite"))]
    if len(networks) != 1:
        raise ConfigError(f"{where}: the zip contains {len(networks)} networks (.onnx, .tflite) instead of one")
    return {**files, "": files[networks[0]]}
