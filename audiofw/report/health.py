"""Properties of the recordings of each class: a model may learn differences between them instead of the sound."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from audiofw.audit.probe import Probe
from audiofw.data.dataset import Clip
from audiofw.data.select import spread_evenly

MOST_PROBED = 4000  # clips, spread evenly over each class: enough for medians
CLIPPED = 0.001  # share of clipped samples above which a clip counts as clipped
NARROW = 0.7  # of the other classes' median bandwidth


class Spread(NamedTuple):
    """Minimum, 10th percentile, median, 90th percentile and maximum over the clips of a class."""

    least: float
    low: float
    median: float
    high: float
    most: float


class ClassHealth(NamedTuple):
    """The recordings of one class."""

    name: str
    clips: int
    probed: int
    duration: Spread | None  # seconds
    bandwidth: Spread | None  # Hz, highest frequency within 80 dB of the peak
    loudness: Spread | None  # dB below full scale
    silence: float  # mean share of the time
    clipped: float  # share of the clips
    rates: str
    channels: str


def sample(clips: Sequence[Clip], most: int = MOST_PROBED) -> list[Clip]:
    """Take at most `most` clips, the same share of each class, evenly spaced."""
    if len(clips) <= most:
        return list(clips)
    by_class: dict[str, list[Clip]] = {}
    for clip in clips:
        by_class.setdefault(clip.label, []).append(clip)
    share = most / len(clips)
    taken = [(group, max(1, round(share * len(group)))) for group in by_class.values()]
    return [clip for group, n in taken for clip in spread_evenly(group, n)]


def by_class(
    labels: Sequence[Sequence[str]], probes: Sequence[Probe | None], counts: Mapping[str, int]
) -> list[ClassHealth]:
    """Summarise the properties of each class, in the order of ``counts``; ``labels`` are the classes of each clip."""
    found: dict[str, list[Probe]] = {name: [] for name in counts}
    for names, probe in zip(labels, probes, strict=True):
        for name in names:
            if probe is not None and name in found:
                found[name].append(probe)
    return [_health(name, counts[name], probes) for name, probes in found.items()]


def _health(name: str, clips: int, probes: Sequence[Probe]) -> ClassHealth:
    properties = [probe.properties for probe in probes]
    return ClassHealth(
        name,
        clips,
        len(probes),
        _spread([p.duration for p in properties]),
        _spread([p.cutoff for p in properties]),
        _spread([p.loudness for p in properties]),
        float(np.mean([p.silence for p in properties])) if properties else 0.0,
        float(np.mean([probe.clipped >= CLIPPED for probe in probes])) if probes else 0.0,
        _kinds([f"{p.sample_rate / 1000:g}" for p in properties]),
        _kinds([f"{p.channels:g}" for p in properties]),
    )


def _spread(values: Sequence[float]) -> Spread | None:
    return Spread(*np.quantile(values, (0, 0.1, 0.5, 0.9, 1)).tolist()) if len(values) else None


def _kinds(values: Sequence[str], most: int = 3) -> str:
    """List the values that occur, the most frequent first."""
    common = [value for value, _ in Counter(values).most_common()]
    return ", ".join(common[:most]) + (" …" if len(common) > most else "")


def narrow_classes(rows: Sequence[ClassHealth]) -> list[ClassHealth]:
    """List the classes whose recordings have a much smaller bandwidth than those of the others."""
    medians = {row.name: row.bandwidth.median for row in rows if row.bandwidth}
    found = []
    for row in rows:
        others = [value for name, value in medians.items() if name != row.name]
        if row.bandwidth and others and row.bandwidth.high < NARROW * float(np.median(others)):
            found.append(row)
    return found
