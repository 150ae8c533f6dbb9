"""Everything that is known at the end of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from audiofw.audit.probe import Probe
from audiofw.config.options import Config
from audiofw.contract.plugin import Choice
from audiofw.data.dataset import Clip
from audiofw.evaluation.cross_validate import Evaluation
from audiofw.extraction.recording import Unit


@dataclass(frozen=True, eq=False)
class Finished:
    """Everything that is known at the end of a run."""

    config: Config
    choices: Mapping[str, Choice]
    clips: Sequence[Clip]
    classes: Sequence[str]
    unit: Unit
    evaluation: Evaluation
    metrics: Mapping[str, Any]
    timeline: Mapping[str, Any] | None = None  #: how timelines are made by default
    probes: Sequence[Probe | None] = ()  #: of each clip, if they were measured
