"""A small run, from start to end: rows of the benchmark. All are CPU time of whole processes, with their children.

The data are those of ``pets.zip``: 255 wav clips of two classes, see ``data.py``.
"""

from __future__ import annotations

from collections.abc import Sequence

from bench import Bench
from report import Row
from timing import Command, Ran, in_turn, median, ratios, run, spread

LEAN = ["feature=mel", "pooling=stats", "model=lightgbm", "report=false", "audit=false", "bundle=false"]
SHRINKAGE = [f"0.{tenths}" for tenths in range(1, 10)]
LIBRARIES = "import numpy, soundfile, sklearn.linear_model, skops.io"


def small(bench: Bench) -> list[Row]:
    """Compare commands with their imports, and a sweep with a job of it."""
    return [demo(bench), one_prediction(bench), help_text(bench), nine_jobs(bench)]


def tutorial(bench: Bench) -> list[Row]:
    """Compare whole runs with the tutorial's script."""
    source = f"data.source={bench.data / 'pets.zip'}"
    run(bench.audiofw(source, *LEAN))  # the features that it finds in the cache from now on
    ran = in_turn(
        {
            "script": lambda: bench.script("article.py", bench.data / "pets.zip", python=bench.python),
            "cold": lambda: bench.audiofw(source),
            "warm": lambda: bench.audiofw(source, keep=True),
            "fill": lambda: bench.audiofw(source, *LEAN, keep=True),
            "lean": lambda: bench.audiofw(source, *LEAN, keep=True),
        },
        bench.repeats,
    )
    peaks = [[one.peak_mb for one in ran[name]] for name in ("script", "warm")]
    return [
        against("tutorial's script / defaults, empty cache", ran["script"], ran["cold"], 12, 20),
        against("… full cache", ran["script"], ran["warm"], 20, 30),
        against("… mel, stats, lightgbm; no report, audit, bundle; full cache", ran["script"], ran["lean"], 35, 60),
        Row("… peak memory, defaults", *(f"{median(mb):.0f} MB" for mb in peaks), ratios(*peaks), 2.5, 3),
    ]


def demo(bench: Bench) -> Row:
    """``audiofw`` without any words, which makes its own sounds."""
    run(bench.audiofw())
    return seconds("demo, full cache", rounds(bench, bench.audiofw(keep=True)), 2.5, 1.5)


def one_prediction(bench: Bench) -> Row:
    folder, clip = bench.folder() / "run", next((bench.data / "pets").rglob("*.wav"))
    run(bench.audiofw(f"data.source={bench.data / 'pets.zip'}", f"hydra.run.dir={folder}", keep=True))
    words = ["predict", str(folder), str(clip)]
    ran = in_turn(
        {
            "theirs": lambda: bench.command([bench.python, "-c", LIBRARIES]),
            "ours": lambda: bench.audiofw(*words, keep=True),
        },
        2 * bench.repeats,
    )
    return share("predict, one clip / importing numpy, soundfile, sklearn.linear_model and skops.io", ran, 1.1, 0.7)


def help_text(bench: Bench) -> Row:
    return seconds("audiofw --help", rounds(bench, bench.audiofw("--help", keep=True)), 0.35, 0.25)


def nine_jobs(bench: Bench) -> Row:
    """Values of one option of the model, so that the jobs cost the same and find all features in the cache."""
    source = f"data.source={bench.data / 'pets.zip'}"

    def job() -> Command:
        return bench.audiofw(source, "model=lda", f"model.shrinkage={SHRINKAGE[4]}", keep=True)

    def sweep() -> Command:
        values, folder = ",".join(SHRINKAGE), bench.folder() / "sweep"
        words = ["model=lda", f"model.shrinkage={values}", f"hydra.sweep.dir={folder}", "sweep.rerun=all"]
        return bench.audiofw("-m", source, *words, keep=True)

    run(job())
    ran = in_turn({"theirs": job, "ours": sweep}, bench.repeats)
    return share("sweep of nine jobs / one of its jobs, full cache", ran, 3, 2)


def rounds(bench: Bench, command: Command) -> list[Ran]:
    return [run(command) for _ in range(2 * bench.repeats)]


def against(name: str, theirs: Sequence[Ran], ours: Sequence[Ran], mark: float, stretch: float) -> Row:
    """How many times the CPU time of ours theirs takes."""
    spent = [cpu(theirs), cpu(ours)]
    return Row(name, *(f"{median(side):.2f} s" for side in spent), ratios(*spent), mark, stretch)


def share(name: str, ran: dict[str, list[Ran]], mark: float, stretch: float) -> Row:
    """What ours takes as a multiple of theirs."""
    spent = [cpu(ran["theirs"]), cpu(ran["ours"])]
    shown = (f"{median(side):.2f} s" for side in spent)
    return Row(name, *shown, ratios(*reversed(spent)), mark, stretch, at_most=True, note="lower is better")


def seconds(name: str, ran: Sequence[Ran], mark: float, stretch: float) -> Row:
    return Row(name, "", f"{spread(cpu(ran), '.2f')} s", cpu(ran), mark, stretch, at_most=True, note="seconds")


def cpu(ran: Sequence[Ran]) -> list[float]:
    return [one.cpu_seconds for one in ran]
