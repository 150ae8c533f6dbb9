"""A web page that classifies sounds with an exported graph: static files, for any web server."""

from __future__ import annotations

import json
from pathlib import Path

from audiofw.bundle.model import Model
from audiofw.bundle.onnx.export import Exported
from audiofw.bundle.onnx.kernels import kernels
from audiofw.bundle.onnx.waveform import rate_of
from audiofw.errors import ConfigError
from audiofw.system.hashing import digest_bytes

OWN = Path(__file__).parents[1] / "page"
RUNTIME = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
PLACES = ("", "dist", "onnxruntime-web/dist", "node_modules/onnxruntime-web/dist")  # in the folder that a user names
RECORDED = 3.0  # seconds from the microphone, if the model takes clips of any length
WORKER = "worker.js"


def make_web_page(model: Model, made: Exported, runtime: Path) -> dict[str, bytes]:
    """Collect the files of the page.

    Parameters
    ----------
    model : Model
    made : Exported
        Its graph.
    runtime : Path
        Where onnxruntime-web is: its ``dist``, or a folder in which npm has installed it.

    Raises
    ------
    ConfigError
        If it is not there.
    """
    files = {path.name: path.read_bytes() for path in OWN.iterdir() if path.suffix in (".html", ".js")}
    worker = files.pop(WORKER).decode()
    files |= {"model.onnx": made.data, "model.json": json.dumps(_facts(model)).encode(), **_runtime(runtime)}
    version = digest_bytes("".join(digest_bytes(files[name]) for name in sorted(files)).encode())[:12]
    listed = json.dumps(["./", *sorted(files)])
    return {**files, WORKER: worker.replace("@VERSION@", version).replace("@FILES@", listed).encode()}


def _facts(model: Model) -> dict[str, object]:
    rate = rate_of(model)
    return {
        "classes": model.classes_.tolist(),
        "several": model.thresholds is not None,
        "rate": rate,
        "offset": model.unit.offset,
        "seconds": model.unit.segments.duration or RECORDED,
        "kernels": kernels(rate),
    }


def _runtime(folder: Path) -> dict[str, bytes]:
    """Read onnxruntime-web's files for WebAssembly."""
    for place in (folder / place for place in PLACES):
        if all((place / name).is_file() for name in RUNTIME):
            return {name: (place / name).read_bytes() for name in RUNTIME}
    raise ConfigError(
        f"--runtime {folder}: has no onnxruntime-web ({RUNTIME[0]} and others); "
        "run npm install onnxruntime-web there, or give the folder where it is installed"
    )
