"""The model card of a bundle: for people, with the YAML head and the sections of Hugging Face's model cards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from audiofw.bundle.finished import Finished
from audiofw.data.labels import split_labels
from audiofw.version import __version__

TEMPLATE = Path(__file__).with_name("model_card.md.jinja")
WORST = 10  # groups listed of each way of grouping
HUGGING_FACE = {"f1_macro": "f1", "map": "mean_average_precision"}  # names of scores that differ there


def make_card(run: Finished) -> str:
    """Write the card of a run's model."""
    from jinja2 import Environment, StrictUndefined

    metrics, config = run.metrics, run.config
    lines = Environment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True)
    lines.filters |= {"number": _number, "interval": _interval, "line": _line}
    return lines.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        head=_head(run),
        version=__version__,
        config=config,
        source=_source(config.data.source),
        chosen={kind: choice.name for kind, choice in run.choices.items()},
        metrics=metrics,
        score=metrics["scores"][metrics["score"]],
        several=config.task == "multilabel",
        counts=_counts(run),
        by_group=[{**each, "groups": each["groups"][:WORST]} for each in metrics["by_group"]],
        groups=len({clip.group for clip in run.clips} - {None}),
        rate=run.unit.sample_rate,
        fitted="all clips, after scoring" if config.bundle.refit else "the training set of the last fold",
    )


def _source(source: str) -> str:
    """Name the source without the folders that it is in."""
    return Path(source).name or source


def _counts(run: Finished) -> list[tuple[str, int]]:
    """Count the clips of each class."""
    several = run.config.task == "multilabel"
    of_clips = (split_labels(clip.label) if several else [clip.label] for clip in run.clips)
    counts = Counter(label for labels in of_clips for label in labels)
    return [(name, counts[name]) for name in run.classes]


def _head(run: Finished) -> str:
    """The YAML that Hugging Face's hub reads: tags, and the scores."""
    import yaml  # type: ignore[import-untyped]

    scores: Mapping[str, Any] = run.metrics["scores"]
    measured = [
        {"type": HUGGING_FACE.get(name, name), "name": name, "value": round(float(score["pooled"]), 4)}
        for name, score in scores.items()
        if score["pooled"] is not None
    ]
    source = _source(run.config.data.source)
    result = {
        "task": {"type": "audio-classification", "name": "Audio classification"},
        "dataset": {"type": "custom", "name": source},
        "metrics": measured,
    }
    head = {
        "library_name": "audiofw",
        "pipeline_tag": "audio-classification",
        "tags": ["audio", "audio-classification", "audiofw", *(choice.name for choice in run.choices.values())],
        "metrics": list(dict.fromkeys(each["type"] for each in measured)),
        "model-index": [{"name": _name(run), "results": [result]}],
    }
    return str(yaml.safe_dump(head, sort_keys=False, allow_unicode=True, width=120))


def _name(run: Finished) -> str:
    return f"{run.choices['model'].name} on {run.choices['feature'].name} for {_source(run.config.data.source)}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _interval(ends: Sequence[float] | None) -> str:
    return "" if ends is None else f"{ends[0]:.3f} to {ends[1]:.3f}"


def _line(text: Any) -> str:
    """Keep text that others have chosen, such as names of classes, inside its cell of a table."""
    return " ".join(str(text).split()).replace("|", "\\|")
