"""What the runs' audits warn of, each warning once: jobs of a sweep share their data, and so its flaws."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from audiofw.errors import one_line
from audiofw.leaderboard.runs import Run


class Caution(NamedTuple):
    """A warning of the audit, and the runs that carry it."""

    text: str  #: message and remedy, one line
    runs: tuple[Run, ...]


def find_cautions(runs: Sequence[Run]) -> list[Caution]:
    """Gather the warnings of finished runs, those of most runs first."""
    found: dict[str, list[Run]] = {}
    for run in runs:
        for text in dict.fromkeys(map(_say, warnings_of(run))):
            found.setdefault(text, []).append(run)
    cautions = [Caution(text, tuple(carriers)) for text, carriers in found.items()]
    return sorted(cautions, key=lambda caution: -len(caution.runs))


def warnings_of(run: Run) -> list[dict[str, Any]]:
    """List the audit's findings of a run that are warnings."""
    findings = run.metrics.get("audit")
    found = findings if isinstance(findings, list) else []
    return [finding for finding in found if isinstance(finding, dict) and finding.get("severity") == "warning"]


def _say(finding: dict[str, Any]) -> str:
    """Say it without its effect on the score, which differs from run to run."""
    return one_line(f"{finding.get('message')}; {finding.get('remedy')}", most=None)
