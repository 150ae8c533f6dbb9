"""Measure the stages of a run, print tables and write them to ``docs/profile.md``.

    python benchmarks/breakdown.py --esc10 ESC10.ZIP

All figures are CPU time (one thread for a single clip, all threads for a run), which depends less on other load on the
machine than wall time.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from data import sounds
from report import machine
from threadpoolctl import threadpool_limits

HERE = Path(__file__).resolve().parent
CLIPS, ROUNDS, RUNS = 20, 9, 3
MARKS = {  # functions of a run, by the stage that ends where they begin, and the one that they are
    "audiofw.experiment.job.find": ("start, imports, configuration", "unpack and list"),
    "audiofw.experiment.run.look_for_leaks": ("", "audit"),
    "audiofw.experiment.run.extract": ("", "extraction"),
    "audiofw.experiment.run.evaluate": ("", "fit and predict"),
    "audiofw.experiment.run.leave_bundle": ("scores, intervals, results", "model for prediction"),
    "audiofw.experiment.job.print_summary": ("report", "summary"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--esc10", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=HERE.parent / "docs" / "profile.md")
    parser.add_argument("--run", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.run:
        sys.stdout.write(json.dumps(stages(args.run)) + "\n")
        return
    with tempfile.TemporaryDirectory(prefix="audiofw-breakdown-") as scratch:
        folder = Path(scratch)
        command = [sys.executable, HERE / "data.py", folder, "--esc10", args.esc10]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        with threadpool_limits(1):  # as in extraction
            of_kernels, of_clips = kernels(folder / "wav"), beside(one_clip(folder / "wav"), one_clip(folder / "ogg"))
        page = PAGE.format(
            machine=machine(),
            kernels=table(["function", "ms"], of_kernels),
            clip=table(["stage", "wav", "ogg"], of_clips),
            run=table(["stage", "cold", "warm"], whole_run(folder, args.esc10)),
        )
    args.out.write_text(page, encoding="utf-8")
    sys.stdout.write(page)


# ---- one clip


def median_ms(function: Callable[..., Any], given: Sequence[tuple[Any, ...]]) -> float:
    """Time a function for several arguments: the median over rounds of the mean time per call, in ms."""
    rounds = []
    for _ in range(1 + ROUNDS):
        started = time.thread_time()
        for arguments in given:
            function(*arguments)
        rounds.append(1000 * (time.thread_time() - started) / len(given))
    return statistics.median(rounds[1:])  # the first one warms up


def some(folder: Path) -> list[Path]:
    files = sounds(folder)
    return files[:: max(1, len(files) // CLIPS)][:CLIPS]


def kernels(folder: Path) -> list[list[str]]:
    """Time kernels and features on 3 s at 22 050 Hz."""
    from audiofw import spectral
    from audiofw.audio.load import load
    from audiofw.contract.registry import load_menus

    menus = load_menus()
    clips = [load(path, duration=3.0, silence="keep") for path in some(folder)]
    signals = [(y,) for y, _ in clips]
    rows = {
        "`spectral.stft`": median_ms(spectral.stft, signals),
        "`spectral.spectrogram`, power": median_ms(lambda y: spectral.spectrogram(y, power=2.0), signals),
        "`spectral.melspectrogram`": median_ms(spectral.melspectrogram, signals),
    }
    for name in ("mel", "mfcc", "stft", "ripples", "descriptors"):
        rows[f"`feature={name}`"] = median_ms(menus.choose_member("feature", name, {}), clips)
    return [[name, f"{ms:.2f}"] for name, ms in rows.items()]


def one_clip(folder: Path) -> dict[str, float]:
    """Time the steps from a file to its row with the default config, and the audit's share."""
    from audiofw.audio.load import load
    from audiofw.audit.probe import probe
    from audiofw.experiment.hydra_app import compose
    from audiofw.extraction.table import units_of

    unit, files = units_of(*compose([]))[0], some(folder)
    seconds = unit.segments.to_read
    read = [load(path, duration=seconds) for path in files]
    parts = [(unit.segments.cut(y, sr)[0], sr) for y, sr in read]
    frames = [(unit.feature(y.copy(), sr),) for y, sr in parts]
    return {
        "decode, mix down, resample": median_ms(lambda path: load(path, duration=seconds), [(path,) for path in files]),
        "find the event": median_ms(unit.segments.cut, read),
        f"feature: {unit.feature.name}": median_ms(lambda y, sr: unit.feature(y.copy(), sr), parts),
        f"pooling: {unit.pooling.name}": median_ms(unit.pooling, frames),
        "all of these, with checks": median_ms(unit, [(path,) for path in files]),
        "the audit's probe of the clip": median_ms(probe, [(path,) for path in files]),
    }


