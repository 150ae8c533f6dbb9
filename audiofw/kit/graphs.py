"""The check that a feature or pooling computes the same in ONNX, if it offers a graph."""

from __future__ import annotations

import numpy as np

from audiofw.kit.checks import Trial, expect
from audiofw.kit.sounds import make_clips

RELATIVE, ABSOLUTE = 1e-3, 1e-2  # an export compares probabilities, and more strictly


def agrees_in_onnx(trial: Trial) -> str:
    """Its graph gives what it gives, pooled or after a built-in feature."""
    if trial.plugin.onnx is None:
        return "none: a model with it cannot be exported"
    try:
        from audiofw.bundle.onnx.alone import compiled
    except ImportError:
        return "not tested: needs pip install 'audiofw[onnx]'"
    unit, sr = trial.unit(trial.sr), trial.sr
    run = compiled(lambda graph, y: unit.pooling.draw(graph, unit.feature.draw(graph, y, sr)))
    for name, clip in make_clips().items():
        y = np.pad(clip.y, (0, max(0, round(unit.feature.min_duration * sr) - clip.y.size)))
        (made,), expected = run(y), unit.pool(y.copy(), sr)
        expect(made.shape == expected.shape, f"{name}: its graph gives {made.shape}, not {expected.shape}")
        apart = np.abs(made - expected) - RELATIVE * np.abs(expected)
        expect(apart.max() <= ABSOLUTE, f"{name}: its graph is off by up to {np.abs(made - expected).max():.2g}")
    return ""
