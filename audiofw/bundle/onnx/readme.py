"""The README beside an exported graph: what it takes and gives, and how it is called."""

from __future__ import annotations

import math
from pathlib import Path

from audiofw.audio.segments import Segments
from audiofw.bundle.model import Model
from audiofw.bundle.onnx.export import Exported
from audiofw.bundle.onnx.nodes import OPSET
from audiofw.bundle.onnx.waveform import rate_of
from audiofw.version import __version__

TEMPLATE = Path(__file__).with_name("readme.md.jinja")


def write_readme(model: Model, made: Exported, file: str) -> str:
    """Write the README of a model's graph, which is in ``file``."""
    from jinja2 import Environment, StrictUndefined

    rate = rate_of(model)
    lines = Environment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True)
    return lines.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        file=file,
        version=__version__,
        feature=model.facts["feature"]["name"],
        pooling=model.unit.pooling.name,
        model=model.facts["model"]["name"],
        rate=rate,
        used=_used(model.unit.segments, rate),
        several=model.thresholds is not None,
        classes=model.classes_.tolist(),
        rows=made.rows,
        difference=f"{made.largest:.1g}",
        opset=OPSET,
    )


def _used(segments: Segments, rate: int) -> str:
    """Say how much of a clip the graph looks at."""
    if segments.to_read is None:
        return "of any length"
    most = math.ceil(segments.to_read * rate)
    part = f", of which the loudest {segments.duration:g} s count" if segments.focus == "event" else ""
    return f"of any length, but only the first {most} are used{part if segments.hop is None else ''}"
