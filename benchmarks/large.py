"""Measure fits on a made-up table in a file: processor time and peak memory of each model, in a process of its own.

    python benchmarks/large.py lda lightgbm xgboost logistic_regression [--rows 50000 200000] [--columns 2048]

``own`` is memory without the pages of mapped files, which the system takes back at any time. The tables are written to
the temporary folder (TMPDIR).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
from scale import anonymous, show
from timing import Command, run

CLASSES, BLOCK = 10, 10_000
HEAD = f"{'model':>20} {'rows':>9} {'GB':>6} {'processor s':>12} {'ms each':>8} {'peak MB':>8} {'own MB':>8}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--rows", type=int, nargs="+", default=[50_000, 200_000])
    parser.add_argument("--columns", type=int, default=2048)
    args = parser.parse_args()
    show(HEAD)
    for n in args.rows:
        with tempfile.NamedTemporaryFile(prefix="table-") as table:
            write_table(Path(table.name), n, args.columns)
            for name in args.models:
                show(measure(name, Path(table.name), n, args.columns))


def write_table(file: Path, n: int, columns: int) -> None:
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((CLASSES, columns), dtype=np.float32)
    with file.open("wb") as stream:
        for start in range(0, n, BLOCK):
            codes = np.arange(start, min(start + BLOCK, n)) % CLASSES
            noise = rng.standard_normal((len(codes), columns), dtype=np.float32)
            stream.write((0.2 * centres[codes] + noise).tobytes())


def measure(name: str, table: Path, n: int, columns: int) -> str:
    here = Path(__file__).resolve()
    words = [sys.executable, str(here), name, str(table), str(n), str(columns), "fit"]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(here.parent.parent), str(here.parent)])}
    ran = run(Command(words, env, here.parent))
    used, own = ran.said["seconds"], ran.said["own"]
    size = 4e-9 * n * columns
    return f"{name:>20} {n:9} {size:6.2f} {used:12.1f} {1000 * used / n:8.2f} {ran.peak_mb:8.0f} {own:8.0f}"


def fit(name: str, table: str, n: int, columns: int) -> dict[str, Any]:
    """Fit one model with its default options on four fifths of the rows, and predict the others."""
    from audiofw.contract.registry import load_menus
    from audiofw.data.splits import Fold
    from audiofw.evaluation.cross_validate import cross_validate

    choice = load_menus().choose("model", {"name": name})
    X = np.memmap(table, np.float32, "r", shape=(n, columns))
    order = np.random.default_rng(0).permutation(n)
    folds = [Fold(np.sort(order[n // 5 :]), np.sort(order[: n // 5]))]
    own = [0.0]
    threading.Thread(target=watch, args=(own,), daemon=True).start()
    started = time.process_time()
    done = cross_validate(lambda: choice(0, -1), folds, X, np.arange(n) % CLASSES, n_classes=CLASSES)
    return {"seconds": time.process_time() - started, "own": own[0], "accuracy": done.scores["accuracy"]}


def watch(own: list[float]) -> None:
    """Keep the largest memory of this process."""
    while True:
        own[0] = max(own[0], anonymous(os.getpid()))
        time.sleep(0.05)


if __name__ == "__main__":
    if sys.argv[-1] == "fit":
        name, table, n, columns = sys.argv[1:5]
        show(json.dumps(fit(name, table, int(n), int(columns))))
    else:
        main()
