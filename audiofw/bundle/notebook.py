"""How a model describes itself: in one line, and as a card in a notebook."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from audiofw.errors import printable

MOST_CLASSES = 5  # named in one line
STYLE = (
    "border:1px solid currentColor;border-radius:6px;padding:.6em .9em;display:inline-block;max-width:60em;"
    "font-family:system-ui,sans-serif;line-height:1.45"
)
HEAD = "text-align:left;white-space:nowrap;padding:.1em 1em .1em 0;font-weight:600;vertical-align:top"


def card(title: str, rows: Iterable[tuple[str, str]], below: str = "") -> str:
    """Draw a title and named values as HTML; all but ``below`` is escaped. Colours are those of the notebook."""
    cells = "".join(
        f'<tr><th style="{HEAD}">{escape(name)}</th>'
        f'<td style="text-align:left;padding:.1em 0">{escape(printable(value))}</td></tr>'
        for name, value in rows
        if value
    )
    return (
        f'<div style="{STYLE}"><div style="font-size:1.1em;font-weight:700">{escape(printable(title))}</div>'
        f'<table style="border-collapse:collapse;margin:.3em 0">{cells}</table>{below}</div>'
    )


def list_classes(classes: Sequence[str], most: int = MOST_CLASSES) -> str:
    """Name classes, the first few of many."""
    more = ", …" if len(classes) > most else ""
    return f"{len(classes)} class{'es' * (len(classes) != 1)}: {', '.join(map(str, classes[:most]))}{more}"


def show_score(name: str, value: Any, interval: Any, level: Any = 0.95) -> str:
    """Write a score with its interval; empty if there is none."""
    if not isinstance(value, (int, float)):
        return ""
    ends = interval if isinstance(interval, (list, tuple)) and len(interval) == 2 else None
    spread = f" ({level:.0%} interval {ends[0]:.3f}–{ends[1]:.3f})" if ends else ""
    return f"{name.replace('_', ' ')} {value:.3f}{spread}"


def model_line(facts: Mapping[str, Any], classifier: Any, feature: str, classes: Sequence[str]) -> str:
    """Describe a model in one line."""
    name = facts.get("model", {}).get("name") or type(classifier).__name__
    score = _score(facts)
    return printable(f"Model({name} on {feature}, {list_classes(classes)}{f', {score}' if score else ''})")


def _score(facts: Mapping[str, Any]) -> str:
    score = facts.get("score") or {}
    return show_score(str(score.get("name")), score.get("value"), score.get("interval"), score.get("level", 0.95))


def model_card(facts: Mapping[str, Any], classifier: Any, feature: str, classes: Sequence[str]) -> str:
    """Draw a model as HTML."""
    audio, score = facts.get("audio") or {}, facts.get("score") or {}
    name = facts.get("model", {}).get("name") or type(classifier).__name__
    pooling = (facts.get("pooling") or {}).get("name")
    timeline = facts.get("timeline")
    rows = [
        ("classes", list_classes(classes, most=20)),
        ("labels", "several per clip" if facts.get("task") == "multilabel" else ""),
        ("score", _score(facts)),
        ("measured on", str(score.get("measured_on") or "")),
        ("trained on", str((facts.get("fitted_on") or {}).get("description") or "")),
        ("input", _describe_input(audio)),
        ("timelines", f"windows of {timeline['window']:g} s every {timeline['hop']:g} s" if timeline else ""),
        ("saved", str(facts.get("made") or "")),
    ]
    return card(f"{name} on {feature}{f' + {pooling}' if pooling else ''}", rows)


def _describe_input(audio: Mapping[str, Any]) -> str:
    duration, rate = audio.get("duration"), audio.get("sample_rate")
    if "duration" not in audio:
        return ""
    length = "the whole recording" if duration is None else f"{duration:g} s of a recording"
    return f"{length}, at {rate} Hz" if rate else f"{length}, at its own rate"
