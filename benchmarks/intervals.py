"""Measure the coverage of the 95 % intervals, i.e. how often they contain the true score; print the table.

    python benchmarks/intervals.py [--draws 2000] [--only groups clips] [--json]

A simulated classifier is tested on n clips, or on groups of clips of varying difficulty. An interval is correct if it
contains the classifier's score on very many clips. *before* is the percentile bootstrap of accuracy used earlier.
*spread* is the variation between groups: 0, some (0.1 of a latent score's variance is between groups) or much (0.4).
*Nested* groups have a single class each, as an animal has one species.
*sizes* are equal, with 16 clips per group, or log-normal with σ = 0.7.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from typing import NamedTuple

import numpy as np

from audiofw.evaluation.influence import influences
from audiofw.evaluation.intervals import score_intervals

NAMES = ("accuracy", "balanced_accuracy", "f1_macro", "mcc", "roc_auc", "log_loss")
HEADS = ("accuracy", "balanced", "F1", "MCC", "AUC", "log loss")
RESAMPLES = 500


class Scene(NamedTuple):
    """One simulated setting: groups of clips, or single clips as groups of one."""

    n_groups: int
    size: int = 16
    spread: float = 0.0  # standard deviation of the groups' ease, that of a clip being 1
    uneven: float = 0.0  # standard deviation of the logarithm of the groups' sizes
    ease: float = 1.5
    n_classes: int = 3
    nested: bool = False  # whether a group has a single class, as an animal has one species


def simulate(scene: Scene, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Draw true and predicted classes, probabilities and groups."""
    sizes = np.full(scene.n_groups, scene.size)
    if scene.uneven:
        logs = rng.normal(-(scene.uneven**2) / 2, scene.uneven, scene.n_groups)
        sizes = np.maximum(3, np.round(scene.size * np.exp(logs))).astype(int)
    groups = np.repeat(np.arange(scene.n_groups), sizes)
    y, n = rng.integers(scene.n_classes, size=groups.size), groups.size
    if scene.nested:
        y = groups % scene.n_classes
    evidence = rng.standard_normal((n, scene.n_classes))
    evidence[np.arange(n), y] += scene.ease + scene.spread * rng.standard_normal(scene.n_groups)[groups]
    proba = np.exp(1.5 * evidence)
    proba /= proba.sum(axis=1, keepdims=True)
    return y, proba.argmax(axis=1), proba, groups


@cache
def truth(scene: Scene) -> dict[str, float]:
    """Estimate the true score from very many groups with a few clips each."""
    many = scene._replace(n_groups=100_000, size=3, uneven=0.0)
    y, predicted, proba, _ = simulate(many, np.random.default_rng(0))
    return {name: found.value for name, found in influences(y, predicted, proba, scene.n_classes).items()}


def before(right: np.ndarray, groups: np.ndarray, rng: np.random.Generator) -> tuple[float, float] | None:
    """Percentile-bootstrap interval of accuracy over groups; None if the resamples do not differ."""
    hits, sizes = (np.bincount(groups, weights=values) for values in (right, np.ones(right.size)))
    drawn = rng.integers(sizes.size, size=(RESAMPLES, sizes.size))
    low, high = np.quantile(hits[drawn].sum(axis=1) / sizes[drawn].sum(axis=1), [0.025, 0.975])
    return (float(low), float(high)) if high > low else None


class Coverage(NamedTuple):
    """Coverage of the intervals, and the median width of accuracy's."""

    now: list[float]  # in the order of NAMES
    before: float
    width: float


