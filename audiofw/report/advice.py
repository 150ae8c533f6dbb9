"""What is off, in words, each with its remedy: read before the figures are believed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from audiofw.report.facts import Facts
from audiofw.report.health import ClassHealth, narrow_classes

FEW_TESTED = 10  # clips of a class: one of them moves its recall by a tenth
UNEVEN = 5.0  # largest class by smallest
ILL_CALIBRATED = 0.1
MANY_FAILED = 0.05
SILENT = 0.5
CUT_SHORT = 1.25  # times the seconds that are read
MOST_NAMED = 4


class Advice(NamedTuple):
    """Something to know, and what to do about it."""

    level: Literal["warning", "note"]
    text: str
    remedy: str
    files: Sequence[str] = ()


def advise(
    facts: Facts, health: Sequence[ClassHealth], reliability: Mapping[str, Any] | None, counts: Mapping[str, int]
) -> list[Advice]:
    """List all that is off with a run, warnings first."""
    found = [
        *_of_audit(facts.metrics),
        *_of_score(facts.metrics),
        *_of_classes(facts, counts),
        *_of_sound(facts, health),
        *_of_failures(facts),
        *_of_calibration(reliability),
    ]
    return sorted(found, key=lambda advice: advice.level != "warning")


def _of_audit(metrics: Mapping[str, Any]) -> Iterator[Advice]:
    for finding in metrics.get("audit", ()):
        effect = f"; {finding['effect']}" if finding.get("effect") else ""
        level: Literal["warning", "note"] = "warning" if finding["severity"] == "warning" else "note"
        yield Advice(level, _sentence(finding["message"] + effect), _sentence(finding["remedy"]), finding["files"])


def _of_score(metrics: Mapping[str, Any]) -> Iterator[Advice]:
    n, right = metrics["n_tested"], metrics["scores"]["accuracy"]["pooled"]
    if right == 1:
        yield Advice(
            "note",
            f"No tested clip was wrong, but {n} clips say no more than that up to {min(1, 3 / n):.0%} of new ones like "
            "them may be (the rule of three).",
            "Test more clips, as split=kfold does, and other recordings: new places, devices, speakers.",
        )
    score, value = metrics["score"], metrics["value"]
    interval, guess = metrics["scores"][score].get("interval"), metrics["baseline"].get(score)
    if value is None or interval is None or guess is None:
        return
    beaten = interval[0] > guess if metrics["greater_is_better"] else interval[1] < guess
    if not beaten:
        yield Advice(
            "warning",
            "The score cannot be told apart from always saying the most frequent class.",
            "Get more clips, or try another feature: audiofw -m feature=mel,mfcc,stft",
        )


def _of_classes(facts: Facts, counts: Mapping[str, int]) -> Iterator[Advice]:
    few = [row["class"] for row in facts.metrics["per_class"] if row["support"] < FEW_TESTED]
    if few:
        of = "Every class has" if len(few) == len(facts.classes) else f"{_names(few)} {_have(few)}"
        once = facts.metrics["n_folds"] == 1
        yield Advice(
            "note",
            f"{of} fewer than {FEW_TESTED} tested clips, so single clips move the figures.",
            "Test every clip once: split=kfold" if once else "Collect more clips of these classes.",
        )
    known = {name: n for name, n in counts.items() if n}
    if known and max(known.values()) >= UNEVEN * min(known.values()):
        large, small = max(known, key=known.__getitem__), min(known, key=known.__getitem__)
        yield Advice(
            "note",
            f"The classes are uneven: {known[large]} clips of {large}, {known[small]} of {small}.",
            "Look at balanced_accuracy (score=balanced_accuracy), and try balance=balanced.",
        )


def _of_sound(facts: Facts, health: Sequence[ClassHealth]) -> Iterator[Advice]:
    narrow = narrow_classes(health)
    if narrow:
        lowest = min(int(row.bandwidth.median) for row in narrow if row.bandwidth)
        yield Advice(
            "warning",
            f"Recordings of {_names([row.name for row in narrow])} end at {lowest} Hz or so, far below the others: "
            "a model may learn the recorder in place of the sound.",
            f"Let all end there: audio.sample_rate={2 * lowest}",
        )
    clipped = [row.name for row in health if row.clipped > 0.25]
    if clipped:
        yield Advice(
            "note",
            f"More than a quarter of the recordings of {_names(clipped)} are clipped: too loud for their format.",
            "Record at a lower level; what is cut off cannot be brought back.",
        )
    silent = [row.name for row in health if row.silence > SILENT]
    if silent:
        yield Advice(
            "note",
            f"Recordings of {_names(silent)} are silent for most of the time.",
            "Leave their ends out: audio.trim=60",
        )
    rates = {row.rates for row in health if row.probed}
    if len(rates) > 1:
        yield Advice(
            "note",
            "The sample rates differ between the classes.",
            "Set audio.sample_rate to the lowest of them, so that all end at one frequency.",
        )
    yield from _of_durations(facts, health)


def _of_durations(facts: Facts, health: Sequence[ClassHealth]) -> Iterator[Advice]:
    read = (facts.config.get("audio") or {}).get("duration")
    spreads = [row.duration for row in health if row.duration]
    windows = ((facts.config.get("windows") or {}).get("hop")) is not None
    if not read or not spreads or windows:
        return
    longer = [row.name for row in health if row.duration and row.duration.median > CUT_SHORT * read]
    if longer:
        longest = max(spread.median for spread in spreads)
        yield Advice(
            "note",
            f"Only {read:g} s of each clip are heard, and most recordings of {_names(longer)} are longer.",
            f"Hear all of them: audio.duration={longest:.3g}, or windows.hop={read:g}",
        )


def _of_failures(facts: Facts) -> Iterator[Advice]:
    failed = len(facts.failures) or facts.metrics.get("n_failures", 0)
    if failed:
        share = failed / max(1, failed + facts.metrics["n_clips"])
        yield Advice(
            "warning" if share >= MANY_FAILED else "note",
            f"{failed} of {failed + facts.metrics['n_clips']} clips could not be used.",
            "The reasons stand under Data health, and in failures.csv.",
        )


def _of_calibration(reliability: Mapping[str, Any] | None) -> Iterator[Advice]:
    if reliability and reliability["ece"] >= ILL_CALIBRATED:
        sure, right = reliability["sure"], reliability["right"]
        how = "surer than it is right" if sure > right else "right more often than it is sure"
        yield Advice(
            "note",
            f"The model is {how}: {sure:.0%} sure and {right:.0%} right on average.",
            "Do not read its probabilities as chances; compare them with each other only.",
        )


def _names(names: Sequence[str]) -> str:
    """List some names in words."""
    shown = list(names[:MOST_NAMED])
    if len(names) > MOST_NAMED:
        return f"{', '.join(shown)} and {len(names) - MOST_NAMED} more classes"
    return " and ".join(filter(None, [", ".join(shown[:-1]), shown[-1]]))


def _have(names: Sequence[str]) -> str:
    return "has" if len(names) == 1 else "have"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")
