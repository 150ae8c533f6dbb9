"""The benchmark table, as plain text and as Markdown."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from timing import median, spread

HEAD = ("measurement", "peer", "audiofw", "ratio", "target", "stretch", "met", "note")


@dataclass(frozen=True)
class Row:
    """One comparison: ``ratios`` has one value per round, peer divided by audiofw, so that higher is better.

    ``mark`` and ``stretch`` are the target and the stretch target: minimum ratios, or maximum ones if ``at_most``.
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
    """Format rows as aligned columns."""
    lines = [HEAD, *(row.cells() for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)


def markdown(rows: Sequence[Row], versions: Mapping[str, str], *, real: bool) -> str:
    """Format the page: the table, what was measured and how, machine and versions."""
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
    """Describe the machine and its load."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if "model name" in line]
        cpu = names[0] if names else cpu
    load = f", load {os.getloadavg()[1]:.1f} over the last 5 minutes" if hasattr(os, "getloadavg") else ""
    return f"{cpu}, {len(os.sched_getaffinity(0))} cores, {platform.system()} {platform.release()}{load}"


TEXT = """# Benchmarks

Written by `python benchmarks/run.py`. See its `--help` for how to run it; it needs `benchmarks/requirements.txt`.

Each ratio is measured side by side in one run, alternating between the two (A B A B …), so that load on the machine
affects both: median (minimum–maximum) over the rounds of the peer's time divided by audiofw's, so higher is better.
Data: {data}.
A *process* is timed from start to end, including imports; a *kernel* runs on one thread, on clips in memory, and is
given in CPU time. *Target* and *stretch* are the project's goals.

{table}

## Machine

{machine}; {day}.

## Versions

{versions}

## What the rows compare

- *The tutorial's script* is `benchmarks/article.py`: unzip, `librosa.load` of 3 s, mel spectrogram in dB, padding,
  flattening, scikit-learn's gradient boosting with its defaults. The data are 255 wav clips of two classes, of 1 to
  10 s at 44.1 kHz. *Defaults* are with audit, report and model. `--only tutorial small mel` measures these rows;
  [Small runs](small-runs.md) says what they are made of.
- A sweep's *one of its jobs* is a run of its own with the same options; nine values of one option make nine jobs.
- *Accuracy* of both is cross-validated on the same folds; takes of one recording are in one fold.
- *Nine features*: mel, MFCC, chroma, centroid, bandwidth, roll-off, contrast, RMS and zero-crossing rate.
  openSMILE's eGeMAPS functionals are different features; that row only compares the cost.
- *Files to mel in dB*: decode, mix to mono, resample to 22 050 Hz, 128 bands, dB, one table, on all cores. torchaudio's
  row decodes with soundfile and resamples with torchaudio's own kernel.
- *From the cache*: the same table from a full, newly opened cache, compared with an empty cache; every file is checked.
- *Eager imports*: the same command with all libraries that audiofw may need imported at start-up.
"""
