"""What the page says, as HTML; every name of a file or class is escaped."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

import numpy as np

from audiofw.bundle.model import Model
from audiofw.report import media
from audiofw.serve.service import Limits, ServedAnswer

HONESTY = "A label is the likeliest of the classes that the model knows. It has no word for any other sound."
WAITING = '<div class="said waiting" role="status">Upload or record a sound: the answer will stand here.</div>'
MOST_OPEN = 12  # classes that are named without being asked for


def title(facts: Mapping[str, Any]) -> str:
    """Name the model: ``lightgbm on mel``."""
    model, feature = (facts.get(kind, {}).get("name", "") for kind in ("model", "feature"))
    return " on ".join(filter(None, (model, feature))) or "a model"


def head(model: Model) -> str:
    """Say what is served, and what it cannot know."""
    score = model.facts.get("score")
    told = f"{title(model.facts)}, {score['name']} {score['value']:.1%}" if score else title(model.facts)
    return f'<h1>What is this sound?</h1><p>{HONESTY}</p><p class="model">{escape(told)}</p>'


def about(model: Model) -> str:
    """Say how good the model is, by what measure, and what it was trained on."""
    classes = [str(name) for name in model.classes_]
    names = "".join(f"<li>{escape(name)}</li>" for name in classes)
    terms = {"Model": title(model.facts), **_score(model.facts), "Fitted on": _fitted(model.facts)}
    rows = "".join(f"<div><dt>{term}</dt><dd>{escape(text)}</dd></div>" for term, text in terms.items() if text)
    return (
        f"<h2>About the model</h2><dl>{rows}</dl><details{' open' if len(classes) <= MOST_OPEN else ''}>"
        f"<summary>The {len(classes)} classes that it knows</summary><ul>{names}</ul></details>"
    )


def _score(facts: Mapping[str, Any]) -> dict[str, str]:
    if not (score := facts.get("score")):
        return {}
    low, high = score.get("interval") or (None, None)
    known = low is not None and high is not None
    interval = f" ({score.get('level', 0.95):.0%} interval: {low:.1%} to {high:.1%})" if known else ""
    return {"Score": f"{score['name']} {score['value']:.1%}{interval}", "Measured on": score.get("measured_on", "")}


def _fitted(facts: Mapping[str, Any]) -> str:
    return str(facts.get("fitted_on", {}).get("said", ""))


def heard(facts: Mapping[str, Any], limits: Limits) -> str:
    """Say how much of a sound is taken, and how much of it the model hears."""
    audio, windows = facts.get("audio", {}), facts.get("windows", {})
    taken = f"Up to {limits.seconds:g} s and {limits.megabytes:g} MB."
    duration = audio.get("duration")
    if duration is None or windows.get("hop") is not None:
        return taken
    part = "loudest" if audio.get("focus") == "event" else "first"
    return f"{taken} The model listens to the {part} {duration:g} s."


def verdict(answer: ServedAnswer, limits: Limits) -> str:
    """Say what a sound is, and how sure that is."""
    sure = "" if answer.confidence is None else _sure(answer.confidence)
    if answer.label == answer.likeliest:
        return _said("sure", answer.label, sure)
    why = f"the likeliest is {answer.likeliest}, at {answer.confidence:.0%}; an answer needs {limits.confidence:.0%}"
    return _said("unsure", "Not sure", why)


def _sure(confidence: float) -> str:
    return "more than 99% sure" if confidence >= 0.995 else f"{confidence:.0%} sure"  # no model is 100% sure


def refusal(reason: str) -> str:
    """Say why there is no answer."""
    return _said("bad", "This sound cannot be used", reason)


def _said(kind: str, head: str, rest: str) -> str:
    return f'<div class="said {kind}" role="status"><strong>{escape(head)}</strong><span>{escape(rest)}</span></div>'


def picture(y: np.ndarray, sr: int) -> str:
    """Draw a sound's mel spectrogram with its axes."""
    seconds = len(y) / sr
    drawn = media.picture(media.decibels(y, sr), sr)
    beside = "".join(f'<span style="bottom:{up:.1%}">{text}</span>' for text, up in drawn.ticks)
    below = "".join(f"<span>{seconds * part:.2g} s</span>" for part in (0, 0.5, 1))
    alt = f"Mel spectrogram of {seconds:.2g} seconds, in dB below its loudest spot"
    return (
        f'<figure class="spectrogram"><div class="hertz">{beside}</div>'
        f'<img src="{drawn.uri}" alt="{alt}"><div class="seconds">{below}</div>'
        "<figcaption>Mel spectrogram, dB below its loudest spot</figcaption></figure>"
    )
