"""Measure a run on ever more clips: processor time and peak memory, without and with a filled cache.

    python benchmarks/scale.py 1000 10000 50000 [--folder FOLDER] [--keep] [-- OPTION …]

For each number of clips, writes that many wav files of 0.3 s at 8 kHz in ten classes, and runs ``audiofw`` on them
twice. Options after ``--`` are passed to both runs, e.g. ``model=lightgbm``. A million clips need 9 GB for the sounds,
and 26 GB for the cache.

``peak`` is the largest resident memory of any of the processes, with pages of mapped files, which the system takes back
at any time; ``own`` is without these.
"""

from __future__ import annotations

import argparse
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

SR, SAMPLES = 8000, 2400
CLASSES = [f"class {number}" for number in range(10)]
SOUNDS = 60  # distinct ones of each class
BLOCK = 1000  # clips synthesised at once
HEAD = f"{'clips':>9} {'cache':>6} {'processor s':>12} {'ms each':>8} {'wall s':>8} {'peak MB':>8} {'own MB':>8}"


class Usage(NamedTuple):
    """What a process used: seconds, and MB."""

    processor: float
    wall: float
    peak: float
    own: float


def main() -> None:
    args, options = read_arguments()
    show(HEAD)
    for n_clips in args.clips:
        with folder_for(args.folder, args.keep) as folder:
            sounds = folder / f"{n_clips} clips"
            if not sounds.exists():
                write_clips(sounds, n_clips)
                time.sleep(3)  # recently written files would be hashed again
            for name in ("empty", "filled"):
                used = measure(folder, [f"data.source={sounds}", *options])
                show(line(n_clips, name, used))


def read_arguments() -> tuple[argparse.Namespace, list[str]]:
    ours, options = split_words(sys.argv[1:])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=int, nargs="+")
    parser.add_argument("--folder", type=Path, help="where to write; by default a temporary folder")
    parser.add_argument("--keep", action="store_true", help="keep sounds, cache and results")
    return parser.parse_args(ours), options


def split_words(words: Sequence[str]) -> tuple[list[str], list[str]]:
    place = list(words).index("--") if "--" in words else len(words)
    return [*words[:place]], [*words[place + 1 :]]


@contextmanager
def folder_for(parent: Path | None, keep: bool) -> Iterator[Path]:
    folder = parent if keep and parent else Path(tempfile.mkdtemp(prefix="scale-", dir=parent))
    try:
        yield folder.resolve()
    finally:
        if not keep:
            shutil.rmtree(folder)


def show(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def line(n_clips: int, cache: str, used: Usage) -> str:
    each = 1000 * used.processor / n_clips
    return (
        f"{n_clips:9} {cache:>6} {used.processor:12.1f} {each:8.2f} {used.wall:8.1f} {used.peak:8.0f} {used.own:8.0f}"
    )


# --- sounds -----------------------------------------------------------------------------------------------------------


def write_clips(folder: Path, n_clips: int) -> None:
    """Write wav files, which are mixtures of two sounds of their class with noise, so that none is a copy."""
    rng = np.random.default_rng(0)
    sounds = np.stack([[make_sound(number, rng) for _ in range(SOUNDS)] for number in range(len(CLASSES))])
    for name in CLASSES:
        (folder / name).mkdir(parents=True, exist_ok=True)
    for start in range(0, n_clips, BLOCK):
        numbers = np.arange(start, min(start + BLOCK, n_clips))
        for number, y in zip(numbers, make_block(sounds, numbers % len(CLASSES), rng), strict=True):
            (folder / CLASSES[number % len(CLASSES)] / f"{number:07d}.wav").write_bytes(wav(y))


def make_sound(number: int, rng: np.random.Generator) -> np.ndarray:
    """Synthesise harmonics whose pitch, glide and decay depend on the class."""
    t = np.arange(SAMPLES) / SR
    pitch = 120 * 1.2**number * rng.uniform(0.7, 1.4) * (1 + rng.uniform(-1, 1) * t)
    phase = 2 * np.pi * np.cumsum(pitch) / SR
    shares = rng.uniform(0, 1, 6) / np.arange(1, 7)
    tone = sum(share * np.sin(k * phase) for k, share in enumerate(shares, 1))
    return tone * np.abs(np.sin(np.pi * t * rng.uniform(2, 12))) * np.exp(-t * rng.uniform(0, 8))


def make_block(sounds: np.ndarray, classes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Mix sounds of each class at random levels and delays; ``(clips, samples)``, 16 bit."""
    n = len(classes)
    parts = [sounds[classes, rng.integers(SOUNDS, size=n)] for _ in range(2)]
    delays = rng.integers(SAMPLES, size=n)
    delayed = np.take_along_axis(parts[1], (np.arange(SAMPLES) + delays[:, None]) % SAMPLES, axis=1)
    mixed = parts[0] + rng.uniform(0.3, 1, (n, 1)) * delayed
    mixed += rng.uniform(0.05, 0.5, (n, 1)) * rng.standard_normal((n, SAMPLES), dtype=np.float32)
    return (mixed * rng.uniform(2000, 6000, (n, 1))).clip(-32768, 32767).astype("<i2")


def wav(y: np.ndarray) -> bytes:
    data = y.tobytes()
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, SR, 2 * SR, 2, 16)
    return (
        struct.pack("<4sI4s", b"RIFF", 36 + len(data), b"WAVE") + form + struct.pack("<4sI", b"data", len(data)) + data
    )


# --- measurement ------------------------------------------------------------------------------------------------------


def measure(folder: Path, options: Sequence[str]) -> Usage:
    """Run audiofw as a process of its own, and measure it."""
    root = Path(__file__).resolve().parent.parent
    words = [sys.executable, "-m", "audiofw", "-q", f"hydra.run.dir={folder / 'results'}", *options]
    env = {**os.environ, "PYTHONPATH": str(root), "AUDIOFW_CACHE": str(folder / "cache")}
    started = time.perf_counter()
    process = subprocess.Popen(words, env=env, cwd=folder, stdout=subprocess.DEVNULL)
    own, usage = follow(process)
    if process.returncode:
        raise SystemExit(f"{' '.join(words)} exited with {process.returncode}")
    wall = time.perf_counter() - started
    return Usage(usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss / 1024, own)


def follow(process: subprocess.Popen[bytes]) -> tuple[float, Any]:
    """Wait for a process; the largest memory of its own in MB, and its usage."""
    own = 0.0
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            process.returncode = os.waitstatus_to_exitcode(status)
            return own, usage
        own = max(own, anonymous(process.pid))
        time.sleep(0.05)


def anonymous(pid: int) -> float:
    """Measure the memory of a process in MB, without the pages of files."""
    with suppress(OSError):
        for each in Path(f"/proc/{pid}/status").read_text().splitlines():
            if each.startswith("RssAnon:"):
                return int(each.split()[1]) / 1024
    return 0.0


if __name__ == "__main__":
    main()