def measure(scene: Scene, times: int) -> Coverage:
    """Measure the coverage over simulated test sets."""
    rng, true = np.random.default_rng([scene.n_groups, int(100 * scene.ease)]), truth(scene._replace(n_groups=1))
    held, old, widths = np.zeros((times, len(NAMES))), np.zeros(times), np.zeros(times)
    for i in range(times):
        y, predicted, proba, groups = simulate(scene, rng)
        given = None if scene.size == 1 else groups
        found = score_intervals(y, predicted, proba, n_classes=scene.n_classes, names=NAMES, groups=given)
        held[i] = [np.nan if (got := found[name]) is None else got[0] <= true[name] <= got[1] for name in NAMES]
        earlier = before(y == predicted, groups, rng)
        old[i] = earlier is not None and earlier[0] <= true["accuracy"] <= earlier[1]
        widths[i] = np.ptp(found["accuracy"] or (np.nan, np.nan))
    return Coverage(np.nanmean(held, axis=0).tolist(), float(old.mean()), float(np.nanmedian(widths)))


def measure_all(scenes: Sequence[Scene], times: int) -> Iterator[Coverage]:
    """Measure all settings, with one process per core."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    with ProcessPoolExecutor() as pool:
        yield from pool.map(measure, scenes, [times] * len(scenes))


def plan() -> Iterator[tuple[str, Scene]]:
    """List the simulated settings."""
    for spread in (0.0, 0.33, 0.8):
        for uneven in (0.0, 0.7):
            yield from (("groups", Scene(n, 16, spread, uneven)) for n in (3, 4, 6, 8, 10, 20, 50))
    for n_classes, n_each in ((5, 2), (10, 2), (5, 3), (10, 4), (5, 10)):
        for spread in (0.0, 0.8):
            yield "nested", Scene(n_classes * n_each, 16, spread, n_classes=n_classes, nested=True)
    for n_classes, ease in ((2, 0.7), (2, 2.0), (4, 1.7), (4, 3.2)):
        yield from (("clips", Scene(n, 1, ease=ease, n_classes=n_classes)) for n in (20, 50, 200, 1000))


# --- the table --------------------------------------------------------------------------------------------

LEAD = {
    "groups": ("groups", "spread", "sizes"),
    "nested": ("groups", "spread", "classes"),
    "clips": ("clips", "classes", "true accuracy"),
}
SPREADS = {0.0: "none", 0.33: "some", 0.8: "much"}


def lead(part: str, scene: Scene) -> tuple[str, str, str]:
    if part == "groups":
        return str(scene.n_groups), SPREADS[scene.spread], "uneven" if scene.uneven else "equal"
    if part == "nested":
        return str(scene.n_groups), SPREADS[scene.spread], str(scene.n_classes)
    return str(scene.n_groups), str(scene.n_classes), f"{truth(scene._replace(n_groups=1))['accuracy']:.2f}"


def row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |\n"


def table(part: str, times: int, write: Callable[[str], object]) -> None:
    scenes = [scene for of, scene in plan() if of == part]
    head = (*LEAD[part], *HEADS, "width", "accuracy before")
    write(row(head) + row(["---"] * len(head)))
    for scene, found in zip(scenes, measure_all(scenes, times), strict=True):
        shares = [f"{100 * share:.1f}" for share in found.now]
        write(row([*lead(part, scene), *shares, f"{found.width:.2f}", f"{100 * found.before:.1f}"]))


def summary(parts: Sequence[str], times: int) -> dict[str, list[float]]:
    """Minimum and maximum coverage of accuracy's interval, now and before."""
    found = list(measure_all([scene for part, scene in plan() if part in parts], times))
    now, old = [one.now[0] for one in found], [one.before for one in found]
    return {"now": [min(now), max(now)], "before": [min(old), max(old)]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=2000, help="simulated test sets per row (%(default)s)")
    parser.add_argument("--only", nargs="+", choices=LEAD, default=list(LEAD), metavar="PART", help=", ".join(LEAD))
    parser.add_argument("--json", action="store_true", help="print only the minimum and maximum coverage for accuracy")
    args = parser.parse_args()
    if args.json:
        sys.stdout.write(json.dumps(summary(args.only, args.draws)))
        return
    for part in args.only:
        table(part, args.draws, sys.stdout.write)


if __name__ == "__main__":
    main()
