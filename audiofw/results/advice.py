"""What limits a run's score, and what to do about it, as far as the metrics show."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from audiofw.evaluation.intervals import FEW_GROUPS

MOST_NAMED = 5
MANY_FAILED = 0.05  # share of the clips from which on this is a warning


class Advice(NamedTuple):
    """One thing to know about a run, and its remedy."""

    level: Literal["warning", "note"]
    text: str
    remedy: str
    files: Sequence[str] = ()


def advise_on_metrics(metrics: Mapping[str, Any]) -> list[Advice]:
    """List what limits the score, such as findings of the audit, few groups and unusable clips; warnings first."""
    found = (_on_unknown_classes, _on_audit, _on_score, _on_normalising, _on_labels, _on_groups, _on_failures)
    return warnings_first([advice for each in found for advice in each(metrics)])


def warnings_first(advice: Iterable[Advice]) -> list[Advice]:
    """Sort by level; within one level the order stays."""
    return sorted(advice, key=lambda one: one.level != "warning")


def _on_unknown_classes(metrics: Mapping[str, Any]) -> Iterator[Advice]:
    """Say which classes of a test set a saved model does not know, and what it answers to them."""
    rows = metrics.get("evaluated", {}).get("unknown_classes", ())
    if not rows:
        return
    names, n = [row["class"] for row in rows], sum(row["clips"] for row in rows)
    each = "; ".join(map(_unknown_class, rows[:MOST_NAMED]))
    more = f"; and {len(rows) - MOST_NAMED} more" if len(rows) > MOST_NAMED else ""
    several = metrics.get("task") == "multilabel"
    effect = "These labels count as absent" if several else f"These {n} clips are not scored"
    yield Advice(
        "warning",
        f"The model does not know {len(rows)} class{'es' * (len(rows) != 1)} of the test set: {each}{more}. {effect}.",
        f"Train with them, or leave them out: data.exclude=[{','.join(names[:MOST_NAMED])}{',…' * bool(more)}]",
    )


def _unknown_class(row: Mapping[str, Any]) -> str:
    answers = ", ".join(f"{count} as {name or 'none'}" for name, count in row["answers"].items())
    return f"{row['class']} ({row['clips']} clip{'s' * (row['clips'] != 1)}{f': {answers}' if answers else ''})"


def _on_audit(metrics: Mapping[str, Any]) -> Iterator[Advice]:
    for finding in metrics.get("audit", ()):
        effect = f"; {finding['effect']}" if finding.get("effect") else ""
        level: Literal["warning", "note"] = "warning" if finding["severity"] == "warning" else "note"
        yield Advice(level, _sentence(finding["message"] + effect), _sentence(finding["remedy"]), finding["files"])


def _on_score(metrics: Mapping[str, Any]) -> Iterator[Advice]:
    several = metrics.get("task") == "multilabel"
    accuracy = metrics["scores"]["subset_accuracy" if several else "accuracy"]
    if accuracy["pooled"] == 1:
        low = accuracy["interval"][0] if accuracy["interval"] else 0.0
        each = " (split=kfold tests each once)" if metrics["n_tested"] < metrics["n_clips"] else ""
        yield Advice(
            "note",
            f"Every test clip was classified correctly. With {_amount(metrics)}, that is still compatible with an "
            f"accuracy of {low:.3f}.",
            f"Test more clips{each}, and recordings from other places, devices and speakers.",
        )
    score, value = metrics["score"], metrics["value"]
    interval, baseline = metrics["scores"][score].get("interval"), metrics["baseline"].get(score)
    if value is None or interval is None or baseline is None:
        return
    better = interval[0] > baseline if metrics["greater_is_better"] else interval[1] < baseline
    if not better:
        yield Advice(
            "warning",
            "The score is not significantly better than the baseline, which always predicts the most frequent "
            f"{'set of labels' if several else 'class'}.",
            "Collect more clips, or try other features: audiofw -m feature=mel,mfcc,stft",
        )


def _on_normalising(metrics: Mapping[str, Any]) -> Iterator[Advice]:
    if without := metrics.get("ungrouped"):
        low, high = without["interval"] or (None, None)
        interval = f" ({low:.3f} – {high:.3f})" if low is not None else ""
        yield Advice(
            "warning",
            "The clips of each group were normalised by that group's own clips (normalize=group), which is impossible "
            "for a single clip of a new group, such as another speaker. Without it, "
            f"{metrics['score']} is {without['pooled']:.3f}{interval}; the saved model works without it.",
            "Use this score only if you will have several clips of each new group, and predict them together.",
        )


def _on_labels(metrics: Mapping[str, Any]) -> Iterator[Advice]:
    if metrics.get("task") != "multilabel":
        return
    rows, n = metrics["per_class"], metrics["n_tested"]
    always = [row["class"] for row in rows if row["support"] == n]
    never = [row["class"] for row in rows if row["support"] == 0]
    for names, which in ((always, "All test clips have"), (never, "No test clip has")):
        if names:
            subject, they = ("labels", "they are") if len(names) > 1 else ("label", "it is")
            text = f"{which} the {subject} {', '.join(names)}, so {they} left out of mAP and ROC AUC."
            yield Advice("warning", text, f"Set data.exclude=[{','.join(names)}], or add other clips.")
    unlearnt = [row for row in rows if row["one_sided"] and row["class"] not in always]
    for row in unlearnt:
        folds = ", ".join(map(str, row["one_sided"]))
        yield Advice(
            "warning",
            f"The training set of fold {folds} has no clip with {row['class']}, or none without it, so its probability "
            "is constant there.",
            "Collect more clips of this class, or use fewer folds.",
        )


def _amount(metrics: Mapping[str, Any]) -> str:
    by_group = metrics.get("interval_over") == "groups"
    return f"{metrics['n_interval_over']} groups" if by_group else f"{metrics['n_tested']} test clips"


def _on_groups(metrics: Mapping[str, Any]) -> Iterator[Advice]:
    n = metrics.get("n_interval_over", 0)
    if metrics.get("interval_over") == "groups" and n < FEW_GROUPS:
        few = f"The test clips come from only {n} groups, so the intervals are wide"
        one = "All test clips come from one group, so there is no interval"
        yield Advice(
            "note",
            f"{few if n > 1 else one}: scores vary between groups.",
            f"Test on {FEW_GROUPS} groups or more (speakers, animals, devices, places).",
        )


def _on_failures(metrics: Mapping[str, Any]) -> Iterator[Advice]:
    failed = metrics.get("n_failures", 0)
    if failed:
        total = failed + metrics["n_clips"]
        level: Literal["warning", "note"] = "warning" if failed / total >= MANY_FAILED else "note"
        yield Advice(level, f"{failed} of {total} clips could not be used.", "failures.csv lists each with its reason.")


def _sentence(text: str) -> str:
    option = "=" in text.partition(" ")[0]  # to be typed as it is written
    return (text[:1] if option else text[:1].upper()) + text[1:] + ("" if text.endswith(".") else ".")
