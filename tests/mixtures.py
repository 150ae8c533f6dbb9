"""Recordings with several labels: any of three tones in noise, and a table that says which."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from conftest import write_wav

TONES = {"high": 3000, "low": 300, "mid": 1000}
SR = 16000


def mixture(labels: list[str], seconds: float = 0.4, seed: int = 0) -> np.ndarray:
    """Add the tones of some labels to noise."""
    chance, t = np.random.default_rng(seed), np.arange(round(seconds * SR)) / SR
    parts = [np.sin(2 * np.pi * TONES[label] * chance.uniform(0.95, 1.05) * t) for label in labels]
    return 0.2 * sum(parts, start=0.2 * chance.standard_normal(t.size))


def write_mixtures(folder: Path, clips: int = 48, *, none: bool = True) -> Path:
    """Write clips of all combinations of labels, and ``table.csv`` beside them; returns the table."""
    combinations = [[name for k, name in enumerate(TONES) if i >> k & 1] for i in range(0 if none else 1, 8)]
    rows = [["path", "label"]]
    for i in range(clips):
        labels = combinations[i % len(combinations)]
        write_wav(folder / f"{i:03d}.wav", mixture(labels, seed=i), SR)
        rows.append([f"{i:03d}.wav", ";".join(labels)])
    with (folder / "table.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return folder / "table.csv"
