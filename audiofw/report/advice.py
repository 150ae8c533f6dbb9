"""Advice at the top of a report: what limits the figures, each point with its remedy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from audiofw.report.facts import Facts
from audiofw.report.health import ClassHealth, narrow_classes
from audiofw.results.advice import Advice, advise_on_metrics, warnings_first

FEW_TESTED = 10  # clips of a class: one of them changes its recall by 0.1
UNEVEN = 5.0  # largest class by smallest
ILL_CALIBRATED = 0.1
CLIPPED = 0.25
SILENT = 0.5
CUT_SHORT = 1.25  # times the seconds that are used
MOST_NAMED = 4


def advise(
    facts: Facts, health: Sequence[ClassHealth], reliability: Mapping[str, Any] | None, counts: Mapping[str, int]
) -> list[Advice]:
    """List everything that limits a run's figures, warnings first."""
    failed = facts.metrics.get("n_failures") or len(facts.failures)
    return warnings_first(
        [
            *advise_on_metrics({**facts.metrics, "n_failures": failed}),
            *_on_classes(facts, counts),
            *_on_sound(facts, health),
            *_on_calibration(facts, reliability),
        ]
    )


def _on_classes(facts: Facts, counts: Mapping[str, int]) -> Iterator[Advice]:
    few = [row["class"] for row in facts.metrics["per_class"] if row["support"] < FEW_TESTED]
    if few:
        which = "Every class has" if len(few) == len(facts.classes) else f"{_names(few)} {_have(few)}"
        once = facts.metrics["n_folds"] == 1
        yield Advice(
            "note",
            f"{which} fewer than {FEW_TESTED} test clips, so a single clip changes the figures noticeably.",
            "Test every clip once: split=kfold" if once else "Collect more clips of these classes.",
        )
    known = {name: n for name, n in counts.items() if n}
    if known and max(known.values()) >= UNEVEN * min(known.values()):
        large, small = max(known, key=known.__getitem__), min(known, key=known.__getitem__)
        yield Advice(
            "note",
            f"The classes are imbalanced: {known[large]} clips of {large}, {known[small]} of {small}.",
            "Compare by F1 macro (score=f1_macro), and try class weights (balance=balanced)."
            if facts.several
            else "Compare by balanced accuracy (score=balanced_accuracy), and try class weights (balance=balanced).",
        )


def _on_sound(facts: Facts, health: Sequence[ClassHealth]) -> Iterator[Advice]:
    narrow = narrow_classes(health)
    if narrow:
        lowest = min(int(row.bandwidth.median) for row in narrow if row.bandwidth)
        yield Advice(
            "warning",
            f"Recordings of {_names([row.name for row in narrow])} have no content above about {lowest} Hz, far less "
            "bandwidth than the other classes: the model may learn the recording device instead of the sound.",
            f"Resample all clips to the same bandwidth: audio.sample_rate={2 * lowest}",
        )
    clipped = [row.name for row in health if row.clipped > CLIPPED]
    if clipped:
        yield Advice(
            "note",
            f"More than a quarter of the recordings of {_names(clipped)} are clipped.",
            "Record at a lower level; clipping cannot be undone.",
        )
    silent = [row.name for row in health if row.silence > SILENT]
    if silent:
        yield Advice(
            "note",
            f"Recordings of {_names(silent)} are silent for most of the time.",
            "Trim silence from both ends: audio.trim=60",
        )
    rates = {row.rates for row in health if row.probed}
    if len(rates) > 1:
        yield Advice(
            "note",
            "The sample rates differ between the classes.",
            "Set audio.sample_rate to the lowest of them, so that all clips have the same bandwidth.",
        )
    yield from _on_durations(facts, health)


def _on_durations(facts: Facts, health: Sequence[ClassHealth]) -> Iterator[Advice]:
    used = (facts.config.get("audio") or {}).get("duration")
    spreads = [row.duration for row in health if row.duration]
    windows = ((facts.config.get("windows") or {}).get("hop")) is not None
    if not used or not spreads or windows or _duration_tells(facts):
        return
    longer = [row.name for row in health if row.duration and row.duration.median > CUT_SHORT * used]
    if longer:
        longest = max(spread.median for spread in spreads)
        yield Advice(
            "note",
            f"Only {used:g} s of each clip are used, and most recordings of {_names(longer)} are longer.",
            f"Use all of them: audio.duration={longest:.3g}, or windows.hop={used:g}",
        )


def _duration_tells(facts: Facts) -> bool:
    """Whether the audit found that durations give labels away, and so advises to use less of each clip."""
    found = facts.metrics.get("audit") or ()
    return any(one["kind"] == "shortcut" and one["message"].startswith("duration ") for one in found)


def _on_calibration(facts: Facts, reliability: Mapping[str, Any] | None) -> Iterator[Advice]:
    if reliability and reliability["ece"] >= ILL_CALIBRATED:
        confidence, accuracy = reliability["confidence"], reliability["accuracy"]
        calibrated = facts.config.get("calibration", "none") != "none"
        yield Advice(
            "note",
            f"The probabilities are {'over' if confidence > accuracy else 'under'}confident: {confidence:.0%} on "
            f"average, where the {'share of clips with the label' if facts.several else 'accuracy'} is {accuracy:.0%}.",
            "Use them only for ranking." if calibrated else "Calibrate them: calibration=temperature",
        )


def _names(names: Sequence[str]) -> str:
    """List some names in words."""
    shown = list(names[:MOST_NAMED])
    if len(names) > MOST_NAMED:
        return f"{', '.join(shown)} and {len(names) - MOST_NAMED} more classes"
    return " and ".join(filter(None, [", ".join(shown[:-1]), shown[-1]]))


def _have(names: Sequence[str]) -> str:
    return "has" if len(names) == 1 else "have"