def beside(*columns: dict[str, float]) -> list[list[str]]:
    return [[name, *(f"{column[name]:.1f}" for column in columns)] for name in columns[0]]


# ---- a whole run


def whole_run(folder: Path, esc10: Path) -> list[list[str]]:
    """Run on two classes several times, with an empty and then with a full cache: CPU time in seconds."""
    said: dict[str, list[dict[str, float]]] = {"cold": [], "warm": []}
    for number in range(RUNS):
        env = {**os.environ, "AUDIOFW_CACHE": str(folder / f"cache{number}"), "PYTHONPATH": str(HERE.parent)}
        for ran in said.values():
            words = [sys.executable, __file__, "--esc10", esc10, "--run", folder / "pets.zip"]
            done = subprocess.run(words, cwd=folder, env=env, check=True, capture_output=True, text=True)
            ran.append(json.loads(done.stdout.splitlines()[-1]))
    names = list(said["cold"][0])
    return [
        [name, *(f"{statistics.median(each[name] for each in ran):.2f}" for ran in said.values())] for name in names
    ]


def stages(source: str) -> dict[str, float]:
    """Run the command in this process; returns the CPU time of each stage in seconds."""
    from audiofw.cli.main import main as audiofw
    from audiofw.system.postponed import postponed_imports

    found: dict[str, float] = {}
    last = [0.0]

    def mark(name: str) -> None:
        now = time.process_time()
        if name:
            found[name] = found.get(name, 0.0) + now - last[0]
            last[0] = now

    with postponed_imports():  # as in a process of the command's own
        patch(mark)
        code = audiofw([f"data.source={source}"])
    mark("summary")
    assert code == 0
    return {**found, "all": time.process_time()}


def patch(mark: Callable[[str], None]) -> None:
    """Wrap the functions of `MARKS`."""
    from importlib import import_module

    for full, (before, own) in MARKS.items():
        module, _, name = full.rpartition(".")
        function = getattr(import_module(module), name)

        def wrapped(*args: Any, _function: Any = function, _names: tuple[str, str] = (before, own), **kw: Any) -> Any:
            mark(_names[0])
            result = _function(*args, **kw)
            mark(_names[1])
            return result

        setattr(import_module(module), name, wrapped)


# ---- page


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


PAGE = """# Where the time goes

Written by `python benchmarks/breakdown.py --esc10 ESC10.ZIP`, in CPU time, medians of several rounds.
[Benchmarks](benchmarks.md) has comparisons with other libraries. {machine}.

## Kernels and features: 3 s at 22 050 Hz, one thread, float64

{kernels}

Most of the time of `spectral.stft`, and so of the mel spectrogram, is the FFT, which limits the gain over librosa.

## One clip, from file to row, with the default config (ms)

ESC-10's clips of 5 s, as ogg at 44 100 Hz and as wav at 22 050 Hz; one thread.

{clip}

Rows and probes (the audit's measurements) are cached, so a second run computes neither.

## A whole run: 255 wav clips of two classes, 1 to 10 s at 44.1 kHz, the default config (seconds)

With an empty (cold) and a full (warm) cache; CPU time of all threads.

{run}

With a full cache, a small run spends its time on imports (Hydra, NumPy, SciPy and scikit-learn, before the first clip),
on the audit's comparison of clips that may be duplicates, and on the report's pictures and sounds. The model for
prediction is fitted on all clips, saved, loaded, and checked on its golden clips. What libraries import without need is
put off (`audiofw.system.postponed`), and the model is written in skops's format without importing skops.
"""

if __name__ == "__main__":
    main()
