"""The table: what a row holds, and how rows look on a terminal and in Markdown."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from timing import median, spread

HEAD = ("measure", "peer", "audiofw", "ratio", "mark", "stretch", "met", "note")


@dataclass(frozen=True)
class Row:
    """One comparison: ``ratios`` has a value for each round, peer over audiofw, so that more is better.

    ``mark`` and ``stretch`` are the least ratios aimed at, or the greatest if ``at_most``.
    """

    measure: str
    peer: str = ""
    ours: str = ""
    ratios: Sequence[float] = ()
    mark: float | None = None
    stretch: float | None = None
    at_most: bool = False
    note: str = ""

    def cells(self) -> tuple[str, ...]:
        digits = ".2f" if self.at_most else ".1f"
        ratio = spread(self.ratios, digits) if self.ratios else ""
        return self.measure, self.peer, self.ours, ratio, _goal(self.mark), _goal(self.stretch), self.met(), self.note

    def met(self) -> str:
        if not self.ratios or self.mark is None:
            return ""
        value = median(self.ratios)
        if self.at_most:
            return "yes" if value <= self.mark else "no"
        if self.stretch is not None and value >= self.stretch:
            return "stretch"
        return "yes" if value >= self.mark else "no"


def _goal(value: float | None) -> str:
    return "" if value is None else f"{value:g}"


def plain(rows: Sequence[Row]) -> str:
    """Lay rows out in columns."""
    lines = [HEAD, *(row.cells() for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)


def markdown(rows: Sequence[Row], versions: Mapping[str, str], *, real: bool) -> str:
    """Write the page: the table, what was measured how, machine and versions."""
    table = [HEAD, ["---"] * len(HEAD), *(row.cells() for row in rows)]
    lines = ["| " + " | ".join(line) + " |" for line in table]
    data = "ESC-10 and the Free Spoken Digit Dataset" if real else "synthesised sounds"
    return TEXT.format(
        table="\n".join(lines),
        data=data,
        machine=machine(),
        day=date.today().isoformat(),
        versions="\n".join(f"- {name} {version}" for name, version in versions.items()),
    )


def machine() -> str:
    """Say what this ran on, and how busy it was."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if "model name" in line]
        cpu = names[0] if names else cpu
    load = f", load {os.getloadavg()[1]:.1f} over the last 5 minutes" if hasattr(os, "getloadavg") else ""
    return f"{cpu}, {len(os.sched_getaffinity(0))} cores, {platform.system()} {platform.release()}{load}"


TEXT = """# Benchmarks

Written by `python benchmarks/run.py`; its `--help` tells how to run it, `benchmarks/requirements.txt` what it needs.

Each row is a ratio measured side by side in one run, in turns (A B A B …), so that a busy moment of the machine
meets both sides: median (least–most) over the rounds, peer divided by audiofw, so that more is better. Data: {data}.
A *process* is timed from its start to its end, imports included; a *kernel* is one thread on clips in memory.
*Mark* and *stretch* are what the project aims at.

{table}

## Machine

{machine}; {day}.

## Versions

{versions}

## What the rows compare

- *The article's script* is `benchmarks/article.py`: unzip, `librosa.load` of 3 s, mel spectrogram in dB, padding,
  flattening, scikit-learn's gradient boosting with its defaults. audiofw runs its default config with an empty cache.
- *Accuracy* of both is cross-validated on the same folds; takes of one recording are in one fold.
- *Nine features*: mel, MFCC, chroma, centroid, bandwidth, roll-off, contrast, RMS and zero crossings.
  openSMILE's eGeMAPS functionals are other features; that row compares costs.
- *Files to mel in dB*: decode, mono, resample to 22 050 Hz, 128 bands, dB, one table, on all cores. torchaudio's row
  decodes with soundfile and resamples with torchaudio's own kernel.
- *From the cache*: the same table from a full cache, opened anew, against an empty one; every file is checked.
- *Eager imports*: the same command with every library that audiofw may need imported at its start.
"""
