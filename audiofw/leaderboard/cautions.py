"""The audit warnings of a sweep's runs, each once: its jobs share their data, and so its problems."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from audiofw.errors import one_line
from audiofw.leaderboard.runs import Run


class Caution(NamedTuple):
    """An audit warning, and the runs that have it."""

    text: str  #: message and remedy, one line
    runs: tuple[Run, ...]


def find_cautions(runs: Sequence[Run]) -> list[Caution]:
    """Collect the warnings of finished runs, the most frequent first."""
    found: dict[str, list[Run]] = {}
    for run in runs:
        for text in dict.fromkeys(map(_say, warnings_of(run))):
            found.setdefault(text, []).append(run)
    cautions = [Caution(text, tuple(carriers)) for text, carriers in found.items()]
    return sorted(cautions, key=lambda caution: -len(caution.runs))


def warnings_of(run: Run) -> list[dict[str, Any]]:
    """List a run's audit findings that are warnings."""
    findings = run.metrics.get("audit")
    found = findings if isinstance(findings, list) else []
    return [finding for finding in found if isinstance(finding, dict) and finding.get("severity") == "warning"]


def _say(finding: dict[str, Any]) -> str:
    """Write a finding without its effect on the score, which differs between runs."""
    return one_line(f"{finding.get('message')}; {finding.get('remedy')}", most=None)
