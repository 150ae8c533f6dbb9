"""Time exported graphs beside audiofw's own prediction, on one thread, from samples in memory to probabilities.

    python benchmarks/graph.py RUN [RUN …]

Clips are three seconds: a run's golden clips, repeated where they are shorter.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from audiofw.bundle.files import read_bundle
from audiofw.bundle.load import read_model
from audiofw.bundle.model import Model
from audiofw.bundle.onnx.compare import answers, hear
from audiofw.bundle.onnx.export import open_session, to_onnx

SECONDS, ROUNDS = 3, 8


def main(runs: list[str]) -> None:
    for run in runs:
        facts, files = read_bundle(Path(run))
        model = read_model(facts, files, run)
        size = SECONDS * model.unit.parts[0].sample_rate
        clips = [np.resize(y, size).astype(np.float32) for y in hear(model, files)[0]]
        session = open_session(to_onnx(model, files).data, threads=1)
        with threadpool_limits(1):
            ours, graph = side_by_side(by_audiofw(model), partial(by_graph, session), clips)
        sys.stdout.write(f"{run}: audiofw {ours:.2f} ms, graph {graph:.2f} ms per clip, {graph / ours:.2f} times\n")


def by_graph(session: Any, y: np.ndarray) -> object:
    return answers(session, [y])


def by_audiofw(model: Model) -> Callable[[np.ndarray], object]:
    rate = model.unit.parts[0].sample_rate
    return lambda y: model.classify([model.unit.pool(y.copy(), rate)[None]])


def side_by_side(
    one: Callable[[np.ndarray], object], other: Callable[[np.ndarray], object], clips: list[np.ndarray]
) -> list[float]:
    """Time both alternately after a warm-up round: median ms of processor time per clip."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(1 + ROUNDS):
        for found, predict in zip(times, (one, other), strict=True):
            started = time.process_time()
            for y in clips:
                predict(y)
            found.append(1000 * (time.process_time() - started) / len(clips))
    return [statistics.median(found[1:]) for found in times]


if __name__ == "__main__":
    main(sys.argv[1:])
