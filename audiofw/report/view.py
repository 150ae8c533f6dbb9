"""Derive what a run's report shows from the run's facts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from audiofw.contract.hookspecs import KINDS, RESULT_KINDS
from audiofw.evaluation.scores import HIGHER_IS_BETTER
from audiofw.report.facts import Facts, dig
from audiofw.report.figures import Matrix
from audiofw.report.health import ClassHealth
from audiofw.report.scales import Scored, scored
from audiofw.results.console import NAMES

SHADES = 8


def of_run(
    facts: Facts, counts: Mapping[str, int], matrix: Matrix, health: Sequence[ClassHealth], n_usable: int
) -> dict[str, Any]:
    """Derive what the template needs besides the figures."""
    metrics, config = facts.metrics, facts.config
    scores = scored(metrics)
    return {
        "scores": scores,
        "axis": next(row.ends for row in scores if HIGHER_IS_BETTER[row.key]),
        "fold_numbers": range(max((len(row.folds) for row in scores), default=0)),
        "plugins": {kind: dig(config, kind, "name") or "?" for kind in RESULT_KINDS},
        "source": dig(config, "data", "source") or facts.folder.name,
        "per_class": [{**row, "clips": counts[row["class"]]} for row in metrics["per_class"]],
        "most_clips": max([1, *counts.values()]),
        "fit_seconds": float(np.mean(metrics["fit_seconds"])) if metrics.get("fit_seconds") else None,
        "matrix_paths": _shade(matrix),
        "longest": max((row.duration.most for row in health if row.duration), default=0) or 1.0,
        "widest": max((row.bandwidth.most for row in health if row.bandwidth), default=0) or 1.0,
        "n_probed": sum(row.probed for row in health),
        "n_usable": n_usable,
        "audited": bool(config.get("audit", True)),
        "settings": _settings(facts),
        "robustness": _robustness(metrics, scores[0]),
        "coverage": _pairs((metrics.get("confidence") or {}).get("curve")),
        "sets": (metrics.get("confidence") or {}).get("sets"),
        "unknown": metrics.get("unknown"),
        "by_group": [{**way, "name": NAMES[way["score"]]} for way in metrics.get("by_group") or () if way["groups"]],
    }


def _shade(matrix: Matrix) -> list[tuple[float, str]]:
    """Draw the cells of a large matrix as one SVG path per shade."""
    shares = np.array(matrix.shares)
    shade = np.ceil(shares * SHADES).astype(int) if shares.size else np.zeros((0, 0), int)
    return [
        (k / SHADES, "".join(f"M{x} {y}h1v1h-1z" for y, x in np.argwhere(shade == k)))
        for k in range(1, SHADES + 1)
        if (shade == k).any()
    ]


def _settings(facts: Facts) -> list[tuple[str, list[tuple[str, str]]]]:
    """List the whole config by section, then the versions."""
    sections: list[tuple[str, list[tuple[str, str]]]] = []
    plain: list[tuple[str, str]] = []
    for key, value in facts.config.items():
        if isinstance(value, Mapping):
            sections.append((key, [(name, _say(one)) for name, one in value.items()]))
        else:
            plain.append((key, _say(value)))
    versions = [(key, _say(facts.versions.get(key))) for key in ("audiofw", "python", "platform") if facts.versions]
    versions += [(name, _say(version)) for name, version in (facts.versions.get("libraries") or {}).items()]
    owners = [
        (kind, f"{of.get('name')}, {of.get('owner')}") for kind, of in (facts.versions.get("plugins") or {}).items()
    ]
    named = [("run", plain), *sections, ("versions", versions), ("plugins", owners)]
    rank = {title: i for i, title in enumerate([*KINDS, "data", "audio", "run"])}
    return sorted((pair for pair in named if pair[1]), key=lambda pair: rank.get(pair[0], len(rank)))


def _say(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={_say(one)}" for key, one in value.items() if one is not None) or "null"
    if isinstance(value, list):
        return ", ".join(map(_say, value)) or "[]"
    return str(value)


def _robustness(metrics: Mapping[str, Any], main: Scored) -> list[tuple[Scored, int]]:
    """List the score on each kind of modified test clips, on the main score's axis, with the number of clips."""
    rows = metrics.get("robustness") or []
    return [
        (
            main._replace(
                name=row["change"],
                value=row["value"],
                interval=tuple(row["interval"]) if row.get("interval") else None,
                folds=(),
            ),
            row["n_tested"],
        )
        for row in rows
    ]


def _pairs(curve: Any) -> list[tuple[float, float]]:
    """Read the curve of accuracy over the share of clips with the highest confidence."""
    return sorted((float(point["coverage"]), float(point["accuracy"])) for point in curve or ())
