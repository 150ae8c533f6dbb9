"""Recordings with known events, and the scores that a model might give over time."""

from __future__ import annotations

import numpy as np

from audiofw.evaluation.detection import WindowMeans
from audiofw.evaluation.events import make_events
from audiofw.evaluation.rules import Track

CLASSES = ("background", "cat", "dog")


def draw(seed, *, flicker=0.0, weak=False, n=240, hop=0.25):
    """Scores of a recording of a minute with some events, and scores that flicker within them."""
    rng = np.random.default_rng(seed)
    scores = np.tile([0.9, 0.05, 0.05], (n, 1)) + 0.02 * rng.random((n, 3))
    rows = []
    for start in range(8, n - 24, 28):
        of, length = int(rng.integers(1, 3)), int(rng.integers(6, 16))
        strength = 0.3 if weak and of == 2 else 0.8
        scores[start : start + length] = [1 - strength, 0.02, 0.02]
        scores[start : start + length, of] = strength
        quiet = start + np.flatnonzero(rng.random(length) < flicker)
        scores[quiet[(quiet > start) & (quiet < start + length - 1)]] = [0.9, 0.05, 0.05]
        rows.append((start * hop, (start + length) * hop, of))
    starts = hop * np.arange(n)
    return Track(str(seed), WindowMeans(starts, starts + hop, scores), make_events(rows), n * hop)
