"""The texts of the page as HTML; all names of files and classes are escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from audiofw.bundle.model import Model
from audiofw.bundle.prediction import UNKNOWN
from audiofw.data.labels import split_labels
from audiofw.report import media
from audiofw.serve.service import ServedAnswer, UploadLimits

LIMITATION = "The model assigns every sound to one of its classes, even a sound that belongs to none of them."
LIMITATION_OF_SEVERAL = "The model predicts any number of its labels for a sound, and does not recognise other sounds."
WAITING = '<div class="answer waiting" role="status">Upload or record a sound to see its class here.</div>'
MOST_OPEN = 12  # number of classes up to which their list is open


def title(facts: Mapping[str, Any]) -> str:
    """Name the model, e.g. ``lightgbm on mel``."""
    model, feature = (facts.get(kind, {}).get("name", "") for kind in ("model", "feature"))
    return " on ".join(filter(None, (model, feature))) or "a model"


def head(model: Model) -> str:
    """Introduce the model and its main limitation."""
    score = model.facts.get("score")
    limitation = LIMITATION if model.thresholds is None else LIMITATION_OF_SEVERAL
    text = f"{title(model.facts)}, {score['name']} {score['value']:.1%}" if score else title(model.facts)
    if n := len((score or {}).get("audit_warnings") or ()):
        text += f", with {n} audit warning{'s' * (n > 1)}, see below"
    return f'<h1>What is this sound?</h1><p>{limitation}</p><p class="model">{escape(text)}</p>'


def about(model: Model) -> str:
    """Describe the model: its score, how that was measured, and the training data."""
    classes = [str(name) for name in model.classes_]
    names = "".join(f"<li>{escape(name)}</li>" for name in classes)
    terms = {"Model": [title(model.facts)], **_score(model.facts), "Trained on": [_fitted(model.facts)]}
    rows = "".join(_row(term, texts) for term, texts in terms.items() if any(texts))
    return (
        f"<h2>About the model</h2><dl>{rows}</dl><details{' open' if len(classes) <= MOST_OPEN else ''}>"
        f"<summary>Its {len(classes)} classes</summary><ul>{names}</ul></details>"
    )


def _row(term: str, texts: Sequence[str]) -> str:
    return f"<div><dt>{term}</dt>{''.join(f'<dd>{escape(text)}</dd>' for text in texts)}</div>"


def _score(facts: Mapping[str, Any]) -> dict[str, Sequence[str]]:
    if not (score := facts.get("score")):
        return {}
    low, high = score.get("interval") or (None, None)
    known = low is not None and high is not None
    interval = f" ({score.get('level', 0.95):.0%} interval: {low:.1%} to {high:.1%})" if known else ""
    return {
        "Score": [f"{score['name']} {score['value']:.1%}{interval}"],
        "Measured on": [score.get("measured_on", "")],
        "Audit warnings": _warnings(score),
    }


def _warnings(score: Mapping[str, Any]) -> Sequence[str]:
    if "audit_warnings" not in score:  # of an earlier version
        return []
    found = score["audit_warnings"]
    return ["The data were not audited for duplicates and leaks."] if found is None else found or ["none"]


def _fitted(facts: Mapping[str, Any]) -> str:
    return str(facts.get("fitted_on", {}).get("description", ""))


def describe_input(facts: Mapping[str, Any], limits: UploadLimits) -> str:
    """Describe the limits of an upload, and which part of it the model uses."""
    audio, windows = facts.get("audio", {}), facts.get("windows", {})
    taken = f"Up to {limits.seconds:g} s and {limits.megabytes:g} MB."
    duration = audio.get("duration")
    if duration is None or windows.get("hop") is not None:
        return taken
    part = "loudest" if audio.get("focus") == "event" else "first"
    return f"{taken} The model uses the {part} {duration:g} s."


def verdict(answer: ServedAnswer, limits: UploadLimits, *, several: bool = False) -> str:
    """Show the predicted class and its probability, or several labels."""
    if several:
        return _several(answer)
    sure = "" if answer.confidence is None else _sure(answer.confidence)
    if answer.label == answer.likeliest:
        return _message("sure", answer.label, sure)
    if answer.confidence is None or answer.confidence >= limits.confidence:
        return _strange(answer)
    why = f"most probable: {answer.likeliest}, {answer.confidence:.0%}; at least {limits.confidence:.0%} is required"
    return _message("unsure", "Unknown", why)


def _several(answer: ServedAnswer) -> str:
    shares = answer.probabilities or {}
    if answer.label == UNKNOWN:
        return _strange(answer)
    if not (labels := split_labels(answer.label)):
        return _message("unsure", "None of the labels", f"most probable: {answer.likeliest}, {answer.confidence:.0%}")
    return _message("sure", ", ".join(labels), ", ".join(f"{_sure(shares[label])}" for label in labels))


def _strange(answer: ServedAnswer) -> str:
    return _message("unsure", "Unknown", f"unlike the training clips; most similar: {answer.likeliest}")


def _sure(confidence: float) -> str:
    return "probability above 99%" if confidence >= 0.995 else f"probability {confidence:.0%}"  # never 100%


def refusal(reason: str) -> str:
    """Explain why a recording cannot be classified."""
    return _message("bad", "This recording cannot be used", reason)


def _message(kind: str, head: str, rest: str) -> str:
    return f'<div class="answer {kind}" role="status"><strong>{escape(head)}</strong><span>{escape(rest)}</span></div>'


def spectrogram_image(y: np.ndarray, sr: int) -> str:
    """Draw a recording's mel spectrogram with its axes."""
    seconds = len(y) / sr
    drawn = media.picture(media.decibels(y, sr), sr)
    beside = "".join(f'<span style="bottom:{up:.1%}">{text}</span>' for text, up in drawn.ticks)
    below = "".join(f"<span>{seconds * part:.2g} s</span>" for part in (0, 0.5, 1))
    alt = f"Mel spectrogram of {seconds:.2g} seconds, in dB relative to its maximum"
    return (
        f'<figure class="spectrogram"><div class="hertz">{beside}</div>'
        f'<img src="{drawn.uri}" alt="{alt}"><div class="seconds">{below}</div>'
        "<figcaption>Mel spectrogram, dB relative to its maximum</figcaption></figure>"
    )
