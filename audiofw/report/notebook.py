"""How a run's results describe themselves: in one line, and as a card in a notebook."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from audiofw.bundle.notebook import card, list_classes, show_score
from audiofw.errors import printable
from audiofw.results.advice import advise_on_metrics
from audiofw.results.console import score_names
from audiofw.results.folder import REPORT
from audiofw.system.paths import from_here
from audiofw.system.reading import read_yaml

MOST_ADVICE = 3


def run_line(folder: Path, metrics: Mapping[str, Any] | None) -> str:
    """Describe a run in one line."""
    if metrics is None:
        return f"RunResult({printable(str(folder))}: no results)"
    tested = f"{metrics['n_tested']} of {metrics['n_clips']} clips tested"
    score = _main_score(metrics)
    made = f"{of}, " if (of := _made_of(folder)) else ""
    return printable(f"RunResult({folder}: {made}{score}, {tested}, {list_classes(metrics['classes'])})")


def _made_of(folder: Path) -> str:
    """Name the run's model, feature and pooling by its ``config.yaml``."""
    try:
        config = read_yaml(folder / "config.yaml")
        model, feature, pooling = (config[kind]["name"] for kind in ("model", "feature", "pooling"))
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    return f"{model} on {feature} + {pooling}"


def _main_score(metrics: Mapping[str, Any]) -> str:
    interval = metrics["scores"][metrics["score"]]["interval"]
    name = score_names(metrics).get(metrics["score"], metrics["score"])
    return show_score(name, metrics["value"], interval, metrics["interval_level"])


def run_card(folder: Path, metrics: Mapping[str, Any] | None) -> str:
    """Draw a run as HTML: its score and baseline, all scores, and what limits them."""
    if metrics is None:
        return card(f"{folder}: no results", [])
    baseline = metrics["baseline"].get(metrics["score"])
    folds = f", {metrics['n_folds']} folds" if metrics["n_folds"] > 1 else ""
    rows = [
        ("run", _made_of(folder)),
        ("baseline", "" if baseline is None else f"{baseline:.3f}"),
        ("classes", list_classes(metrics["classes"], most=20)),
        ("tested", f"{metrics['n_tested']} of {metrics['n_clips']} clips{folds}"),
        ("other scores", _others(metrics)),
        *[(one.level, one.text) for one in advise_on_metrics(metrics)[:MOST_ADVICE]],
        ("folder", str(folder)),
    ]
    page = folder / REPORT
    below = f'<a href="{escape(from_here(page), quote=True)}">report.html</a>' if page.is_file() else ""
    return card(_main_score(metrics), rows, below)


def _others(metrics: Mapping[str, Any]) -> str:
    found = [
        f"{label} {metrics['scores'][name]['pooled']:.3f}"
        for name, label in score_names(metrics).items()
        if name != metrics["score"] and metrics["scores"][name]["pooled"] is not None
    ]
    return ", ".join(found)
