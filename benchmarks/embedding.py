"""Compare feature=embedding with the bare runtimes: the largest difference, and the time for the same windows.

    python benchmarks/embedding.py --yamnet YamNet_w8a8.onnx.zip --birdnet BirdNET_GLOBAL_6K_V2.4_Model_FP32.tflite \
        --speech embedding_model.tflite --front melspectrogram.tflite CLIPS

CLIPS is a folder of recordings, of which the first 20 are used. The files are in the packages that conf/feature/ names.
Both sides get the same samples and use one thread. Processor times are taken in turn, five times for each clip, and the
smallest counts.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from audiofw.audio.load import load
from audiofw.data.inputs import find_sounds
from audiofw.experiment.hydra_app import compose
from audiofw.spectral import melspectrogram

Embed = Callable[[np.ndarray], np.ndarray]
CLIPS, ROUNDS, SECONDS = 20, 5, 5.0


def starts(n: int, size: int, step: int) -> list[int]:
    found = list(range(0, n - size + 1, step))
    return found if found[-1] + size == n else [*found, n - size]


def bare_yamnet(file: Path) -> Embed:
    import onnx
    import onnxruntime

    with zipfile.ZipFile(file) as archive:
        data = {Path(name).suffix: archive.read(name) for name in archive.namelist()}
    model = onnx.load(io.BytesIO(data[".onnx"]), load_external_data=False)
    for weights in model.graph.initializer:
        if weights.external_data:
            where = {entry.key: entry.value for entry in weights.external_data}
            first = int(where.get("offset", 0))
            weights.raw_data = data[".data"][first : first + int(where["length"])]
            weights.ClearField("external_data")
            weights.data_location = onnx.TensorProto.DEFAULT
    model.graph.output.append(onnx.ValueInfoProto(name="/model/Reshape_output_0"))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    known = {weights.name: onnx.numpy_helper.to_array(weights) for weights in model.graph.initializer}
    scale, zero = known["audio_scale"], int(known["audio_zero_point"])

    def embed(y: np.ndarray) -> np.ndarray:
        mel = melspectrogram(
            y, sr=16000, n_fft=512, win_length=400, hop_length=160, n_mels=64, fmin=125, fmax=7500,
            htk=True, norm=None, power=1, center=False,
        )  # fmt: skip
        log = np.log(mel + np.float32(1e-6)).T
        steps = np.clip(np.round(log / scale) + zero, 0, 255).astype(np.uint8)
        made = [session.run(["/model/Reshape_output_0"], {"audio": steps[None, None, i : i + 96]})[0] for i in
                starts(len(log), 96, 48)]  # fmt: skip
        return np.concatenate(made).T

    return embed


def _interpreter(data: bytes | None = None, path: Path | None = None):
    from ai_edge_litert.interpreter import Interpreter

    return Interpreter(str(path) if path else None, model_content=data, num_threads=1)


def bare_birdnet(file: Path) -> Embed:
    """Make the embedding the output of the file, by the schema, as no runtime does."""
    from ai_edge_litert import schema_py_generated as schema

    data = bytearray(file.read_bytes())
    graph = schema.Model.GetRootAs(data, 0).Subgraphs(0)
    names = [graph.Tensors(i).Name() for i in range(graph.TensorsLength())]
    graph.OutputsAsNumpy()[0] = names.index(b"model/GLOBAL_AVG_POOL/Mean")
    interpreter = _interpreter(bytes(data))
    interpreter.allocate_tensors()
    source, sink = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]

    def embed(y: np.ndarray) -> np.ndarray:
        made = []
        for start in starts(len(y), 144000, 48000):
            interpreter.set_tensor(source, y[None, start : start + 144000])
            interpreter.invoke()
            made.append(interpreter.get_tensor(sink)[0])
        return np.array(made).T

    return embed


def bare_speech(file: Path, front: Path) -> Embed:
    first, second = _interpreter(path=front), _interpreter(path=file)
    second.allocate_tensors()
    source, sink = second.get_input_details()[0]["index"], second.get_output_details()[0]["index"]

    def embed(y: np.ndarray) -> np.ndarray:
        first.resize_tensor_input(first.get_input_details()[0]["index"], (1, len(y)))
        first.allocate_tensors()
        first.set_tensor(first.get_input_details()[0]["index"], np.float32(32768) * y[None])
        first.invoke()
        frames = first.get_tensor(first.get_output_details()[0]["index"]).reshape(-1, 32)
        frames = (frames + np.float32(20)) / np.float32(10)
        made = []
        for start in starts(len(frames), 76, 8):
            second.set_tensor(source, frames[None, start : start + 76, :, None])
            second.invoke()
            made.append(second.get_tensor(sink).ravel())
        return np.array(made).T

    return embed


def compared(args: argparse.Namespace) -> Iterator[tuple[str, list[str], Embed]]:
    if args.yamnet:
        yield "yamnet", [f"feature.model={args.yamnet}"], bare_yamnet(args.yamnet)
    if args.birdnet:
        yield "birdnet", [f"feature.model={args.birdnet}"], bare_birdnet(args.birdnet)
    if args.speech:
        files = [f"feature.model={args.speech}", f"feature.front={args.front}"]
        yield "speech_embedding", files, bare_speech(args.speech, args.front)


def timed(embed: Embed, y: np.ndarray) -> float:
    y, started = y.copy(), time.process_time()
    embed(y)
    return time.process_time() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("yamnet", "birdnet", "speech", "front"):
        parser.add_argument(f"--{name}", type=Path)
    parser.add_argument("clips", type=Path)
    args = parser.parse_args()
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    paths = [sound.path for sound in find_sounds([str(args.clips)]) if sound.path][:CLIPS]
    sys.stdout.write(
        "| network | windows | largest difference | bare runtime | audiofw | ratio |\n|---|---|---|---|---|---|\n"
    )
    for name, words, bare in compared(args):
        config, choices = compose([f"feature={name}", *words])
        sr = config.audio.sample_rate
        clips = [load(path, sample_rate=sr, duration=SECONDS)[0] for path in paths]
        ours = lambda y, choices=choices, sr=sr: choices["feature"](y, sr)  # noqa: E731
        made = [(bare(y.copy()), ours(y.copy())) for y in clips]
        difference = max(float(np.abs(a - b).max()) for a, b in made)
        rounds = [[(timed(bare, y), timed(ours, y)) for _ in range(ROUNDS)] for y in clips]
        times = [sum(min(pair[side] for pair in of_clip) for of_clip in rounds) for side in range(2)]
        n = sum(a.shape[1] for a, _ in made)
        row = [name, n, f"{difference:.1e}", *(f"{1000 * t / n:.2f} ms" for t in times), f"{times[1] / times[0]:.2f}"]
        sys.stdout.write(f"| {' | '.join(map(str, row))} |\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
